"""One SQLite file under the engine, for all threads of a process: calls, and polls that wait."""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from floto import forks
from floto.adapters.sqlite.batches import Batches
from floto.adapters.sqlite.fairness import Fairness
from floto.adapters.sqlite.file.database import MEMORY, Database
from floto.adapters.sqlite.file.leases import lease_directory
from floto.adapters.sqlite.file.presence import Presence, pollers, redeliveries
from floto.adapters.sqlite.file.problems import standstill, translated
from floto.adapters.sqlite.file.schema import Durability, connect_reading
from floto.adapters.sqlite.group_commit import GroupCommit, Job, Read, Write
from floto.adapters.sqlite.store import SqliteStore
from floto.adapters.sqlite.wait_queue import Poll, WaitQueue
from floto.core.engine import faults
from floto.core.engine.engine import Engine
from floto.core.engine.stores.records import Place
from floto.core.engine.tokens import any_token
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.swf import limits
from floto.core.swf.pollers import Live
from floto.core.swf.service import Clock

T = TypeVar("T")

log = logging.getLogger("floto")

#: Seconds between looks at whether another process has committed something, while polls wait.
_WATCH_SECONDS = 0.02
#: Seconds that a query waits for what is due to fire first; without the lock it reads what there is.
_FIRE_SECONDS = 0.5
#: The databases that forked children have from their parents: SQLite must never close those.
_OF_PARENTS: list[Database] = []
#: Seconds that an interrupted poll waits for the thread that is claiming a task for it.
_WITHDRAW_SECONDS = 1.0


