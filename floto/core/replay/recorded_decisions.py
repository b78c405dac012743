"""The decisions that a history recorded: each event that a decision left, back to the decision.

A decision that was carried out left its fields in an event, with SWF's defaults filled in;
one that was refused left little more than an id and SWF's cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from attrs import fields, frozen

from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event


@frozen
class Recorded:
    """One decision as a history has it."""

    event_id: int
    #: With what the event says; a text that is required and was not recorded is empty.
    decision: Decision
    #: The fields that the event tells.
    known: tuple[str, ...]
    #: Why SWF refused the decision, if it did.
    cause: str | None = None


#: The event that a decision leaves when it is carried out, and the one when it is refused.
LEFT_BY: Mapping[type, type] = {
    e.ActivityTaskScheduled: d.ScheduleActivityTask,
    e.ScheduleActivityTaskFailed: d.ScheduleActivityTask,
    e.ActivityTaskCancelRequested: d.RequestCancelActivityTask,
    e.RequestCancelActivityTaskFailed: d.RequestCancelActivityTask,
    e.WorkflowExecutionCompleted: d.CompleteWorkflowExecution,
    e.CompleteWorkflowExecutionFailed: d.CompleteWorkflowExecution,
    e.WorkflowExecutionFailed: d.FailWorkflowExecution,
    e.FailWorkflowExecutionFailed: d.FailWorkflowExecution,
    e.WorkflowExecutionCanceled: d.CancelWorkflowExecution,
    e.CancelWorkflowExecutionFailed: d.CancelWorkflowExecution,
    e.WorkflowExecutionContinuedAsNew: d.ContinueAsNewWorkflowExecution,
    e.ContinueAsNewWorkflowExecutionFailed: d.ContinueAsNewWorkflowExecution,
    e.MarkerRecorded: d.RecordMarker,
    e.RecordMarkerFailed: d.RecordMarker,
    e.TimerStarted: d.StartTimer,
    e.StartTimerFailed: d.StartTimer,
    e.TimerCanceled: d.CancelTimer,
    e.CancelTimerFailed: d.CancelTimer,
    e.StartChildWorkflowExecutionInitiated: d.StartChildWorkflowExecution,
    e.StartChildWorkflowExecutionFailed: d.StartChildWorkflowExecution,
    e.SignalExternalWorkflowExecutionInitiated: d.SignalExternalWorkflowExecution,
    e.SignalExternalWorkflowExecutionFailed: d.SignalExternalWorkflowExecution,
    e.RequestCancelExternalWorkflowExecutionInitiated: d.RequestCancelExternalWorkflowExecution,
    e.RequestCancelExternalWorkflowExecutionFailed: d.RequestCancelExternalWorkflowExecution,
    e.LambdaFunctionScheduled: d.ScheduleLambdaFunction,
    e.ScheduleLambdaFunctionFailed: d.ScheduleLambdaFunction,
}


def recorded(event: Event) -> Recorded | None:
    """The decision that left an event; None for events that come from elsewhere.

    The refusal of a child, signal or cancel request that had been initiated is no decision
    of its own; ``refuses`` says whose it is.
    """
    cls = LEFT_BY.get(type(event.data))
    if cls is None or refuses(event):
        return None
    known, lacking = _fields(event.data.__class__)
    values = {name: getattr(event.data, name) for name in known}
    if cls is d.ContinueAsNewWorkflowExecution and isinstance(event.data, e.WorkflowExecutionContinuedAsNew):
        # The event names the whole type, the decision its version.
        known, values = (*known, _VERSION), {**values, _VERSION: event.data.workflow_type.version}
    return Recorded(event.id, cls(**values, **lacking), known, getattr(event.data, "cause", None))


def refuses(event: Event) -> int:
    """The id of the event that initiated what this event refuses; 0 where it refuses nothing initiated."""
    return event.data.initiated_event_id or 0 if type(event.data) in _REFUSES_INITIATED else 0


#: The refusals that may come after an event that initiated what is refused.
_REFUSES_INITIATED = frozenset(
    cls for cls in LEFT_BY if {"cause", "initiated_event_id"} <= {field.name for field in fields(cls)}
)
_VERSION = "workflow_type_version"


@cache
def _fields(event: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The decision's fields that an event tells, and those it needs and has not."""
    wanted, told = fields(LEFT_BY[event]), {field.name for field in fields(event)}
    known = tuple(field.name for field in wanted if field.name in told)
    return known, {field.name: "" for field in wanted if field.name not in told and not _optional(field)}


def _optional(field: Any) -> bool:
    return field.default is None
