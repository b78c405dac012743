"""Writing the rows that steps change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Any

from floto.adapters.sqlite.cache import weight
from floto.adapters.sqlite.sql.rows import event_row, to_text
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.stores.changes import Changes, PollableTask
from floto.core.engine.stores.records import last_scheduled
from floto.core.engine.tokens import TaskKind
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.wire import to_ms

_Row = tuple[Any, ...]
#: The number of a run, and the id of the event that the row belongs to.
_Key = tuple[int, int]


def insert_run(db: sqlite3.Connection, changes: Changes) -> int:
    """Insert a new run and return its number."""
    run, first = changes.run, changes.events[0]
    parent = first.data.parent_workflow_execution
    tags = first.data.tag_list or ()
    cursor = db.execute(
        "INSERT INTO runs (run_id, domain, workflow_id, type_name, type_version, started_at,"
        " parent_workflow_id, parent_run_id, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run.execution.run_id,
            run.domain,
            run.execution.workflow_id,
            first.data.workflow_type.name,
            first.data.workflow_type.version,
            to_ms(first.at),
            None if parent is None else parent.workflow_id,
            None if parent is None else parent.run_id,
            json.dumps(tags),
        ),
    )
    number = cursor.lastrowid or 0
    _each(db, _TAGS, [(number, tag, run.domain, to_ms(first.at)) for tag in tags])
    _count_open(db, run.domain, 1)
    return number


def _count_open(db: sqlite3.Connection, domain: str, change: int) -> None:
    db.execute("UPDATE domains SET open_runs = open_runs + ? WHERE name = ?", (change, domain))


class Pending:
    """The rows that a transaction has not written yet: one statement per table is faster than one per row.

    Args:
        leases: The lease that becomes the owner of a claimed task, by the kind of task.
    """

    def __init__(self, leases: Mapping[TaskKind, str]) -> None:
        self._leases = leases
        self.clear()

    def clear(self) -> None:
        """Drop all rows."""
        self._events: list[_Row] = []
        #: The other rows by key, so that a row that changes twice is written once.
        self._runs: dict[int, _Row] = {}
        self._tasks: dict[_Key, _Row] = {}
        self._dues: dict[_Key, _Row] = {}
        self._heartbeats: dict[_Key, _Row] = {}
        self._gone: dict[_Key, None] = {}
        self._not_due: dict[_Key, None] = {}
        #: Values for the rows of ``runs`` that close, and their domains.
        self._closed: list[tuple[_Row, str]] = []

    def add(self, number: int, changes: Changes, revision: int) -> int:
        """Add the changes of a step; return the estimated bytes of its events in memory.

        Args:
            number: The number of the run.
            changes: The changes of the step.
            revision: The revision of the run after the step.
        """
        rows = [event_row(number, event) for event in changes.events]
        self._events.extend(rows)
        self._add_run(number, changes, revision)
        self._add_waiting(number, changes)
        return sum(map(weight, rows))

    def _add_waiting(self, number: int, changes: Changes) -> None:
        """Add the tasks, deadlines and heartbeats of a run; a closed run has none."""
        closed = changes.run.state.closed
        if closed is not None:
            row = (to_ms(closed.at), CLOSING_EVENTS[type(closed.data)].status, number)
            self._closed.append((row, changes.run.domain))
            return
        for event_id in changes.dropped:
            self._drop((number, event_id))
        for event_id, task in changes.tasks:
            self._tasks[number, event_id] = self._task_row((number, event_id), changes.run.domain, task)
        for event_id, due in changes.dues:
            self._add_due((number, event_id), due)
        for event_id, beat in changes.heartbeats:
            key = (number, event_id)
            self._heartbeats[key] = (*key, to_ms(beat.at), to_text(beat.details))

    def _add_run(self, number: int, changes: Changes, revision: int) -> None:
        """Add the columns of a run that listings show."""
        run, known = changes.run, self._runs.get(number)
        activity_at = last_scheduled(changes.events)
        self._runs[number] = (
            revision,
            to_text(run.execution_context),
            run.state.cancel_requested is not None,
            to_ms(activity_at) if activity_at is not None else known and known[3],
            number,
        )

    def _drop(self, key: _Key) -> None:
        for rows in (self._tasks, self._dues, self._heartbeats):
            rows.pop(key, None)
        self._gone[key] = None

    def _task_row(self, key: _Key, domain: str, task: PollableTask) -> _Row:
        lease = self._leases[task.kind] if task.started else None
        # As with ON CONFLICT in SQL: the other columns keep their first values.
        first = self._tasks.get(key) or (*key, domain, str(task.kind), task.task_list, task.priority)
        return (*first[:6], task.started, lease)

    def _add_due(self, key: _Key, due: PendingTimeout | None) -> None:
        if due is None:
            self._dues.pop(key, None)
            self._not_due[key] = None
        else:
            self._not_due.pop(key, None)
            self._dues[key] = (*key, to_ms(due.at), due.rank)

    def write(self, db: sqlite3.Connection) -> None:
        """Write the rows and drop them."""
        if not self._runs:
            return
        _each(db, _EVENTS, self._events)
        _each(db, _RUNS, self._runs.values())
        for statement in _DROPS:
            _each(db, statement, self._gone)
        _each(db, _NOT_DUE, self._not_due)
        _each(db, _TASKS, self._tasks.values())
        _each(db, _DEADLINES, self._dues.values())
        _each(db, _HEARTBEATS, self._heartbeats.values())
        for row, domain in self._closed:
            db.execute(_CLOSE, row)
            db.execute(_CLOSE_TAGS, (row[0], row[-1]))
            for table in _OF_OPEN_RUNS:
                _delete(db, table, row[-1])
            _count_open(db, domain, -1)
        self.clear()


#: Tables with rows of open runs only.
_OF_OPEN_RUNS = ("tasks", "deadlines", "heartbeats")

_NOT_DUE = "DELETE FROM deadlines WHERE run = ? AND event_id = ?"
_DROPS = (
    "DELETE FROM tasks WHERE run = ? AND event_id = ?",
    _NOT_DUE,
    "DELETE FROM heartbeats WHERE run = ? AND event_id = ?",
)

_EVENTS = "INSERT INTO events (run, id, at, type, attributes) VALUES (?, ?, ?, ?, ?)"
_RUNS = (
    "UPDATE runs SET revision = ?, execution_context = ?, cancel_requested = ?,"
    " activity_at = coalesce(?, activity_at) WHERE number = ?"
)
# A statement of its own: setting these columns, even to the same value, updates most indices.
_CLOSE = "UPDATE runs SET closed_at = ?, close_status = ? WHERE number = ?"
_CLOSE_TAGS = "UPDATE run_tags SET closed_at = ? WHERE run = ?"
_TAGS = "INSERT OR IGNORE INTO run_tags (run, tag, domain, started_at) VALUES (?, ?, ?, ?)"
_TASKS = (
    "INSERT INTO tasks (run, event_id, domain, kind, task_list, priority, started, lease)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, event_id)"
    " DO UPDATE SET started = excluded.started, lease = excluded.lease"
)
_DEADLINES = (
    "INSERT INTO deadlines (run, event_id, at, rank) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (run, event_id) DO UPDATE SET at = excluded.at, rank = excluded.rank"
)
_HEARTBEATS = (
    "INSERT INTO heartbeats (run, event_id, at, details) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (run, event_id) DO UPDATE SET at = excluded.at, details = excluded.details"
)


def forget_run(db: sqlite3.Connection, number: int) -> None:
    """Delete a closed run with all of its rows."""
    for table in ("deadlines", "events", "run_tags"):
        _delete(db, table, number)
    db.execute("DELETE FROM runs WHERE number = ?", (number,))


def _delete(db: sqlite3.Connection, table: str, number: int) -> None:
    db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))  # noqa: S608 - a name from the lines above


def _each(db: sqlite3.Connection, sql: str, rows: Collection[tuple[Any, ...]]) -> None:
    # Most steps change few tables, and even executing nothing takes time.
    if rows:
        db.executemany(sql, rows)
