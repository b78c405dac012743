"""The rules of events: what each event type means for the state of a run.

Every event type has one row in ``RULES``, and that row is the whole meaning of the event.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import Any

from attrs import evolve

from floto.core.quick_init import maker
from floto.core.state.builder import StateBuilder
from floto.core.state.carried_signals import carried_events
from floto.core.state.redriven import PARTS_KEY, Redriven, kept_at_start, redriven
from floto.core.state.rule_kinds import (
    Moves,
    MovesChild,
    Opens,
    Refuses,
    RequestsCancel,
    Rule,
    Sets,
    not_open,
)
from floto.core.state.state import DecisionTasks, Item, Kind, Override, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.reserved_names import REDRIVE_KEY, child_of, task_of
from floto.core.swf.shapes import TaskList

_new_tasks = maker(DecisionTasks)


def _by(field: str) -> Callable[[Event], str]:
    return attrgetter(f"data.{field}")


_name_of: Callable[[Any], str] = attrgetter("signal_name")


def _signal_id(event: Event) -> str:
    return task_of(event.data.control) or str(event.id)


def _child_id(event: Event) -> str:
    return child_of(event.data)


def _started(draft: StateBuilder, event: Event) -> None:
    draft.started, draft.task_list = event, event.data.task_list
    for signal in carried_events(event):
        _signaled(draft, signal)
    kept, is_in_parts = kept_at_start(event.data)
    if is_in_parts:
        draft.put(Item(PARTS_KEY, Status.SCHEDULED, event))
    _keep(draft, event, kept)


def _keep(draft: StateBuilder, start: Event, kept: Redriven | None) -> None:
    """Begin a redriven run with the tasks and signals that it keeps."""
    if kept is None:
        return
    for task in kept.tasks:
        draft.put(task.item(start))
    for checkpoint in kept.checkpoints:
        _marked(draft, checkpoint.marker(start))
    for name, signals in groupby(sorted(kept.signals, key=_name_of), _name_of):
        arrived = (*(evolve(start, data=each) for each in signals), *draft.signals.get(name, ()))
        draft.signals = draft.signals.insert(name, arrived)
        key = (Kind.SIGNAL, name)
        draft.put(Item(key, Status.COMPLETED, None, closed=arrived[0]))


def _part(draft: StateBuilder, event: Event) -> None:
    """Add a part of what a redriven run keeps."""
    item = draft.item(PARTS_KEY)
    if item is None or not item.is_open or draft.started is None:
        return
    kept = redriven(draft.started.data, draft.signals[REDRIVE_KEY])
    if kept is not None:
        draft.put(evolve(item, status=Status.COMPLETED, closed=event))
        _keep(draft, draft.started, kept)


def _closed(draft: StateBuilder, event: Event) -> None:
    draft.closed = event


def _cancel_requested(draft: StateBuilder, event: Event) -> None:
    draft.cancel_requested = event


def _signaled(draft: StateBuilder, event: Event) -> None:
    signals, name = draft.signals, event.data.signal_name
    draft.signals = signals.insert(name, (*signals.get(name, ()), event))
    if name == REDRIVE_KEY:
        _part(draft, event)
        return
    key = (Kind.SIGNAL, name)
    if draft.item(key) is None:
        draft.put(Item(key, Status.COMPLETED, None, closed=event))


def _marked(draft: StateBuilder, event: Event) -> None:
    draft.markers = draft.markers.insert(event.data.marker_name, event)


def _check_decision(event: Event, ref: str, expected: Event | None) -> None:
    given = getattr(event.data, ref)
    if expected is None or expected.id != given:
        raise not_open(event, ref, given, "decision task")


def _decision_scheduled(draft: StateBuilder, event: Event) -> None:
    tasks = draft.decision_tasks
    draft.decision_tasks = _new_tasks(event, tasks.started, tasks.previous_started, tasks.ended_at)


def _decision_started(draft: StateBuilder, event: Event) -> None:
    tasks = draft.decision_tasks
    waiting = tasks.scheduled
    # SWF has at most one scheduled decision task. moto has several and starts the oldest first.
    if waiting is None or event.data.scheduled_event_id >= waiting.id:
        _check_decision(event, "scheduled_event_id", waiting)
        waiting = None
    draft.decision_tasks = _new_tasks(waiting, event, tasks.previous_started, tasks.ended_at)


def _decision_completed(draft: StateBuilder, event: Event) -> None:
    tasks, data = draft.decision_tasks, event.data
    _check_decision(event, "started_event_id", tasks.started)
    draft.decision_tasks = _new_tasks(tasks.scheduled, None, data.started_event_id, event.at)
    if data.task_list is not None:
        _choose_list(draft, data.task_list, data.task_list_schedule_to_start_timeout)


def _choose_list(draft: StateBuilder, task_list: TaskList, timeout: str | None) -> None:
    # Undocumented: NONE (taken as no time-out, so permanent), and a time-out without a list (ignored).
    if timeout is None or timeout == "NONE":
        draft.task_list, draft.override = task_list, None
    else:
        draft.override = Override(task_list, timeout)


def _decision_timed_out(draft: StateBuilder, event: Event) -> None:
    tasks = draft.decision_tasks
    if event.data.started_event_id:
        _check_decision(event, "started_event_id", tasks.started)
        tasks = _new_tasks(tasks.scheduled, None, tasks.previous_started, event.at)
    else:
        _check_decision(event, "scheduled_event_id", tasks.scheduled)
        tasks = _new_tasks(None, tasks.started, tasks.previous_started, tasks.ended_at)
    # Undocumented for a decision task that was scheduled before the override was set.
    draft.decision_tasks, draft.override = tasks, None


def _child_refused(draft: StateBuilder, event: Event) -> None:
    # Refused after StartChildWorkflowExecutionInitiated, or before it if the id is 0.
    rule: Rule = _CHILD_TAKEN if event.data.initiated_event_id else _CHILD_REFUSED
    rule.apply(draft, event)


def _not_continued(draft: StateBuilder, event: Event) -> None:
    # UNHANDLED_DECISION only means that new events need a decision first; other causes are refusals.
    if event.data.cause != "UNHANDLED_DECISION":
        _NOT_CONTINUED.apply(draft, event)


def _lambda_not_started(draft: StateBuilder, event: Event) -> None:
    if event.data.scheduled_event_id:
        _LAMBDA_NOT_STARTED.apply(draft, event)


def _nothing(draft: StateBuilder, event: Event) -> None:
    """Change nothing: the event does not affect any item."""


_NOT_CONTINUED = Refuses(Kind.CONTINUE_AS_NEW, lambda _: "")
_CHILD_TAKEN = Moves(Kind.CHILD, "initiated_event_id", Status.REFUSED)
_CHILD_REFUSED = Refuses(Kind.CHILD, _child_id)
_LAMBDA_NOT_STARTED = Moves(Kind.LAMBDA, "scheduled_event_id", Status.REFUSED)
_CLOSES = Sets(_closed)
_NOTHING = Sets(_nothing)
_SCHEDULED, _STARTED = (Status.SCHEDULED,), (Status.STARTED,)


def _ends(kind: Kind, ref: str, to: Status) -> Moves:
    return Moves(kind, ref, to, _STARTED)


def _child(to: Status, allowed_from: tuple[Status, ...] = _STARTED) -> MovesChild:
    return MovesChild(Moves(Kind.CHILD, "initiated_event_id", to, allowed_from))


RULES: dict[type, Rule] = {
    e.WorkflowExecutionStarted: Sets(_started),
    e.WorkflowExecutionCancelRequested: Sets(_cancel_requested),
    e.WorkflowExecutionSignaled: Sets(_signaled),
    e.WorkflowExecutionCompleted: _CLOSES,
    e.WorkflowExecutionFailed: _CLOSES,
    e.WorkflowExecutionCanceled: _CLOSES,
    e.WorkflowExecutionContinuedAsNew: _CLOSES,
    e.WorkflowExecutionTimedOut: _CLOSES,
    e.WorkflowExecutionTerminated: _CLOSES,
    e.CompleteWorkflowExecutionFailed: _NOTHING,
    e.FailWorkflowExecutionFailed: _NOTHING,
    e.CancelWorkflowExecutionFailed: _NOTHING,
    e.ContinueAsNewWorkflowExecutionFailed: Sets(_not_continued),
    e.DecisionTaskScheduled: Sets(_decision_scheduled),
    e.DecisionTaskStarted: Sets(_decision_started),
    e.DecisionTaskCompleted: Sets(_decision_completed),
    e.DecisionTaskTimedOut: Sets(_decision_timed_out),
    e.ActivityTaskScheduled: Opens(Kind.ACTIVITY, _by("activity_id")),
    e.ScheduleActivityTaskFailed: Refuses(Kind.ACTIVITY, _by("activity_id")),
    e.ActivityTaskStarted: Moves(Kind.ACTIVITY, "scheduled_event_id", Status.STARTED, _SCHEDULED),
    e.ActivityTaskCompleted: _ends(Kind.ACTIVITY, "scheduled_event_id", Status.COMPLETED),
    e.ActivityTaskFailed: _ends(Kind.ACTIVITY, "scheduled_event_id", Status.FAILED),
    e.ActivityTaskTimedOut: Moves(Kind.ACTIVITY, "scheduled_event_id", Status.TIMED_OUT),
    e.ActivityTaskCanceled: Moves(Kind.ACTIVITY, "scheduled_event_id", Status.CANCELED),
    e.ActivityTaskCancelRequested: RequestsCancel(_by("activity_id")),
    e.RequestCancelActivityTaskFailed: RequestsCancel(_by("activity_id"), is_granted=False),
    e.MarkerRecorded: Sets(_marked),
    e.RecordMarkerFailed: Refuses(Kind.MARKER, _by("marker_name")),
    e.TimerStarted: Opens(Kind.TIMER, _by("timer_id")),
    e.StartTimerFailed: Refuses(Kind.TIMER, _by("timer_id")),
    e.TimerFired: Moves(Kind.TIMER, "started_event_id", Status.COMPLETED),
    e.TimerCanceled: Moves(Kind.TIMER, "started_event_id", Status.CANCELED),
    e.CancelTimerFailed: _NOTHING,
    e.StartChildWorkflowExecutionInitiated: Opens(Kind.CHILD, _child_id, shared=True),
    e.StartChildWorkflowExecutionFailed: Sets(_child_refused),
    e.ChildWorkflowExecutionStarted: _child(Status.STARTED, _SCHEDULED),
    e.ChildWorkflowExecutionCompleted: _child(Status.COMPLETED),
    e.ChildWorkflowExecutionFailed: _child(Status.FAILED),
    e.ChildWorkflowExecutionTimedOut: _child(Status.TIMED_OUT),
    e.ChildWorkflowExecutionCanceled: _child(Status.CANCELED),
    e.ChildWorkflowExecutionTerminated: _child(Status.TERMINATED),
    e.SignalExternalWorkflowExecutionInitiated: Opens(Kind.EXTERNAL_SIGNAL, _signal_id),
    e.SignalExternalWorkflowExecutionFailed: Moves(
        Kind.EXTERNAL_SIGNAL, "initiated_event_id", Status.REFUSED
    ),
    e.ExternalWorkflowExecutionSignaled: Moves(Kind.EXTERNAL_SIGNAL, "initiated_event_id", Status.COMPLETED),
    e.RequestCancelExternalWorkflowExecutionInitiated: Opens(
        Kind.EXTERNAL_CANCEL, _by("workflow_id"), shared=True
    ),
    e.RequestCancelExternalWorkflowExecutionFailed: Moves(
        Kind.EXTERNAL_CANCEL, "initiated_event_id", Status.REFUSED
    ),
    e.ExternalWorkflowExecutionCancelRequested: Moves(
        Kind.EXTERNAL_CANCEL, "initiated_event_id", Status.COMPLETED
    ),
    e.LambdaFunctionScheduled: Opens(Kind.LAMBDA, _by("id"), shared=True),
    e.ScheduleLambdaFunctionFailed: Refuses(Kind.LAMBDA, _by("id")),
    e.LambdaFunctionStarted: Moves(Kind.LAMBDA, "scheduled_event_id", Status.STARTED, _SCHEDULED),
    e.StartLambdaFunctionFailed: Sets(_lambda_not_started),
    e.LambdaFunctionCompleted: _ends(Kind.LAMBDA, "scheduled_event_id", Status.COMPLETED),
    e.LambdaFunctionFailed: _ends(Kind.LAMBDA, "scheduled_event_id", Status.FAILED),
    e.LambdaFunctionTimedOut: _ends(Kind.LAMBDA, "scheduled_event_id", Status.TIMED_OUT),
}
