"""Batches: calls of many threads, due deadlines, and tasks for pending polls, in few commits.

A batch fires the due deadlines in transactions of their own, executes its reads in one snapshot, and executes
its calls in one transaction. Before that transaction commits, it claims the tasks that the calls created for
the polls that wait for them. So scheduling a task and starting it costs one commit, not two, and the poll
needs no query of its own. Waking the poll after the commit and letting it claim in the next batch would be
simpler, and would double the commits of a busy worker.

A rewrite must keep these properties:

- A call never fails because of another call of its batch. A call that is refused is undone in memory, where
  all changes are until the commit. When the shared transaction fails for another reason, it is rolled back,
  and each call is executed again, one by one, in a transaction of its own. This is possible because calls
  have no effect outside of the database. It is not done for an error of the whole database
  (``WHOLE_DATABASE``), with which every call would fail again after the same wait.
- Polls that were served in a transaction that is rolled back return to the front of the wait queue, also
  after an interrupt of the leader.
- A call that is refused does not undo deadlines that fired before it.
- A deadline that cannot fire, or a run that cannot be read, is postponed or set aside, so that it does not
  block all others.
- When a batch ends, with an exception too, each job is done, or is a poll in the wait queue.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from floto.adapters.clock import ClockWatch
from floto.adapters.sqlite.group_commit import Call, Job
from floto.adapters.sqlite.recovery import Recovery
from floto.adapters.sqlite.serving import Serving
from floto.adapters.sqlite.storage.database import SLICE_SECONDS, Database
from floto.adapters.sqlite.storage.rows import UnreadableRun
from floto.adapters.sqlite.storage.sqlite_errors import WHOLE_DATABASE, DatabaseGone, code_of, is_busy
from floto.adapters.sqlite.storage.store import LOCK_SECONDS, SqliteStore
from floto.adapters.sqlite.wait_queue import Poll, WaitQueue
from floto.core.engine.engine import DeadlineError, Engine
from floto.core.engine.step_context import to_millisecond
from floto.core.engine.stores.records import TaskQueue
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.swf.service import Clock

log = logging.getLogger("floto")

T = TypeVar("T")

#: Maximum number of deadlines that fire in one transaction.
_DEADLINES_AT_ONCE = 100
#: The time for which a deadline that cannot fire is postponed.
_POSTPONEMENT = timedelta(hours=1)
#: Maximum number of transactions of one batch, between which deadlines fire that became due at once.
_ROUNDS = 16
#: Errors of a single statement, which do not mean that the database or the disk has a problem.
_SINGLE_STATEMENT = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


#: The result of a call, or the fault with which it was refused.
Outcome = tuple[Any, ServiceFault | None]


class Write(Job):
    """A call that may write, atomically.

    Args:
        call: The call.
        companion: A poll for which no thread waits; it is served in the same batch, if the call succeeds.
    """

    def __init__(self, call: Call, companion: Poll | None = None) -> None:
        super().__init__(call)
        self.companion = companion

    def outcome(self) -> Any:
        """Return the result, or that of the companion if there is one; or raise the error."""
        result = super().outcome()
        return result if self.companion is None else self.companion.outcome()


class Read(Job):
    """A call that only reads."""


class Batches:
    """Executes batches of jobs; only one thread at a time may use it.

    Args:
        store: The store of the connection that writes.
        engine: The engine on this store.
        wait_queue: The pending polls of this process.
        database: The open file.
        clock: Returns the current time in UTC.
    """

    def __init__(
        self, store: SqliteStore, engine: Engine, wait_queue: WaitQueue, database: Database, clock: Clock
    ) -> None:
        self._store, self._engine, self._wait_queue = store, engine, wait_queue
        self._database, self._clock = database, clock
        self._recovery = Recovery(store, database.leases)
        #: The polls of the transaction that executes calls, for the engine; None outside of it.
        self.serving: Serving | None = None
        #: Called by the leader, after a commit, when a task queue may have new tasks.
        self.listeners: list[Callable[[], None]] = []
        #: Monotonic time of the end of the last batch.
        self.executed_at = monotonic()
        self._warned: set[str] = set()
        self._watch = ClockWatch()
        self._is_open = False

    def begin(self) -> None:
        """Recover the tasks of crashed processes, now or with the first batch that gets the lock."""
        self._store.patience = SLICE_SECONDS
        with suppress(sqlite3.OperationalError):
            self._open()

    def _open(self) -> None:
        if self._is_open:
            return
        self._commit(partial(self._store.follow_clock_back, self._clock()))
        self._is_open = True
        self._recover()

    def execute(self, batch: list[Job]) -> None:
        """Execute jobs; afterwards each is done or is a poll in the wait queue, also after an exception."""
        error: BaseException | None = None
        try:
            now = to_millisecond(self._clock())
            # Polls can stay in the wait queue without the lock; the threads of calls wait for it here.
            is_write = any(isinstance(job, Write) for job in batch)
            self._store.patience = LOCK_SECONDS if is_write else SLICE_SECONDS
            if not is_write:
                # A transaction does both.
                self._database.check()
                self._store.refresh()
            self._open()
            self._recover()
            if self._watch.went_back(now):
                self._commit(partial(self._store.follow_clock_back, now))
            self._fire_deadlines(now)
            self._execute_at(now, batch)
        except BaseException as raised:
            error = raised
            if isinstance(raised, DatabaseGone):
                self._wait_queue.end(self._wait_queue.all_task_queues(), raised)
            if not isinstance(raised, Exception):
                raise
        finally:
            if error is not None:
                self._abandon(batch, error)
            self.executed_at = monotonic()

    def _abandon(self, batch: list[Job], error: BaseException) -> None:
        """Queue the polls if the lock was missing; fail every other job that is not done."""
        failure = error if isinstance(error, Exception) else ServiceUnavailable("interrupted")
        for job in [*batch, *_companions(batch)]:
            if job.is_done:
                continue
            if isinstance(job, Poll):
                was_pending = self._wait_queue.remove(job)
                if job.has_waited and not was_pending:
                    # Its time was over meanwhile: a task must not be claimed for it any more.
                    continue
                if job.waits and is_busy(error):
                    self._wait_queue.add([job])
                    self._store.offered.add(job.task_queue)
                    continue
            job.fail(failure)

    def _execute_at(self, now: datetime, batch: list[Job]) -> None:
        polls = [job for job in batch if isinstance(job, Poll)]
        writes = [job for job in batch if isinstance(job, Write)]
        reads = [job for job in batch if isinstance(job, Read)]
        if reads:
            with self._store.snapshot():
                for job in reads:
                    job.attempt(partial(job.call, now))
        self._wait_queue.add(polls)
        polls += _companions(batch)
        polled = {poll.task_queue for poll in polls}
        self._execute_in_rounds(now, writes, polled)
        for poll in polls:
            self._keep_pending(poll)
        self._tell_others()

    def _execute_in_rounds(self, now: datetime, writes: list[Write], polled: set[TaskQueue]) -> None:
        """Execute calls and serve polls, in one transaction unless deadlines become due within it."""
        for left in reversed(range(_ROUNDS)):
            if not (writes or self._claimable(polled)):
                return
            if self._execute_as_group(now, writes, polled, is_last=not left):
                return
            self._fire_deadlines(now)

    def _tell_others(self) -> None:
        """Wake other processes for tasks that no poll of this one takes, and call the listeners."""
        offered = self._store.offered
        if offered:
            left = [task_queue for task_queue in offered if self._store.next_task(task_queue) is not None]
            offered.clear()
            if left:
                self._database.wakeups.send()
                # Beyond the bound of one transaction, tasks are left for the next batch.
                offered.update(self._wait_queue.task_queues(left))
            for notify in self.listeners:
                try:
                    notify()
                except Exception:
                    log.exception("a callback for new tasks failed")

    def _keep_pending(self, poll: Poll) -> None:
        """Keep a poll without a task pending, or complete it: its domain is unknown, or it does not wait."""
        try:
            if not poll.is_done:
                self._engine.registration.need_domain(poll.task_queue.domain)
                if not poll.waits and self._wait_queue.remove(poll):
                    poll.finish(None)
        except ServiceFault as fault:
            if self._wait_queue.remove(poll):
                poll.fail(fault)

    def _claimable(self, polled: set[TaskQueue]) -> list[TaskQueue]:
        """Return the queues, polled or with new tasks, that have a pending poll and a claimable task."""
        task_queues = self._wait_queue.task_queues(polled | self._store.offered)
        return [task_queue for task_queue in task_queues if self._store.next_task(task_queue) is not None]

    def _execute_as_group(
        self, now: datetime, writes: list[Write], polled: set[TaskQueue], *, is_last: bool
    ) -> bool:
        """Execute calls, remove them from ``writes``, and claim tasks for pending polls, in one transaction.

        Returns True if the batch is done, and False if deadlines must fire before it goes on. If they were
        due when the transaction began, no call is executed, unless it is the last transaction of the batch.
        """
        outcomes: list[Outcome] = []
        serving = Serving(self._store, self._wait_queue, now)
        try:
            with self._store.transaction():
                if self._store.is_due(now) and not is_last:
                    return False
                self.serving = serving
                try:
                    for job in writes:
                        outcomes.append(self._outcome(job, now, serving))
                        serving.catch_up()
                    serving.serve(polled)
                finally:
                    self.serving = None
        except BaseException as error:
            # Also after an interrupt: otherwise the polls of other threads would wait for ever.
            serving.roll_back()
            is_whole_database = isinstance(error, DatabaseGone) or code_of(error) in WHOLE_DATABASE
            if is_whole_database or not isinstance(error, Exception):
                raise
            if len(writes) == 1 and not outcomes:
                # The only call has failed, and would fail again.
                self._end_companion(writes[0])
                writes.pop().fail(error)
            self._execute_one_by_one(now, writes, polled)
            return True
        for job, (result, fault) in zip(writes, outcomes, strict=True):
            job.finish(result) if fault is None else job.fail(fault)
        writes.clear()
        serving.complete()
        # Those that became due without a response at once fire with the next batch.
        return not (serving.has_responded and self._store.is_due(now))

    def _outcome(self, job: Write, now: datetime, serving: Serving) -> Outcome:
        """Execute a call in the shared transaction; a refused call leaves nothing in it."""
        mark = serving.mark()
        self._add_companion(job)
        try:
            return job.call(now), None
        except ServiceFault as fault:
            if not serving.undo(mark):
                raise
            self._end_companion(job)
            return None, fault

    def _add_companion(self, job: Write) -> None:
        """Let the poll that a call brought wait: not before, since it ends with a call that fails."""
        if job.companion is not None:
            self._wait_queue.add([job.companion])

    def _end_companion(self, job: Write) -> None:
        """Complete the poll that a failed call brought, without a task."""
        if job.companion is not None and self._wait_queue.remove(job.companion):
            job.companion.finish(None)

    def _execute_one_by_one(self, now: datetime, writes: list[Write], polled: set[TaskQueue]) -> None:
        """Execute calls and serve polls, each in its own transaction, so that only the wrong ones fail."""
        for job in writes:
            self._add_companion(job)
            job.attempt(partial(self._commit, partial(job.call, now)))
            if job.has_failed:
                self._end_companion(job)
        for task_queue in self._claimable(polled):
            self._serve_one_by_one(task_queue, now)

    def _commit(self, call: Callable[[], T], *, at_once: bool = False) -> T:
        with self._store.transaction(at_once=at_once):
            return call()

    def _serve_one_by_one(self, task_queue: TaskQueue, now: datetime) -> None:
        """Complete polls of a queue with a task or an error, until it has no task."""
        while (poll := self._wait_queue.take(task_queue)) is not None:
            try:
                task = self._claim(poll, now)
            except Exception as error:  # noqa: BLE001 - the poll raises it
                poll.fail(error)
            except BaseException:
                self._wait_queue.put_back([poll])
                raise
            else:
                if task is None:
                    self._wait_queue.put_back([poll])
                    return
                poll.finish(task)
            poll.wake()

    def _claim(self, poll: Poll, now: datetime) -> Any:
        """Claim a task for a poll, setting aside the tasks of runs that cannot be read."""
        while self._store.next_task(poll.task_queue) is not None:
            try:
                return self._commit(partial(poll.call, now))
            except UnreadableRun as error:
                self._warn(error.run_id, error)
                if not self._store.set_aside(error.run_id):
                    # The task is of another run, whose step also changes the unreadable one.
                    raise
        return None

    def _fire_deadlines(self, now: datetime) -> None:
        """Fire the due deadlines in transactions of their own, so that a refused call does not undo them."""
        if self._store.is_due(now):
            while self._fire_some(now):
                pass

    def _fire_some(self, now: datetime) -> bool:
        """Fire due deadlines in one transaction; on failure roll back and postpone the one that failed."""
        try:
            return self._commit(lambda: self._engine.fire_due(now, _DEADLINES_AT_ONCE), at_once=True)
        except DeadlineError as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError | OSError) or (
                isinstance(cause, sqlite3.Error) and not isinstance(cause, _SINGLE_STATEMENT)
            ):
                raise cause from None
            self._warn(error.deadline.run_id, error)
            self._commit(partial(self._store.postpone, error.deadline, now + _POSTPONEMENT))
            return True

    def _warn(self, run_id: str, error: ServiceError) -> None:
        if run_id not in self._warned:
            self._warned.add(run_id)
            log.error("%s", error, exc_info=error)

    def _recover(self) -> None:
        if self._recovery.redeliver():
            self._database.cut_log()


def _companions(batch: Iterable[Job]) -> list[Poll]:
    """Return the polls that calls of a batch have brought."""
    return [job.companion for job in batch if isinstance(job, Write) and job.companion is not None]
