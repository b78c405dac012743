"""Reading from the file: the open runs of all processes, the events of each when it is needed, and records.

Recently used runs are cached, so that the cost of a step depends on its changes, not on its run. The cache is
bounded by the estimated memory of its runs in bytes. The estimate uses the length of the JSON of each event,
which is known when an event is read or written; measuring Python objects would cost more than most steps. The
estimate is rather too high than too low.
"""

from __future__ import annotations

import gc
import logging
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rpds import HashTrieMap

from floto.adapters.sqlite.storage.database import leave
from floto.adapters.sqlite.storage.listings import Listings
from floto.adapters.sqlite.storage.rows import (
    CLIENTS,
    CachedRun,
    UnreadableRun,
    from_text,
    reading,
    row_event,
    row_work,
    weight,
)
from floto.adapters.sqlite.storage.schema import RUNS, Sql
from floto.core.engine.run import EngineRun, Heartbeat
from floto.core.engine.stores.open_runs import OpenRun, OpenRuns
from floto.core.engine.tokens import TaskKind
from floto.core.state.fold import trace
from floto.core.swf.events import Event
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import from_ms

log = logging.getLogger("floto")

#: Maximum bytes of all runs in a cache; the run that was used last stays even if it alone is larger.
_MOST_BYTES = 64 * 2**20
#: Larger than every event id.
_MAX_EVENT_ID = 2**62
#: Later than every time at which a closed run is deleted.
NEVER = datetime.max.replace(tzinfo=UTC)
_OPEN = "INDEXED BY open_runs WHERE closed_at IS NULL"


