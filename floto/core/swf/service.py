"""The port of a service: the operations of SWF that deciders and workers need.

An adapter raises ``UnknownResource`` if the run or task does not exist, ``ServiceFault`` if the service
refuses the call for another reason, and ``ServiceUnavailable`` if the same call may succeed later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from attrs import frozen

from floto.core.quick_init import quick_init
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.pollers import PollKind
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class PolledDecisionTask:
    """A decision task of one run, as a poll returns it."""

    token: str
    execution: WorkflowExecution
    workflow_type: WorkflowType
    #: The last events up to the start of this task, at least from the start of the previous decision task
    #: that got a response; empty if the history cannot be read.
    events: tuple[Event, ...]
    started_event_id: int
    previous_started_event_id: int = 0


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class PolledActivityTask:
    """An activity task, as a poll returns it."""

    token: str
    execution: WorkflowExecution
    activity_id: str
    activity_type: ActivityType
    started_event_id: int
    input: str | None = None


@frozen(kw_only=True)
class StartRequest:
    """The parameters of a new run; None uses the registered workflow type's default. Times are in seconds."""

    workflow_id: str
    workflow_type: WorkflowType
    task_list: str | None = None
    input: str | None = None
    execution_timeout: str | None = None
    decision_timeout: str | None = None
    child_policy: str | None = None
    tags: tuple[str, ...] = ()
    priority: str | None = None
    lambda_role: str | None = None


@frozen(kw_only=True)
class ExecutionInfo:
    """A run in a listing; ``closed_at`` and ``close_status`` are None while it is open."""

    execution: WorkflowExecution
    workflow_type: WorkflowType
    started_at: datetime
    closed_at: datetime | None = None
    close_status: str | None = None


class Clock(Protocol):
    """A clock in UTC."""

    def __call__(self) -> datetime:
        """Return the current time."""
        ...


class Service(Protocol):
    """SWF, as deciders and workers use it. Every call concerns the service's domain."""

    def prepare(self, workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType]) -> None:
        """Register the domain and these types if they do not exist."""
        ...

    def start_workflow_execution(self, request: StartRequest) -> str:
        """Start a run and return its run id. Raises ``ServiceFault`` if the workflow id has an open run."""
        ...

    def signal_workflow_execution(self, workflow_id: str, signal_name: str, input: str | None = None) -> None:
        """Send a signal to the open run of a workflow id."""
        ...

    def request_cancel_workflow_execution(self, workflow_id: str) -> None:
        """Request the cancellation of the open run of a workflow id."""
        ...

    def terminate_workflow_execution(self, workflow_id: str, reason: str = "", details: str = "") -> None:
        """Terminate the open run of a workflow id."""
        ...

    def latest_execution(self, workflow_id: str) -> ExecutionInfo | None:
        """Return the open run of a workflow id, else the last closed one, else None."""
        ...

    def open_executions(self, workflow_type: WorkflowType) -> tuple[ExecutionInfo, ...]:
        """Return the open runs of a workflow type, the newest first; eventually consistent in SWF."""
        ...

    def history(self, execution: WorkflowExecution, after: int = 0) -> tuple[Event, ...]:
        """Return all events of a run with an id above ``after``."""
        ...

    def poll_for_decision_task(self, task_list: str, identity: str, wait: float) -> PolledDecisionTask | None:
        """Claim the next decision task; None if there is none within ``wait`` seconds (SWF: 60)."""
        ...

    def respond_decision_task_completed(self, token: str, decisions: Sequence[Decision]) -> None:
        """Respond to a decision task with decisions."""
        ...

    def poll_for_activity_task(self, task_list: str, identity: str, wait: float) -> PolledActivityTask | None:
        """Claim the next activity task; None if there is none within ``wait`` seconds (SWF: 60)."""
        ...

    def record_activity_task_heartbeat(self, token: str, details: str | None = None) -> bool:
        """Send a heartbeat of an activity; return True if its cancellation is requested."""
        ...

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        """Report the result of an activity, as JSON text."""
        ...

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        """Report the failure of an activity."""
        ...

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        """Report that an activity stopped after a cancel request."""
        ...

    def close(self) -> None:
        """Close files and connections; pending polls return None."""
        ...


@runtime_checkable
class Announces(Protocol):
    """A service with a register of pollers, which Amazon SWF does not have."""

    def announce(
        self, kind: PollKind, task_list: str, identity: str, serves: Sequence[ActivityType] | None = None
    ) -> None:
        """Register a decider or worker; ``serves`` are the activities that a worker has functions for."""
        ...

    def withdraw(self, kind: PollKind, task_list: str, identity: str) -> None:
        """Remove a decider or worker from the register."""
        ...


class ReportsActivities(Protocol):
    """The part of a ``Service`` that reports outcomes of activities."""

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        """Report an activity's result."""
        ...

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        """Report an activity's failure."""
        ...

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        """Report that an activity stopped after its cancellation was requested."""
        ...
