"""The rows that a step changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from floto.adapters.sqlite.rows import event_row, to_ms, to_text
from floto.core.events import Event
from floto.core.service.changes import Changes
from floto.core.service.closing import CLOSE_STATUS
from floto.core.service.run import Run


def insert_run(db: sqlite3.Connection, changes: Changes) -> int:
    """Enter a new run and return its number."""
    run, first = changes.run, changes.events[0]
    parent = first.data.parent_workflow_execution
    cursor = db.execute(
        "INSERT INTO runs (run_id, domain, workflow_id, type_name, type_version, started_at, parent_run_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            run.execution.run_id,
            run.domain,
            run.execution.workflow_id,
            first.data.workflow_type.name,
            first.data.workflow_type.version,
            to_ms(first.at),
            None if parent is None else parent.run_id,
        ),
    )
    return cursor.lastrowid or 0


def append_events(db: sqlite3.Connection, number: int, events: Iterable[Event]) -> None:
    """Add events to a history."""
    _each(
        db,
        "INSERT INTO events (run, id, at, type, attributes) VALUES (?, ?, ?, ?, ?)",
        [event_row(number, event) for event in events],
    )


def update_run(db: sqlite3.Connection, number: int, run: Run, revision: int) -> None:
    """Note that a run changed, and whether it is closed."""
    closed = run.state.closed
    db.execute(
        "UPDATE runs SET revision = ?, execution_context = ?, closed_at = ?, close_status = ?"
        " WHERE number = ?",
        (
            revision,
            to_text(run.execution_context),
            None if closed is None else to_ms(closed.at),
            None if closed is None else CLOSE_STATUS[type(closed.data)],
            number,
        ),
    )


def drop_rows(db: sqlite3.Connection, number: int) -> None:
    """Remove everything that waits on a run; it is closed."""
    db.execute("DELETE FROM tasks WHERE run = ?", (number,))
    db.execute("DELETE FROM deadlines WHERE run = ?", (number,))
    db.execute("DELETE FROM heartbeats WHERE run = ?", (number,))


def refresh_rows(db: sqlite3.Connection, number: int, changes: Changes, lease: str) -> None:
    """Write the rows that moved; a task that was handed out is held by ``lease``."""
    gone = [(number, event_id) for event_id in changes.dropped]
    _each(db, "DELETE FROM tasks WHERE run = ? AND event_id = ?", gone)
    _each(db, "DELETE FROM deadlines WHERE run = ? AND event_id = ?", gone)
    _each(db, "DELETE FROM heartbeats WHERE run = ? AND event_id = ?", gone)
    _refresh_tasks(db, number, changes, lease)
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


def _refresh_tasks(db: sqlite3.Connection, number: int, changes: Changes, lease: str) -> None:
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
                lease if task.started else None,
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
