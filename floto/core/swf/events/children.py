"""The events of children in the history of their parent."""

from __future__ import annotations

from attrs import frozen

from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType


@frozen(kw_only=True)
class StartChildWorkflowExecutionInitiated:
    """The decider requested the start of a child."""

    workflow_id: str
    workflow_type: WorkflowType
    task_list: TaskList
    decision_task_completed_event_id: int
    child_policy: str
    control: str | None = None
    input: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_priority: str | None = None
    task_start_to_close_timeout: str | None = None
    tag_list: tuple[str, ...] | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class StartChildWorkflowExecutionFailed:
    """The service refused to start a child."""

    workflow_type: WorkflowType
    cause: str
    workflow_id: str
    initiated_event_id: int
    decision_task_completed_event_id: int
    control: str | None = None


@frozen(kw_only=True)
class ChildWorkflowExecutionStarted:
    """The child started."""

    workflow_execution: WorkflowExecution
    workflow_type: WorkflowType
    initiated_event_id: int


@frozen(kw_only=True)
class ChildWorkflowExecutionCompleted:
    """The child completed."""

    workflow_execution: WorkflowExecution
    workflow_type: WorkflowType
    initiated_event_id: int
    started_event_id: int
    result: str | None = None


@frozen(kw_only=True)
class ChildWorkflowExecutionFailed:
    """The child failed."""

    workflow_execution: WorkflowExecution
    workflow_type: WorkflowType
    initiated_event_id: int
    started_event_id: int
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class ChildWorkflowExecutionTimedOut:
    """The child timed out."""

    workflow_execution: WorkflowExecution
    workflow_type: WorkflowType
    timeout_type: str
    initiated_event_id: int
    started_event_id: int


@frozen(kw_only=True)
class ChildWorkflowExecutionCanceled:
    """The child was canceled."""

    workflow_execution: WorkflowExecution
    workflow_type: WorkflowType
    initiated_event_id: int
    started_event_id: int
    details: str | None = None


@frozen(kw_only=True)
class ChildWorkflowExecutionTerminated:
    """The child was terminated."""

    workflow_execution: WorkflowExecution
    workflow_type: WorkflowType
    initiated_event_id: int
    started_event_id: int
