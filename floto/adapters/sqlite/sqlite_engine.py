"""The engine on one SQLite file, for all threads of a process: calls, queries and pending polls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event, Lock
from time import monotonic
from typing import Any, TypeVar

from floto import forks
from floto.adapters.operations import WATCH_SECONDS, PendingCall
from floto.adapters.processes.presence import Presence
from floto.adapters.sqlite.batches import Batches, Read, Write
from floto.adapters.sqlite.fairness import Fairness
from floto.adapters.sqlite.group_commit import Begun, GroupCommit, Job, Writer
from floto.adapters.sqlite.storage.database import MEMORY, Database, Durability
from floto.adapters.sqlite.storage.sqlite_errors import Translating
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.adapters.sqlite.wait_queue import Poll, WaitQueue
from floto.adapters.sqlite.watcher import Watcher
from floto.core.engine.engine import Engine
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import any_token
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.swf.service import Clock

T = TypeVar("T")

#: Seconds that a query waits for due deadlines to fire; without the lock it reads the state before.
_FIRE_SECONDS = 0.5
#: Databases that a forked child inherited, kept because SQLite must never close them in the child.
_OF_PARENTS: list[Database] = []
#: Seconds that an interrupted poll waits for a thread that is claiming a task for it.
_WITHDRAW_SECONDS = 1.0
#: Seconds between looks of a poll that responds at once for responses that it was not woken for.
_DELIVER_SECONDS = 0.5


class SqliteEngine:
    """An engine on a file that any number of threads and processes may share.

    Concurrent calls share a commit (``group_commit``). Queries have a connection of their own: they do not
    wait for writers, and writers do not wait for them, but while calls write, queries pause as long as they
    take (``Fairness``). Deadlines fire with the next call or pending poll of any process. A forked child that
    uses its parent's engine reopens the file.

    Args:
        path: The file, which is created if it is missing; ``":memory:"`` for none.
        clock: Returns the current time in UTC.
        durability: As of ``SqliteService``.
        for_clients: True if clients of this process, which may outlive it, own the tasks that it claims.
            Otherwise the tasks are redelivered when this process crashes.
        invokes_lambda: True if this process invokes Lambda functions.
    """

    def __init__(
        self,
        path: str | Path,
        clock: Clock,
        durability: Durability = "full",
        *,
        for_clients: bool = False,
        invokes_lambda: bool = False,
    ) -> None:
        # Resolved, so that every path to the file, from every working directory, has the same leases.
        self._path = MEMORY if str(path) == MEMORY else str(Path(path).resolve())
        self._translating = Translating(self._path)
        self.clock = clock
        self._durability: Durability = durability
        self._closed = Event()
        self._database = Database(self._path, durability)
        self.store = SqliteStore(self._database, for_clients=for_clients, is_given_up=self._is_closed)
        #: The store of queries; a database in memory has only one connection.
        self.view = (
            self.store if self._database.reading is None else SqliteStore(self._database, is_reading=True)
        )
        self.engine = Engine(self.store, invokes_lambda=invokes_lambda, waiting=lambda: self._batches.serving)
        self._is_of_parent = False
        self._listeners: list[Callable[[], None]] = []
        self._arrange()
        forks.let_go_in_children(self)
        if self._database.writing is not None:
            with ExitStack() as failed, self.usable():
                failed.callback(self.close)
                self._batches.begin()
                failed.pop_all()

    def _arrange(self) -> None:
        """Create the queues, locks and counters that the threads of one process share."""
        self._wait_queue = WaitQueue()
        self._batches = Batches(self.store, self.engine, self._wait_queue, self._database, self.clock)
        self._batches.listeners = self._listeners
        #: Leads the batches of jobs that no thread waits for, except for reports of workers.
        self.writer = Writer()
        self._commits = GroupCommit(self._execute, self.writer)
        #: Locks of the connection for writing and of the one for reading.
        self._using, self._querying = Lock(), Lock()
        self._fairness = Fairness()
        self._watcher = Watcher(
            self._database,
            self._batches,
            self._wait_queue,
            lambda: self.look(),  # noqa: PLW0108 - tests replace it
            lambda: self.store.due_in(self.clock()),
        )
        #: Lock of ``close``.
        self._lock = Lock()
        #: The pollers of this process, which ``floto status`` shows.
        self.presence = Presence(self._database.leases)

    def after_fork(self) -> None:
        """Leave the connections and the lease to the parent; called in a forked child."""
        _OF_PARENTS.append(self._database)
        self._is_of_parent = not self._closed.is_set()
        self._reopening = Lock()

    def _reopen(self) -> None:
        """Reopen the file in a child of the process that opened it."""
        with self._reopening:
            if not self._is_of_parent:
                return
            if not self._database.is_file:
                message = "a database in memory cannot be used in a forked child; use a file"
                raise ServiceError(message)
            self._closed = Event()
            self._database = Database(self._path, self._durability)
            self.store.rebind(self._database)
            self.view.rebind(self._database)
            self._arrange()
            self._is_of_parent = False
        with self.usable():
            self._batches.begin()

    @property
    def is_read_only(self) -> bool:
        """True if the file is read-only: every call that would write raises ``ServiceError``."""
        return self._database.writing is None

    @property
    def path(self) -> str:
        """The absolute path of the file, or ``:memory:``."""
        return self._path

    def _is_closed(self) -> bool:
        return self._closed.is_set()

    def query(self, call: Callable[[SqliteStore, datetime], T]) -> T:
        """Execute a query on the connection that only reads, after due deadlines if they can fire soon.

        Args:
            call: Called with the store and the current time, in one snapshot of the database.

        Raises:
            ServiceError: if the service is closed, or the file is damaged or gone.
        """
        with self.usable():
            if self.view is self.store:
                return self.read(lambda now: call(self.store, now))
            if self._closed.is_set():
                message = "the service is closed"
                raise ServiceError(message)
            self._database.check()
            now = self.clock()
            if self._database.writing is not None and self._may_be_due(now):
                self._fire()
            with self._querying, self._fairness.query(), self.view.snapshot():
                return call(self.view, now)

    def _may_be_due(self, now: datetime) -> bool:
        """Return True if a deadline may be due: one that is known, or one that another process has set."""
        if self.store.may_be_due(now):
            return True
        with self._querying:
            has_changed = self.view.refresh()
        return has_changed and monotonic() - self._batches.executed_at >= WATCH_SECONDS

    def _fire(self) -> None:
        """Fire due deadlines, which every batch does."""
        with suppress(ServiceUnavailable, sqlite3.Error, TimeoutError):
            self._commits.wait_for(Read(lambda _now: None), _FIRE_SECONDS)

    def read(self, call: Callable[[datetime], T]) -> T:
        """Execute a read between two commits, after the due deadlines have fired.

        Args:
            call: Called with the current time, perhaps in another thread.
        """
        found: T = self.wait_for(Read(call))
        return found

    def write(self, call: Callable[[datetime], T]) -> T:
        """Execute a call that writes, atomically.

        Args:
            call: Called with the current time, perhaps in another thread, and a second time if its first
                transaction is rolled back because of another call.
        """
        result: T = self.wait_for(Write(call))
        return result

    def attempt(self, task_queue: TaskQueue, take: Callable[[datetime], T | None]) -> T | None:
        """Claim the next task of a task queue; return None if it has none now.

        Args:
            task_queue: The task queue.
            take: Claims its next task; called with the current time.
        """
        task: T | None = self.wait_for(Poll(task_queue, take, waits=False))
        return task

    def wait_for(self, job: Job) -> Any:
        """Submit a job, wait until it is executed, and return its result or raise its error."""
        with self.usable():
            self._prepare(job)
            return self._commits.wait_for(job)

    def outcome(self, job: Job) -> Any:
        """Return the result of a job that is done, or raise its error."""
        with self.usable():
            return job.outcome()

    def watch(self) -> None:
        """Fire deadlines at their time also while no poll is pending, as a server must."""
        if self._database.writing is not None:
            self._watcher.watch_always()

    def check_file(self) -> None:
        """Raise ``DatabaseGone`` if the file is not the one that was opened; nothing is read."""
        with self.usable():
            self._database.check()

    def give_back(self, token: str) -> None:
        """Redeliver a task with the same token, because its client left before it got the task.

        That does not count as an attempt or a redelivery. A task that has ended is not changed.

        Args:
            token: The token of the task.
        """
        self.write(lambda _now: self.store.give_back(any_token(token)))

    def poll(self, poll: Poll, wait: float, token_of: Callable[[Any], str]) -> Any:
        """Wait for the task of a poll; return None if there is none in time.

        If this is interrupted (``KeyboardInterrupt``), a task that was claimed for the poll is given back.

        Args:
            poll: A poll that waits.
            wait: Maximum seconds to wait for a task.
            token_of: Returns the token of a task.

        Raises:
            ServiceFault: if as many polls are pending as SWF allows for one task list.
        """
        end = monotonic() + wait
        try:
            self.submit(poll)
            self._await(poll, end)
            return self.outcome(poll)
        except BaseException:
            self._withdraw(poll, token_of)
            raise

    def begin(self, job: Job, notify: Callable[[Job], None]) -> PendingCall:
        """Begin a job that no thread waits for: the writer's thread leads its batch, if none of others does.

        Args:
            job: The job, which may be a ``Poll`` that waits.
            notify: Called with the job, in any thread, when it is done: once for a ``Write``, for others
                perhaps repeatedly.

        Raises:
            ServiceError: if the file is read-only.
        """
        job.notify = notify
        self.submit(job)
        return Begun(job, partial(self.outcome, job), partial(self._end, job))

    def submit(self, job: Job, *, leads: bool = False) -> None:
        """Queue a job as ``GroupCommit`` does; raise ``ServiceError`` if the file is read-only."""
        with self.usable():
            self._prepare(job)
            self._commits.submit(job, leads=leads)

    def _prepare(self, job: Job) -> None:
        self._database.need_writing()
        if isinstance(job, Write):
            self._fairness.note_write()
        elif isinstance(job, Poll) and job.waits:
            # As SQLite does, refuse a name that has no UTF-8.
            job.task_queue.task_list.encode()
            self._watcher.start()

    def _withdraw(self, poll: Poll, token_of: Callable[[Any], str]) -> None:
        """End an interrupted poll; give back a task that was claimed for it."""
        end = monotonic() + _WITHDRAW_SECONDS
        while not poll.is_done and not self._end(poll) and monotonic() < end:
            poll.wait(WATCH_SECONDS)
        if poll.task is not None:
            # If this fails, the task times out, as after a crash of its client.
            with suppress(ServiceError, sqlite3.Error):
                self.give_back(token_of(poll.task))

    def _end(self, job: Job) -> bool:
        """Remove a job from its queue; return False if it is done, or a thread is executing it."""
        return self._commits.withdraw(job) or (isinstance(job, Poll) and self._wait_queue.remove(job))

    def end_polls(self, task_queues: Iterable[TaskQueue]) -> None:
        """End the polls that wait in these task queues, without a task."""
        self._wait_queue.end(task_queues)

    def _await(self, poll: Poll, end: float) -> None:
        """Wait for a poll; errors of the functions that it calls are not translated."""
        while not poll.is_done:
            poll.deliver()
            left = end - monotonic()
            if left <= 0 and self._wait_queue.remove(poll):
                break
            # Without time left, another thread is completing it.
            seconds = left if left > 0 else WATCH_SECONDS
            poll.wait(seconds if poll.answering is None else min(seconds, _DELIVER_SECONDS))
            with self.usable():
                self._commits.lead(poll)
        poll.deliver()

    def listen(self, callback: Callable[[], None]) -> None:
        """Call ``callback``, in the thread that commits, when a task queue may have new tasks."""
        self._listeners.append(callback)

    def look(self) -> None:
        """Fire due deadlines, and give polls the tasks of other processes, as every batch does."""
        self.read(lambda _now: None)

    def close(self) -> None:
        """Close the file, end the pending polls, and redeliver the tasks that this process owns.

        In a forked child that has not used it, this closes nothing of the parent's.
        """
        if self._is_of_parent:
            self._closed.set()
            self._is_of_parent = False
            return
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        with self._using, self._querying:
            if self._database.writing is not None:
                # If this fails, other processes redeliver the tasks, because the lease ends now.
                with suppress(sqlite3.Error, ServiceError), self.store.transaction():
                    self.store.redeliver(self.store.open_runs().owned(self._database.lease))
            self._database.close()
        self._wait_queue.dismiss()
        self.writer.close()
        self._watcher.close()
        self._database.wakeups.close()

    def _execute(self, batch: list[Job]) -> None:
        with self._using:
            if not self._closed.is_set():
                self._batches.execute(batch)
                return
        for job in batch:
            job.fail(ServiceError("the service is closed"))

    def usable(self) -> AbstractContextManager[None]:
        """Reopen the file in a forked child; translate errors of SQLite in the block to those of the port."""
        if self._is_of_parent:
            with self._translating:
                self._reopen()
        return self._translating
