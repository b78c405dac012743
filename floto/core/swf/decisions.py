"""Every decision of SWF, one frozen class each: SWF's name, SWF's fields in snake_case and in its order.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_Decision.html
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from floto.core.quick_init import quick_init
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class ScheduleActivityTask:
    """Schedule an activity for a worker."""

    activity_type: ActivityType
    activity_id: str
    control: str | None = None
    input: str | None = None
    schedule_to_close_timeout: str | None = None
    task_list: TaskList | None = None
    task_priority: str | None = None
    schedule_to_start_timeout: str | None = None
    start_to_close_timeout: str | None = None
    heartbeat_timeout: str | None = None


@frozen(kw_only=True)
class RequestCancelActivityTask:
    """Request the cancellation of an open activity."""

    activity_id: str


@frozen(kw_only=True)
class CompleteWorkflowExecution:
    """Close the run as completed."""

    result: str | None = None


@frozen(kw_only=True)
class FailWorkflowExecution:
    """Close the run as failed."""

    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class CancelWorkflowExecution:
    """Close the run as canceled."""

    details: str | None = None


@frozen(kw_only=True)
class ContinueAsNewWorkflowExecution:
    """Close the run and start a new one under the same workflow id."""

    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_list: TaskList | None = None
    task_priority: str | None = None
    task_start_to_close_timeout: str | None = None
    child_policy: str | None = None
    tag_list: tuple[str, ...] | None = None
    workflow_type_version: str | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class RecordMarker:
    """Record a marker in the history."""

    marker_name: str
    details: str | None = None


@frozen(kw_only=True)
class StartTimer:
    """Start a timer, which schedules a decision task when it fires; time-out in seconds."""

    timer_id: str
    control: str | None = None
    start_to_fire_timeout: str


@frozen(kw_only=True)
class CancelTimer:
    """Cancel an open timer."""

    timer_id: str


@frozen(kw_only=True)
class SignalExternalWorkflowExecution:
    """Send a signal to another execution."""

    workflow_id: str
    run_id: str | None = None
    signal_name: str
    input: str | None = None
    control: str | None = None


@frozen(kw_only=True)
class RequestCancelExternalWorkflowExecution:
    """Request the cancellation of another execution."""

    workflow_id: str
    run_id: str | None = None
    control: str | None = None


@frozen(kw_only=True)
class StartChildWorkflowExecution:
    """Start a child execution; this run gets an event when it closes."""

    workflow_type: WorkflowType
    workflow_id: str
    control: str | None = None
    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_list: TaskList | None = None
    task_priority: str | None = None
    task_start_to_close_timeout: str | None = None
    child_policy: str | None = None
    tag_list: tuple[str, ...] | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class ScheduleLambdaFunction:
    """Schedule the invocation of a Lambda function."""

    id: str
    name: str
    control: str | None = None
    input: str | None = None
    start_to_close_timeout: str | None = None


Decision = (
    ScheduleActivityTask
    | RequestCancelActivityTask
    | CompleteWorkflowExecution
    | FailWorkflowExecution
    | CancelWorkflowExecution
    | ContinueAsNewWorkflowExecution
    | RecordMarker
    | StartTimer
    | CancelTimer
    | SignalExternalWorkflowExecution
    | RequestCancelExternalWorkflowExecution
    | StartChildWorkflowExecution
    | ScheduleLambdaFunction
)

#: Every decision class by SWF's name for it.
DECISION_TYPES: dict[str, type] = {cls.__name__: cls for cls in Decision.__args__}

#: The decisions that close a run; SWF accepts at most one per response, as the last.
CLOSE_DECISIONS: tuple[type, ...] = (
    CompleteWorkflowExecution,
    FailWorkflowExecution,
    CancelWorkflowExecution,
    ContinueAsNewWorkflowExecution,
)


def closes(found: Sequence[Decision]) -> bool:
    """Return True if these decisions close their run."""
    return bool(found) and isinstance(found[-1], CLOSE_DECISIONS)
