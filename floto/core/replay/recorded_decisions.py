"""Decisions that a history recorded, reconstructed from the events that they caused.

The event of a decision that was carried out has its fields, with SWF's defaults filled in;
that of a refused decision has little more than an id and SWF's cause.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from operator import attrgetter
from typing import Any

from attrs import fields, frozen

from floto.core.errors import PayloadError, PayloadsNeeded
from floto.core.payloads import payload
from floto.core.payloads.reference import stored
from floto.core.quick_init import quick_init
from floto.core.spec.tasks import TaskCodec
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event


@quick_init
@frozen(weakref_slot=False)
class Recorded:
    """A decision reconstructed from a history."""

    event_id: int
    #: With the fields of the event; required strings that it does not have are empty.
    decision: Decision
    #: Fields of the decision that the event has.
    known: tuple[str, ...]
    #: SWF's cause, if it refused the decision.
    cause: str | None = None


#: The type of the decision that each type of event records: one that was carried out, or refused.
DECISION_OF_EVENT: Mapping[type, type] = {
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


#: The fields of decisions in which a decider stores values that are too long for SWF.
_STORED_FIELDS = ("input", "result", "details")


def check_readable(decisions: Iterable[Recorded], codec: TaskCodec) -> None:
    """Raise ``PayloadsNeeded`` if decisions have values that a decider stored, and there is no store.

    Without the store, such a decision cannot be made again: its value is too long for SWF.
    """
    for each in decisions if codec.payloads is None else ():
        for name in _STORED_FIELDS:
            text = getattr(each.decision, name, None)
            with suppress(PayloadError):
                for reference in stored(payload.loads(text)):
                    what = f"the {name} of a recorded {type(each.decision).__name__}"
                    raise PayloadsNeeded(what, json.dumps(reference))


def recorded(event: Event) -> Recorded | None:
    """Return the decision that an event records; None if it records none.

    The refusal of a child, signal or cancel request after its ...Initiated event records none;
    ``refuses`` returns the id of that event.
    """
    cls = DECISION_OF_EVENT.get(type(event.data))
    if cls is None or refuses(event):
        return None
    known, lacking = _fields(event.data.__class__)
    values = dict(zip(known, values_of(known)(event.data), strict=True))
    if cls is d.ContinueAsNewWorkflowExecution and isinstance(event.data, e.WorkflowExecutionContinuedAsNew):
        # The event names the whole type, the decision its version.
        known, values = (*known, _VERSION), {**values, _VERSION: event.data.workflow_type.version}
    return Recorded(event.id, cls(**values, **lacking), known, getattr(event.data, "cause", None))


@cache
def values_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that returns the values of these attributes of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple(getattr(value, name) for name in names)


def refuses(event: Event) -> int:
    """Return the id of the ...Initiated event whose request this event refuses; 0 if there is none."""
    return event.data.initiated_event_id or 0 if type(event.data) in _REFUSES_INITIATED else 0


#: Refusals that may follow an ...Initiated event.
_REFUSES_INITIATED = frozenset(
    cls
    for cls in DECISION_OF_EVENT
    if {"cause", "initiated_event_id"} <= {field.name for field in fields(cls)}
)
_VERSION = "workflow_type_version"


@cache
def _fields(event: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the decision's fields that an event has, and empty values of the required ones it lacks."""
    wanted, told = fields(DECISION_OF_EVENT[event]), {field.name for field in fields(event)}
    known = tuple(field.name for field in wanted if field.name in told)
    return known, {field.name: "" for field in wanted if field.name not in told and not _optional(field)}


def _optional(field: Any) -> bool:
    return field.default is None
