"""What happens to a run as a whole."""

from __future__ import annotations

from attrs import frozen

from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType


@frozen(kw_only=True)
class WorkflowExecutionStarted:
    """The run began, with every default resolved."""

    child_policy: str
    task_list: TaskList
    workflow_type: WorkflowType
    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_start_to_close_timeout: str | None = None
    task_priority: str | None = None
    tag_list: tuple[str, ...] | None = None
    continued_execution_run_id: str | None = None
    parent_workflow_execution: WorkflowExecution | None = None
    parent_initiated_event_id: int | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionCancelRequested:
    """Somebody asked the run to stop; the decider says how."""

    external_workflow_execution: WorkflowExecution | None = None
    external_initiated_event_id: int | None = None
    cause: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionSignaled:
    """A signal arrived from outside or from another execution."""

    signal_name: str
    input: str | None = None
    external_workflow_execution: WorkflowExecution | None = None
    external_initiated_event_id: int | None = None


@frozen(kw_only=True)
class WorkflowExecutionCompleted:
    """Closed: the work is done."""

    decision_task_completed_event_id: int
    result: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionFailed:
    """Closed: the decider gave up."""

    decision_task_completed_event_id: int
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionCanceled:
    """Closed: the decider followed a cancel request."""

    decision_task_completed_event_id: int
    details: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionContinuedAsNew:
    """Closed: a fresh run of the same workflow id took over."""

    decision_task_completed_event_id: int
    new_execution_run_id: str
    task_list: TaskList
    child_policy: str
    workflow_type: WorkflowType
    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_priority: str | None = None
    task_start_to_close_timeout: str | None = None
    tag_list: tuple[str, ...] | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionTimedOut:
    """Closed by the service: the run outlived its time-out."""

    timeout_type: str
    child_policy: str


@frozen(kw_only=True)
class WorkflowExecutionTerminated:
    """Closed by force, without asking the decider."""

    child_policy: str
    reason: str | None = None
    details: str | None = None
    cause: str | None = None


@frozen(kw_only=True)
class CompleteWorkflowExecutionFailed:
    """The service refused to close the run as completed."""

    cause: str
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class FailWorkflowExecutionFailed:
    """The service refused to close the run as failed."""

    cause: str
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class CancelWorkflowExecutionFailed:
    """The service refused to close the run as canceled."""

    cause: str
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class ContinueAsNewWorkflowExecutionFailed:
    """The service refused to continue the run as new."""

    cause: str
    decision_task_completed_event_id: int
