"""Rows of runs: their conversion, and the statements that write them.

A transaction writes all runs that it has changed together, once, before it commits.

The column ``work`` of an open run has its tasks and deadlines, so that opening a file reads no events. They
follow from its events, except for the owners of its tasks. They are written with each change of the run,
since reading all events of all open runs would take minutes. Where there are many, the row has only the
owners and the deadlines that were moved: the events of such a run are read when a process opens the file.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from attrs import define, evolve, frozen

from floto.adapters.sqlite.storage.schema import Sql
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import PollableTask, all_entries
from floto.core.engine.stores.open_runs import OpenRun
from floto.core.engine.stores.records import last_scheduled
from floto.core.engine.tokens import TaskKind
from floto.core.errors import HistoryError, ServiceError
from floto.core.quick_init import quick_init
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import EVENT_TYPES, Event
from floto.core.swf.wire import from_ms, read, to_ms, type_name, write_json

#: The lease of tasks that clients own, until a timeout ends them, as in SWF.
CLIENTS = "clients"
#: Most tasks and deadlines that are written with each change of a run.
_MOST = 64
#: Most rows of one INSERT statement: SQLite permits 999 values in its earlier versions.
_ROWS = 64
#: Bytes of an event and of its part of the run's state, without the event's strings.
_EVENT_BYTES = 640
#: Bytes of a run without its events and its execution context.
_RUN_BYTES = 4096
#: Bytes of a heartbeat with details of maximum length.
_HEARTBEAT_BYTES = 2560

_Row = tuple[Any, ...]
_Work = tuple[dict[int, PollableTask], dict[int, PendingTimeout]]

# json.dumps would create a new encoder for every event.
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_quoted = json.encoder.encode_basestring_ascii


def event_row(run: int, event: Event) -> tuple[int, int, int, str, str]:
    """Return the row of an event."""
    return (run, event.id, to_ms(event.at), type_name(event.data), write_json(event.data))


def row_event(row: tuple[int, int, str, str]) -> Event:
    """Return the event of a row: id, time, type and attributes."""
    id, at, type_, attributes = row
    return Event(id, from_ms(at), from_json(EVENT_TYPES[type_], attributes))


def to_text(value: str | None) -> str | None:
    """Return a string as JSON, because SQLite cannot store unpaired surrogates."""
    return None if value is None else _ENCODER.encode(value)


def from_text(text: str | None) -> str | None:
    """Return the string that ``to_text`` encoded."""
    value: str | None = None if text is None else json.loads(text)
    return value


def from_json(cls: type, text: str) -> Any:
    """Return the object of class ``cls`` that ``write_json`` encoded."""
    return read(cls, json.loads(text))


@define
class UnreadableRun(ServiceError):
    """A run whose stored rows are corrupt or from a newer version."""

    run_id: str
    problem: str

    def __str__(self) -> str:
        """Name the run and what is wrong with it."""
        return f"run {self.run_id} cannot be read: {self.problem}"


@contextmanager
def reading(run_id: str) -> Iterator[None]:
    """Convert decoding errors in the block to ``UnreadableRun(run_id)``."""
    try:
        yield
    except UnicodeEncodeError:
        # An argument of the query has an unpaired surrogate; nothing was decoded.
        raise
    except (HistoryError, KeyError, TypeError, ValueError) as error:
        raise UnreadableRun(run_id, f"{type(error).__name__}: {error}") from error


def weight(rows: Iterable[_Row]) -> int:
    """Return the estimated bytes of events in memory.

    Python stores a string with a character beyond Latin-1 in two bytes per character, and one with a
    character beyond the basic plane, which JSON escapes as a surrogate pair, in four.

    Args:
        rows: Rows of events, whose last column is the attributes as JSON in ASCII.
    """
    size = 0
    for row in rows:
        text: str = row[-1]
        width = 1 if "\\u" not in text else 4 if "\\ud" in text else 2
        size += _EVENT_BYTES + width * len(text)
    return size


@quick_init
@frozen(weakref_slot=False)
class CachedRun:
    """An open run at a revision, with its events."""

    number: int
    revision: int
    run: EngineRun
    #: Shared with the entry that replaces this one; extended only while neither is in the cache.
    events: list[Event]
    #: Estimated bytes of the events.
    size: int = 0

    def weight(self) -> int:
        """Return the estimated bytes of the run."""
        beats = _HEARTBEAT_BYTES * len(self.run.heartbeats)
        return _RUN_BYTES + self.size + beats + sys.getsizeof(self.run.execution_context)


@quick_init
@frozen(weakref_slot=False)
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
    beats: Any = None
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
    db.executemany(Sql.UPDATE_RUN, [_run_row(staged, open_run, revision) for staged, open_run in runs])
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
        staged.size + weight(rows),
        staged.run.heartbeats,
        is_changed=False,
        expires_at=staged.expires_at,
    )


def write_work(db: sqlite3.Connection, runs: Iterable[OpenRun], revision: int) -> None:
    """Write the tasks and deadlines of runs that have changed without a step."""
    db.executemany(Sql.UPDATE_RUN, [(revision, to_work(run), None, None, None, run.number) for run in runs])


def _insert(db: sqlite3.Connection, staged: StagedRun) -> None:
    run, first = staged.run, staged.events[0]
    parent, type_ = first.data.parent_workflow_execution, first.data.workflow_type
    db.execute(
        Sql.INSERT_RUN,
        (
            staged.entry.number,
            run.execution.run_id,
            run.domain,
            run.execution.workflow_id,
            type_.name,
            type_.version,
            to_ms(first.at),
            None if parent is None else parent.workflow_id,
            None if parent is None else parent.run_id,
            json.dumps(first.data.tag_list or ()),
        ),
    )
    _put_tags(db, staged)


def _put_tags(db: sqlite3.Connection, staged: StagedRun) -> None:
    """Copy the row of a run to its tags, after an insert or an update of times."""
    tags = staged.run.state.start.tag_list or ()
    db.executemany(Sql.PUT_TAG, [(tag, staged.entry.number) for tag in tags])


def _insert_events(db: sqlite3.Connection, rows: list[_Row]) -> None:
    # One statement for many rows: each statement gives up the interpreter's lock, which other threads take.
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        db.execute(_events_sql(len(part)), list(chain.from_iterable(part)))


@cache
def _events_sql(rows: int) -> str:
    return Sql.INSERT_EVENTS + ", (?, ?, ?, ?, ?)" * (rows - 1)


def _run_row(staged: StagedRun, open_run: OpenRun | None, revision: int) -> _Row:
    run = staged.run
    activity_at = last_scheduled(reversed(staged.events[staged.written :]))
    return (
        revision,
        None if open_run is None else to_work(open_run),
        to_text(run.execution_context),
        run.state.cancel_requested is not None,
        None if activity_at is None else to_ms(activity_at),
        staged.entry.number,
    )


def _write_heartbeats(db: sqlite3.Connection, staged: StagedRun) -> None:
    number, old = staged.entry.number, staged.beats
    new = {} if staged.run.state.closed is not None else staged.run.heartbeats
    db.executemany(Sql.DELETE_HEARTBEAT, [(number, id) for id in old if id not in new])
    changed = [(id, beat) for id, beat in new.items() if old.get(id) is not beat]
    rows = [(number, id, to_ms(beat.at), to_text(beat.details)) for id, beat in changed]
    db.executemany(Sql.PUT_HEARTBEAT, rows)


def _close(db: sqlite3.Connection, staged: StagedRun) -> None:
    closed, number = staged.run.state.closed, staged.entry.number
    assert closed is not None  # noqa: S101 - the caller has checked it
    expires_at = None if staged.expires_at is None else to_ms(staged.expires_at)
    status = CLOSING_EVENTS[type(closed.data)].status
    # A statement of its own: setting these columns, even to the same value, updates most indices.
    db.execute(Sql.CLOSE_RUN, (to_ms(closed.at), status, expires_at, number))
    _put_tags(db, staged)


def forget_run(db: sqlite3.Connection, number: int) -> None:
    """Delete a closed run with all of its rows, but keep the number of the commit that changed it last."""
    revision = "SELECT revision FROM runs WHERE number = ?"
    db.execute(f"UPDATE forgotten SET revision = max(revision, ({revision}))", (number,))  # noqa: S608 - of ours
    for table in ("events", "run_tags"):
        db.execute(f"DELETE FROM {table} WHERE run = ?", (number,))  # noqa: S608 - a name from the line above
    db.execute("DELETE FROM runs WHERE number = ?", (number,))


def to_work(run: OpenRun) -> str:
    """Return the tasks and deadlines of a run as JSON; if there are many, those that no event shows."""
    if len(run.tasks) + len(run.dues) > _MOST:
        moved = [(id, to_ms(due.at), due.rank) for id, due in run.dues.items() if due.is_moved]
        return _ENCODER.encode({"owners": list(_owners(run.tasks)), "moved": moved})
    entries = [
        _entry(run.tasks.get(id), run.dues.get(id), id) for id in dict.fromkeys((*run.tasks, *run.dues))
    ]
    return f"[{','.join(entries)}]"


def _owners(tasks: Mapping[int, PollableTask]) -> Iterator[tuple[int, str | None, int]]:
    """Yield the owners that do not follow from the events."""
    for id, task in tasks.items():
        if task.redeliveries or task.lease != (CLIENTS if task.started else None):
            yield id, task.lease, task.redeliveries


def _entry(task: PollableTask | None, due: PendingTimeout | None, id: int) -> str:
    """Return a task and a deadline as a list in JSON; an encoder takes three times as long."""
    when = f"{id},null,null" if due is None else f"{id},{to_ms(due.at)},{due.rank}"
    if task is None:
        return f"[{when}]"
    lease = "null" if task.lease is None else _quoted(task.lease)
    scheduled = f'"{task.kind}",{_quoted(task.task_list)},{task.priority},{to_ms(task.scheduled_at)}'
    return f"[{when},{scheduled},{task.started},{lease},{task.redeliveries}]"


def row_work(text: str | None, current: Callable[[], CachedRun]) -> _Work:
    """Return the tasks and deadlines of ``to_work``; ``current`` returns the run, if it is needed."""
    work = {} if text is None else json.loads(text)
    if isinstance(work, list):
        return _read_entries(work)
    entry = current()
    return derive(entry.run, entry.events, work)


def _read_entries(entries: list[list[Any]]) -> _Work:
    tasks, dues = {}, {}
    for id, due_at, rank, *task in entries:
        if due_at is not None:
            dues[id] = PendingTimeout(from_ms(due_at), rank, "", is_moved=True)
        if task:
            kind, task_list, priority, at, started, lease, redeliveries = task
            tasks[id] = PollableTask(
                TaskKind(kind), task_list, priority, from_ms(at), started, lease, redeliveries
            )
    return tasks, dues


def without_leases(text: str) -> str:
    """Return the tasks and deadlines of ``to_work`` without the leases of processes."""
    work = json.loads(text)
    is_complete = isinstance(work, list)
    # In both forms, the owner is the last but one; an entry without a task is only its deadline.
    for entry in (each for each in work if each[3:]) if is_complete else work["owners"]:
        if entry[-2] != CLIENTS:
            entry[-2] = None
    return _ENCODER.encode(work)


def derive(run: EngineRun, events: list[Event], work: Mapping[str, list[Any]]) -> _Work:
    """Return the tasks and deadlines of a run that has too many for its row.

    Args:
        run: The run.
        events: Its events.
        work: What does not follow from them, as in ``to_work``.
    """
    if run.state.last is None:
        return {}, {}
    # Not by the time of the last event: a heartbeat may be later.
    entries = all_entries(run, events)
    tasks = {
        entry.event_id: _owned(entry.task, events[entry.event_id - 1]) for entry in entries if entry.task
    }
    for id, lease, redeliveries in work.get("owners", ()):
        if id in tasks:
            tasks[id] = evolve(tasks[id], lease=lease, redeliveries=redeliveries)
    dues = {entry.event_id: entry.due for entry in entries if entry.due}
    for id, at, rank in work.get("moved", ()):
        if id in dues:
            dues[id] = PendingTimeout(from_ms(at), rank, dues[id].timeout_type, is_moved=True)
    return tasks, dues


def _owned(task: PollableTask, scheduled: Event) -> PollableTask:
    return evolve(task, scheduled_at=scheduled.at, lease=CLIENTS if task.started else None)
