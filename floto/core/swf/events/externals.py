"""The events of signals and cancel requests to other executions."""

from __future__ import annotations

from attrs import frozen

from floto.core.swf.shapes import WorkflowExecution


@frozen(kw_only=True)
class SignalExternalWorkflowExecutionInitiated:
    """The decider requested a signal to another execution."""

    workflow_id: str
    signal_name: str
    decision_task_completed_event_id: int
    run_id: str | None = None
    input: str | None = None
    control: str | None = None


@frozen(kw_only=True)
class SignalExternalWorkflowExecutionFailed:
    """A signal to another execution was not delivered."""

    workflow_id: str
    cause: str
    initiated_event_id: int
    decision_task_completed_event_id: int
    run_id: str | None = None
    control: str | None = None


@frozen(kw_only=True)
class ExternalWorkflowExecutionSignaled:
    """A signal to another execution was delivered."""

    workflow_execution: WorkflowExecution
    initiated_event_id: int


@frozen(kw_only=True)
class RequestCancelExternalWorkflowExecutionInitiated:
    """The decider requested the cancellation of another execution."""

    workflow_id: str
    decision_task_completed_event_id: int
    run_id: str | None = None
    control: str | None = None


@frozen(kw_only=True)
class RequestCancelExternalWorkflowExecutionFailed:
    """A cancel request to another execution was not delivered."""

    workflow_id: str
    cause: str
    initiated_event_id: int
    decision_task_completed_event_id: int
    run_id: str | None = None
    control: str | None = None


@frozen(kw_only=True)
class ExternalWorkflowExecutionCancelRequested:
    """A cancel request to another execution was delivered."""

    workflow_execution: WorkflowExecution
    initiated_event_id: int
