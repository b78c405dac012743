"""What keeps a task from moving on: its conditions, as data, each with the sentence that says it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from attrs import evolve, frozen

from floto.core.spec.tasks import Task
from floto.core.state.attempts import moment_of
from floto.core.state.failures import NOT_SERVED, failure_of
from floto.core.state.state import Item, Kind, Status
from floto.core.swf.events import ActivityTaskScheduled, Event
from floto.core.swf.shapes import ActivityType
from floto.core.visible import moment_text, visible


class Cause(StrEnum):
    """What a condition is about, as the sentence that says it."""

    REQUIRES = "{task} has to complete"
    GENERATOR = "generator {task} has to return its tasks"
    BLOCKED = "blocked by the failure of {task}: {detail}"
    RETRY = "{detail} is due at {at}"
    WORKER = "a worker has to take it; it has been on task list {task_list!r} since {at}"
    STARTER = "SWF has to start it; it was asked to at {at}"
    WORK = "it has to end; it has been running since {at}{who}{until}"
    CHILD = "child workflow {detail!r} has to end; it has been running since {at}"
    SIGNAL = "signal {detail!r} has to arrive"
    TIMER = "its time has to pass, at {at}"
    DECIDER = "a decider has to answer the decision task of event {detail}"
    ROOM = "something has to end first: SWF lets {detail} be open"
    STOPPING = "{task} has to end, which is asked to stop"
    CLEANS_UP = "it runs only if the run {detail}"
    CANCEL_REQUESTED = "the run was asked to cancel at {at}, so nothing more is started"
    FAILING = "the run fails because {task} failed: {detail}"
    CLOSED = "the run closed at {at} ({detail})"


#: What is about another task of the run.
OF_TASKS = (Cause.REQUIRES, Cause.GENERATOR)


@frozen
class Condition:
    """One thing that keeps a task from moving on."""

    cause: Cause
    #: The other task it is about, if it is about one.
    task: str = ""
    at: datetime | None = None
    detail: str = ""
    #: The event that scheduled the activity it is about; 0 where it is about none.
    event_id: int = 0
    #: Where that activity waits, or waited.
    task_list: str = ""
    activity_type: ActivityType | None = None
    #: The worker that began it, and when it times out; None for never, or as its registered type says.
    who: str = ""
    until: datetime | None = None

    def __str__(self) -> str:
        """Return one line."""
        values = {
            "task": self.task,
            "at": "" if self.at is None else moment_text(self.at),
            "detail": self.detail,
            "task_list": self.task_list,
            "who": f", with {self.who}" if self.who else "",
            "until": "" if self.until is None else f", and times out at {moment_text(self.until)}",
        }
        return visible(self.cause.value.format(**values))


def queued(item: Item) -> Condition:
    """Return what an item waits for that SWF has and nobody has begun."""
    if item.key[0] is Kind.ACTIVITY:
        return _of_activity(Condition(Cause.WORKER, at=moment_of(item.opened)), item)
    return Condition(Cause.STARTER, at=moment_of(item.opened))


def working(item: Item) -> Condition:
    """Return what an item waits for that has begun."""
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
    """Return when an attempt that has begun times out; None for never, or as its registered type says."""
    begins = (("schedule_to_close_timeout", item.opened), ("start_to_close_timeout", item.started))
    ends = [
        event.at + timedelta(seconds=int(seconds))
        for name, event in begins
        if event is not None
        and item.opened is not None
        and (seconds := getattr(item.opened.data, name, None) or "NONE") != "NONE"
    ]
    return min(ends, default=None)


def retry(task: Task, item: Item, timer: Item) -> Condition:
    """Return what a task waits for whose last attempt failed, was refused or was given back."""
    most = getattr(task.retry_strategy, "retries", None)
    last = failure_of(item.failures[-1])
    number = sum(failure_of(event).status is not Status.REFUSED for event in item.failures)
    detail = f"retry {number}" if most is None else f"retry {number} of {most}"
    if last.reason == NOT_SERVED:
        times = sum(failure_of(event).reason == NOT_SERVED for event in item.failures)
        detail = f"another try, after it was given back {times} times: {last.details};"
    elif last.status is Status.REFUSED:
        detail = f"another try after SWF refused it ({last.reason})"
    else:
        detail += f", after {last.message},"
    found = Condition(Cause.RETRY, at=due(timer), detail=detail)
    return _of_activity(found, item) if last.reason == NOT_SERVED else found


def due(timer: Item) -> datetime | None:
    """Return when a timer fires."""
    if timer.opened is None:
        return None
    return timer.opened.at + timedelta(seconds=int(timer.opened.data.start_to_fire_timeout))
