"""The events of a run as a whole."""

from __future__ import annotations

from attrs import frozen

from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType


@frozen(kw_only=True)
class WorkflowExecutionStarted:
    """The run started, with every default resolved."""

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
    """The cancellation of the run was requested; its decider carries it out."""

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
    """The run completed."""

    decision_task_completed_event_id: int
    result: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionFailed:
    """The run failed by a decision."""

    decision_task_completed_event_id: int
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionCanceled:
    """The run was canceled by a decision."""

    decision_task_completed_event_id: int
    details: str | None = None


@frozen(kw_only=True)
class WorkflowExecutionContinuedAsNew:
    """The run was continued as new, in another run of the same workflow id."""

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
    """The run timed out."""

    timeout_type: str
    child_policy: str


@frozen(kw_only=True)
class WorkflowExecutionTerminated:
    """The run was terminated, without a decision."""

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
