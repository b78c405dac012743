"""Fair use of the processor by queries and by calls that write.

SQLite counts and sorts without the GIL, so clients that send one long query after the other keep a core busy
that the calls of other clients need. Therefore, while calls write, queries pause as long as they run; without
writes they never pause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic, sleep

#: Maximum pause before a query in seconds.
_MOST_REST = 0.05


class Fairness:
    """Delays a query if the previous one ran while calls wrote.

    Queries run one at a time; any thread may call ``note_write``.

    Args:
        clock: Returns monotonic seconds.
        rest: Sleeps for a number of seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, rest: Callable[[float], None] = sleep) -> None:
        self._clock, self._rest = clock, rest
        self._wrote_at = self._resting_until = -inf

    def note_write(self) -> None:
        """Record that a call writes."""
        self._wrote_at = self._clock()

    @contextmanager
    def query(self) -> Iterator[None]:
        """Pause if that is due after the previous query, then run the block, which is the next one."""
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
