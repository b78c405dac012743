"""One SQLite file under the engine: transactions, polls that wait, and tasks of processes that died."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from threading import Condition, Lock
from time import monotonic
from typing import TypeVar

from floto.adapters.sqlite.leases import Leases
from floto.adapters.sqlite.schema import Durability, connect
from floto.adapters.sqlite.store import SqliteStore, UnreadableRun
from floto.core import limits
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.ports import Clock
from floto.core.service import faults
from floto.core.service.engine import Engine, Unsettled
from floto.core.service.records import Place

log = logging.getLogger("floto")

T = TypeVar("T")

_MEMORY = ":memory:"

#: How often a waiting poll looks whether another process has committed something.
_WATCH_SECONDS = 0.02
#: How often a waiting poll looks for tasks whose process died.
_RECOVER_SECONDS = 2.0
#: So many deadlines fire in one transaction; others get a turn between two.
_DEADLINES_AT_ONCE = 100
#: A deadline that cannot fire is tried again so much later.
_PUT_OFF = timedelta(hours=1)
#: What says that a statement cannot be carried out, and nothing against the database or its state.
_OF_ONE_RUN = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)


class Host:
    """An engine on a file that any number of threads and processes may share.

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
        self._clock = clock
        # Whatever links lead to a file, and wherever the process goes later: one file, one place for leases.
        where = _MEMORY if str(path) == _MEMORY else str(Path(path).resolve())
        self._db = connect(where, durability)
        self._leases = None if where == _MEMORY else Leases(Path(f"{where}.leases"))
        self._lease = self._leases.name if self._leases else _MEMORY
        self.store = SqliteStore(self._db, self._lease, for_clients=for_clients)
        self.engine = Engine(self.store, invokes_lambda=invokes_lambda)
        self._news = Condition(Lock())
        self._watched = False
        self._told = 0
        self._listeners: list[Callable[[], None]] = []
        #: How many polls wait where.
        self._waiting: Counter[Place] = Counter()
        self._closed = False
        self._seen_version = self.store.data_version()
        self._recover_at = monotonic() if self._leases else inf
        self._warned: set[str] = set()
        with self._news, self._usable():
            self._commit(self.store.restore)
            self._recover()

    def read(self, call: Callable[[datetime], T]) -> T:
        """Look something up, told what time it is, after whatever is due by now."""
        with self._news, self._usable():
            now = self._clock()
            self._settle(now)
            with self.store.snapshot():
                return call(now)

    def write(self, call: Callable[[datetime], T]) -> T:
        """Carry out a call, told what time it is, wholly or not at all."""
        with self._news, self._usable():
            now = self._clock()
            self._settle(now)
            return self._commit(lambda: call(now))

    def poll(self, place: Place, take: Callable[[datetime], T | None], wait: float) -> T | None:
        """Take the next task of a place, waiting up to ``wait`` seconds for one.

        Raises a ``ServiceFault`` where as many polls wait as SWF allows.
        """
        end = monotonic() + wait
        with self._news:
            self._need_open()
            if self._waiting[place] >= limits.POLLER_LIMIT:
                raise faults.limit_exceeded(limits.POLLER_LIMIT, "polls of one task list")
            self._waiting[place] += 1
            try:
                while not self._closed:
                    told = self._told
                    with self._usable():
                        task = self._attempt(place, take)
                        if task is not None or not self._await_news(end, told):
                            return task
            finally:
                self._waiting[place] -= 1
                # If this poll was the one that watched, another one has to.
                self._news.notify()
        return None

    def attempt(self, place: Place, take: Callable[[datetime], T | None]) -> T | None:
        """Take the next task of a place, if there is one now."""
        with self._news, self._usable():
            return self._attempt(place, take)

    def has_work(self, place: Place) -> bool:
        """Whether a task waits at a place."""
        with self._news, self._usable():
            return self.store.next_task(place) is not None

    def listen(self, told: Callable[[], None]) -> None:
        """Have ``told`` called, in whatever thread, when there may be work for polls."""
        with self._news:
            self._listeners.append(told)

    def look(self) -> bool:
        """Whether there may be work that nobody was told of: of other processes, or due by now.

        To be asked every few hundredths of a second by whoever holds polls without waiting here.
        """
        with self._news, self._usable():
            changed = self._changed()
            if changed:
                self._tell()
            return changed

    def close(self) -> None:
        """Let go of the file; tasks that this process holds can be polled by others, and polls end."""
        with self._news:
            if self._closed:
                return
            self._closed = True
            self._news.notify_all()
            with suppress(sqlite3.Error), self.store.transaction():
                self.store.release(self._lease)
            self._db.close()
            if self._leases:
                self._leases.close()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Refuse a closed service, and say in the port's words what SQLite says in its own."""
        self._need_open()
        try:
            yield
        except UnicodeEncodeError as error:
            message = f"Value {error.object!a} failed to satisfy constraint: Member must be Unicode text"
            raise faults.invalid(message) from error
        except sqlite3.OperationalError as error:
            raise ServiceUnavailable(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise ServiceError(str(error)) from error

    def _need_open(self) -> None:
        if self._closed:
            problem = "the service is closed"
            raise ServiceError(problem)

    def _commit(self, call: Callable[[], T]) -> T:
        with self.store.transaction():
            result = call()
        if self.store.offered:
            self._tell()
        return result

    def _settle(self, now: datetime) -> None:
        """Fire what is due, in transactions of its own: a call refused later undoes none of it."""
        due = self.store.next_deadline()
        if due is not None and due.at <= now:
            while self._settle_some(now):
                pass

    def _settle_some(self, now: datetime) -> bool:
        """Fire deadlines; what cannot fire is rolled back with all before it, and out of the way then."""
        try:
            return self._commit(lambda: self.engine.settle(now, _DEADLINES_AT_ONCE))
        except Unsettled as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError) or (
                isinstance(cause, sqlite3.Error) and not isinstance(cause, _OF_ONE_RUN)
            ):
                raise cause from None
            self._warn(error.deadline.run_id, error)
            self._commit(partial(self.store.put_off, error.deadline, now + _PUT_OFF))
            return True

    def _warn(self, run_id: str, error: ServiceError) -> None:
        if run_id not in self._warned:
            self._warned.add(run_id)
            log.error("%s", error, exc_info=error)

    def _attempt(self, place: Place, take: Callable[[datetime], T | None]) -> T | None:
        """Take a task if there is one; nothing is written, and no lock taken, if there is none."""
        self._recover()
        now = self._clock()
        self._settle(now)
        while self.store.next_task(place) is not None:
            try:
                return self._commit(lambda: take(now))
            except UnreadableRun as error:
                self._warn(error.run_id, error)
                if not self._commit(partial(self.store.set_aside, error.run_id)):
                    # The task is of another run, which had to tell this one something.
                    raise
        self.engine.registration.need_domain(place.domain)
        return None

    def _await_news(self, end: float, told: int) -> bool:
        """Wait until there may be something to take; False when the time is over."""
        while self._told == told and not self._closed:
            left = end - monotonic()
            if left <= 0:
                return False
            if self._watched:
                self._news.wait(left)
            else:
                self._watch(min(_WATCH_SECONDS, left))
        return True

    def _watch(self, seconds: float) -> None:
        """Of all polls of a process that wait, one looks out for other processes and for deadlines."""
        self._watched = True
        try:
            self._news.wait(seconds)
        finally:
            self._watched = False
        if not self._closed and self._changed():
            self._tell()

    def _tell(self) -> None:
        # Counted: a poll whose own watch ends just now does not hear notify_all.
        self._told += 1
        self._news.notify_all()
        for told in self._listeners:
            told()

    def _changed(self) -> bool:
        version = self.store.data_version()
        if version != self._seen_version:
            self._seen_version = version
            return True
        due = self.store.next_deadline()
        return (due is not None and due.at <= self._clock()) or monotonic() >= self._recover_at

    def _recover(self) -> None:
        """Let the tasks of dead processes be polled again, by the tokens they had."""
        if self._leases is None or monotonic() < self._recover_at:
            return
        self._recover_at = monotonic() + _RECOVER_SECONDS
        holders = self.store.holders()
        dead = self._leases.dead(holders)
        for lease in dead:
            self._commit(partial(self.store.release, lease, deaths=1))
        self._leases.clean(set(holders) - dead)
