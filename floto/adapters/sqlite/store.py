"""The engine's store on SQLite: writes the changes of a step as rows, in the caller's transaction."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from math import inf
from typing import Any, Self

from attrs import define, evolve, field
from rpds import HashTrieMap

from floto.adapters.sqlite.cache import Cache, CachedRun, weight
from floto.adapters.sqlite.file.database import Database
from floto.adapters.sqlite.file.schema import begin, leave
from floto.adapters.sqlite.queues import Queues
from floto.adapters.sqlite.sql import domains_and_types as catalogue
from floto.adapters.sqlite.sql import listings, writes
from floto.adapters.sqlite.sql import tasks_and_deadlines as agenda
from floto.adapters.sqlite.sql.rows import from_text, reading, row_event
from floto.adapters.sqlite.sql.writes import Pending
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.run import EngineRun, Heartbeat
from floto.core.engine.stores.changes import Changes, all_dues
from floto.core.engine.stores.records import Listing, Place, Position, Record
from floto.core.engine.stores.store import Deadline, Ready
from floto.core.engine.tokens import TaskKind, Token
from floto.core.state.fold import fold
from floto.core.swf.events import Event
from floto.core.swf.pollers import Backlog
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.core.swf.wire import from_ms, to_ms

log = logging.getLogger("floto")

#: The lease of tasks that clients own, until a time-out ends them, as in SWF.
_CLIENTS = "clients"
#: The lease of tasks whose run cannot be read; no process has this lease.
_SET_ASIDE = "aside"
#: Seconds that a transaction waits for the lock, if another process has it.
LOCK_SECONDS = 5.0
#: Larger than every event id.
_MAX_EVENT_ID = 2**62
#: Cached runs that one refresh checks after a commit of another process.
CHECKED_AT_ONCE = 32


@define
class _Staged:
    """A run that the current transaction has changed."""

    entry: CachedRun
    run: EngineRun
    revision: int
    events: list[Event] = field(factory=list)
    #: Estimated bytes of ``events``.
    size: int = 0


class SqliteStore:
    """A ``RunStore`` on one connection of a database.

    Args:
        database: The open file.
        for_clients: True if clients, which may outlive this process, own the tasks that it claims; otherwise
            the lease of this process owns them.
        is_given_up: Returns True to end the wait for the lock.
    """

    def __init__(
        self,
        database: Database,
        *,
        for_clients: bool = False,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._for_clients, self._is_given_up = for_clients, is_given_up
        #: Seconds that a transaction waits for the lock, if another process has it.
        self.patience = LOCK_SECONDS
        self._is_reading = False
        self._bind(database)

    @classmethod
    def reading(cls, database: Database) -> Self:
        """Make the store of queries, on the connection that only reads."""
        store = cls(database)
        store._is_reading = True
        store._bind(database)
        return store

    def rebind(self, database: Database) -> None:
        """Use the connection of another database, with empty caches."""
        self._bind(database)

    def _bind(self, database: Database) -> None:
        self._database = database
        db = database.reading if self._is_reading or database.writing is None else database.writing
        assert db is not None  # noqa: S101 - a database has one of them
        self._db: sqlite3.Connection = db
        owner = _CLIENTS if self._for_clients else database.lease
        self._leases = dict.fromkeys(TaskKind, owner)
        # Lambda functions run in this process, even if clients own the other tasks.
        self._leases[TaskKind.LAMBDA] = database.lease
        self._cache = Cache()
        self._staged: dict[str, _Staged] = {}
        self._pending = Pending(self._leases)
        self._at_once = False
        self._version = -1
        # The following caches are valid until another process commits.
        self._current: set[str] = set()
        self._domains: dict[str, Domain] = {}
        self._types: dict[tuple[str, ActivityType | WorkflowType], RegisteredType] = {}
        self._queues = Queues()
        #: No deadline is earlier, in milliseconds since 1970.
        self._quiet_until: float = -inf
        #: Task queues that may have new tasks; None means any queue (another process has committed).
        self.offered: set[Place | None] = set()

    @contextmanager
    def transaction(self, *, at_once: bool = False) -> Iterator[None]:
        """Run the block in a write transaction, which an exception rolls back.

        Args:
            at_once: Write the rows of each step at once, so that an error is raised in the step that causes
                it. By default they are written together before the commit, which is faster.
        """
        self._at_once = at_once
        try:
            # Within ``try``: an interrupt during the wait is raised when this has the lock.
            begin(self._db, self.patience, self._is_given_up)
            self.refresh()
            yield
            self._pending.write(self._db)
            self._db.execute("COMMIT")
        except BaseException:
            leave(self._db)
            self._forget()
            raise
        else:
            self._keep_all()
            # A commit to a file that was deleted or replaced is not acknowledged.
            self._database.check()
        finally:
            self._staged.clear()
            self._pending.clear()

    def _keep_all(self) -> None:
        """Cache what was committed; after an error, which does not undo the commit, clear the caches."""
        try:
            self._keep()
        except Exception:
            log.exception("cannot cache what was committed; it is read again")
            self._cache = Cache()
            self._forget()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Run the block in a read transaction: all of its reads see the same state of the database."""
        leave(self._db)
        self._db.execute("BEGIN")
        try:
            self.refresh()
            yield
        finally:
            # There is nothing to commit.
            leave(self._db)

    def refresh(self) -> None:
        """Clear the caches if another process has committed; every queue may have new tasks then."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._forget()
            self._cache.doubt()
            self.offered.add(None)
        self._drop_closed()

    def _drop_closed(self) -> None:
        """Drop runs that other processes closed from the cache, a bounded number per refresh."""
        doubted = self._cache.next_doubted(CHECKED_AT_ONCE)
        if not doubted:
            return
        sql = "SELECT run_id FROM runs WHERE closed_at IS NULL AND run_id IN (SELECT value FROM json_each(?))"
        still_open = {row[0] for row in self._db.execute(sql, (json.dumps(doubted),))}
        for run_id in doubted:
            if run_id not in still_open:
                self._cache.drop(run_id)

    def _forget(self) -> None:
        self._current.clear()
        self._domains.clear()
        self._types.clear()
        self._queues.forget()
        self._quiet_until = -inf

    def _keep(self) -> None:
        for run_id, staged in self._staged.items():
            if staged.run.state.closed is None:
                self._grow(run_id, staged)
            else:
                self._cache.drop(run_id)
                self._current.discard(run_id)

    def _grow(self, run_id: str, staged: _Staged) -> CachedRun:
        # Dropped first, so that an interrupt cannot leave an entry whose events do not match its revision.
        self._current.discard(run_id)
        self._cache.drop(run_id)
        entry = staged.entry
        entry.events.extend(staged.events)
        grown = CachedRun(entry.number, staged.revision, staged.run, entry.events, entry.size + staged.size)
        self._cache.put(run_id, grown)
        self._current.add(run_id)
        return grown

    def domain(self, name: str) -> Domain | None:
        """Return a registered domain, or None."""
        found = self._domains.get(name) or next(catalogue.domains(self._db, "WHERE name = ?", name), None)
        if found is not None:
            self._domains[name] = found
        return found

    def put_domain(self, domain: Domain) -> None:
        """Insert or update a domain."""
        self._domains.pop(domain.name, None)
        catalogue.put_domain(self._db, domain)

    def domains(self) -> Sequence[Domain]:
        """Return all domains, ordered by name."""
        return list(catalogue.domains(self._db, "ORDER BY name"))

    def registered(self, domain: str, type_: ActivityType | WorkflowType) -> RegisteredType | None:
        """Return a registered type, or None."""
        found = self._types.get((domain, type_))
        if found is None:
            which = "AND name = ? AND version = ?"
            rows = catalogue.types(self._db, domain, type(type_), which, type_.name, type_.version)
            found = next(rows, None)
            if found is not None:
                self._types[domain, type_] = found
        return found

    def put_type(self, domain: str, registered: RegisteredType) -> None:
        """Insert or update a type."""
        self._types.pop((domain, registered.type), None)
        catalogue.put_type(self._db, domain, registered)

    def drop_type(self, domain: str, type_: ActivityType | WorkflowType) -> None:
        """Delete a type."""
        self._types.pop((domain, type_), None)
        catalogue.drop_type(self._db, domain, type_)

    def types(
        self, domain: str, kind: type[ActivityType | WorkflowType], name: str | None = None
    ) -> Sequence[RegisteredType]:
        """Return the types of a kind, or those with one name, ordered by name and version."""
        if name is None:
            return list(catalogue.types(self._db, domain, kind, "ORDER BY name, version"))
        return list(catalogue.types(self._db, domain, kind, "AND name = ? ORDER BY version", name))

    def load(self, run_id: str) -> EngineRun | None:
        """Return an open run, or None."""
        staged = self._staged.get(run_id)
        if staged is not None:
            return staged.run if staged.run.state.closed is None else None
        with reading(run_id):
            entry = self._entry(run_id)
        return None if entry is None else entry.run

    def _entry(self, run_id: str) -> CachedRun | None:
        """Return the current entry of an open run: the cached one with the events added since, or None."""
        known = self._cache.get(run_id) if run_id in self._current else None
        return known or self._read(run_id)

    def _read(self, run_id: str) -> CachedRun | None:
        row = self._one(
            "SELECT number, revision, domain, workflow_id, execution_context"
            " FROM runs WHERE run_id = ? AND closed_at IS NULL",
            run_id,
        )
        if row is None:
            return None
        number, revision, domain, workflow_id, context = row
        entry = self._cache.get(run_id)
        if entry is None:
            entry = CachedRun(number, -1, EngineRun.fresh(domain, WorkflowExecution(workflow_id, run_id)))
        if entry.revision != revision:
            rows = self._event_rows(number, after=entry.run.state.last_event_id)
            new = [row_event(row) for row in rows]
            run = evolve(
                entry.run,
                state=fold(new, entry.run.state),
                heartbeats=self._heartbeats(number),
                execution_context=from_text(context),
            )
            entry = self._grow(run_id, _Staged(entry, run, revision, new, sum(map(weight, rows))))
        self._current.add(run_id)
        return entry

    def _heartbeats(self, number: int) -> HashTrieMap[int, Heartbeat]:
        rows = self._db.execute("SELECT event_id, at, details FROM heartbeats WHERE run = ?", (number,))
        return HashTrieMap({id: Heartbeat(from_ms(at), from_text(text)) for id, at, text in rows})

    def _events(self, number: int, after: int, end: int | None = None) -> list[Event]:
        return [row_event(row) for row in self._event_rows(number, after, end)]

    def _event_rows(self, number: int, after: int, end: int | None = None) -> list[tuple[int, int, str, str]]:
        return self._db.execute(
            "SELECT id, at, type, attributes FROM events WHERE run = ? AND id > ? AND id <= ? ORDER BY id",
            (number, after, _MAX_EVENT_ID if end is None else end),
        ).fetchall()

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """Return the run id of the open run of a workflow id, or None."""
        row = self._one(
            "SELECT run_id FROM runs WHERE domain = ? AND workflow_id = ? AND closed_at IS NULL",
            domain,
            workflow_id,
        )
        return None if row is None else str(row[0])

    def open_children(self, run_id: str) -> Sequence[str]:
        """Return the run ids of the open children of a run, in the order of their start."""
        rows = self._execute(
            "SELECT run_id FROM runs WHERE parent_run_id = ? AND closed_at IS NULL ORDER BY number", run_id
        )
        return [row[0] for row in rows]

    def count_open(self, domain: str) -> int:
        """Return the number of open runs of a domain."""
        row = self._one("SELECT open_runs FROM domains WHERE name = ?", domain)
        return 0 if row is None else int(row[0])

    def latest(self, domain: str, workflow_id: str) -> Record | None:
        """Return the run of a workflow id that started last, or None."""
        which = "WHERE domain = ? AND workflow_id = ? ORDER BY number DESC LIMIT 1"
        return next(listings.records(self._written(), which, domain, workflow_id), None)

    def record(self, run_id: str) -> Record | None:
        """Return the record of a run, open or closed, or None."""
        return next(listings.records(self._written(), "WHERE run_id = ?", run_id), None)

    def listed(self, listing: Listing, most: int, after: Position | None = None) -> Sequence[Record]:
        """Return at most ``most`` runs of a listing, in its order, after a position."""
        return listings.listed(self._written(), listing, most, after)

    def count_listed(self, listing: Listing) -> int:
        """Return the number of runs of a listing."""
        return listings.count(self._written(), listing)

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """Return at most ``most`` events of a run with an id above ``after``."""
        end = None if most is None else after + most
        staged = self._staged.get(run_id)
        if staged is not None:
            old, new = staged.entry.events, staged.events
            return (
                *old[after:end],
                *new[max(after - len(old), 0) : None if end is None else max(end - len(old), 0)],
            )
        row = self._one("SELECT number, revision FROM runs WHERE run_id = ?", run_id)
        if row is None:
            return ()
        entry = self._cache.get(run_id)
        if entry is not None and entry.revision == row[1]:
            return tuple(entry.events[after:end])
        with reading(run_id):
            return tuple(self._events(row[0], after, end))

    def last_event_id(self, run_id: str) -> int:
        """Return the id of the last event of a run, open or closed; 0 for an unknown run."""
        staged = self._staged.get(run_id)
        if staged is not None:
            return staged.run.state.last_event_id
        which = "WHERE run = (SELECT number FROM runs WHERE run_id = ?)"
        last = self._one(f"SELECT max(id) FROM events {which}", run_id)[0]  # noqa: S608 - SQL of ours
        return 0 if last is None else int(last)

    def next_task(self, place: Place) -> Ready | None:
        """Return the next task of a task queue: highest priority first, then oldest."""
        if self._queues.knows(place):
            return self._queues.first(place)
        found = agenda.next_task(self._written(), place)
        if found is None:
            self._queues.begin(place)
        return found

    def count_tasks(self, place: Place) -> int:
        """Return the number of tasks of a task queue that wait to be claimed."""
        return agenda.count_tasks(self._written(), place)

    def backlogs(self) -> tuple[Backlog, ...]:
        """Return the backlog of every task list of every domain."""
        return tuple(agenda.backlogs(self._written()))

    def redeliveries(self) -> list[tuple[str, int, str | None]]:
        """Return run id, event id and current lease of every task that was redelivered after a crash."""
        return agenda.redeliveries(self._written())

    def reclaim(self, ready: Ready, kind: TaskKind) -> None:
        """Make this process the owner of a redelivered task."""
        agenda.reclaim(self._written(), ready, self._leases[kind])

    def is_due(self, now: datetime) -> bool:
        """Return True if a deadline is due; query the file only if one may be."""
        if to_ms(now) >= self._quiet_until:
            due = self.next_deadline()
            self._quiet_until = inf if due is None else to_ms(due.at)
        return to_ms(now) >= self._quiet_until

    def next_deadline(self) -> Deadline | None:
        """Return the earliest deadline of all runs, or None."""
        return agenda.next_deadline(self._written())

    def follow_clock_back(self, now: datetime) -> None:
        """Bring deadlines forward that were set while the clock was ahead, as if they were set now."""
        for run_id in agenda.ahead(self._written(), now):
            run = self.load(run_id)
            for event_id, due in () if run is None else all_dues(run, now):
                agenda.bring_forward(self._db, run_id, event_id, due.at)
        self._quiet_until = -inf

    def postpone(self, deadline: Deadline, until: datetime) -> None:
        """Postpone a deadline that cannot fire, so that it does not block the others."""
        agenda.postpone(self._written(), deadline, until)

    def owners(self) -> list[str]:
        """Return the leases of the processes that own tasks."""
        return [lease for lease in agenda.owners(self._written()) if lease not in (_SET_ASIDE, _CLIENTS)]

    def redeliver(self, lease: str, crashes: int = 0) -> None:
        """Redeliver the tasks of a lease with the same tokens; add ``crashes`` to their redelivery count."""
        if agenda.redeliver(self._written(), lease, crashes):
            self._queues.forget()
            self.offered.add(None)

    def give_back(self, token: Token) -> None:
        """Redeliver a started task with the same token, uncounted; do nothing if it has ended."""
        if agenda.give_back(self._written(), token):
            self._queues.forget()
            self.offered.add(None)

    def set_aside(self, run_id: str) -> bool:
        """Hide the tasks of a run from polls until a process opens the file; return False if it has none."""
        self._queues.forget()
        return agenda.claim_pending(self._written(), run_id, _SET_ASIDE)

    def restore(self) -> None:
        """Redeliver the tasks that were set aside: this version of floto may be able to read their runs."""
        self.redeliver(_SET_ASIDE)

    def save(self, changes: Changes) -> None:
        """Stage the changes of a step for the commit."""
        staged = self._stage(changes)
        staged.run = changes.run
        staged.revision += 1
        staged.events.extend(changes.events)
        staged.size += self._pending.add(staged.entry.number, changes, staged.revision)
        self._queues.follow(changes)
        for _, task in changes.tasks:
            if not task.started:
                self.offered.add(Place(changes.run.domain, task.kind, task.task_list))
        for _, due in changes.dues:
            if due is not None:
                self._quiet_until = min(self._quiet_until, to_ms(due.at))
        if self._at_once:
            self._written()

    def expire(self, run_id: str, at: datetime) -> None:
        """Set the time at which a closed run is deleted."""
        self._quiet_until = min(self._quiet_until, to_ms(at))
        agenda.expire(self._written(), run_id, at)

    def forget(self, run_id: str) -> None:
        """Delete a closed run and its history."""
        row = self._one("SELECT number FROM runs WHERE run_id = ? AND closed_at IS NOT NULL", run_id)
        if row is not None:
            writes.forget_run(self._db, row[0])

    def _stage(self, changes: Changes) -> _Staged:
        run_id = changes.run.execution.run_id
        staged = self._staged.get(run_id)
        if staged is None:
            entry = None if changes.is_new else self._cache.get(run_id) or self._entry(run_id)
            if entry is None:
                entry = CachedRun(writes.insert_run(self._db, changes), 0, changes.run)
            staged = self._staged[run_id] = _Staged(entry, entry.run, entry.revision)
        return staged

    def _one(self, sql: str, *values: Any) -> Any:
        return self._execute(sql, *values).fetchone()

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._written().execute(sql, values)

    def _written(self) -> sqlite3.Connection:
        """Return the connection, after writing all staged changes of the current transaction."""
        self._pending.write(self._db)
        return self._db
