"""Reads a history the slow and obvious way, sharing nothing with floto's fold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from attrs import define, field

from floto import DeciderSpec, History, Task
from floto.core.decisions import Decision
from floto.core.events import Event

CONTROL = "floto.task:"
#: The marker with which a clean-up after a failure begins.
FAILURES = "floto.failures"
#: The name of the signal that a task waits for, before its id, in random specs.
SIGNAL = "signal for "
_RETRY = "floto.retry:"
_OPENS = {
    "ActivityTaskScheduled": "activity_id",
    "TimerStarted": "timer_id",
    "StartChildWorkflowExecutionInitiated": "control",
}
_REFUSES = {
    "ScheduleActivityTaskFailed": "activity_id",
    "StartTimerFailed": "timer_id",
    "StartChildWorkflowExecutionFailed": "control",
}
_ENDS = {
    "ActivityTaskCompleted": "scheduled_event_id",
    "ActivityTaskFailed": "scheduled_event_id",
    "ActivityTaskTimedOut": "scheduled_event_id",
    "ActivityTaskCanceled": "scheduled_event_id",
    "TimerFired": "started_event_id",
    "TimerCanceled": "started_event_id",
    "ChildWorkflowExecutionCompleted": "initiated_event_id",
    "ChildWorkflowExecutionFailed": "initiated_event_id",
    "ChildWorkflowExecutionTimedOut": "initiated_event_id",
    "ChildWorkflowExecutionCanceled": "initiated_event_id",
    "ChildWorkflowExecutionTerminated": "initiated_event_id",
}
_GOOD = (
    "ActivityTaskCompleted",
    "TimerFired",
    "ChildWorkflowExecutionCompleted",
    "WorkflowExecutionSignaled",
)
#: What a clean-up waits for.
AWAITED = ("ActivityTaskScheduled", "StartChildWorkflowExecutionInitiated")
CLOSES = (
    "CompleteWorkflowExecution",
    "FailWorkflowExecution",
    "CancelWorkflowExecution",
    "ContinueAsNewWorkflowExecution",
)


def name(thing: Any) -> str:
    """The class of an event's data or of a decision."""
    return type(thing).__name__


@define
class Attempt:
    """One attempt at a task."""

    opened: Event
    end: Event | None = None

    @property
    def completed(self) -> bool:
        return self.end is not None and name(self.end.data) in _GOOD


@define
class Account:
    """What a history says of each task, by id; timers that wait for retries are tasks here, too."""

    attempts: dict[str, list[Attempt]] = field(factory=lambda: defaultdict(list))
    refusals: dict[str, list[Event]] = field(factory=lambda: defaultdict(list))
    canceled: bool = False

    def completed(self, id_: str) -> bool:
        return any(attempt.completed for attempt in self.attempts.get(id_, ()))

    def in_flight(self, id_: str) -> bool:
        return any(attempt.end is None for attempt in self.attempts.get(id_, ()))

    def failed(self, id_: str) -> list[Attempt]:
        return [a for a in self.attempts.get(id_, ()) if a.end is not None and not a.completed]

    def touched(self, id_: str) -> bool:
        return bool(self.attempts.get(id_)) or bool(self.refusals.get(id_))

    def result(self, id_: str) -> str | None:
        ended = [a.end for a in self.attempts[id_] if a.completed and a.end is not None]
        data = ended[-1].data
        result: str | None = getattr(
            data, "input" if name(data) == "WorkflowExecutionSignaled" else "result", None
        )
        return result


def account(history: Iterable[Event]) -> Account:
    """Read a history."""
    read = Account()
    by_event: dict[int, Attempt] = {}
    for event in history:
        kind = name(event.data)
        if kind in _OPENS:
            attempt = by_event[event.id] = Attempt(event)
            read.attempts[_id(getattr(event.data, _OPENS[kind]))].append(attempt)
        elif kind == "WorkflowExecutionSignaled" and event.data.signal_name.startswith(SIGNAL):
            # The first arrival is the only one that counts.
            id_ = event.data.signal_name.removeprefix(SIGNAL)
            read.attempts[id_] = read.attempts.get(id_) or [Attempt(event, event)]
        elif kind in _ENDS:
            by_event[getattr(event.data, _ENDS[kind])].end = event
        elif kind in _REFUSES:
            if getattr(event.data, "initiated_event_id", 0):
                # Initiated, and refused all the same: no attempt came of it.
                read.attempts[_id(event.data.control)].remove(by_event[event.data.initiated_event_id])
            read.refusals[_id(getattr(event.data, _REFUSES[kind]))].append(event)
        elif kind == "WorkflowExecutionCancelRequested":
            read.canceled = True
    return read


def _id(text: str) -> str:
    return text.removeprefix(CONTROL)


def starts(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """The decisions that start tasks, by the id of the task; waits for retries are not among them."""
    found: dict[str, Decision] = {}
    for decision in decisions:
        for attribute in ("activity_id", "timer_id", "control"):
            id_ = getattr(decision, attribute, None)
            if (
                name(decision) in ("ScheduleActivityTask", "StartTimer", "StartChildWorkflowExecution")
                and id_
            ):
                if not id_.startswith("floto.") or id_.startswith(CONTROL):
                    found[_id(id_)] = decision
                break
    return found


def work(decisions: Iterable[Decision]) -> set[str]:
    """The ids of the tasks that are started, or whose retries are."""
    found = set(starts(decisions))
    for decision in decisions:
        timer_id = getattr(decision, "timer_id", "")
        if timer_id.startswith(_RETRY):
            found.add(timer_id.removeprefix(_RETRY).rpartition(":")[0])
    return found


def is_work(decision: Decision) -> bool:
    """Whether a decision starts something."""
    return name(decision) in ("ScheduleActivityTask", "StartTimer", "StartChildWorkflowExecution")


def closing(decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions that close the run."""
    return [decision for decision in decisions if name(decision) in CLOSES]


def tasks(spec: DeciderSpec) -> dict[str, Task]:
    """Tasks by id, those that clean up too."""
    return {task.id_: task for task in spec.all_tasks}


def noted(history: Iterable[Event], decisions: Iterable[Decision] = ()) -> str | None:
    """Why a run fails, as it noted when its clean-up began, in the past or just now."""
    data = [event.data for event in history if name(event.data) == "MarkerRecorded"]
    data += [decision for decision in decisions if name(decision) == "RecordMarker"]
    details = [each.details for each in data if each.marker_name == FAILURES]
    return details[-1] if details else None


def cleans_up(history: Iterable[Event]) -> str | None:
    """Which tasks clean up, as a history stands: none of them, those after a failure or after a cancel."""
    history = list(history)
    if noted(history) is not None:
        return "on_failure"
    return "on_cancel" if account(history).canceled else None


def in_turn(
    spec: DeciderSpec, history: Iterable[Event], decisions: Iterable[Decision] = ()
) -> dict[str, Task]:
    """The tasks that may be started, as things stand, by id."""
    part = "on_failure" if noted((), decisions) else cleans_up(history)
    return {task.id_: task for task in getattr(spec, part or "activity_tasks")}


def settled(read: Account, known: dict[str, Task], id_: str) -> bool:
    """Whether a task has completed, and all that it requires before it; a signal may be early."""
    waiting, seen = [id_], {id_}
    while waiting:
        each = waiting.pop()
        if not read.completed(each):
            return False
        new = set(known[each].requires) - seen
        seen |= new
        waiting += new
    return True


def close_status(history: History) -> str:
    """The type of the last event."""
    return name(history.events[-1].data)
