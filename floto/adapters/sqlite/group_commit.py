"""Threads that take turns: whoever has the turn carries out what all of them ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Any

Call = Callable[[datetime], Any]


class Job:
    """Something to be carried out, told what time it is; whoever asked for it waits for what comes of it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.is_done = False
        #: Whether it is this job's thread that has the turn.
        self.leads = False
        self._result: Any = None
        self._error: Exception | None = None
        # A bare lock is the cheapest thing to wait for.
        self._gate = threading.Lock()
        self._gate.acquire()

    def attempt(self, call: Callable[[], Any]) -> None:
        """Note what comes of a call, which is this job one way or another."""
        try:
            self.finish(call())
        except Exception as error:  # noqa: BLE001 - it is for whoever asked
            self.fail(error)

    def finish(self, result: Any) -> None:
        """Note what came of it."""
        self._result, self.is_done = result, True

    def fail(self, error: Exception) -> None:
        """Note that it could not be carried out."""
        self._error, self.is_done = error, True

    def outcome(self) -> Any:
        """What came of it; raises the error if it failed."""
        if self._error is not None:
            raise self._error
        return self._result

    def wake(self) -> None:
        """End the wait of whoever asked, this one or else the next."""
        with suppress(RuntimeError):
            self._gate.release()

    def wait(self, seconds: float = -1) -> None:
        """Wait to be woken."""
        self._gate.acquire(timeout=seconds)


class Write(Job):
    """A call that may change something, wholly or not at all."""


class Read(Job):
    """A call that changes nothing."""


class GroupCommit:
    """Gives the turn to one thread after the other, each for one batch: all that was asked for by then.

    The main thread carries out its own job only: an interrupt that it gets there is not for others.
    """

    def __init__(self, carry_out: Callable[[list[Job]], None]) -> None:
        #: Must leave no job undone without keeping it for later.
        self._carry_out = carry_out
        self._taken = False
        self._queue: list[Job] = []
        self._lock = threading.Lock()

    def wait_for(self, job: Job, seconds: float | None = None) -> Any:
        """Have a job carried out by the thread that has the turn, and return its result.

        Raises:
            TimeoutError: if no thread has begun it within ``seconds``.
        """
        end = None if seconds is None else monotonic() + seconds
        try:
            self.ask(job)
            while not job.is_done:
                job.wait(-1 if end is None else max(end - monotonic(), 0))
                self.lead(job)
                if not job.is_done and _is_past(end) and self.withdraw(job):
                    job.fail(TimeoutError())
        except BaseException:
            self.withdraw(job)
            raise
        return job.outcome()

    def ask(self, job: Job) -> None:
        """Put a job into the next batch; carry that out at once if nobody has the turn."""
        with self._lock:
            self._queue.append(job)
            job.leads = not self._taken
            self._taken = True
        self.lead(job)

    def lead(self, job: Job) -> None:
        """Carry out a batch, if it is the turn of the thread of this job."""
        if not job.leads:
            return
        batch: list[Job] = []
        try:
            batch = self._batch(job)
            self._carry_out(batch)
        finally:
            self._pass_on()
            for other in batch:
                if other.is_done and other is not job:
                    other.wake()

    def withdraw(self, job: Job) -> bool:
        """Take back a job; return False if a thread has begun to carry it out."""
        with self._lock:
            if job not in self._queue:
                return False
            self._queue.remove(job)
            led, job.leads = job.leads, False
        if led:
            self._pass_on()
        return True

    def _batch(self, job: Job) -> list[Job]:
        with self._lock:
            job.leads = False
            if threading.current_thread() is threading.main_thread():
                self._queue.remove(job)
                return [job]
            batch, self._queue = self._queue, []
            return batch

    def _pass_on(self) -> None:
        with self._lock:
            heir = self._queue[0] if self._queue else None
            self._taken = heir is not None
            if heir is not None:
                heir.leads = True
        if heir is not None:
            heir.wake()


def _is_past(end: float | None) -> bool:
    return end is not None and monotonic() >= end
