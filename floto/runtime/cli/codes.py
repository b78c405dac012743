"""Exit codes of the commands."""

from __future__ import annotations

DONE, FAILED, USAGE, TIMED_OUT, INTERRUPTED = 0, 1, 2, 124, 130
