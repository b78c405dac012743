"""How loops are asked to stop: by another thread, or by SIGINT and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class StopFlag:
    """A flag that loops sleep on and that a signal handler may set.

    ``threading.Event.set`` takes a lock that the interrupted code may hold, which is a
    deadlock inside a signal handler; releasing a bare lock never waits.
    """

    def __init__(self) -> None:
        self._closed = threading.Lock()
        self._closed.acquire()
        self._first = threading.Lock()
        self._is_set = False

    def set(self) -> None:
        """Wake everybody who waits, now and later."""
        self._is_set = True
        # Released once: another release would free the lock while somebody in wait() holds it.
        if self._first.acquire(blocking=False):
            self._closed.release()

    def is_set(self) -> bool:
        """Whether the flag was set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``, or until the flag is set; whether it is set."""
        if self._closed.acquire(timeout=max(seconds, 0)):
            self._closed.release()
        return self._is_set


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """In the main thread: the first SIGINT or SIGTERM calls ``stop``, the second raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