class Cache:
    """Open runs by run id; the least recently used are dropped when they exceed ``most_bytes``."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._entries: OrderedDict[str, tuple[CachedRun, int]] = OrderedDict()
        self._most = most_bytes
        self._size = 0

    def get(self, run_id: str) -> CachedRun | None:
        """Return the entry of a run, or None; the caller must check whether its revision is current."""
        found = self._entries.get(run_id)
        if found is None:
            return None
        self._entries.move_to_end(run_id)
        return found[0]

    def put(self, run_id: str, entry: CachedRun) -> None:
        """Add an entry, replacing the previous one of the run."""
        self.drop(run_id)
        weight = entry.weight()
        self._entries[run_id] = (entry, weight)
        self._size += weight
        while self._size > self._most and len(self._entries) > 1:
            self.drop(next(iter(self._entries)))

    def drop(self, run_id: str) -> None:
        """Remove a run."""
        self._size -= self._entries.pop(run_id, (None, 0))[1]


class ReadStore(Listings):
    """The part of a ``RunStore`` that reads, on one connection of a database."""

    #: True for the store of queries, which reads open runs when it needs them.
    _is_reading: bool

    def _use(self, db: sqlite3.Connection, lease: str, leases: Mapping[TaskKind, str]) -> None:
        """Read from a connection, with empty caches.

        Args:
            db: The connection.
            lease: The lease of this process.
            leases: The lease that becomes the owner of a claimed task, by the kind of task.
        """
        self._connect(db)
        self._lease, self._leases = lease, leases
        self._cache = Cache()
        self._open = OpenRuns(leases, lease)
        #: False while the open runs have to be read from the file.
        self._is_read = False
        #: The numbers of the last commit and of the last run.
        self._revision, self._last_number = -1, 0
        #: No closed run expires earlier, in milliseconds since 1970.
        self._expires_at = NEVER
        #: Leases of other processes that were seen as owners of tasks.
        self._others: set[str] = set()
        self._version = -1

    def _one(self, sql: str, *values: Any) -> Any:
        return self._written().execute(sql, values).fetchone()

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

    def refresh(self) -> bool:
        """Read what other connections have committed; return True if one has."""
        version = self._db.execute(Sql.VERSION).fetchone()[0]
        has_changed = bool(version != self._version)
        if has_changed:
            self._domains.clear()
            self._types.clear()
            if self._is_read:
                self._read(self._revision)
        if not self._is_read and not self._is_reading:
            self._read_all()
        self._version = version
        return has_changed

    def load(self, run_id: str) -> EngineRun | None:
        """Return an open run, or None."""
        entry = self._cached(run_id)
        if entry is not None:
            return entry.run
        with reading(run_id):
            run = self._known(run_id)
            return None if run is None else self._current(run).run

    def _cached(self, run_id: str) -> CachedRun | None:
        """Return the entry of an open run if it is up to date."""
        run = self._open.get(run_id) if self._is_read else None
        entry = None if run is None else self._cache.get(run_id)
        return entry if run is not None and entry is not None and entry.revision == run.revision else None

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """Return the run id of the open run of a workflow id, or None."""
        # As SQLite does, refuse an id that has no UTF-8.
        workflow_id.encode()
        return self.open_runs().run_id(domain, workflow_id)

    def open_children(self, run_id: str) -> Sequence[str]:
        """Return the run ids of the open children of a run, in the order of their start."""
        return self.open_runs().children(run_id)

    def count_open(self, domain: str) -> int:
        """Return the number of open runs of a domain."""
        return self.open_runs().count(domain)

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """Return at most ``most`` events of a run with an id above ``after``."""
        end = _MAX_EVENT_ID if most is None else after + most
        entry = self._cached(run_id)
        if entry is not None:
            return tuple(entry.events[after:end])
        row = self._one("SELECT number FROM runs WHERE run_id = ?", run_id)
        if row is None:
            return ()
        with reading(run_id):
            return tuple(row_event(row) for row in self._event_rows(row[0], after, end))

    def last_event_id(self, run_id: str) -> int:
        """Return the id of the last event of a run, open or closed; 0 for an unknown run."""
        which = "WHERE run = (SELECT number FROM runs WHERE run_id = ?)"
        last = self._one(f"SELECT max(id) FROM events {which}", run_id)[0]  # noqa: S608 - SQL of ours
        return 0 if last is None else int(last)

    def open_runs(self) -> OpenRuns:
        """Return the open runs; a store of queries reads them when it needs them."""
        if not self._is_read:
            self._read_all()
        return self._open

    def _read_all(self) -> None:
        self._open.clear()
        self._others.clear()
        # Rows have no reference cycles; with many runs, the search for cycles takes half of the time.
        is_collecting = gc.isenabled()
        gc.disable()
        try:
            self._read(-1)
        finally:
            if is_collecting:
                gc.enable()

    def _read(self, after: int) -> None:
        """Read the open runs, or with ``after`` those that later commits have changed."""
        self._is_read = False
        self._revision, self._last_number, expires_at, forgotten = self._db.execute(Sql.STANDING).fetchone()
        self._expires_at = NEVER if expires_at is None else from_ms(expires_at)
        # The index of open runs contains no closed ones, of which there may be many.
        sql, values = (f"{RUNS} {_OPEN}", ()) if after < 0 else (Sql.CHANGED_RUNS, (after,))
        for row in sorted(self._db.execute(sql, values)):
            self._follow(row)
        if after >= 0 and forgotten > after:
            self._drop_forgotten()
        if self._is_reading:
            # No poll claims tasks through this connection, so nothing else would empty the set.
            self._open.offered.clear()
        self._is_read = True

    def _drop_forgotten(self) -> None:
        """Drop the runs that others have closed and deleted since the last time."""
        rows = self._db.execute(f"SELECT run_id FROM runs {_OPEN}")  # noqa: S608 - of ours
        for run_id in {run.execution.run_id for run in self._open} - {row[0] for row in rows}:
            self._drop(run_id)

    def _drop(self, run_id: str) -> None:
        self._open.drop(run_id)
        self._cache.drop(run_id)

    def _follow(self, row: tuple[Any, ...]) -> None:
        run_id, closed_at, work = row[1], row[-2], row[-1]
        if closed_at is not None:
            self._drop(run_id)
            return
        try:
            with reading(run_id):
                run = _open_run(row, *row_work(work, lambda: self._current(_open_run(row))))
        except UnreadableRun as error:
            log.error("%s", error, exc_info=error)  # noqa: TRY400 - with its cause
            run = _open_run(row)
        self._open.put(run)
        leases = {task.lease for task in run.tasks.values()}
        self._others.update(lease for lease in leases if lease not in (None, CLIENTS, self._lease))

    def _known(self, run_id: str) -> OpenRun | None:
        """Return the place of an open run, from memory or from the file; None if there is none."""
        if self._is_read:
            return self._open.get(run_id)
        row = self._db.execute(f"{RUNS} WHERE run_id = ? AND closed_at IS NULL", (run_id,)).fetchone()
        return None if row is None else _open_run(row)

    def _current(self, run: OpenRun) -> CachedRun:
        """Return the entry of an open run: the cached one with the events that were added since."""
        entry = self._cache.get(run.execution.run_id)
        if entry is None:
            entry = CachedRun(run.number, -1, EngineRun.fresh(run.domain, run.execution), [])
        if entry.revision != run.revision:
            rows = self._event_rows(run.number, entry.run.state.last_event_id, _MAX_EVENT_ID)
            new = [row_event(row) for row in rows]
            state, keys = trace(new, entry.run.state)
            beats = self._db.execute(Sql.CONTEXT_AND_HEARTBEATS, (run.number,)).fetchall()
            grown = EngineRun(
                run.domain,
                run.execution,
                state,
                HashTrieMap({id: Heartbeat(from_ms(at), from_text(text)) for _, id, at, text in beats if id}),
                from_text(beats[0][0]),
                entry.run.changed.after(keys, state.last_event_id),
            )
            entry = self._grow(entry, grown, new, weight(rows), run.revision)
        return entry

    def _event_rows(self, number: int, after: int, end: int) -> list[tuple[int, int, str, str]]:
        return self._db.execute(Sql.EVENTS, (number, after, end)).fetchall()

    def _grow(
        self, entry: CachedRun, run: EngineRun, events: Sequence[Event], size: int, revision: int
    ) -> CachedRun:
        """Cache a run with new events, and return its new entry.

        Args:
            entry: The entry before.
            run: The run after the events.
            events: The new events.
            size: Their estimated bytes in memory.
            revision: The number of the commit whose events the run has.
        """
        # Dropped first, so that an interrupt cannot leave an entry whose events do not match its revision.
        run_id = run.execution.run_id
        self._cache.drop(run_id)
        entry.events.extend(events)
        grown = CachedRun(entry.number, revision, run, entry.events, entry.size + size)
        self._cache.put(run_id, grown)
        return grown


def _open_run(row: tuple[Any, ...], *work: Any) -> OpenRun:
    """Return the open run of a row, with its tasks and deadlines if they are given."""
    number, run_id, domain, workflow_id, parent, revision = row[:6]
    return OpenRun(number, domain, WorkflowExecution(workflow_id, run_id), parent, revision, *work)
