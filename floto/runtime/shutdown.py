"""How loops are asked to stop: by another thread, or by SIGINT and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from types import FrameType

from floto import forks


class StopFlag:
    """A flag that loops sleep on and that a signal handler may set.

    ``threading.Event.set`` takes a lock that the interrupted code may hold, which is a
    deadlock inside a signal handler; releasing a bare lock never waits.
    """

    def __init__(self) -> None:
        self._closed = threading.Lock()
        self._closed.acquire()
        self._first = threading.Lock()
        self._is_set, self._set_at = False, inf

    def set(self) -> None:
        """Wake everybody who waits, now and later."""
        self._set_at = min(self._set_at, monotonic())
        self._is_set = True
        # Released once: another release would free the lock while somebody in wait() holds it.
        if self._first.acquire(blocking=False):
            self._closed.release()

    def is_set(self) -> bool:
        """Whether the flag was set."""
        return self._is_set

    @property
    def age(self) -> float:
        """Seconds since the flag was set; 0 before."""
        return max(monotonic() - self._set_at, 0)

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``, or until the flag is set; whether it is set."""
        if self._closed.acquire(timeout=max(seconds, 0)):
            self._closed.release()
        return self._is_set


class _Handlers:
    """Handlers of SIGINT and SIGTERM that stop a loop, and what was there before them."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop, self._asked = stop, False
        self._before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        forks.let_go_in_children(self)

    def restore(self) -> None:
        """Put back what was there before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def after_fork(self) -> None:
        """Put it back in a forked child, which has no loop to stop and must end when it is told to."""
        if signal.getsignal(signal.SIGTERM) == self._handle:
            self.restore()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._stop()


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """In the main thread: the first SIGINT or SIGTERM calls ``stop``, the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = _Handlers(stop)
    try:
        yield
    finally:
        handlers.restore()
