"""Group commit: one leader thread executes the queued jobs of all callers, who wait for their results.

A durable commit waits for the disk. With one transaction per call, the calls of many threads wait for one
sync after the other. With group commit, the jobs that arrive while a batch commits queue up, and the next
batch executes all of them with one sync. ``batches.py`` says what happens within a batch.

There is no thread for this: a thread that submits a job while there is no leader becomes the leader, and when
its batch is done, the thread of the oldest queued job is the next leader. A writer thread with a queue of
futures was the alternative. It takes about the same time (handing a job over takes tens of microseconds), but
an open file would own a thread that must be started and stopped and that a forked child does not have, and a
program with one thread would switch threads twice per call. Only jobs that no thread waits for are led by
others: those of an event loop by a thread for this (``Writer``), which starts with the first of them, and the
reports of a worker by a thread of the worker (``Job.lead_in``).

A rewrite must keep these properties:

- The main thread executes its own job only. Python raises ``KeyboardInterrupt`` in the main thread: if it led
  a batch, Ctrl-C would abort the calls of other threads.
- A thread that is interrupted, or whose time is over, withdraws its job: a job that has not begun is never
  executed for a caller that has gone. Leadership that the job was given passes on.
- Leadership passes on and the threads of completed jobs wake up whatever exception the leader gets; otherwise
  they would wait for ever.
- A job's thread wakes up, or its callback is called, after the commit, never before.
- While a job leads, a thread is free to lead for it: the callers of all other jobs wait for that thread.
- Only the thread that leads for a job passes its leadership on. So a job without a thread still leads after
  it was withdrawn: a batch without it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any

from attrs import frozen

from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Seconds between looks at a job that a leader still executes when its time is over.
_EXECUTED_SECONDS = 0.02

Call = Callable[[datetime], Any]


class Job:
    """A call to be executed with the current time, and its outcome, for which one thread waits."""

    def __init__(self, call: Call) -> None:
        self.call = call
        #: Called with this job, in any thread, when it is done: once for a ``Write``, for others perhaps
        #: repeatedly; None: a thread waits for it.
        self.notify: Callable[[Job], None] | None = None
        #: Makes a call later, in a thread that is free to lead for a job with ``notify``; None: the writer.
        self.lead_in: Callable[[Callable[[], None]], None] | None = None
        self.is_done = False
        #: True while the thread of this job is to lead the next batch.
        self.is_leader = False
        self._result: Any = None
        self._error: Exception | None = None
        # A bare lock takes a sixth of the time of a ``concurrent.futures.Future``.
        self._gate = threading.Lock()
        self._gate.acquire()

    def attempt(self, call: Callable[[], Any]) -> None:
        """Execute ``call``, this job's call or one that wraps it, and record its outcome."""
        try:
            self.finish(call())
        except Exception as error:  # noqa: BLE001 - ``outcome`` raises it
            self.fail(error)

    def finish(self, result: Any) -> None:
        """Record the result."""
        self._result, self.is_done = result, True

    def fail(self, error: Exception) -> None:
        """Record the error."""
        self._error, self.is_done = error, True

    @property
    def has_failed(self) -> bool:
        """True if the call raised an error."""
        return self._error is not None

    def outcome(self) -> Any:
        """Return the result, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._result

    def wake(self) -> None:
        """Wake the waiting thread, or let its next ``wait`` return at once; or call the callback."""
        if self.notify is not None:
            self.notify(self)
            return
        try:  # noqa: SIM105 - ``suppress`` takes longer than the release
            self._gate.release()
        except RuntimeError:
            # It was woken already.
            pass

    def wait(self, seconds: float = -1) -> None:
        """Wait until ``wake`` is called, at most ``seconds``; negative: without a limit."""
        self._gate.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


@frozen
class Begun:
    """A job that no thread waits for, as a ``PendingCall``."""

    job: Job
    outcome: Callable[[], Any]
    withdraw: Callable[[], bool]

    @property
    def is_done(self) -> bool:
        """True if the job has a result or an error."""
        return self.job.is_done


class Writer:
    """A thread that makes calls in turn; it starts with the first one."""

    def __init__(self) -> None:
        self._troubles = TroubleLog(log)
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._has_started = self._is_closed = False
        self._lock = threading.Lock()

    def put(self, call: Callable[[], None]) -> None:
        """Make a call in this thread; after ``close``, or without a thread, in the thread that calls this."""
        if not self.takes(call):
            call()

    def takes(self, call: Callable[[], None]) -> bool:
        """Make a call in this thread; return False after ``close``, or if no thread can be started."""
        with self._lock:
            if self._is_closed:
                return False
            # Before the start, which lets the new thread run: the first call is a batch of its own.
            self._calls.put(call)
            if self._starts():
                return True
            self._calls.get()
            return False

    def close(self) -> None:
        """End the thread after the calls that were put so far."""
        with self._lock:
            self._is_closed = True
            self._calls.put(None)

    def _starts(self) -> bool:
        """Start the thread, unless it has started; return False if that fails."""
        if not self._has_started:
            try:
                # A daemon thread: the process does not wait for one that hangs in the database.
                threading.Thread(target=self._run, name="floto-writer", daemon=True).start()
            except RuntimeError as error:
                self._troubles.failed("starting a writer", "no thread to write in; others write (%s)", error)
                return False
            self._has_started = True
            self._troubles.over("starting a writer")
        return True

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException:
                # Without this thread, no call would end any more.
                log.exception("a call of the writer failed")
            del call


class GroupCommit:
    """Makes one thread after the other the leader, each for one batch: all jobs that are queued by then.

    Args:
        execute: Called by the leader with a batch. When it returns or raises, every job must be done, or be
            kept elsewhere to be completed later.
        writer: Leads batches for jobs that no thread waits for, unless they have a ``lead_in``.
    """

    def __init__(self, execute: Callable[[list[Job]], None], writer: Writer) -> None:
        self._execute, self._writer = execute, writer
        self._has_leader = False
        self._queue: list[Job] = []
        self._lock = threading.Lock()

    def wait_for(self, job: Job, seconds: float | None = None) -> Any:
        """Submit a job, wait until a leader has executed it, and return its result or raise its error.

        Args:
            job: The job, in which this thread waits.
            seconds: Maximum seconds until a leader begins it; default: no limit.

        Raises:
            TimeoutError: if no leader has begun it in time.
        """
        end = None if seconds is None else monotonic() + seconds
        try:
            self.submit(job)
            while not job.is_done:
                # Without time left, a leader is executing it.
                job.wait(-1 if end is None else max(end - monotonic(), _EXECUTED_SECONDS))
                self.lead(job)
                if not job.is_done and _is_past(end) and self.withdraw(job):
                    job.fail(TimeoutError())
        except BaseException:
            self.withdraw(job)
            raise
        return job.outcome()

    def submit(self, job: Job, *, leads: bool = False) -> None:
        """Queue a job for the next batch; without a leader, lead that batch, or let another thread lead it.

        Args:
            job: The job.
            leads: Lead in this thread also for a job that no thread waits for.
        """
        with self._lock:
            self._queue.append(job)
            # Not the attribute below: the present leader may set it, and then another thread leads.
            is_leader = job.is_leader = not self._has_leader
            self._has_leader = True
        if is_leader and (job.notify is None or leads or not self._takes(job)):
            self.lead(job)

    def lead(self, job: Job | None) -> None:
        """Execute a batch if the job leads; called by its thread, or for a job without one by another."""
        # If the writer cannot start, it leaves one batch after the other to this thread: too many to recurse.
        while job is not None and job.is_leader:
            try:
                self._execute_batch(job)
            except BaseException:
                self.lead(self._pass_leadership())
                raise
            job = self._pass_leadership()

    def _execute_batch(self, job: Job) -> None:
        batch: list[Job] = []
        try:
            batch = self._batch(job)
            self._execute(batch)
        finally:
            # Before the next batch, so that what these threads do next may be part of it.
            for other in batch:
                if other.is_done and (other is not job or job.notify is not None):
                    other.wake()

    def withdraw(self, job: Job) -> bool:
        """Remove a job from the queue; return False if a leader has begun it."""
        with self._lock:
            if job not in self._queue:
                return False
            self._queue.remove(job)
            passes_on = job.is_leader and job.notify is None
            if passes_on:
                job.is_leader = False
        if passes_on:
            self.lead(self._pass_leadership())
        return True

    def _batch(self, job: Job) -> list[Job]:
        with self._lock:
            job.is_leader = False
            if threading.current_thread() is threading.main_thread():
                self._queue.remove(job)
                return [job]
            batch, self._queue = self._queue, []
            return batch

    def _pass_leadership(self) -> Job | None:
        """Let another thread lead the next batch; return its job if there is no other thread for it."""
        with self._lock:
            leader = self._queue[0] if self._queue else None
            self._has_leader = leader is not None
            if leader is None:
                return None
            leader.is_leader = True
        if leader.notify is None:
            leader.wake()
            return None
        return None if self._takes(leader) else leader

    def _takes(self, leader: Job) -> bool:
        """Let a thread lead for a job that none waits for; return False if there is no such thread."""
        if leader.lead_in is None:
            return self._writer.takes(partial(self.lead, leader))
        leader.lead_in(partial(self.lead, leader))
        return True


def _is_past(end: float | None) -> bool:
    return end is not None and monotonic() >= end
