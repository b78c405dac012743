"""The causes for which SWF may refuse a decision, in any state of the run.

Causes that only the state of a run can bring about are left out: UNHANDLED_DECISION, an id that is unknown
or in use, a child that is already running. The engine refuses those itself, as SWF does.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_HistoryEvent.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from floto.core.engine.registration.registered_types import RegisteredType
from floto.core.engine.registration.type_settings import ACTIVITY_NEEDS, RUN_NEEDS, missing
from floto.core.swf import decisions as d


@frozen
class Causes:
    """The causes for which SWF may refuse decisions of a type: transient and permanent ones."""

    transient: tuple[str, ...] = ()
    permanent: tuple[str, ...] = ("OPERATION_NOT_PERMITTED",)


_FORBIDDEN = Causes()
CAUSES: Mapping[type, Causes] = {
    d.ScheduleActivityTask: Causes(
        ("ACTIVITY_CREATION_RATE_EXCEEDED", "OPEN_ACTIVITIES_LIMIT_EXCEEDED"),
        (
            "OPERATION_NOT_PERMITTED",
            "ACTIVITY_TYPE_DOES_NOT_EXIST",
            "ACTIVITY_TYPE_DEPRECATED",
            *ACTIVITY_NEEDS.values(),
        ),
    ),
    d.RequestCancelActivityTask: _FORBIDDEN,
    d.StartTimer: Causes(("TIMER_CREATION_RATE_EXCEEDED", "OPEN_TIMERS_LIMIT_EXCEEDED")),
    d.CancelTimer: _FORBIDDEN,
    d.RecordMarker: _FORBIDDEN,
    d.StartChildWorkflowExecution: Causes(
        ("CHILD_CREATION_RATE_EXCEEDED", "OPEN_CHILDREN_LIMIT_EXCEEDED", "OPEN_WORKFLOWS_LIMIT_EXCEEDED"),
        (
            "OPERATION_NOT_PERMITTED",
            "WORKFLOW_TYPE_DOES_NOT_EXIST",
            "WORKFLOW_TYPE_DEPRECATED",
            *RUN_NEEDS.values(),
        ),
    ),
    d.SignalExternalWorkflowExecution: Causes(("SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",)),
    d.RequestCancelExternalWorkflowExecution: Causes(
        ("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",)
    ),
    d.ScheduleLambdaFunction: Causes(
        ("LAMBDA_FUNCTION_CREATION_RATE_EXCEEDED", "OPEN_LAMBDA_FUNCTIONS_LIMIT_EXCEEDED"),
        ("LAMBDA_SERVICE_NOT_AVAILABLE_IN_REGION",),
    ),
    d.CompleteWorkflowExecution: _FORBIDDEN,
    d.FailWorkflowExecution: _FORBIDDEN,
    d.CancelWorkflowExecution: _FORBIDDEN,
    d.ContinueAsNewWorkflowExecution: Causes(
        ("CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED",),
        (
            "OPERATION_NOT_PERMITTED",
            "WORKFLOW_TYPE_DOES_NOT_EXIST",
            "WORKFLOW_TYPE_DEPRECATED",
            *RUN_NEEDS.values(),
        ),
    ),
}


def cause_of_type(registered: RegisteredType | None, settings: Mapping[str, Any]) -> str | None:
    """Return the cause for which no run can have a workflow type and settings; None if one can."""
    if registered is None:
        return "WORKFLOW_TYPE_DOES_NOT_EXIST"
    if registered.deprecated_at is not None:
        return "WORKFLOW_TYPE_DEPRECATED"
    lacking = missing(settings, RUN_NEEDS)
    return None if lacking is None else RUN_NEEDS[lacking]
