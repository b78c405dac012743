"""Runs of a spec on the pure model of SWF, in virtual time."""

from __future__ import annotations
