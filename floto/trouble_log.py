"""Log lines for troubles that last, such as a full disk or a service that is away.

The first failure is logged at once, then how often it has happened at growing intervals, then that it is
over: one line for each failure would fill the disk, or hide everything else. A ``TroubleLog`` may be used
by many threads, and its state is small. Adapters and runtime share this module, which knows neither.
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

#: Seconds from one line about a trouble to the next; the last interval repeats.
INTERVALS = (10.0, 60.0, 600.0)
#: Troubles that are remembered; beyond that, the one that was forgotten is logged as new.
_MOST = 256


@define
class _Trouble:
    """One trouble: when it began, how often it happened, and when it may be logged again."""

    began: float
    next_at: float
    count: int = 1
    lines: int = 1
    #: True if the last line about it says that it goes on.
    is_said: bool = True
    is_over: bool = False


class TroubleLog:
    """Logs the failures of one part of a process, each kind of failure by a key of its own."""

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
        """Note a failure, and log it if it is the first of its key or the next line is due.

        Args:
            key: What fails; ``over`` is called with the same key, and its line begins with it.
            message: What to log, as for ``logging``; a line for several failures says their number, too.
            args: The values of the message.
            level: The level of the line.
            error: Logged with its traceback, in the first line only.
        """
        with self._lock:
            told = self._note(key, self._clock())
        if told is None:
            return
        if told:
            self._log.log(level, f"{message} (%s)", *args, told)
        else:
            self._log.log(level, message, *args, exc_info=error)

    def over(self, key: Hashable) -> None:
        """Note a success; if failures of this key were logged, log how many there were in how long."""
        # Nearly every call finds nothing here.
        if key not in self._troubles:
            return
        with self._lock:
            trouble = self._troubles.get(key)
            if trouble is None or trouble.is_over:
                return
            trouble.is_over, was_said = True, trouble.is_said
            trouble.is_said = False
            told = _told(trouble, self._clock())
        if was_said:
            self._log.warning("%s: over after %s", key, told)

    def _note(self, key: Hashable, now: float) -> str | None:
        """Count a failure; return None if no line is due, "" for the first, else what to add to the line."""
        trouble = self._troubles.get(key)
        # What comes back soon after it was over is the same trouble: it must not write two lines each time.
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
        trouble.is_said = True
        return _told(trouble, now)


def _told(trouble: _Trouble, now: float) -> str:
    failures = "1 failure" if trouble.count == 1 else f"{trouble.count} failures"
    return f"{failures} in {now - trouble.began:.1f} s"


_LOGS: WeakKeyDictionary[Any, TroubleLog] = WeakKeyDictionary()
_LOGS_LOCK = threading.Lock()


def trouble_log_of(call: Callable[..., object]) -> TroubleLog:
    """Return the log that all calls of one object share: a service has one trouble, not one for each thread.

    For a function that is not a method, the log is that of the function.
    """
    owner = getattr(call, "__self__", call)
    with _LOGS_LOCK:
        try:
            return _LOGS.setdefault(owner, TroubleLog())
        except TypeError:  # it can be hashed or referred to weakly by nobody
            return TroubleLog()
