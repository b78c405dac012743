"""The clock of the machine, which may be set, and how the embedded engine lives with that.

Every process on a file goes by the clock of the machine. What is promised:

- The times of a history never go back: the next event of a run has at least the time of its last one.
- Time-outs and timers count from the clock, also where a run is ahead of it
(``floto.core.engine.deadlines``). - A clock that is set forward makes due what it passes, as after the
machine slept. - After a clock that was set back, what was started while it was ahead is due no later than
if it was started now.
  A process notices this by comparing the clock with the time that has passed, or when it opens the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Seconds by which the clock of a machine may differ from elapsed time without having been set.
_SLACK = timedelta(seconds=1)


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class ClockWatch:
    """Notices that a clock was set back; ``elapsed`` tells seconds that nobody can set."""

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._last: tuple[datetime, float] | None = None

    def went_back(self, now: datetime) -> bool:
        """Return True if the clock, which says ``now``, was set back since this was asked before."""
        last, self._last = self._last, (now, self._elapsed())
        if last is None:
            return False
        return now - last[0] < timedelta(seconds=self._last[1] - last[1]) - _SLACK
