"""Conditions of a task: what it waits for or why it is skipped, as data and as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from string import Formatter
from typing import Any

from attrs import evolve, frozen

from floto.core.replay.task_status import TaskGraph, TaskStatus
from floto.core.spec.tasks import Task
from floto.core.state.attempts import moment_of
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Kind, Status
from floto.core.swf.events import ActivityTaskScheduled, Event
from floto.core.swf.reserved_names import NOT_SERVED
from floto.core.swf.shapes import ActivityType
from floto.core.visible import moment_text, visible

#: A sentence for people: strings, and moments that each reader shows in their own way.
Text = tuple[str | datetime, ...]


class Cause(StrEnum):
    """Kind of a condition; the value is the template of its sentence."""

    REQUIRES = "waiting for {task} to complete"
    GENERATOR = "waiting for generator {task} to return its tasks"
    BLOCKED = "blocked by the failure of {task}: {detail}"
    CONDITION = "its condition is false: {detail}"
    JOIN = "its join cannot be met: {detail}"
    CONTINUES = "the run continues without its result"
    COUNTED = "its join {detail} does not need all of them"
    UNDONE = "nothing to undo: {task} did not complete"
    RETRY = "{detail} is due at {at}"
    WORKER = "queued since {at} on task list {task_list!r}, no worker has picked it up"
    STARTER = "queued since {at}, SWF has not started it"
    WORK = "running since {at}{who}{until}"
    CHILD = "running since {at} as child workflow {detail!r}"
    SIGNAL = "waiting for signal {detail!r}{until}"
    TIMED_OUT = "{detail}"
    KEPT = "waiting for the rest of what its redrive keeps: repeat the command that started the run"
    TIMER = "timer fires at {at}"
    DECIDER = "waiting for a decider to respond to the decision task of event {detail}"
    ROOM = "waiting for open tasks to close: SWF allows at most {detail}"
    TURN = "waiting: {detail} in flight of the tasks of {task}"
    TOLERATED = "the run continues: {detail} tolerated failures of the tasks of {task}"
    SURPLUS = "not needed: {detail} tasks of {task} have completed"
    STOPPING = "waiting for {task} to stop (cancellation requested)"
    CLEANS_UP = "runs if the run {detail}"
    CANCEL_REQUESTED = "cancellation of the run was requested at {at}, so no further task is started"
    FAILING = "the run fails because {task} failed: {detail}"
    CLOSED = "the run closed at {at} ({detail})"


#: Causes that refer to another task of the run.
OF_TASKS = (Cause.REQUIRES, Cause.GENERATOR)
#: Causes that are rules of a task, and hold for good.
OF_RULES = (
    Cause.CONDITION,
    Cause.JOIN,
    Cause.CONTINUES,
    Cause.TOLERATED,
    Cause.SURPLUS,
    Cause.UNDONE,
    Cause.TIMED_OUT,
)


@frozen
class Condition:
    """One condition of a task. Fields that do not apply to its cause are empty."""

    cause: Cause
    #: Id of the task that the condition refers to.
    task: str = ""
    at: datetime | None = None
    detail: str = ""
    #: Event that scheduled the activity that the condition refers to; 0 if there is none.
    event_id: int = 0
    #: Task list of that activity.
    task_list: str = ""
    activity_type: ActivityType | None = None
    #: Identity of the worker that runs it, and its timeout; None if only the registered type may have one.
    who: str = ""
    until: datetime | None = None

    @property
    def text(self) -> Text:
        """The sentence, with its moments as values."""
        found: list[str | datetime] = []
        for words, name, how in _pieces(self.cause):
            value = _FIELDS[name](self) if name else ()
            found += [words, *(map(repr, value) if how == "r" else value)]
        return tuple(filter(None, found))

    def __str__(self) -> str:
        """Return one line."""
        return visible("".join(each if isinstance(each, str) else moment_text(each) for each in self.text))


@cache
def _pieces(cause: Cause) -> Sequence[tuple[str, str, str]]:
    """Return the template of a cause, cut at its fields: text, the field behind it and its conversion."""
    return [(text, name or "", how or "") for text, name, _, how in Formatter().parse(cause.value)]


#: The values of the fields of a template.
_FIELDS: Mapping[str, Callable[[Condition], Text]] = {
    "task": lambda condition: (condition.task,),
    "at": lambda condition: () if condition.at is None else (condition.at,),
    "detail": lambda condition: (condition.detail,),
    "task_list": lambda condition: (condition.task_list,),
    "who": lambda condition: (f" on {condition.who}",) if condition.who else (),
    "until": lambda condition: () if condition.until is None else (", times out at ", condition.until),
}


def queued(item: Item) -> Condition:
    """Return the condition of an item that is scheduled and not started."""
    if item.key[0] is Kind.ACTIVITY:
        return _of_activity(Condition(Cause.WORKER, at=moment_of(item.opened)), item)
    return Condition(Cause.STARTER, at=moment_of(item.opened))


def working(item: Item) -> Condition:
    """Return the condition of an item that is started."""
    at, data = moment_of(item.started), _data(item.started)
    if item.key[0] is Kind.CHILD:
        return Condition(Cause.CHILD, at=at, detail=data.workflow_execution.workflow_id)
    who = getattr(data, "identity", None) or ""
    return _of_activity(Condition(Cause.WORK, at=at, who=who, until=_timeout(item)), item)


def _data(event: Event | None) -> Any:
    return None if event is None else event.data


def _of_activity(condition: Condition, item: Item) -> Condition:
    event, data = item.opened, _data(item.opened)
    if event is None or not isinstance(data, ActivityTaskScheduled):
        return condition
    return evolve(
        condition,
        event_id=event.id,
        task_list=data.task_list.name,
        activity_type=data.activity_type,
    )


def _timeout(item: Item) -> datetime | None:
    """Return the timeout of a started attempt; None if only the registered type may have one."""
    begins = (("schedule_to_close_timeout", item.opened), ("start_to_close_timeout", item.started))
    ends = [_later(event, getattr(_data(item.opened), name, None)) for name, event in begins]
    return min(filter(None, ends), default=None)


def _later(event: Event | None, seconds: str | None) -> datetime | None:
    """Return the time so many seconds after an event; None for no number, or for one past all clocks."""
    if event is None or seconds is None or not seconds.isdecimal():
        return None
    try:
        return event.at + timedelta(seconds=int(seconds))
    except (OverflowError, ValueError):
        return None


def retry(task: Task, item: Item, timer: Item) -> Condition:
    """Return the condition of a task whose retry timer is open."""
    most = getattr(task.retry_strategy, "retries", None)
    last = failure_of(item.failures[-1])
    number = sum(failure_of(event).status is not Status.REFUSED for event in item.failures)
    detail = f"retry {number}" if most is None else f"retry {number} of {most}"
    if last.reason == NOT_SERVED:
        times = sum(failure_of(event).reason == NOT_SERVED for event in item.failures)
        detail = f"the next attempt, after workers gave it back {times} times: {last.details};"
    elif last.status is Status.REFUSED:
        detail = f"the next attempt, after SWF refused it ({last.reason}),"
    else:
        detail += f", after {last.message},"
    found = Condition(Cause.RETRY, at=due(timer), detail=detail)
    return _of_activity(found, item) if last.reason == NOT_SERVED else found


def due(timer: Item) -> datetime | None:
    """Return the time at which a timer fires."""
    return None if timer.opened is None else _later(timer.opened, timer.opened.data.start_to_fire_timeout)


class SiblingCause(StrEnum):
    """What a task shares with the others that its generator returned."""

    #: Only so many of them may be in flight.
    TURN = "turn"
    #: So many of them have failed, which is tolerated.
    TOLERATED = "tolerated"


#: What a task shares with others of its generator, and the position of the generator.
Sibling = tuple[SiblingCause, int]


def sibling_of(graph: TaskGraph, position: int, status: TaskStatus) -> Sibling | None:
    """Return what a task shares with the others that its generator returned; None for nothing."""
    progress = graph.progress
    turn = graph.turn(position) if status is TaskStatus.WAITING else None
    if turn is not None:
        return SiblingCause.TURN, turn.generator
    group = progress.groups.of(position) if position in progress.continued else None
    is_tolerated = group is not None and group.limits.tolerates
    return (SiblingCause.TOLERATED, group.generator) if group is not None and is_tolerated else None


def sibling_conditions(graph: TaskGraph, sibling: Sibling | None) -> Iterator[Condition]:
    """Yield the condition that tasks of a generator share."""
    if sibling is None:
        return
    cause, generator = sibling
    group = graph.progress.groups.by_generator[generator]
    if cause is SiblingCause.TOLERATED:
        count = graph.progress.count_of(group)
        yield Condition(Cause.TOLERATED, group.id, detail=group.tolerated(count))
    elif group.limits.max_in_flight is not None:
        most = group.limits.max_in_flight
        yield Condition(Cause.TURN, group.id, detail=f"{most - graph.room[generator]:,} of {most:,}")
