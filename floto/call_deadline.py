"""The deadline of a caller for its calls of a service, which the adapters of remote services keep.

The methods of a ``Service`` have no argument for it: only a call over a network can wait for a response that
never comes. The runtime sets the deadline and adapters read it; this module imports neither.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf

#: Monotonic time of the deadline.
_ENDS_AT: ContextVar[float] = ContextVar("floto_call_deadline", default=inf)
#: Least seconds of a time-out: a socket does not block if its time-out is 0.
_LEAST_SECONDS = 0.01


@contextmanager
def deadline_in(seconds: float) -> Iterator[None]:
    """Let the calls that this thread makes in the block fail after ``seconds`` from now.

    In nested blocks, the earliest deadline holds.
    """
    mark = _ENDS_AT.set(min(_ENDS_AT.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ENDS_AT.reset(mark)


def seconds_left(most: float) -> float:
    """Return the seconds until the deadline of this thread, at most ``most``; more than 0 in any case."""
    return min(most, max(_ENDS_AT.get() - time.monotonic(), _LEAST_SECONDS))
