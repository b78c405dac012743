"""A second, naive reading of a spec and a history, which shares no code with floto's own."""

from __future__ import annotations
