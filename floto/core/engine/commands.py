"""Commands of one run: SWF's operations, and the messages between runs.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.tokens import TaskKind, Token
from floto.core.quick_init import maker, quick_init
from floto.core.state.state import State
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event, WorkflowExecutionStarted
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType


@frozen
class Sender:
    """Run whose decision caused a command, and the id of that decision's ...Initiated event."""

    execution: WorkflowExecution
    initiated_event_id: int


@frozen(kw_only=True)
class StartWorkflowExecution:
    """Open a run; fields that are None default to the registered type."""

    workflow_id: str
    workflow_type: WorkflowType
    task_list: TaskList | None = None
    task_priority: str | None = None
    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    tag_list: tuple[str, ...] | None = None
    task_start_to_close_timeout: str | None = None
    child_policy: str | None = None
    lambda_role: str | None = None


def start_command(request: StartRequest) -> StartWorkflowExecution:
    """Return a start request of the runtime as a command."""
    return StartWorkflowExecution(
        workflow_id=request.workflow_id,
        workflow_type=request.workflow_type,
        task_list=None if request.task_list is None else TaskList(request.task_list),
        task_priority=request.priority,
        input=request.input,
        execution_start_to_close_timeout=request.execution_timeout,
        task_start_to_close_timeout=request.decision_timeout,
        child_policy=request.child_policy,
        tag_list=request.tags,
        lambda_role=request.lambda_role,
    )


@frozen(kw_only=True)
class Begin:
    """Write the first events of a run, with every default resolved; ``sender`` is the parent to notify."""

    started: WorkflowExecutionStarted
    sender: Sender | None = None


@frozen(kw_only=True)
class SignalWorkflowExecution:
    """Send a signal to a run."""

    signal_name: str
    input: str | None = None
    sender: Sender | None = None


@frozen(kw_only=True)
class RequestCancelWorkflowExecution:
    """Request the cancellation of a run; its decider decides how it stops."""

    sender: Sender | None = None
    cause: str | None = None


#: Cause of a termination by an API call; the API reference and emulators disagree on whether it is set.
OPERATOR = "OPERATOR_INITIATED"


@frozen(kw_only=True)
class TerminateWorkflowExecution:
    """Close a run without a decision."""

    reason: str | None = None
    details: str | None = None
    child_policy: str | None = None
    cause: str = OPERATOR


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class StartDecisionTask:
    """Dispatch the scheduled decision task to a decider."""

    identity: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class DecideAtOnce:
    """Dispatch the scheduled decision task and respond to it in one step, with the events of two."""

    #: Called with the state after DecisionTaskStarted, the events of the step, of which this is the last, and
    #: the keys that changed before. Returns the reply of the step and the response; None for the response
    #: leaves the task started.
    decide: Callable[[State, Sequence[Event], ChangedKeys], tuple[Any, RespondDecisionTaskCompleted | None]]
    identity: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RespondDecisionTaskCompleted:
    """Respond to a decision task."""

    token: Token
    decisions: tuple[Decision, ...] = ()
    execution_context: str | None = None
    task_list: TaskList | None = None
    task_list_schedule_to_start_timeout: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class StartActivityTask:
    """Dispatch a scheduled activity task to a worker."""

    scheduled_event_id: int
    identity: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RespondActivityTaskCompleted:
    """Complete an activity task."""

    token: Token
    result: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RespondActivityTaskFailed:
    """Fail an activity task."""

    token: Token
    reason: str | None = None
    details: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RespondActivityTaskCanceled:
    """Report that a worker stopped an activity task because cancellation was requested."""

    token: Token
    details: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RecordActivityTaskHeartbeat:
    """Record a heartbeat; the reply is True if cancellation of the activity was requested."""

    token: Token
    details: str | None = None


@frozen(kw_only=True)
class StartLambdaFunction:
    """Dispatch a scheduled Lambda function to its invoker."""

    scheduled_event_id: int


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RespondLambdaFunctionCompleted:
    """Complete a Lambda function."""

    token: Token
    result: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class RespondLambdaFunctionFailed:
    """Fail a Lambda function."""

    token: Token
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class Fire:
    """Fire the deadline of the item that ``event_id`` opened, if it has passed; ``at`` is the deadline."""

    event_id: int
    at: datetime | None = None


@frozen(kw_only=True)
class TimeOutLostTask:
    """Time out a task whose owners have crashed again and again, perhaps because of it (``crashes.py``)."""

    scheduled_event_id: int


@frozen(kw_only=True)
class RecordOutcome:
    """Append the outcome of a child start, signal, cancel request or Lambda function of this run."""

    data: Any


@frozen(kw_only=True)
class ChildClosed:
    """Append the close of a child to the history of its parent; ``closing`` is the child's last event."""

    initiated_event_id: int
    execution: WorkflowExecution
    workflow_type: WorkflowType
    closing: Any


#: The commands on a run. ``StartWorkflowExecution`` is not one: the engine makes a ``Begin`` of it.
Command = (
    Begin
    | SignalWorkflowExecution
    | RequestCancelWorkflowExecution
    | TerminateWorkflowExecution
    | StartDecisionTask
    | DecideAtOnce
    | RespondDecisionTaskCompleted
    | StartActivityTask
    | RespondActivityTaskCompleted
    | RespondActivityTaskFailed
    | RespondActivityTaskCanceled
    | RecordActivityTaskHeartbeat
    | StartLambdaFunction
    | RespondLambdaFunctionCompleted
    | RespondLambdaFunctionFailed
    | Fire
    | TimeOutLostTask
    | RecordOutcome
    | ChildClosed
)

#: The commands with the token of a task: the kind of the task, and a function that makes the command.
RESPONSES: Mapping[type, tuple[TaskKind, Callable[..., Any]]] = {
    RespondDecisionTaskCompleted: (TaskKind.DECISION, maker(RespondDecisionTaskCompleted)),
    RespondActivityTaskCompleted: (TaskKind.ACTIVITY, maker(RespondActivityTaskCompleted)),
    RespondActivityTaskFailed: (TaskKind.ACTIVITY, maker(RespondActivityTaskFailed)),
    RespondActivityTaskCanceled: (TaskKind.ACTIVITY, maker(RespondActivityTaskCanceled)),
    RecordActivityTaskHeartbeat: (TaskKind.ACTIVITY, maker(RecordActivityTaskHeartbeat)),
    RespondLambdaFunctionCompleted: (TaskKind.LAMBDA, maker(RespondLambdaFunctionCompleted)),
    RespondLambdaFunctionFailed: (TaskKind.LAMBDA, maker(RespondLambdaFunctionFailed)),
}
