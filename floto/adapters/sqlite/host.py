"""One SQLite file under the engine, for all threads of a process: calls, and polls that wait."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from floto.adapters.sqlite.batches import Batches
from floto.adapters.sqlite.leases import Leases
from floto.adapters.sqlite.polls import Line, Poll
from floto.adapters.sqlite.schema import Durability, connect
from floto.adapters.sqlite.store import SqliteStore
from floto.adapters.sqlite.turns import Job, Read, Turns, Write
from floto.core import limits
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.ports import Clock
from floto.core.service import faults
from floto.core.service.engine import Engine
from floto.core.service.records import Place
from floto.core.service.tokens import any_token

T = TypeVar("T")

_MEMORY = ":memory:"

#: How often somebody looks whether another process has committed something, while polls wait.
_WATCH_SECONDS = 0.02
#: Seconds that an interrupted poll waits for the thread that is claiming a task for it.
_WITHDRAW_SECONDS = 1.0


class Host:
    """An engine on a file that any number of threads and processes may share.

    What threads ask for at the same time shares a commit, and nobody is answered before it.
    Deadlines fire with the next call or waiting poll, whosever it is. Tasks that this process
    holds are handed out again when it dies, unless it holds them ``for_clients``.
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
        where = _MEMORY if str(path) == _MEMORY else str(Path(path).resolve())
        self._where = where
        self._db = connect(where, durability)
        self._leases = None if where == _MEMORY else Leases(Path(f"{where}.leases"))
        self._lease = self._leases.name if self._leases else _MEMORY
        self.store = SqliteStore(self._db, self._lease, for_clients=for_clients)
        self.engine = Engine(self.store, invokes_lambda=invokes_lambda)
        self._line = Line()
        self._batches = Batches(self.store, self.engine, self._line, self._leases, clock)
        self._turns = Turns(self._carry_out)
        #: Held by whoever uses the connection.
        self._using = Lock()
        self._closed = Event()
        #: Guards what follows.
        self._lock = Lock()
        #: How many polls wait where.
        self._waiting: Counter[Place] = Counter()
        self._watcher: Thread | None = None
        with self._usable():
            self._batches.begin()

    def read(self, call: Callable[[datetime], T]) -> T:
        """Look something up, told what time it is, after whatever is due by now."""
        found: T = self._outcome(Read(call))
        return found

    def write(self, call: Callable[[datetime], T]) -> T:
        """Carry out a call, told what time it is, wholly or not at all."""
        result: T = self._outcome(Write(call))
        return result

    def attempt(self, place: Place, take: Callable[[datetime], T | None]) -> T | None:
        """Take the next task of a place, if there is one now."""
        task: T | None = self._outcome(Poll(place, take, waits=False))
        return task

    def _outcome(self, job: Job) -> Any:
        with self._usable():
            return self._turns.wait_for(job)

    def check(self) -> None:
        """Read a row of every table from the file itself, past the caches of this process.

        Raises ``ServiceUnavailable`` or ``ServiceError`` where that cannot be done. Calls of this process
        need not be waited for: a connection of its own reads.
        """
        if self._where == _MEMORY:
            self.read(lambda _now: self.store.domains())
            return
        with (
            self._usable(),
            closing(sqlite3.connect(f"{Path(self._where).as_uri()}?mode=ro", uri=True)) as db,
        ):
            tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
            for (table,) in tables:
                db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of our tables

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
        while not self._closed.wait(_WATCH_SECONDS):
            self._line.wait_for_anyone()
            # Whoever carries out something looks too.
            if monotonic() - self._batches.looked_at >= _WATCH_SECONDS:
                # What is wrong is told to those who ask for something.
                with suppress(ServiceError):
                    self.look()

    def has_work(self, place: Place) -> bool:
        """Whether a task waits at a place."""
        return self.read(lambda _now: self.store.next_task(place) is not None)

    def listen(self, told: Callable[[], None]) -> None:
        """Have ``told`` called, in whatever thread, when there may be work for polls."""
        self._batches.listeners.append(told)

    def look(self) -> bool:
        """Whether there may be work that nobody was told of: of other processes, or due by now.

        To be asked every few hundredths of a second by whoever holds polls without waiting here.
        """
        return self.read(lambda _now: bool(self.store.offered))

    def close(self) -> None:
        """Let go of the file; tasks that this process holds can be polled by others, and polls end."""
        with self._lock:
            if self._closed.is_set():
                return
            self._closed.set()
        with self._using:
            with suppress(sqlite3.Error), self.store.transaction():
                self.store.release(self._lease)
            self._db.close()
            if self._leases:
                self._leases.close()
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
        """Say in the port's words what SQLite says in its own."""
        try:
            yield
        except UnicodeEncodeError as error:
            message = f"Value {error.object!a} failed to satisfy constraint: Member must be Unicode text"
            raise faults.invalid(message) from error
        except sqlite3.OperationalError as error:
            raise ServiceUnavailable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise ServiceError(str(error)) from error
