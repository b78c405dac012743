"""Specs and histories cut to what matters."""

from __future__ import annotations
