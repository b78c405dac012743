"""The second, naive reading of a spec and a history, which shares nothing with floto's own."""

from __future__ import annotations
