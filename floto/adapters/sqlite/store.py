"""The engine's store on SQLite: what a step changed becomes rows, in the caller's transaction."""

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
from floto.adapters.sqlite.sql.rows import from_ms, from_text, reading, row_event, to_ms
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

log = logging.getLogger("floto")

#: The lease of tasks that clients hold: they are theirs until a time-out ends them, as in SWF.
_CLIENTS = "clients"
#: The lease of tasks whose run cannot be read; nobody holds it.
_ASIDE = "aside"
#: Seconds that a transaction waits for another process that has the lock.
LOCK_SECONDS = 5.0
#: More than any event id.
_ALL = 2**62
#: Runs in the cache that a refresh looks up after a commit of another process.
CHECKED_AT_ONCE = 32


@define
class _Staged:
    """A run that the transaction under way has changed."""

    entry: CachedRun
    run: EngineRun
    revision: int
    events: list[Event] = field(factory=list)
    #: Estimated bytes of ``events``.
    size: int = 0


class SqliteStore:
    """A ``Store`` on one connection of a database.

    The tasks that it dispatches are owned by the database's lease. With ``for_clients``, deciders and
    workers are clients that live on when this process dies. ``is_given_up`` ends the wait for a lock.
    """

    def __init__(
        self,
        database: Database,
        *,
        for_clients: bool = False,
        is_given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._for_clients, self._is_given_up = for_clients, is_given_up
        #: Seconds that a transaction waits for another process that has the lock.
        self.patience = LOCK_SECONDS
        self._is_reading = False
        self._bind(database)

    @classmethod
    def reading(cls, database: Database) -> Self:
        """Make the store of queries, on the connection that cannot write."""
        store = cls(database)
        store._is_reading = True
        store._bind(database)
        return store

    def rebind(self, database: Database) -> None:
        """Go on with another connection, and nothing of what is known."""
        self._bind(database)

    def _bind(self, database: Database) -> None:
        self._database = database
        db = database.reading if self._is_reading or database.writing is None else database.writing
        assert db is not None  # noqa: S101 - a database has one of them
        self._db: sqlite3.Connection = db
        owner = _CLIENTS if self._for_clients else database.lease
        self._leases = dict.fromkeys(TaskKind, owner)
        # Lambda functions are invoked in this process in any case.
        self._leases[TaskKind.LAMBDA] = database.lease
        self._cache = Cache()
        self._staged: dict[str, _Staged] = {}
        self._pending = Pending(self._leases)
        self._at_once = False
        self._version = -1
        # What follows is true until somebody else commits.
        self._current: set[str] = set()
        self._domains: dict[str, Domain] = {}
        self._types: dict[tuple[str, ActivityType | WorkflowType], RegisteredType] = {}
        self._queues = Queues()
        #: Nothing is due before, in milliseconds.
        self._quiet_until: float = -inf
        #: Where there may be work that was not there before; None is a place that nobody can tell.
        self.offered: set[Place | None] = set()

    @contextmanager
    def transaction(self, *, at_once: bool = False) -> Iterator[None]:
        """All or nothing; what was read stays true until the end.

        With ``at_once``, what cannot be written is an error of the step that it comes from.
        """
        self._at_once = at_once
        try:
            # In here: an interrupt may come while this waits, and is raised when it has the lock.
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
        """Remember what was committed; what fails here has happened all the same, and is read again."""
        try:
            self._keep()
        except Exception:
            log.exception("what a commit changed is read again")
            self._cache = Cache()
            self._forget()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything that is read in here is of one moment, whatever other processes do."""
        leave(self._db)
        self._db.execute("BEGIN")
        try:
            self.refresh()
            yield
        finally:
            # Nothing was written.
            leave(self._db)

    def refresh(self) -> None:
        """Forget what may have changed if somebody else committed; anything may be offered then."""
        version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._forget()
            self._cache.doubt()
            self.offered.add(None)
        self._drop_closed()

    def _drop_closed(self) -> None:
        """Drop runs that other processes closed from the cache, a bounded number at each refresh."""
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
        # Dropped first: an interrupt must not leave a revision in the cache that its events do not match.
        self._current.discard(run_id)
        self._cache.drop(run_id)
        entry = staged.entry
        entry.events.extend(staged.events)
        grown = CachedRun(entry.number, staged.revision, staged.run, entry.events, entry.size + staged.size)
        self._cache.put(run_id, grown)
        self._current.add(run_id)
        return grown

    def domain(self, name: str) -> Domain | None:
        """A registered domain."""
        found = self._domains.get(name) or next(catalogue.domains(self._db, "WHERE name = ?", name), None)
        if found is not None:
            self._domains[name] = found
        return found

    def put_domain(self, domain: Domain) -> None:
        """Register a domain, or change what is known of it."""
        self._domains.pop(domain.name, None)
        catalogue.put_domain(self._db, domain)

    def domains(self) -> Sequence[Domain]:
        """All domains, by name."""
        return list(catalogue.domains(self._db, "ORDER BY name"))

    def registered(self, domain: str, type_: ActivityType | WorkflowType) -> RegisteredType | None:
        """A registered type."""
        found = self._types.get((domain, type_))
        if found is None:
            which = "AND name = ? AND version = ?"
            rows = catalogue.types(self._db, domain, type(type_), which, type_.name, type_.version)
            found = next(rows, None)
            if found is not None:
                self._types[domain, type_] = found
        return found

    def put_type(self, domain: str, registered: RegisteredType) -> None:
        """Register a type, or change what is known of it."""
        self._types.pop((domain, registered.type), None)
        catalogue.put_type(self._db, domain, registered)

    def drop_type(self, domain: str, type_: ActivityType | WorkflowType) -> None:
        """Forget a type."""
        self._types.pop((domain, type_), None)
        catalogue.drop_type(self._db, domain, type_)

    def types(
        self, domain: str, kind: type[ActivityType | WorkflowType], name: str | None = None
    ) -> Sequence[RegisteredType]:
        """The types of a kind, or those of one name, by name and version."""
        if name is None:
            return list(catalogue.types(self._db, domain, kind, "ORDER BY name, version"))
        return list(catalogue.types(self._db, domain, kind, "AND name = ? ORDER BY version", name))

    def load(self, run_id: str) -> EngineRun | None:
        """An open run."""
        staged = self._staged.get(run_id)
        if staged is not None:
            return staged.run if staged.run.state.closed is None else None
        with reading(run_id):
            entry = self._entry(run_id)
        return None if entry is None else entry.run

    def _entry(self, run_id: str) -> CachedRun | None:
        """An open run as of now: from the cache, with the events that others added since."""
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
            (number, after, _ALL if end is None else end),
        ).fetchall()

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """The id of the open run of a workflow id."""
        row = self._one(
            "SELECT run_id FROM runs WHERE domain = ? AND workflow_id = ? AND closed_at IS NULL",
            domain,
            workflow_id,
        )
        return None if row is None else str(row[0])

    def open_children(self, run_id: str) -> Sequence[str]:
        """The ids of the open runs whose parent is this run, in the order they began."""
        rows = self._execute(
            "SELECT run_id FROM runs WHERE parent_run_id = ? AND closed_at IS NULL ORDER BY number", run_id
        )
        return [row[0] for row in rows]

    def count_open(self, domain: str) -> int:
        """How many runs of a domain are open."""
        row = self._one("SELECT open_runs FROM domains WHERE name = ?", domain)
        return 0 if row is None else int(row[0])

    def latest(self, domain: str, workflow_id: str) -> Record | None:
        """The run of a workflow id that began last."""
        which = "WHERE domain = ? AND workflow_id = ? ORDER BY number DESC LIMIT 1"
        return next(listings.records(self._written(), which, domain, workflow_id), None)

    def record(self, run_id: str) -> Record | None:
        """One run, open or closed."""
        return next(listings.records(self._written(), "WHERE run_id = ?", run_id), None)

    def listed(self, listing: Listing, most: int, after: Position | None = None) -> Sequence[Record]:
        """The runs of a listing, in its order, behind a position."""
        return listings.listed(self._written(), listing, most, after)

    def count_listed(self, listing: Listing) -> int:
        """How many runs a listing has."""
        return listings.count(self._written(), listing)

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """The events of a run with an id above ``after``, and no more than ``most``."""
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
        """Return the id of the last event of a run, open or closed; 0 if it is not known."""
        staged = self._staged.get(run_id)
        if staged is not None:
            return staged.run.state.last_event_id
        which = "WHERE run = (SELECT number FROM runs WHERE run_id = ?)"
        last = self._one(f"SELECT max(id) FROM events {which}", run_id)[0]  # noqa: S608 - SQL of ours
        return 0 if last is None else int(last)

    def next_task(self, place: Place) -> Ready | None:
        """The task to hand out next: highest priority first, then oldest."""
        if self._queues.knows(place):
            return self._queues.first(place)
        found = agenda.next_task(self._written(), place)
        if found is None:
            self._queues.begin(place)
        return found

    def count_tasks(self, place: Place) -> int:
        """How many tasks wait to be handed out."""
        return agenda.count_tasks(self._written(), place)

    def backlogs(self) -> tuple[Backlog, ...]:
        """Return what waits on every task list of every domain."""
        return tuple(agenda.backlogs(self._written()))

    def redeliveries(self) -> list[tuple[str, int, str | None]]:
        """Return the run, the event and the present lease of every task whose process died."""
        return agenda.redeliveries(self._written())

    def reclaim(self, ready: Ready, kind: TaskKind) -> None:
        """Note that a task whose holder died has a new one."""
        agenda.take_over(self._written(), ready, self._leases[kind])

    def is_due(self, now: datetime) -> bool:
        """Whether a deadline has passed, told without a look into the file as long as none can have."""
        if to_ms(now) >= self._quiet_until:
            due = self.next_deadline()
            self._quiet_until = inf if due is None else to_ms(due.at)
        return to_ms(now) >= self._quiet_until

    def next_deadline(self) -> Deadline | None:
        """The earliest deadline of all runs."""
        return agenda.next_deadline(self._written())

    def follow_clock_back(self, now: datetime) -> None:
        """Bring forward what was started while the clock was ahead, as if it was started now."""
        for run_id in agenda.ahead(self._written(), now):
            run = self.load(run_id)
            for event_id, due in () if run is None else all_dues(run, now):
                agenda.bring_forward(self._db, run_id, event_id, due.at)
        self._quiet_until = -inf

    def put_off(self, deadline: Deadline, until: datetime) -> None:
        """Move a deadline that cannot fire out of the way of the others."""
        agenda.put_off(self._written(), deadline, until)

    def holders(self) -> list[str]:
        """The leases under which tasks are out."""
        return [lease for lease in agenda.holders(self._written()) if lease not in (_ASIDE, _CLIENTS)]

    def release(self, lease: str, deaths: int = 0) -> None:
        """Let the tasks of a lease be polled again, by the tokens they had; ``deaths`` count against them."""
        if agenda.release(self._written(), lease, deaths):
            self._queues.forget()
            self.offered.add(None)

    def give_back(self, token: Token) -> None:
        """Let a started task be polled again by the same token, uncounted; ignore one that has ended."""
        if agenda.give_back(self._written(), token):
            self._queues.forget()
            self.offered.add(None)

    def set_aside(self, run_id: str) -> bool:
        """Keep the tasks of a run from polls until some process begins; False if there were none."""
        self._queues.forget()
        return agenda.hold(self._written(), run_id, _ASIDE)

    def restore(self) -> None:
        """Let tasks that were set aside be polled; another version may read their runs."""
        self.release(_ASIDE)

    def save(self, changes: Changes) -> None:
        """Write down what a step did."""
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
        """Note when a closed run is to be forgotten."""
        self._quiet_until = min(self._quiet_until, to_ms(at))
        agenda.expire(self._written(), run_id, at)

    def forget(self, run_id: str) -> None:
        """Remove a closed run and its history."""
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
        """The connection, with everything written that the transaction under way has changed."""
        self._pending.write(self._db)
        return self._db
