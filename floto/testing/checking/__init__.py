"""Checks of the invariants over the runs of a spec, and the minimising of what breaks them."""

from __future__ import annotations
