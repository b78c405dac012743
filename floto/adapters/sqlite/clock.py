"""The clock of the embedded engine: the machine's, made one that never goes back.

A clock that is set forward is followed at once, as after the machine slept: everything that is due by
then fires. One that is set back is not followed: this clock goes on from where it was, at the speed of
time, until the other has caught up or the process ends. So a timer of two seconds fires after two seconds.
The times of a history are never taken back either: the next events of a run have at least the time of its
last one, and their time-outs count from the clock (``floto.core.service.deadlines``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


class SteadyClock:
    """Tells the time in UTC, and never an earlier one than before. Any thread may ask.

    ``wall`` is the clock of the machine, ``elapsed`` tells seconds that nobody can set.
    """

    def __init__(
        self, wall: Callable[[], datetime] = utc_now, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._lock = threading.Lock()
        self._told, self._at = wall(), elapsed()

    def __call__(self) -> datetime:
        """Return the time now."""
        with self._lock:
            at = self._elapsed()
            steady = self._told + timedelta(seconds=at - self._at)
            self._told, self._at = max(self._wall(), steady), at
            return self._told
