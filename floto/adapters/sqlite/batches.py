"""What one thread carries out for all: calls, deadlines, tasks for polls, with as few commits as it can."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from math import inf
from time import monotonic
from typing import Any, TypeVar

from floto.adapters.sqlite.file.clock import ClockWatch
from floto.adapters.sqlite.file.database import Database
from floto.adapters.sqlite.file.problems import OF_ALL, DatabaseGone, code_of, is_busy
from floto.adapters.sqlite.file.schema import SLICE_SECONDS
from floto.adapters.sqlite.group_commit import Job, Read, Write
from floto.adapters.sqlite.sql.rows import UnreadableRun
from floto.adapters.sqlite.store import LOCK_SECONDS, SqliteStore
from floto.adapters.sqlite.wait_queue import Poll, WaitQueue
from floto.core.engine.engine import DeadlineError, Engine
from floto.core.engine.stores.records import Place
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.swf.service import Clock

log = logging.getLogger("floto")

T = TypeVar("T")

#: How often somebody looks for tasks whose process died.
_RECOVER_SECONDS = 2.0
#: So many deadlines fire in one transaction.
_DEADLINES_AT_ONCE = 100
#: A deadline that cannot fire is tried again so much later.
_PUT_OFF = timedelta(hours=1)
#: What says that a statement cannot be carried out, and nothing against the database or its state.
_OF_ONE_RUN = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)


class Batches:
    """Carries out what was asked for at the same time; to be used by one thread at a time."""

    def __init__(
        self, store: SqliteStore, engine: Engine, line: WaitQueue, database: Database, clock: Clock
    ) -> None:
        self._store, self._engine, self._line = store, engine, line
        self._database, self._clock = database, clock
        self._leases = database.leases
        #: Called when there may be work for polls.
        self.listeners: list[Callable[[], None]] = []
        #: When the last batch was carried out.
        self.looked_at = monotonic()
        self._recover_at = monotonic() if self._leases else inf
        self._warned: set[str] = set()
        self._watch = ClockWatch()
        self._is_open = False

    def begin(self) -> None:
        """Take over what other processes left, now or with the first batch that gets the lock."""
        self._store.patience = SLICE_SECONDS
        with suppress(sqlite3.OperationalError):
            self._open()

    def _open(self) -> None:
        if self._is_open:
            return
        self._commit(self._store.restore)
        self._commit(partial(self._store.follow_clock_back, self._clock()))
        self._is_open = True
        self._recover()

    def carry_out(self, batch: list[Job]) -> None:
        """Carry out jobs: whatever raises, each is done then, or a poll that waits in line."""
        error: BaseException | None = None
        try:
            self._database.check()
            now = self._clock()
            self._store.refresh()
            # Polls can wait in line for the lock; calls are made by threads that wait.
            is_write = any(isinstance(job, Write) for job in batch)
            self._store.patience = LOCK_SECONDS if is_write else SLICE_SECONDS
            self._open()
            self._recover()
            if self._watch.went_back(now):
                self._commit(partial(self._store.follow_clock_back, now))
            self._settle(now)
            self._carry_out_at(now, batch)
        except BaseException as raised:
            error = raised
            if isinstance(raised, DatabaseGone):
                self._line.fail(raised)
            if not isinstance(raised, Exception):
                raise
        finally:
            if error is not None:
                self._abandon(batch, error)
            self.looked_at = monotonic()

    def _abandon(self, batch: list[Job], error: BaseException) -> None:
        """Let polls wait in line for a lock, and fail every other job that is not done."""
        told = error if isinstance(error, Exception) else ServiceUnavailable("interrupted")
        for job in batch:
            if job.is_done:
                continue
            if isinstance(job, Poll):
                self._line.remove(job)
                if job.waits and is_busy(error):
                    self._line.add([job])
                    self._store.offered.add(job.place)
                    continue
            job.fail(told)

    def _carry_out_at(self, now: datetime, batch: list[Job]) -> None:
        polls = [job for job in batch if isinstance(job, Poll)]
        writes = [job for job in batch if isinstance(job, Write)]
        reads = [job for job in batch if isinstance(job, Read)]
        if reads:
            with self._store.snapshot():
                for job in reads:
                    job.attempt(partial(job.call, now))
        self._line.add(polls)
        asked = {poll.place for poll in polls}
        if writes or self._with_work(asked):
            self._together(now, writes, asked)
        for poll in polls:
            self._let_wait(poll)
        if self._store.offered:
            self._store.offered.clear()
            for told in self.listeners:
                try:
                    told()
                except Exception:
                    log.exception("a listener of new tasks failed")

    def _let_wait(self, poll: Poll) -> None:
        """Decide what becomes of a poll that found no task."""
        try:
            if not poll.is_done:
                self._engine.registration.need_domain(poll.place.domain)
                if not poll.waits and self._line.remove(poll):
                    poll.finish(None)
        except ServiceFault as fault:
            if self._line.remove(poll):
                poll.fail(fault)

    def _with_work(self, asked: set[Place]) -> list[Place]:
        """Where polls wait and tasks do: of the places asked for, and those where something is new."""
        places = self._line.places(asked | self._store.offered)
        return [place for place in places if self._store.next_task(place) is not None]

    def _together(self, now: datetime, writes: list[Write], asked: set[Place]) -> None:
        """Carry out calls, and hand out what they make to polls that wait, with one commit."""
        results: list[Any] = []
        served: list[tuple[Poll, Any]] = []
        try:
            with self._store.transaction():
                results.extend([job.call(now) for job in writes])
                for place in self._with_work(asked):
                    self._serve(now, place, served)
        except BaseException as error:
            # After an interrupt too: the polls of other threads would wait for ever.
            self._line.put_back(poll for poll, _ in reversed(served))
            is_of_all = isinstance(error, DatabaseGone) or code_of(error) in OF_ALL
            if is_of_all or not isinstance(error, Exception):
                raise
            if len(writes) == 1 and not results:
                # Refused, as it would be again.
                writes.pop().fail(error)
            self._apart(now, writes, asked)
            return
        for job, result in [*zip(writes, results, strict=True), *served]:
            job.finish(result)
        for poll, _ in served:
            poll.wake()

    def _serve(self, now: datetime, place: Place, served: list[tuple[Poll, Any]]) -> None:
        """Give tasks to the polls of a place; ``served`` has each that was taken out of the line."""
        while self._store.next_task(place) is not None and (poll := self._line.take(place)) is not None:
            served.append((poll, None))
            task = poll.call(now)
            served.pop()
            if task is None:
                self._line.put_back([poll])
                return
            served.append((poll, task))

    def _apart(self, now: datetime, writes: list[Write], asked: set[Place]) -> None:
        """Carry out each for itself: something is wrong with one, and the others need not suffer from it."""
        for job in writes:
            job.attempt(partial(self._commit, partial(job.call, now)))
        for place in self._with_work(asked):
            while (poll := self._line.take(place)) is not None:
                if not self._give(poll, now):
                    self._line.put_back([poll])
                    break

    def _commit(self, call: Callable[[], T], *, at_once: bool = False) -> T:
        with self._store.transaction(at_once=at_once):
            return call()

    def _give(self, poll: Poll, now: datetime) -> bool:
        """Give a task, or what is wrong, to a poll; False if there is neither."""
        try:
            task = self._take(poll, now)
        except Exception as error:  # noqa: BLE001 - it is for whoever asked
            poll.fail(error)
        except BaseException:
            self._line.put_back([poll])
            raise
        else:
            if task is None:
                return False
            poll.finish(task)
        poll.wake()
        return True

    def _take(self, poll: Poll, now: datetime) -> Any:
        """Take a task, passing by those of runs that nobody can read."""
        while self._store.next_task(poll.place) is not None:
            try:
                return self._commit(partial(poll.call, now))
            except UnreadableRun as error:
                self._warn(error.run_id, error)
                if not self._commit(partial(self._store.set_aside, error.run_id)):
                    # The task is of another run, which had to tell this one something.
                    raise
        return None

    def _settle(self, now: datetime) -> None:
        """Fire what is due, in transactions of its own: a call refused later undoes none of it."""
        if self._store.is_due(now):
            while self._settle_some(now):
                pass

    def _settle_some(self, now: datetime) -> bool:
        """Fire deadlines; what cannot fire is rolled back with all before it, and out of the way then."""
        try:
            return self._commit(lambda: self._engine.fire_due(now, _DEADLINES_AT_ONCE), at_once=True)
        except DeadlineError as error:
            cause = error.__cause__
            if isinstance(cause, MemoryError | OSError) or (
                isinstance(cause, sqlite3.Error) and not isinstance(cause, _OF_ONE_RUN)
            ):
                raise cause from None
            self._warn(error.deadline.run_id, error)
            self._commit(partial(self._store.put_off, error.deadline, now + _PUT_OFF))
            return True

    def _warn(self, run_id: str, error: ServiceError) -> None:
        if run_id not in self._warned:
            self._warned.add(run_id)
            log.error("%s", error, exc_info=error)

    def _recover(self) -> None:
        """Let the tasks of dead processes be polled again, by the tokens they had."""
        if self._leases is None or monotonic() < self._recover_at:
            return
        self._recover_at = monotonic() + _RECOVER_SECONDS
        holders = self._store.holders()
        dead = self._leases.dead(holders)
        for lease in dead:
            self._commit(partial(self._store.release, lease, deaths=1))
        self._leases.clean(set(holders) - dead)
        self._database.cut_log()
