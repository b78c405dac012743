"""Threads for loops: one supervisor runs deciders, workers or daemons side by side."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Protocol

#: Most seconds of one wait for a thread.
_JOIN_SECONDS = 0.2


class Loop(Protocol):
    """A decider, worker or daemon."""

    def run(self) -> None:
        """Run until stopped."""
        ...

    def stop(self) -> None:
        """Make ``run`` return when its current tasks are finished; may be called in any thread."""
        ...


class Supervisor:
    """Runs loops, each in a thread of its own, and keeps the errors that end them.

    The threads are daemon threads: a second signal ends the process without waiting for polls and activities.
    An error of a loop does not stop the other loops; the thread that owns the supervisor raises it with
    ``check()`` and stops them.

    Args:
        notify: Called in the thread that recorded an error, after each error; default: nothing.
    """

    def __init__(self, notify: Callable[[], None] = lambda: None) -> None:
        self._notify = notify
        self._loops: list[tuple[Loop, threading.Thread]] = []
        self._errors: SimpleQueue[Exception] = SimpleQueue()

    def start(self, loop: Loop) -> None:
        """Run a loop in a new thread."""
        thread = threading.Thread(target=self._run, args=(loop,), daemon=True)
        self._loops.append((loop, thread))
        thread.start()

    def stop(self) -> None:
        """Ask every loop to stop; does not wait."""
        for loop, _ in self._loops:
            loop.stop()

    def join(self, seconds: float | None = None) -> bool:
        """Wait until all loops have ended, at most ``seconds``; return True if they have."""
        end = math.inf if seconds is None else time.monotonic() + seconds
        for _, thread in self._loops:
            # A signal that arrives just before a wait is handled after it, so no wait is long.
            while thread.is_alive() and time.monotonic() < end:
                thread.join(min(_JOIN_SECONDS, max(end - time.monotonic(), 0)))
        return not any(thread.is_alive() for _, thread in self._loops)

    def fail(self, error: Exception) -> None:
        """Record an error for ``check``; may be called in any thread."""
        self._errors.put(error)
        self._notify()

    def check(self) -> None:
        """Raise the first recorded error that was not raised before, if any."""
        try:
            raise self._errors.get_nowait()
        except Empty:
            return

    def _run(self, loop: Loop) -> None:
        try:
            loop.run()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that owns the supervisor
            self.fail(error)
