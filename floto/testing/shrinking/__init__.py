"""Minimisation: reductions of specs and histories, and the search that applies them."""

from __future__ import annotations
