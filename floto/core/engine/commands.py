"""What can be asked of one run: SWF's operations, and what runs tell one another.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_Operations.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.engine.tokens import Token
from floto.core.swf.decisions import Decision
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType


@frozen
class Sender:
    """The run whose decision caused a command, and the event in its history that says so."""

    execution: WorkflowExecution
    initiated_event_id: int


@frozen(kw_only=True)
class StartWorkflowExecution:
    """Open a run; what is None comes from the registered type."""

    workflow_id: str
    workflow_type: WorkflowType
    task_list: TaskList | None = None
    task_priority: str | None = None
    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_start_to_close_timeout: str | None = None
    child_policy: str | None = None
    tag_list: tuple[str, ...] | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class Begin:
    """Write the first events of a run, every default resolved; ``sender`` is a parent that waits to hear."""

    started: WorkflowExecutionStarted
    sender: Sender | None = None


@frozen(kw_only=True)
class SignalWorkflowExecution:
    """Tell a run something."""

    signal_name: str
    input: str | None = None
    sender: Sender | None = None


@frozen(kw_only=True)
class RequestCancelWorkflowExecution:
    """Ask a run's decider to stop it."""

    sender: Sender | None = None
    cause: str | None = None


#: The API reference and emulators disagree on whether an operator's call names a cause.
OPERATOR = "OPERATOR_INITIATED"


@frozen(kw_only=True)
class TerminateWorkflowExecution:
    """Close a run without asking its decider."""

    reason: str | None = None
    details: str | None = None
    child_policy: str | None = None
    cause: str = OPERATOR


@frozen(kw_only=True)
class StartDecisionTask:
    """Hand the scheduled decision task to a decider."""

    identity: str | None = None


@frozen(kw_only=True)
class RespondDecisionTaskCompleted:
    """A decider's answer."""

    token: Token
    decisions: tuple[Decision, ...] = ()
    execution_context: str | None = None
    task_list: TaskList | None = None
    task_list_schedule_to_start_timeout: str | None = None


@frozen(kw_only=True)
class StartActivityTask:
    """Hand a scheduled activity to a worker."""

    scheduled_event_id: int
    identity: str | None = None


@frozen(kw_only=True)
class RespondActivityTaskCompleted:
    """A worker's result."""

    token: Token
    result: str | None = None


@frozen(kw_only=True)
class RespondActivityTaskFailed:
    """A worker's failure."""

    token: Token
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class RespondActivityTaskCanceled:
    """A worker stopped because it was asked to."""

    token: Token
    details: str | None = None


@frozen(kw_only=True)
class RecordActivityTaskHeartbeat:
    """A worker is alive; the answer says whether it was asked to stop."""

    token: Token
    details: str | None = None


@frozen(kw_only=True)
class StartLambdaFunction:
    """Hand a scheduled Lambda function to its invoker."""

    scheduled_event_id: int


@frozen(kw_only=True)
class RespondLambdaFunctionCompleted:
    """What a Lambda function returned."""

    token: Token
    result: str | None = None


@frozen(kw_only=True)
class RespondLambdaFunctionFailed:
    """How a Lambda function failed."""

    token: Token
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class Fire:
    """The deadline of what this event opened may have passed; ``at``: when, by the clock."""

    event_id: int
    at: datetime | None = None


@frozen(kw_only=True)
class Lose:
    """Whoever has the task that this event scheduled died too often with it."""

    scheduled_event_id: int


@frozen(kw_only=True)
class RespondCommand:
    """Write down what became of what this run asked for: a child, a signal, a cancel request, a Lambda."""

    data: Any


@frozen(kw_only=True)
class ChildClosed:
    """A child's closing event, for its parent's history."""

    initiated_event_id: int
    execution: WorkflowExecution
    workflow_type: WorkflowType
    closing: Any


#: What an open run is asked; ``StartWorkflowExecution`` makes the run that ``Begin`` opens.
Command = (
    Begin
    | SignalWorkflowExecution
    | RequestCancelWorkflowExecution
    | TerminateWorkflowExecution
    | StartDecisionTask
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
    | Lose
    | RespondCommand
    | ChildClosed
)
