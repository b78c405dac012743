"""Log lines for lasting failures, such as a full disk or an unreachable service.

The first failure is logged at once, later ones with their number at growing intervals, and finally the end of
the failures: one line per failure would fill the disk, or hide everything else. Any number of threads may use
a ``TroubleLog``, and its state is bounded. Adapters and runtime share this module, which imports neither.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any
from weakref import WeakKeyDictionary

from attrs import define

#: Seconds between two lines about a trouble; the last interval repeats.
INTERVALS = (10.0, 60.0, 600.0)
#: Maximum number of troubles; beyond it the oldest is dropped, and logged as new if it fails again.
_MOST = 256


@define
class _Trouble:
    """A lasting failure: its start, its count and the earliest time of the next line."""

    began: float
    next_at: float
    count: int = 1
    lines: int = 1
    #: True if the end must be logged, because the last line reported a failure.
    is_reported: bool = True
    is_over: bool = False


class TroubleLog:
    """Logs the failures of one part of a process, by key.

    Args:
        log: The logger; default: ``floto``.
        clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        log: logging.Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = logging.getLogger("floto") if log is None else log
        self._clock = clock
        self._troubles: OrderedDict[Hashable, _Trouble] = OrderedDict()
        self._lock = threading.Lock()

    def failed(
        self,
        key: Hashable,
        message: str,
        *args: object,
        level: int = logging.WARNING,
        error: BaseException | None = None,
    ) -> None:
        """Record a failure; log it if it is the first of its key or the next line is due.

        Args:
            key: The kind of failure; ``over`` takes the same key, and its line begins with it.
            message: The message, as for ``logging``; the number of failures is appended if there are several.
            args: The arguments of the message.
            level: The level of the line.
            error: An exception whose traceback is logged with the first line.
        """
        with self._lock:
            summary = self._count(key, self._clock())
        if summary is None:
            return
        if summary:
            self._log.log(level, f"{message} (%s)", *args, summary)
        else:
            self._log.log(level, message, *args, exc_info=error)

    def over(self, key: Hashable) -> None:
        """Record a success; log the number and the duration of the failures if any were logged.

        Args:
            key: The key of the failures.
        """
        # The fast path, without the lock: there is almost never a trouble.
        if key not in self._troubles:
            return
        with self._lock:
            trouble = self._troubles.get(key)
            if trouble is None or trouble.is_over:
                return
            trouble.is_over, was_reported = True, trouble.is_reported
            trouble.is_reported = False
            summary = _summary(trouble, self._clock())
        if was_reported:
            self._log.warning("%s: over after %s", key, summary)

    def _count(self, key: Hashable, now: float) -> str | None:
        """Count a failure; return None if no line is due, "" for the first one, else a suffix of the line."""
        trouble = self._troubles.get(key)
        # A failure soon after the end continues the trouble: it must not cause two lines each time.
        if trouble is None or (trouble.is_over and now >= trouble.next_at):
            self._troubles[key] = _Trouble(now, now + INTERVALS[0])
            self._troubles.move_to_end(key)
            if len(self._troubles) > _MOST:
                self._troubles.popitem(last=False)
            return ""
        trouble.is_over = False
        trouble.count += 1
        if now < trouble.next_at:
            return None
        trouble.next_at = now + INTERVALS[min(trouble.lines, len(INTERVALS) - 1)]
        trouble.lines += 1
        trouble.is_reported = True
        return _summary(trouble, now)


def _summary(trouble: _Trouble, now: float) -> str:
    failures = "1 failure" if trouble.count == 1 else f"{trouble.count} failures"
    return f"{failures} in {now - trouble.began:.1f} s"


_LOGS: WeakKeyDictionary[Any, TroubleLog] = WeakKeyDictionary()
_LOGS_LOCK = threading.Lock()


def trouble_log_of(call: Callable[..., object]) -> TroubleLog:
    """Return the log that all methods of one object share, so that threads log a service's trouble once.

    A function that is not a method has a log of its own.

    Args:
        call: A bound method, or a function.
    """
    owner = getattr(call, "__self__", call)
    with _LOGS_LOCK:
        try:
            return _LOGS.setdefault(owner, TroubleLog())
        except TypeError:  # an unhashable owner, or one without weak references
            return TroubleLog()
