"""The end of the time that one ``floto.run`` may take."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator

from floto.runtime.argument_checks import checked_seconds
from floto.runtime.shutdown import StopFlag, stop_on_signals


class Unreached(TimeoutError):
    """The service did not respond before the deadline of a run."""


class NotStarted(TimeoutError):
    """The deadline of a run has passed before it was started."""


class TimeLimit:
    """The deadline of a run: sets the ``stop`` flag, which ends every wait, at its time or at a signal."""

    def __init__(self, seconds: float | None) -> None:
        self._at = None if seconds is None else time.monotonic() + seconds
        self._interrupted = False
        self.stop = StopFlag()

    @staticmethod
    def after(seconds: float | None) -> TimeLimit:
        """Return a deadline in ``seconds``; None: never. Raises ``TypeError`` and ``ValueError``."""
        return TimeLimit(None if seconds is None else checked_seconds(seconds, "timeout"))

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Set the flag at the deadline, or at SIGINT or SIGTERM, during the block."""
        seconds = math.inf if self._at is None else self._at - time.monotonic()
        timer = threading.Timer(seconds, self.stop.set) if seconds < threading.TIMEOUT_MAX else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            with stop_on_signals(self._interrupt):
                yield
        finally:
            if timer is not None:
                timer.cancel()

    def _interrupt(self) -> None:
        self._interrupted = True
        self.stop.set()

    @property
    def is_over(self) -> bool:
        """Return True if the flag was set by the deadline, not by a signal."""
        return self.stop.is_set() and not self._interrupted

    def unreached(self, workflow_id: str) -> BaseException:
        """Return the error of a run that was stopped before the service had responded."""
        msg = (
            f"timed out: the service did not respond, so it is not known if workflow {workflow_id!r} is open"
        )
        return Unreached(msg) if self.is_over else KeyboardInterrupt()

    def error(self, message: str, kind: type[TimeoutError] = TimeoutError) -> BaseException:
        """Return the error of a stopped run: one of ``kind`` with a message, or ``KeyboardInterrupt``."""
        return kind(f"timed out; {message}") if self.is_over else KeyboardInterrupt()
