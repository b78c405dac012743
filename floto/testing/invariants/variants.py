"""Changed histories that must be decided alike: irrelevant events, redelivery, another order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import evolve, fields_dict

from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.events.references import references
from floto.core.swf.history import History
from floto.core.swf.reserved_names import WAIT_PREFIX
from floto.core.swf.shapes import TaskList, WorkflowType
from floto.testing.reading.oracle import name


def appended(history: History, data: Iterable[Any]) -> History:
    """Return a history with more events, all at the time of its last event."""
    last = history.events[-1]
    more = (Event(last.id + number, last.at, each) for number, each in enumerate(data, start=1))
    return evolve(history, events=(*history.events, *more))


def with_irrelevant_events(history: History, before: int, irrelevant: tuple[Any, ...]) -> History:
    """Return a history with more events before one of its own; references are shifted."""
    early, late = history.events[: before - 1], history.events[before - 1 :]
    at: datetime = late[0].at if late else early[-1].at
    new = (Event(before + number, at, each) for number, each in enumerate(irrelevant))
    moved = (
        Event(each.id + len(irrelevant), each.at, _moved(each.data, before, len(irrelevant))) for each in late
    )
    return evolve(history, events=(*early, *new, *moved))


def _moved(data: Any, before: int, by: int) -> Any:
    old = {each: getattr(data, each) for each in references(data.__class__)}
    changes = {each: value + by for each, value in old.items() if value is not None and value >= before}
    return evolve(data, **changes) if changes else data


def redelivered(history: History) -> History | None:
    """Return the history after its decision task timed out and was scheduled again; None if none is open."""
    started = history.events[-1] if history.events else None
    if started is None or not isinstance(started.data, e.DecisionTaskStarted):
        return None
    scheduled = history.events[started.data.scheduled_event_id - 1].data
    timed_out = e.DecisionTaskTimedOut(
        timeout_type="START_TO_CLOSE",
        scheduled_event_id=started.data.scheduled_event_id,
        started_event_id=started.id,
    )
    return appended(history, (timed_out, scheduled, e.DecisionTaskStarted(scheduled_event_id=started.id + 2)))


#: The event that each decision leaves where SWF accepts it.
_LEAVES: Mapping[str, type] = {
    "ScheduleActivityTask": e.ActivityTaskScheduled,
    "StartTimer": e.TimerStarted,
    "StartChildWorkflowExecution": e.StartChildWorkflowExecutionInitiated,
    "ScheduleLambdaFunction": e.LambdaFunctionScheduled,
    "SignalExternalWorkflowExecution": e.SignalExternalWorkflowExecutionInitiated,
    "RequestCancelExternalWorkflowExecution": e.RequestCancelExternalWorkflowExecutionInitiated,
    "RequestCancelActivityTask": e.ActivityTaskCancelRequested,
    "RecordMarker": e.MarkerRecorded,
    "CompleteWorkflowExecution": e.WorkflowExecutionCompleted,
    "FailWorkflowExecution": e.WorkflowExecutionFailed,
    "CancelWorkflowExecution": e.WorkflowExecutionCanceled,
    "ContinueAsNewWorkflowExecution": e.WorkflowExecutionContinuedAsNew,
}
#: SWF's defaults for fields that a decision does not set.
_FILLED_IN: Mapping[str, Any] = {
    "task_list": TaskList("default"),
    "child_policy": "TERMINATE",
    "workflow_type": WorkflowType("flow", "v1"),
    "new_execution_run_id": "next",
}


def applied(history: History, decisions: Iterable[Decision]) -> History | None:
    """Return the history just after decisions took effect; None if no decision task is open."""
    started = history.events[-1] if history.events else None
    if started is None or not isinstance(started.data, e.DecisionTaskStarted):
        return None
    completed = started.id + 1
    data: list[Any] = [
        e.DecisionTaskCompleted(
            scheduled_event_id=started.data.scheduled_event_id, started_event_id=started.id
        )
    ]
    for decision in decisions:
        cls = _LEAVES.get(name(decision))
        if cls is None:
            return None
        data.append(left(cls, decision, completed))
    return appended(history, data)


def left(cls: type, decision: Decision, completed: int, **more: Any) -> Any:
    """Return the event that a decision leaves; ``more`` are values of further fields, where it has them."""
    further = {"decision_task_completed_event_id": completed, **more}
    values = {each: value for each, value in further.items() if each in fields_dict(cls)}
    for each in fields_dict(cls):
        value = getattr(decision, each, None)
        if value is None:
            value = _FILLED_IN.get(each)
        if value is not None:
            values[each] = value
    return cls(**values)


def swapped(history: History) -> History | None:
    """Return the history with the last two consecutive completions swapped; None without any."""
    events = history.events
    for first, second in zip(reversed(events[:-1]), reversed(events[1:]), strict=True):
        if isinstance(second.data, e.DecisionTaskCompleted):
            break
        is_free = _sender(first) != _sender(second) and not _ends_a_wait(first, second)
        if _may_swap(first) and _may_swap(second) and is_free:
            turned = (Event(first.id, first.at, second.data), Event(second.id, second.at, first.data))
            return evolve(history, events=(*events[: first.id - 1], *turned, *events[second.id :]))
    return None


#: Events whose order makes no difference.
_WENT_WELL = (
    e.ActivityTaskCompleted,
    e.TimerFired,
    e.ChildWorkflowExecutionCompleted,
    e.LambdaFunctionCompleted,
    e.WorkflowExecutionSignaled,
)


def _may_swap(event: Event) -> bool:
    return isinstance(event.data, _WENT_WELL)


def _ends_a_wait(*events: Event) -> bool:
    """Return True for the time-out of a wait and a signal; of the two, the first may count."""
    timers = [each for each in events if isinstance(each.data, e.TimerFired)]
    is_of_wait = any(each.data.timer_id.startswith(WAIT_PREFIX) for each in timers)
    return is_of_wait and any(isinstance(each.data, e.WorkflowExecutionSignaled) for each in events)


def _sender(event: Event) -> str | None:
    # Of two signals of one name the first counts.
    return getattr(event.data, "signal_name", str(event.id))


def with_result(history: History, event: Event, result: str) -> History:
    """Return a history in which an attempt has another result."""
    data = evolve(event.data, result=result)
    events = (*history.events[: event.id - 1], evolve(event, data=data), *history.events[event.id :])
    return evolve(history, events=events)
