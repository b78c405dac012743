"""The clock of the machine, which may be set, and the guarantees of the embedded engine for that.

Every process on a file uses the clock of the machine. The guarantees are:

- The times of a history never decrease: an event of a run has at least the time of the previous one.
- Time-outs and timers count from the clock, even if a run is ahead of it (``floto.core.engine.deadlines``).
- After the clock was set forward, the deadlines that it passed are due, as after the machine was suspended.
- After the clock was set back, a deadline that was set while the clock was ahead is due no later than if it
  were set now. A process notices this by comparing the clock with elapsed time, or when it opens the file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Maximum difference of clock and elapsed time that does not mean that the clock was set.
_SLACK = timedelta(seconds=1)


def utc_now() -> datetime:
    """Return the current time of this machine in UTC."""
    return datetime.now(UTC)


class ClockWatch:
    """Detects that a clock was set back.

    Args:
        elapsed: Returns seconds of a clock that cannot be set.
    """

    def __init__(self, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._elapsed = elapsed
        self._last: tuple[datetime, float] | None = None

    def went_back(self, now: datetime) -> bool:
        """Return True if the clock, whose time is ``now``, was set back since the previous call."""
        last, self._last = self._last, (now, self._elapsed())
        if last is None:
            return False
        return now - last[0] < timedelta(seconds=self._last[1] - last[1]) - _SLACK
