"""Reading runs from the file: the open runs of all processes, and the events of each when it is needed."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

from attrs import evolve
from rpds import HashTrieMap

from floto.adapters.sqlite.cache import Cache, CachedRun, weight
from floto.adapters.sqlite.sql.rows import UnreadableRun, from_text, reading, row_event
from floto.adapters.sqlite.sql.work import CLIENTS, derive, read_entries
from floto.core.engine.run import EngineRun, Heartbeat
from floto.core.engine.stores.open_runs import OpenRun, OpenRuns
from floto.core.engine.tokens import TaskKind
from floto.core.state.fold import fold
from floto.core.swf.events import Event
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import from_ms

log = logging.getLogger("floto")

#: Larger than every event id.
_MAX_EVENT_ID = 2**62
_OPEN_RUNS = "SELECT number, run_id, domain, workflow_id, parent_run_id, revision, closed_at, work FROM runs"
#: The last commit, the last run, and the first time at which a closed run is to be deleted.
_STANDING = (
    "SELECT max(coalesce((SELECT max(revision) FROM runs), 0), (SELECT revision FROM forgotten)),"
    " coalesce((SELECT max(number) FROM runs), 0),"
    " (SELECT min(expires_at) FROM runs WHERE expires_at IS NOT NULL)"
)


class RunReader:
    """Reads runs on one connection of a database, and keeps them.

    Args:
        db: The connection.
        lease: The lease of this process.
        leases: The lease that becomes the owner of a claimed task, by the kind of task.
    """

    def __init__(self, db: sqlite3.Connection, lease: str, leases: Mapping[TaskKind, str]) -> None:
        self._db, self._lease = db, lease
        self.cache = Cache()
        self.open_runs = OpenRuns(leases)
        #: False while ``open_runs`` has to be read from the file.
        self.is_read = False
        #: The numbers of the last commit and of the last run.
        self.revision, self.last_number = -1, 0
        #: No closed run expires earlier, in milliseconds since 1970.
        self.expires_at: float = inf
        #: Leases of other processes that were seen as owners of tasks.
        self.others: set[str] = set()

    def read_all(self) -> None:
        """Read all open runs."""
        self.is_read = False
        self.open_runs.clear()
        self.others.clear()
        self._read_standing()
        # The index of open runs contains no closed ones, of which there may be many.
        self._follow(self._db.execute(f"{_OPEN_RUNS} INDEXED BY open_runs WHERE closed_at IS NULL"))
        self.is_read = True

    def read_changed(self) -> None:
        """Read the runs that other connections have changed."""
        before = self.revision
        self.is_read = False
        self._read_standing()
        self._follow(self._db.execute(f"{_OPEN_RUNS} WHERE revision > ?", (before,)))
        if self._db.execute("SELECT revision FROM forgotten").fetchone()[0] > before:
            self._drop_forgotten()
        self.is_read = True

    def _drop_forgotten(self) -> None:
        """Drop the runs that others have closed and deleted since the last time."""
        rows = self._db.execute("SELECT run_id FROM runs INDEXED BY open_runs WHERE closed_at IS NULL")
        for run_id in {run.execution.run_id for run in self.open_runs} - {row[0] for row in rows}:
            self.open_runs.drop(run_id)
            self.cache.drop(run_id)

    def _read_standing(self) -> None:
        self.revision, self.last_number, expires_at = self._db.execute(_STANDING).fetchone()
        self.expires_at = inf if expires_at is None else expires_at

    def _follow(self, rows: Iterable[tuple[Any, ...]]) -> None:
        for row in sorted(rows):
            run_id, closed_at = row[1], row[6]
            if closed_at is not None:
                self.open_runs.drop(run_id)
                self.cache.drop(run_id)
            else:
                self._follow_open(row)

    def _follow_open(self, row: tuple[Any, ...]) -> None:
        try:
            run = self._open_run(row)
        except UnreadableRun as error:
            log.error("%s", error, exc_info=error)  # noqa: TRY400 - with its cause
            run = _without_work(row)
        self.open_runs.put(run)
        leases = {task.lease for task in run.tasks.values()}
        self.others.update(lease for lease in leases if lease not in (None, CLIENTS, self._lease))

    def _open_run(self, row: tuple[Any, ...]) -> OpenRun:
        run = _without_work(row)
        with reading(run.execution.run_id):
            work = None if row[-1] is None else json.loads(row[-1])
            if isinstance(work, list):
                tasks, dues = read_entries(work)
            else:
                entry = self.current(run)
                tasks, dues = derive(entry.run, entry.events, work or {})
        return evolve(run, tasks=tasks, dues=dues)

    def known(self, run_id: str) -> OpenRun | None:
        """Return the place of an open run, from memory or from the file; None if there is none."""
        if self.is_read:
            return self.open_runs.get(run_id)
        sql = f"{_OPEN_RUNS} WHERE run_id = ? AND closed_at IS NULL"
        row = self._db.execute(sql, (run_id,)).fetchone()
        return None if row is None else _without_work(row)

    def current(self, run: OpenRun) -> CachedRun:
        """Return the entry of an open run: the cached one with the events that were added since."""
        run_id, domain = run.execution.run_id, run.domain
        entry = self.cache.get(run_id)
        if entry is None:
            entry = CachedRun(run.number, -1, EngineRun.fresh(domain, run.execution))
        if entry.revision != run.revision:
            rows = self._event_rows(run.number, after=entry.run.state.last_event_id)
            new = [row_event(row) for row in rows]
            sql = "SELECT execution_context FROM runs WHERE number = ?"
            (context,) = self._db.execute(sql, (run.number,)).fetchone()
            grown = EngineRun(
                domain,
                run.execution,
                fold(new, entry.run.state),
                self._heartbeats(run.number),
                from_text(context),
            )
            entry = self.grow(entry, grown, new, sum(map(weight, rows)), run.revision)
        return entry

    def _heartbeats(self, number: int) -> HashTrieMap[int, Heartbeat]:
        rows = self._db.execute("SELECT event_id, at, details FROM heartbeats WHERE run = ?", (number,))
        return HashTrieMap({id: Heartbeat(from_ms(at), from_text(text)) for id, at, text in rows})

    def events(self, number: int, after: int, end: int | None = None) -> list[Event]:
        """Return the events of a run with ids above ``after``, up to ``end`` if it is given."""
        return [row_event(row) for row in self._event_rows(number, after, end)]

    def _event_rows(self, number: int, after: int, end: int | None = None) -> list[tuple[int, int, str, str]]:
        return self._db.execute(
            "SELECT id, at, type, attributes FROM events WHERE run = ? AND id > ? AND id <= ? ORDER BY id",
            (number, after, _MAX_EVENT_ID if end is None else end),
        ).fetchall()

    def grow(
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
        self.cache.drop(run_id)
        entry.events.extend(events)
        grown = CachedRun(entry.number, revision, run, entry.events, entry.size + size)
        self.cache.put(run_id, grown)
        return grown


def _without_work(row: tuple[Any, ...]) -> OpenRun:
    number, run_id, domain, workflow_id, parent, revision = row[:6]
    return OpenRun(number, domain, WorkflowExecution(workflow_id, run_id), parent, revision)
