"""Stopping loops, from another thread or by SIGINT and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from types import FrameType

from floto import forks


@contextlib.contextmanager
def no_exit() -> Iterator[None]:
    """Raise ``RuntimeError`` for ``sys.exit()`` in the code of a spec, which would end its loop."""
    try:
        yield
    except SystemExit as exit_:
        msg = f"the code of a spec called sys.exit({exit_.code!r})"
        raise RuntimeError(msg) from exit_


class StopFlag:
    """A flag that loops wait on and that a signal handler may set.

    ``threading.Event.set`` acquires a lock that the interrupted code may own, so it can deadlock in a signal
    handler. Releasing a plain lock never waits: the lock is owned by the flag until the flag is set.
    """

    def __init__(self) -> None:
        self._unset_lock = threading.Lock()
        self._unset_lock.acquire()
        self._set_once = threading.Lock()
        self._is_set, self._set_at = False, inf

    def set(self) -> None:
        """Set the flag and wake all waiters; never blocks, so it may be called in a signal handler."""
        self._set_at = min(self._set_at, monotonic())
        self._is_set = True
        # Release only once: a second release could free the lock while a thread in wait() owns it.
        if self._set_once.acquire(blocking=False):
            self._unset_lock.release()

    def is_set(self) -> bool:
        """Return True if the flag was set."""
        return self._is_set

    @property
    def age(self) -> float:
        """Seconds since the flag was set; 0 before."""
        return max(monotonic() - self._set_at, 0)

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is set, at most ``seconds`` (or ``inf``); return True if it is set."""
        if self._unset_lock.acquire(timeout=min(max(seconds, 0), threading.TIMEOUT_MAX)):
            self._unset_lock.release()
        return self._is_set


class _Handlers:
    """Handlers of SIGINT and SIGTERM that stop a loop, and the handlers that they replaced."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop, self._is_stopping = stop, False
        self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        forks.let_go_in_children(self)

    def restore(self) -> None:
        """Restore the previous handlers."""
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def after_fork(self) -> None:
        """Restore the previous handlers in a forked child: it runs no loop, and signals must end it."""
        if signal.getsignal(signal.SIGTERM) == self._handle:
            self.restore()

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_stopping:
            raise KeyboardInterrupt
        self._is_stopping = True
        self._stop()


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGINT or SIGTERM during the block; raise KeyboardInterrupt at the second.

    In any other thread than the main thread, which alone gets signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = _Handlers(stop)
    try:
        yield
    finally:
        handlers.restore()
