"""Specs, histories and what was found, as tests that run."""

from __future__ import annotations
