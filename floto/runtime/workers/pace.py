"""The pace of a worker: how soon after one activity the next may start."""

from __future__ import annotations

from math import inf
from time import monotonic

from floto.runtime.shutdown import StopFlag


class Pace:
    """A limit of the starts per second, at even distances; only one thread may use it.

    A worker waits before it polls: a claimed task that waited would use up its time-outs, and could not be
    claimed by another worker.

    Args:
        per_second: Maximum number of starts per second; None: no limit.
    """

    def __init__(self, per_second: float | None) -> None:
        self._distance = 0.0 if per_second is None else 1 / per_second
        self._next = -inf

    def wait(self, stop: StopFlag) -> bool:
        """Wait until an activity may start; return False if the worker is to stop instead."""
        while (seconds := self._next - monotonic()) > 0:
            if stop.wait(seconds):
                return False
        return not stop.is_set()

    def start(self) -> None:
        """Count an activity that starts now."""
        self._next = monotonic() + self._distance
