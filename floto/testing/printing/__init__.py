"""Counterexamples and reproductions, written as pytest files."""

from __future__ import annotations
