"""The column ``work`` of an open run: its tasks and deadlines, so that opening a file reads no events.

The tasks and deadlines of a run follow from its events, except for the owners of its tasks. They are written
with each change of the run, since reading all events of all open runs would take minutes. A run with many of
them has only the owners and the moved deadlines in its row: its events are read when a process opens it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve

from floto.adapters.sqlite.sql.rows import from_ms, to_ms
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import PollableTask, all_entries
from floto.core.engine.stores.open_runs import OpenRun
from floto.core.engine.tokens import TaskKind
from floto.core.swf.events import Event

#: The lease of tasks that clients own, until a timeout ends them, as in SWF.
CLIENTS = "clients"
#: Most tasks and deadlines that are written with each change of a run.
_MOST = 64

#: The first members of an entry, which the others follow if there is a task.
_DUE = ("event_id", "at", "rank")
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_Work = tuple[dict[int, PollableTask], dict[int, PendingTimeout]]


def to_work(run: OpenRun) -> str:
    """Return the tasks and deadlines of a run as JSON; of many, what does not follow from the events."""
    if len(run.tasks) + len(run.dues) > _MOST:
        moved = [(id, to_ms(due.at), due.rank) for id, due in run.dues.items() if due.is_moved]
        return _ENCODER.encode({"owners": list(_owners(run.tasks)), "moved": moved})
    return _ENCODER.encode([_entry(run, id) for id in dict.fromkeys((*run.tasks, *run.dues))])


def _owners(tasks: Mapping[int, PollableTask]) -> Iterator[tuple[int, str | None, int]]:
    """Yield the owners that do not follow from the events."""
    for id, task in tasks.items():
        if task.redeliveries or task.lease != (CLIENTS if task.started else None):
            yield id, task.lease, task.redeliveries


def _entry(run: OpenRun, id: int) -> list[Any]:
    due, task = run.dues.get(id), run.tasks.get(id)
    when = [id, None, None] if due is None else [id, to_ms(due.at), due.rank]
    if task is None:
        return when
    at = to_ms(task.scheduled_at)
    rest = [task.kind, task.task_list, task.priority, at, task.started, task.lease, task.redeliveries]
    return when + rest


def read_entries(entries: list[list[Any]]) -> _Work:
    """Return the tasks and deadlines of ``to_work``, where the row has all of them."""
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
    for entry in (each for each in work if each[len(_DUE) :]) if is_complete else work["owners"]:
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
    last = run.state.last
    if last is None:
        return {}, {}
    entries = all_entries(run, last.at)
    tasks = {entry.event_id: _owned(entry.task, events, entry.event_id) for entry in entries if entry.task}
    for id, lease, redeliveries in work.get("owners", ()):
        if id in tasks:
            tasks[id] = evolve(tasks[id], lease=lease, redeliveries=redeliveries)
    dues = {entry.event_id: entry.due for entry in entries if entry.due}
    for id, at, rank in work.get("moved", ()):
        if id in dues:
            dues[id] = PendingTimeout(from_ms(at), rank, dues[id].timeout_type, is_moved=True)
    return tasks, dues


def _owned(task: PollableTask, events: list[Event], id: int) -> PollableTask:
    scheduled, lease = events[id - 1], CLIENTS if task.started else None
    if task.kind is TaskKind.DECISION:
        # A started decision task does not name its task list and priority, with which it may be redelivered.
        task = evolve(
            task,
            task_list=scheduled.data.task_list.name,
            priority=int(scheduled.data.task_priority or 0),
        )
    return evolve(task, scheduled_at=scheduled.at, lease=lease)
