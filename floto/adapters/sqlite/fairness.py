"""The processor's time, shared between queries and calls that write.

SQLite counts and sorts without Python's lock, so that clients that make one long query after the other keep a
core busy, which the threads, clients and servers of everybody else then lack. While calls write, queries rest
as long as they work; alone they never rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic, sleep

#: Seconds that a query rests at most.
_MOST_REST = 0.05


class Fairness:
    """Makes a query wait where the one before kept the processor from calls that write.

    Queries come one at a time; ``note_write`` may be called by any thread.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, rest: Callable[[float], None] = sleep) -> None:
        self._clock, self._rest = clock, rest
        self._wrote_at = self._resting_until = -inf

    def note_write(self) -> None:
        """Note that a call is made that writes."""
        self._wrote_at = self._clock()

    @contextmanager
    def query(self) -> Iterator[None]:
        """Rest after the last query if that is due, then carry out the next one in the block."""
        began = self._clock()
        if self._resting_until > began:
            self._rest(self._resting_until - began)
            began = self._clock()
        try:
            yield
        finally:
            ended = self._clock()
            if self._wrote_at >= began:
                self._resting_until = ended + min(ended - began, _MOST_REST)
