"""Writing the rows of runs: a transaction writes them together, once, before it commits."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from attrs import field, frozen

from floto.adapters.sqlite.cache import CachedRun, weight
from floto.adapters.sqlite.sql.rows import event_row, to_text
from floto.adapters.sqlite.sql.work import to_work
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.open_runs import OpenRun
from floto.core.engine.stores.records import last_scheduled
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import Event
from floto.core.swf.wire import to_ms

_Row = tuple[Any, ...]
#: Most rows of one INSERT statement: SQLite permits 999 values in its earlier versions.
_ROWS = 64


@frozen
class StagedRun:
    """A run that the current transaction has changed."""

    #: The run as it was before the transaction, with its events.
    entry: CachedRun
    run: EngineRun
    events: tuple[Event, ...] = ()
    #: Number of ``events`` that are written, and their estimated bytes in memory.
    written: int = 0
    size: int = 0
    #: The heartbeats that are written.
    beats: Any = field(default=None)
    is_new: bool = False
    #: True if a step has changed the run since it was written.
    is_changed: bool = True
    #: Time at which the closed run is deleted.
    expires_at: datetime | None = None


def write_runs(
    db: sqlite3.Connection, runs: Sequence[tuple[StagedRun, OpenRun | None]], revision: int
) -> list[StagedRun]:
    """Write runs that steps have changed, and return them as written.

    Args:
        db: The connection.
        runs: The runs; with their tasks and deadlines if they are open.
        revision: The number of this commit.
    """
    # In the order of their first change: a run may close before the next one of its workflow id starts.
    for staged, _ in runs:
        if staged.is_new:
            _insert(db, staged)
        if staged.run.state.closed is not None:
            _close(db, staged)
    rows = [
        [event_row(staged.entry.number, event) for event in staged.events[staged.written :]]
        for staged, _ in runs
    ]
    _insert_events(db, [row for each in rows for row in each])
    db.executemany(_RUNS, [_run_row(staged, open_run, revision) for staged, open_run in runs])
    for staged, _ in runs:
        if staged.beats or staged.run.heartbeats is not staged.beats:
            _write_heartbeats(db, staged)
    return [_written(staged, each) for (staged, _), each in zip(runs, rows, strict=True)]


def _written(staged: StagedRun, rows: Collection[_Row]) -> StagedRun:
    return StagedRun(
        staged.entry,
        staged.run,
        staged.events,
        len(staged.events),
        staged.size + sum(map(weight, rows)),
        staged.run.heartbeats,
        is_changed=False,
        expires_at=staged.expires_at,
    )


def write_work(db: sqlite3.Connection, runs: Iterable[OpenRun], revision: int) -> None:
    """Write the tasks and deadlines of runs that have changed without a step."""
    db.executemany(
        "UPDATE runs SET revision = ?, work = ? WHERE number = ?",
        [(revision, to_work(run), run.number) for run in runs],
    )


def _insert(db: sqlite3.Connection, staged: StagedRun) -> None:
    run, first, number = staged.run, staged.events[0], staged.entry.number
    parent = first.data.parent_workflow_execution
    tags = first.data.tag_list or ()
    db.execute(
        "INSERT INTO runs (number, run_id, domain, workflow_id, type_name, type_version, started_at,"
        " parent_workflow_id, parent_run_id, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            number,
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
    if tags:
        rows = [(number, tag, run.domain, to_ms(first.at)) for tag in tags]
        db.executemany(
            "INSERT OR IGNORE INTO run_tags (run, tag, domain, started_at) VALUES (?, ?, ?, ?)", rows
        )


_TAGS = "INSERT OR IGNORE INTO run_tags (run, tag, domain, started_at) VALUES (?, ?, ?, ?)"


def _insert_events(db: sqlite3.Connection, rows: list[_Row]) -> None:
    # One statement for many rows: each statement gives up the interpreter's lock, which other threads take.
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        db.execute(_events_sql(len(part)), [value for row in part for value in row])


@cache
def _events_sql(rows: int) -> str:
    values = ", ".join(["(?, ?, ?, ?, ?)"] * rows)
    return f"INSERT INTO events (run, id, at, type, attributes) VALUES {values}"  # noqa: S608 - of ours


#: The columns that steps change; listings show most of them.
_RUNS = (
    "UPDATE runs SET revision = ?, execution_context = ?, cancel_requested = ?,"
    " activity_at = coalesce(?, activity_at), work = ? WHERE number = ?"
)


def _run_row(staged: StagedRun, open_run: OpenRun | None, revision: int) -> _Row:
    run = staged.run
    activity_at = last_scheduled(reversed(staged.events[staged.written :]))
    return (
        revision,
        to_text(run.execution_context),
        run.state.cancel_requested is not None,
        None if activity_at is None else to_ms(activity_at),
        None if open_run is None else to_work(open_run),
        staged.entry.number,
    )


def _write_heartbeats(db: sqlite3.Connection, staged: StagedRun) -> None:
    number, old = staged.entry.number, staged.beats
    new = {} if staged.run.state.closed is not None else staged.run.heartbeats
    gone = [(number, id) for id in old if id not in new]
    db.executemany("DELETE FROM heartbeats WHERE run = ? AND event_id = ?", gone)
    changed = [(id, beat) for id, beat in new.items() if old.get(id) is not beat]
    db.executemany(
        "INSERT OR REPLACE INTO heartbeats (run, event_id, at, details) VALUES (?, ?, ?, ?)",
        [(number, id, to_ms(beat.at), to_text(beat.details)) for id, beat in changed],
    )


def _close(db: sqlite3.Connection, staged: StagedRun) -> None:
    closed, number = staged.run.state.closed, staged.entry.number
    assert closed is not None  # noqa: S101 - the caller has checked it
    at, expires_at = to_ms(closed.at), staged.expires_at
    # A statement of its own: setting these columns, even to the same value, updates most indices.
    db.execute(
        "UPDATE runs SET closed_at = ?, close_status = ?, expires_at = ? WHERE number = ?",
        (
            at,
            CLOSING_EVENTS[type(closed.data)].status,
            None if expires_at is None else to_ms(expires_at),
            number,
        ),
    )
    if staged.run.state.start.tag_list:
        db.execute("UPDATE run_tags SET closed_at = ? WHERE run = ?", (at, number))


def forget_run(db: sqlite3.Connection, number: int) -> None:
    """Delete a closed run with all of its rows, but keep the number of the commit that changed it last."""
    revision = "SELECT revision FROM runs WHERE number = ?"
    db.execute(f"UPDATE forgotten SET revision = max(revision, ({revision}))", (number,))  # noqa: S608 - of ours
    for table in ("events", "run_tags"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))  # noqa: S608 - a name from the line above
    db.execute("DELETE FROM runs WHERE number = ?", (number,))
