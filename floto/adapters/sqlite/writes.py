"""The rows that a step changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from floto.adapters.sqlite.rows import event_row, to_ms, to_text
from floto.core.events import Event
from floto.core.service.changes import Changes
from floto.core.service.closing import CLOSE_STATUS
from floto.core.service.records import last_scheduled
from floto.core.service.tokens import TaskKind


def insert_run(db: sqlite3.Connection, changes: Changes) -> int:
    """Enter a new run and return its number."""
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
    _each(db, "INSERT OR IGNORE INTO run_tags (run, tag) VALUES (?, ?)", [(number, tag) for tag in tags])
    _count_open(db, run.domain, 1)
    return number


def _count_open(db: sqlite3.Connection, domain: str, change: int) -> None:
    db.execute("UPDATE domains SET open_runs = open_runs + ? WHERE name = ?", (change, domain))


def append_events(db: sqlite3.Connection, number: int, events: Iterable[Event]) -> None:
    """Add events to a history."""
    _each(
        db,
        "INSERT INTO events (run, id, at, type, attributes) VALUES (?, ?, ?, ?, ?)",
        [event_row(number, event) for event in events],
    )


def update_run(db: sqlite3.Connection, number: int, changes: Changes, revision: int) -> None:
    """Note what listings show of a run that changed, and whether it is closed."""
    run = changes.run
    closed, activity_at = run.state.closed, last_scheduled(changes.events)
    db.execute(
        "UPDATE runs SET revision = ?, execution_context = ?, cancel_requested = ?,"
        " activity_at = coalesce(?, activity_at), closed_at = ?, close_status = ? WHERE number = ?",
        (
            revision,
            to_text(run.execution_context),
            run.state.cancel_requested is not None,
            None if activity_at is None else to_ms(activity_at),
            None if closed is None else to_ms(closed.at),
            None if closed is None else CLOSE_STATUS[type(closed.data)],
            number,
        ),
    )


def close_run(db: sqlite3.Connection, number: int, domain: str) -> None:
    """Remove everything that waits on a run; it is closed."""
    for table in ("tasks", "deadlines", "heartbeats"):
        _delete(db, table, number)
    _count_open(db, domain, -1)


def forget_run(db: sqlite3.Connection, number: int) -> None:
    """Remove a closed run and all that is left of it."""
    for table in ("deadlines", "events", "run_tags"):
        _delete(db, table, number)
    db.execute("DELETE FROM runs WHERE number = ?", (number,))


def _delete(db: sqlite3.Connection, table: str, number: int) -> None:
    db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))  # noqa: S608 - a name from the lines above


def refresh_rows(
    db: sqlite3.Connection, number: int, changes: Changes, leases: Mapping[TaskKind, str]
) -> None:
    """Write the rows that moved; a task that was handed out is held by the lease of its kind."""
    gone = [(number, event_id) for event_id in changes.dropped]
    _each(db, "DELETE FROM tasks WHERE run = ? AND event_id = ?", gone)
    _each(db, "DELETE FROM deadlines WHERE run = ? AND event_id = ?", gone)
    _each(db, "DELETE FROM heartbeats WHERE run = ? AND event_id = ?", gone)
    _refresh_tasks(db, number, changes, leases)
    _refresh_deadlines(db, number, changes)
    _each(
        db,
        "INSERT INTO heartbeats (run, event_id, at, details) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run, event_id) DO UPDATE SET at = excluded.at, details = excluded.details",
        [(number, event_id, to_ms(beat.at), to_text(beat.details)) for event_id, beat in changes.heartbeats],
    )


def _each(db: sqlite3.Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
    # Most steps touch few of the tables, and even nothing takes a while to execute.
    if rows:
        db.executemany(sql, rows)


def _refresh_tasks(
    db: sqlite3.Connection, number: int, changes: Changes, leases: Mapping[TaskKind, str]
) -> None:
    _each(
        db,
        "INSERT INTO tasks (run, event_id, domain, kind, task_list, priority, started, lease)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, event_id)"
        " DO UPDATE SET started = excluded.started, lease = excluded.lease",
        [
            (
                number,
                event_id,
                changes.run.domain,
                str(task.kind),
                task.task_list,
                task.priority,
                task.started,
                leases[task.kind] if task.started else None,
            )
            for event_id, task in changes.tasks
        ],
    )


def _refresh_deadlines(db: sqlite3.Connection, number: int, changes: Changes) -> None:
    _each(
        db,
        "DELETE FROM deadlines WHERE run = ? AND event_id = ?",
        [(number, event_id) for event_id, due in changes.dues if due is None],
    )
    _each(
        db,
        "INSERT INTO deadlines (run, event_id, at, rank) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (run, event_id) DO UPDATE SET at = excluded.at, rank = excluded.rank",
        [(number, event_id, to_ms(due.at), due.rank) for event_id, due in changes.dues if due is not None],
    )
