"""What must hold, held against the runs that a spec can have."""

from __future__ import annotations
