"""Diff produced by a step: tasks and deadlines that were added, changed or removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from attrs import frozen

from floto.core.engine import deadlines
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.run import EngineRun, Heartbeat, StepOutcome
from floto.core.engine.step_context import opening
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind
from floto.core.state.state import Item, Kind, Status
from floto.core.swf.events import Event


@frozen
class PollableTask:
    """An open task; ``started`` is 0 while it is scheduled, else the id of its ...Started event."""

    kind: TaskKind
    task_list: str
    priority: int
    started: int = 0


@frozen
class ChangeEntry:
    """Task and deadline that belong to one opening event of a run."""

    event_id: int
    task: PollableTask | None = None
    due: PendingTimeout | None = None


@frozen
class Changes:
    """Rows that a store writes after a step, keyed by the event that opened their item."""

    run: EngineRun
    events: tuple[Event, ...]
    tasks: tuple[tuple[int, PollableTask], ...] = ()
    dues: tuple[tuple[int, PendingTimeout | None], ...] = ()
    heartbeats: tuple[tuple[int, Heartbeat], ...] = ()
    #: Events whose items closed: the store deletes their tasks and deadlines.
    dropped: tuple[int, ...] = ()

    @property
    def is_new(self) -> bool:
        """Return True if the step started the run."""
        return bool(self.events) and self.events[0].id == 1

    @property
    def is_closed(self) -> bool:
        """Return True if the run is closed; all its tasks and deadlines are then deleted."""
        return self.run.state.closed is not None


def changes(before: EngineRun, outcome: StepOutcome, now: datetime) -> Changes:
    """Compare a run before and after a step at ``now``, for the items that the step changed."""
    after = outcome.run
    if after.state.closed is not None:
        return Changes(after, outcome.events)
    old = {entry.event_id: entry for entry in _entries(before, outcome, now)}
    new = {entry.event_id: entry for entry in _entries(after, outcome, now)}
    beats = dict(_beats(before, after, new))
    moved = [(entry, old.get(id, ChangeEntry(id))) for id, entry in sorted(new.items())]
    return Changes(
        after,
        outcome.events,
        tasks=tuple((is_.event_id, is_.task) for is_, was in moved if is_.task and is_.task != was.task),
        dues=tuple(
            (is_.event_id, is_.due) for is_, was in moved if is_.due != was.due or _put_off(is_, beats)
        ),
        heartbeats=tuple(beats.items()),
        dropped=tuple(id for id in old if id not in new),
    )


def all_dues(run: EngineRun, now: datetime) -> Iterator[tuple[int, PendingTimeout]]:
    """Yield every deadline of an open run by the clock ``now``, with the id of its opening event."""
    of_run = deadlines.of_run(run.state, now)
    if of_run is not None:
        yield deadlines.RUN_EVENT, of_run
    decision = _decision_entry(run, now)
    if decision is not None and decision.due is not None:
        yield decision.event_id, decision.due
    for key in run.state.opened.values():
        item = run.state.items[key]
        due = deadlines.of_item(run, item, now)
        if due is not None:
            yield opening(item).id, due


def _put_off(entry: ChangeEntry, beats: Mapping[int, Heartbeat]) -> bool:
    """Return True if a heartbeat postpones a timeout, even if the run is ahead of the clock."""
    return entry.event_id in beats and entry.due is not None and entry.due.timeout_type == "HEARTBEAT"


def _beats(before: EngineRun, after: EngineRun, ids: Iterable[int]) -> Iterator[tuple[int, Heartbeat]]:
    for id in ids:
        beat = after.heartbeats.get(id)
        if beat is not None and beat != before.heartbeats.get(id):
            yield id, beat


def _entries(run: EngineRun, outcome: StepOutcome, now: datetime) -> Iterator[ChangeEntry]:
    """Yield the entries of a run that the step may have changed."""
    if run.state.started is None:
        return
    if outcome.events and outcome.events[0].id == 1:
        yield ChangeEntry(1, due=deadlines.of_run(run.state, now))
    decision = _decision_entry(run, now)
    if decision is not None:
        yield decision
    for key in outcome.changed_keys:
        item = run.state.items.get(key)
        if item is not None and item.is_open and key[0] in _ITEM_TASKS:
            yield ChangeEntry(opening(item).id, _ITEM_TASKS[key[0]](item), deadlines.of_item(run, item, now))


def _activity(item: Item) -> PollableTask:
    data = opening(item).data
    return PollableTask(TaskKind.ACTIVITY, data.task_list.name, int(data.task_priority or 0), _started(item))


def _lambda(item: Item) -> PollableTask:
    return PollableTask(TaskKind.LAMBDA, LAMBDA_LIST, 0, _started(item))


def _started(item: Item) -> int:
    return 0 if item.status is Status.SCHEDULED or item.started is None else item.started.id


def _no_task(_item: Item) -> None:
    return None


#: Kinds of items with a task or a deadline, and the task of each item.
_ITEM_TASKS: Mapping[Kind, Callable[[Item], PollableTask | None]] = {
    Kind.ACTIVITY: _activity,
    Kind.LAMBDA: _lambda,
    Kind.TIMER: _no_task,
}


def _decision_entry(run: EngineRun, now: datetime) -> ChangeEntry | None:
    tasks = run.state.decision_tasks
    if tasks.started is not None and run.state.started is not None:
        id = tasks.started.data.scheduled_event_id
        # It has been dispatched, so its task list no longer matters.
        task = PollableTask(TaskKind.DECISION, "", 0, tasks.started.id)
        return ChangeEntry(id, task, deadlines.of_decision_task(run.state, now))
    if tasks.scheduled is not None:
        data = tasks.scheduled.data
        task = PollableTask(TaskKind.DECISION, data.task_list.name, int(data.task_priority or 0))
        return ChangeEntry(tasks.scheduled.id, task, deadlines.of_decision_task(run.state, now))
    return None