class SqliteEngine:
    """An engine on a file that any number of threads and processes may share.

    What threads ask for at the same time shares a commit, and none is answered before it. Queries have a
    connection of their own: they wait for no writer, and no writer waits for them, but beside writes they
    rest as long as they work (``Fairness``). Deadlines fire with the next call or waiting poll, whosever it
    is. Tasks that this process owns are redelivered when it dies, unless it holds them ``for_clients``. A
    forked child that uses its parent's host opens the file anew.
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
        # Whatever links lead to a file, and wherever the process goes later: one file, one place for leases.
        self._path = MEMORY if str(path) == MEMORY else str(Path(path).resolve())
        self.clock = clock
        self._durability: Durability = durability
        self._closed = Event()
        self._database = Database(self._path, durability)
        self.store = SqliteStore(self._database, for_clients=for_clients, is_given_up=self._is_closed)
        #: What queries read; for a database in memory, there is only one connection.
        self.view = self.store if self._database.reading is None else SqliteStore.reading(self._database)
        self.engine = Engine(self.store, invokes_lambda=invokes_lambda)
        self._is_of_parent = False
        self._listeners: list[Callable[[], None]] = []
        self._arrange()
        forks.let_go_in_children(self)
        if self._database.writing is not None:
            with self._usable():
                self._batches.begin()

    def _arrange(self) -> None:
        """Make everything that belongs to the threads of one process."""
        self._line = WaitQueue()
        self._batches = Batches(self.store, self.engine, self._line, self._database, self.clock)
        self._batches.listeners = self._listeners
        self._turns = GroupCommit(self._carry_out)
        #: Held by the thread that uses the connection for writing, and the one for reading.
        self._using, self._querying = Lock(), Lock()
        self._fairness = Fairness()
        #: Guards what follows.
        self._lock = Lock()
        #: How many polls wait at each place.
        self._waiting: Counter[Place] = Counter()
        self._watcher: Thread | None = None
        #: What ``floto status`` shows of this process.
        self.presence = Presence(self._database.leases)

    def after_fork(self) -> None:
        """Note, in a forked child, that connections and lease belong to the parent."""
        _OF_PARENTS.append(self._database)
        self._is_of_parent = not self._closed.is_set()
        self._reopening = Lock()

    def _reopen(self) -> None:
        """Open the file anew, in a child of the process that opened it."""
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
        with self._usable():
            self._batches.begin()

    @property
    def is_read_only(self) -> bool:
        """Whether the file can only be read: every call that would change it raises ``ServiceError``."""
        return self._database.writing is None

    @property
    def path(self) -> str:
        """The absolute path of the file, or ``:memory:``."""
        return self._path

    def _is_closed(self) -> bool:
        return self._closed.is_set()

    def query(self, call: Callable[[SqliteStore, datetime], T]) -> T:
        """Look something up in the store of queries, after what is due by now if that need not wait."""
        with self._usable():
            if self.view is self.store:
                return self.read(lambda now: call(self.store, now))
            if self._closed.is_set():
                message = "the service is closed"
                raise ServiceError(message)
            self._database.check()
            now = self.clock()
            with self._querying:
                self.view.refresh()
                is_due = self._database.writing is not None and self.view.is_due(now)
            if is_due:
                self._fire(now)
            with self._querying, self._fairness.query(), self.view.snapshot():
                return call(self.view, now)

    def _fire(self, now: datetime) -> None:
        nothing = Write(lambda _now: now)
        with suppress(ServiceUnavailable, sqlite3.Error, TimeoutError):
            self._turns.wait_for(nothing, _FIRE_SECONDS)

    def read(self, call: Callable[[datetime], T]) -> T:
        """Look something up between two batches, told what time it is, after whatever is due by now."""
        found: T = self._outcome(Read(call))
        return found

    def write(self, call: Callable[[datetime], T]) -> T:
        """Carry out a call, told what time it is, wholly or not at all."""
        self._fairness.note_write()
        result: T = self._outcome(Write(call))
        return result

    def attempt(self, place: Place, take: Callable[[datetime], T | None]) -> T | None:
        """Take the next task of a place, if there is one now."""
        task: T | None = self._outcome(Poll(place, take, waits=False))
        return task

    def _outcome(self, job: Job) -> Any:
        with self._usable():
            self._database.need_writing()
            return self._turns.wait_for(job)

    def check(self) -> None:
        """Read a row of every table from the file itself, past the caches of this process.

        Calls of this process need not be waited for: a connection of its own reads.

        Raises:
            ServiceUnavailable: if that cannot be done now.
            ServiceError: if the file is damaged, or another one than was opened.
        """
        if not self._database.is_file:
            self.read(lambda _now: self.store.domains())
            return
        with self._usable(), closing(connect_reading(self._path)) as db:
            self._database.check()
            tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for (table,) in tables:
                db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of our tables

    def check_file(self) -> None:
        """Raise ``DatabaseGone`` if the file is another one than was opened; nothing is read."""
        with self._usable():
            self._database.check()

    def live(self) -> Live:
        """Return what waits on every task list, and who polls, in this process and in others."""
        backlogs, again = self.query(lambda store, _now: (store.backlogs(), store.redeliveries()))
        if not self._database.is_file:
            return Live(backlogs=backlogs)
        by_lease = pollers(lease_directory(self._path))
        return Live(
            backlogs=backlogs,
            pollers=tuple(itertools.chain.from_iterable(by_lease.values())),
            problem="" if self.is_read_only else standstill(self._path),
            redeliveries=redeliveries(again, by_lease),
        )

    def give_back(self, token: str) -> None:
        """Let a task be polled again by the same token: its client was gone before it got the task.

        That does not count as an attempt or a redelivery. Nothing happens to a task that is not out any more.
        """
        self.write(lambda _now: self.store.give_back(any_token(token)))

    def poll(
        self,
        place: Place,
        take: Callable[[datetime], T | None],
        wait: float,
        token_of: Callable[[T], str],
    ) -> T | None:
        """Claim the next task of a place, waiting up to ``wait`` seconds for one.

        A task that was claimed for a poll that is interrupted (``KeyboardInterrupt``) is given back.
        Raises a ``ServiceFault`` where as many polls wait as SWF allows.
        """
        poll, end = Poll(place, take, waits=True), monotonic() + wait
        with self._usable(), self._counted(place):
            self._database.need_writing()
            try:
                self._turns.ask(poll)
                self._await(poll, end)
                task: T | None = poll.outcome()
            except BaseException:
                self._withdraw(poll, token_of)
                raise
            return task

    def _withdraw(self, poll: Poll, token_of: Callable[[T], str]) -> None:
        """End a poll that was interrupted; a task that was claimed for it by then is given back."""
        self._turns.withdraw(poll)
        end = monotonic() + _WITHDRAW_SECONDS
        # While it is neither done nor in the line, another thread is claiming a task for it.
        while not poll.is_done and not self._line.remove(poll) and monotonic() < end:
            poll.wait(_WATCH_SECONDS)
        if poll.task is not None:
            # Should this fail, the task times out as that of a client that is never heard of again.
            with suppress(ServiceError, sqlite3.Error):
                self.give_back(token_of(poll.task))

    def _await(self, poll: Poll, end: float) -> None:
        while not poll.is_done:
            left = end - monotonic()
            if left <= 0 and self._line.remove(poll):
                return
            # With no time left, another thread has it in hand for a moment.
            poll.wait(left if left > 0 else _WATCH_SECONDS)
            self._turns.lead(poll)

    @contextmanager
    def _counted(self, place: Place) -> Iterator[None]:
        with self._lock:
            if self._waiting[place] >= limits.POLLER_LIMIT:
                raise faults.limit_exceeded(limits.POLLER_LIMIT, "polls of one task list")
            self._waiting[place] += 1
            if self._watcher is None and not self._closed.is_set():
                self._watcher = Thread(target=self._watch, name="floto-watch", daemon=True)
                self._watcher.start()
        try:
            yield
        finally:
            with self._lock:
                self._waiting[place] -= 1
                if not self._waiting[place]:
                    del self._waiting[place]

    def _watch(self) -> None:
        """While polls wait, look out for other processes and for what becomes due."""
        is_in_trouble = False
        while not self._closed.wait(_WATCH_SECONDS):
            self._line.wait_for_anyone()
            # Every batch looks too.
            if monotonic() - self._batches.looked_at >= _WATCH_SECONDS:
                try:
                    self.look()
                    is_in_trouble = False
                except Exception as error:
                    # The polls hear of what does not pass; the watcher goes on, or no poll would ever be
                    # served.
                    if not is_in_trouble and not isinstance(error, ServiceError):
                        log.exception("%s: looking for new tasks failed; trying again", self._path)
                    is_in_trouble = True

    def has_work(self, place: Place) -> bool:
        """Whether a task waits at a place."""
        return self.read(lambda _now: self.store.next_task(place) is not None)

    def listen(self, told: Callable[[], None]) -> None:
        """Have ``told`` called, in whatever thread, when there may be work for polls."""
        self._listeners.append(told)

    def look(self) -> bool:
        """Whether there may be work that nobody was told of: of other processes, or due by now.

        To be asked every few hundredths of a second by whoever holds polls without waiting here.
        """
        return self.read(lambda _now: bool(self.store.offered))

    def close(self) -> None:
        """Close the file; tasks that this process owns can be polled by others, and polls end.

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
                # What fails here is recovered by others, from the lease that ends now.
                with suppress(sqlite3.Error, ServiceError), self.store.transaction():
                    self.store.release(self._database.lease)
            self._database.close()
        self._line.dismiss()
        if self._watcher is not None:
            self._watcher.join()

    def _carry_out(self, batch: list[Job]) -> None:
        with self._using:
            if not self._closed.is_set():
                self._batches.carry_out(batch)
                return
        for job in batch:
            job.fail(ServiceError("the service is closed"))

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Open the file anew in a forked child, and translate errors of SQLite to those of the port."""
        try:
            if self._is_of_parent:
                self._reopen()
            yield
        except (sqlite3.Error, UnicodeEncodeError, OSError) as error:
            known = translated(error, self._path)
            if known is None:
                raise
            raise known from error
