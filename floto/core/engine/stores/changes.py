"""Changes of one step: the tasks and deadlines of the run's open items, and those that closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter

from attrs import evolve, frozen

from floto.core.engine import deadlines
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.run import EngineRun, StepOutcome
from floto.core.engine.step_context import opening
from floto.core.engine.stores.records import priority_of
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind
from floto.core.quick_init import maker, quick_init
from floto.core.state.state import DecisionTasks, Item, Key, Kind, State, Status
from floto.core.swf.events import Event

_NO_BEATS: frozenset[int] = frozenset()
_event_id = attrgetter("event_id")


@quick_init
@frozen(weakref_slot=False)
class PollableTask:
    """An open task; ``started`` is 0 while it is scheduled, else the id of its ...Started event."""

    kind: TaskKind
    task_list: str
    priority: int
    #: Time at which it was scheduled: of equal priorities, the oldest task is the next.
    scheduled_at: datetime
    started: int = 0
    #: Lease of the process that owns it; None if it can be claimed.
    lease: str | None = None
    #: Number of owners that crashed, and what follows from them (``crashes.py``).
    redeliveries: int = 0


@quick_init
@frozen(weakref_slot=False)
class ChangeEntry:
    """Task and deadline that belong to one opening event of a run."""

    event_id: int
    task: PollableTask | None = None
    due: PendingTimeout | None = None


@quick_init
@frozen(weakref_slot=False)
class Changes:
    """Changes that a store writes after a step; tasks and deadlines have the id of their opening event."""

    run: EngineRun
    events: tuple[Event, ...]
    #: The open items that the step may have changed.
    entries: tuple[ChangeEntry, ...] = ()
    #: Events whose activities got a heartbeat.
    beats: frozenset[int] = _NO_BEATS
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


_new_task, _new_entry, _new_changes = maker(PollableTask), maker(ChangeEntry), maker(Changes)


def changes(before: EngineRun, outcome: StepOutcome, now: datetime) -> Changes:
    """Compare a run before and after a step at ``now``, for the items that the step changed."""
    after, keys = outcome.run, outcome.changed_keys
    old, new = before.state, after.state
    if new.closed is not None:
        return _new_changes(after, outcome.events)
    entries = [_of_run(after, now)] if old.started is None else []
    opened: list[int] = []
    if keys:
        entries += _items(after, keys, now)
        items = map(old.items.get, keys)
        opened += [opening(item).id for item in items if item is not None and item.is_open]
    if new.decision_tasks is not old.decision_tasks:
        entries += _decision(new, outcome.events, now)
        opened += _decision_ids(old.decision_tasks)
    if len(entries) > 1:
        # In the order of the events: that of the keys differs from process to process.
        entries.sort(key=_event_id)
    if new.last is not None and now < new.last.at:
        entries = [evolve(entry, due=entry.due and evolve(entry.due, is_moved=True)) for entry in entries]
    kept = set(map(_event_id, entries))
    dropped = tuple([id for id in opened if id not in kept])
    beats = _NO_BEATS if before.heartbeats is after.heartbeats else _beats(before, after, kept)
    return _new_changes(after, outcome.events, tuple(entries), beats, dropped)


def all_entries(run: EngineRun, events: Sequence[Event], now: datetime | None = None) -> list[ChangeEntry]:
    """Return the tasks and deadlines of an open run with these last events, by the clock or by them alone."""
    keys = dict.fromkeys(run.state.opened.values())
    return [_of_run(run, now), *_decision(run.state, events, now), *_items(run, keys, now)]


def _of_run(run: EngineRun, now: datetime | None) -> ChangeEntry:
    return _new_entry(deadlines.RUN_EVENT, due=deadlines.of_run(run.state, now))


def _items(run: EngineRun, keys: Iterable[Key], now: datetime | None) -> list[ChangeEntry]:
    """Return the tasks and deadlines of the open items of these keys."""
    entries = []
    for key in keys:
        task_of = _ITEM_TASKS.get(key[0])
        item = None if task_of is None else run.state.items.get(key)
        if task_of is not None and item is not None and item.is_open:
            opened = opening(item)
            entries.append(_new_entry(opened.id, task_of(item, opened), deadlines.of_item(run, item, now)))
    return entries


def _decision_ids(tasks: DecisionTasks) -> list[int]:
    """Return the event that scheduled the started decision task, or else the scheduled one."""
    if tasks.started is not None:
        return [tasks.started.data.scheduled_event_id]
    return [] if tasks.scheduled is None else [tasks.scheduled.id]


def _beats(before: EngineRun, after: EngineRun, ids: Iterable[int]) -> frozenset[int]:
    old, new = before.heartbeats, after.heartbeats
    return frozenset(id for id in ids if old.get(id) != new.get(id))


def _activity(item: Item, opened: Event) -> PollableTask:
    data = opened.data
    return _new_task(TaskKind.ACTIVITY, data.task_list.name, priority_of(data), opened.at, _started(item))


def _lambda(item: Item, opened: Event) -> PollableTask:
    return _new_task(TaskKind.LAMBDA, LAMBDA_LIST, 0, opened.at, _started(item))


def _started(item: Item) -> int:
    return 0 if item.status is Status.SCHEDULED or item.started is None else item.started.id


def _no_task(_item: Item, _opened: Event) -> None:
    return None


#: Kinds of items with a task or a deadline, and the task of each item.
_ITEM_TASKS: Mapping[Kind, Callable[[Item, Event], PollableTask | None]] = {
    Kind.ACTIVITY: _activity,
    Kind.LAMBDA: _lambda,
    Kind.TIMER: _no_task,
}


def _decision(state: State, events: Sequence[Event], now: datetime | None) -> list[ChangeEntry]:
    """Return the started decision task, or else the scheduled one; an empty list if there is none.

    Args:
        state: The state of the run.
        events: Its last events. If they include the one that scheduled a started task, the task has its task
            list and priority, with which it may be redelivered; else the store knows them.
        now: Time of the clock; None for that of the last event.
    """
    started, scheduled = state.decision_tasks.started, state.decision_tasks.scheduled
    started_id = 0
    if started is not None:
        id, started_id = started.data.scheduled_event_id, started.id
        scheduled = next((event for event in reversed(events) if event.id == id), None)
        if scheduled is None:
            task = _new_task(TaskKind.DECISION, "", 0, started.at, started_id)
            return [_new_entry(id, task, deadlines.of_decision_task(state, now))]
    if scheduled is None:
        return []
    data = scheduled.data
    task = _new_task(TaskKind.DECISION, data.task_list.name, priority_of(data), scheduled.at, started_id)
    return [_new_entry(scheduled.id, task, deadlines.of_decision_task(state, now))]
