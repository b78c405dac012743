"""What the runtime asks of a service: the whole of SWF that a decider and a worker need.

An adapter raises ``UnknownResource`` where the thing is gone, ``ServiceFault`` where the
service refused, and ``ServiceUnavailable`` where the same call may succeed later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from attrs import frozen

from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.pollers import PollKind
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType


@frozen(kw_only=True)
class PolledDecisionTask:
    """The question 'what next?' for one run."""

    token: str
    execution: WorkflowExecution
    workflow_type: WorkflowType
    #: The end of the history up to this task's start, at least from the start of the task answered before;
    #: empty where that could not be read.
    events: tuple[Event, ...]
    started_event_id: int
    previous_started_event_id: int = 0


@frozen(kw_only=True)
class PolledActivityTask:
    """One activity to run now."""

    token: str
    execution: WorkflowExecution
    activity_id: str
    activity_type: ActivityType
    started_event_id: int
    input: str | None = None


@frozen(kw_only=True)
class StartRequest:
    """What a new run needs; what is None comes from the registered workflow type. Times in seconds."""

    workflow_id: str
    workflow_type: WorkflowType
    task_list: str | None = None
    input: str | None = None
    execution_timeout: str | None = None
    decision_timeout: str | None = None
    child_policy: str | None = None
    tags: tuple[str, ...] = ()
    priority: str | None = None


@frozen(kw_only=True)
class ExecutionInfo:
    """One run as a listing shows it; ``close_status`` is None while it is open."""

    execution: WorkflowExecution
    workflow_type: WorkflowType
    started_at: datetime
    closed_at: datetime | None = None
    close_status: str | None = None


class Clock(Protocol):
    """Tells the time in UTC."""

    def __call__(self) -> datetime:
        """The time now."""
        ...


class Service(Protocol):
    """SWF, as a decider and a worker see it. Every call belongs to the service's domain."""

    def prepare(self, workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType]) -> None:
        """Make sure that the domain and these types exist; what is there already stays as it is."""
        ...

    def start_workflow_execution(self, request: StartRequest) -> str:
        """Open a run and return its run id; a ``ServiceFault`` if the workflow id is open."""
        ...

    def signal_workflow_execution(self, workflow_id: str, signal_name: str, input: str | None = None) -> None:
        """Send a signal to the open run of a workflow id."""
        ...

    def request_cancel_workflow_execution(self, workflow_id: str) -> None:
        """Ask the decider of an open run to stop it."""
        ...

    def terminate_workflow_execution(self, workflow_id: str, reason: str = "", details: str = "") -> None:
        """Close an open run by force."""
        ...

    def latest_execution(self, workflow_id: str) -> ExecutionInfo | None:
        """The open run of a workflow id, else the one closed last, else None."""
        ...

    def open_executions(self, workflow_type: WorkflowType) -> tuple[ExecutionInfo, ...]:
        """All open runs of a workflow type, the newest first; SWF's listing lags a little behind its runs."""
        ...

    def history(self, execution: WorkflowExecution, after: int = 0) -> tuple[Event, ...]:
        """The events of a run with an id above ``after``, all pages of them."""
        ...

    def poll_for_decision_task(self, task_list: str, identity: str, wait: float) -> PolledDecisionTask | None:
        """Take the next decision task, waiting up to ``wait`` seconds (SWF: 60) for one."""
        ...

    def respond_decision_task_completed(self, token: str, decisions: Sequence[Decision]) -> None:
        """Answer a decision task."""
        ...

    def poll_for_activity_task(self, task_list: str, identity: str, wait: float) -> PolledActivityTask | None:
        """Take the next activity task, waiting up to ``wait`` seconds (SWF: 60) for one."""
        ...

    def record_activity_task_heartbeat(self, token: str, details: str | None = None) -> bool:
        """Say that an activity is alive; True if it was asked to stop."""
        ...

    def respond_activity_task_completed(self, token: str, result: str | None) -> None:
        """Report an activity's result, as JSON text."""
        ...

    def respond_activity_task_failed(self, token: str, reason: str | None, details: str | None) -> None:
        """Report an activity's failure."""
        ...

    def respond_activity_task_canceled(self, token: str, details: str | None) -> None:
        """Report that an activity stopped because it was asked to."""
        ...

    def close(self) -> None:
        """Let go of files and connections; polls under way return None."""
        ...


@runtime_checkable
class Announces(Protocol):
    """A service that can say who polls, if deciders and workers tell it: Amazon SWF cannot."""

    def announce(
        self, kind: PollKind, task_list: str, identity: str, serves: Sequence[ActivityType] | None = None
    ) -> None:
        """Show a decider or worker to whoever asks; ``serves``: the activities that a worker can run."""
        ...

    def withdraw(self, kind: PollKind, task_list: str, identity: str) -> None:
        """Show it no more."""
        ...
