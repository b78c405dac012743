"""Runs of a spec on the pure engine of SWF, in virtual time."""

from __future__ import annotations
