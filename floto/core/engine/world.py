"""In-memory SWF for simulators and tests: the caller passes the time to every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import evolve

from floto.core.engine import commands as c
from floto.core.engine import faults
from floto.core.engine.commands import start_command
from floto.core.engine.embedded import Decided
from floto.core.engine.engine import Engine, refuse_none
from floto.core.engine.handover import Decide
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.registration.type_settings import (
    ActivityDefaults,
    WorkflowDefaults,
    default_activity,
    default_workflow,
)
from floto.core.engine.run import ToWorkflow
from floto.core.engine.stores.changes import PollableTask
from floto.core.engine.stores.memory_store import MemoryStore
from floto.core.engine.stores.records import task_queue_of
from floto.core.engine.stores.store import Deadline, Ready
from floto.core.engine.tokens import TaskKind, derive_run_id
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.service import ExecutionInfo, PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

#: Creation time of the types of a world; nothing depends on it.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class World:
    """One domain of SWF in memory. Every call first fires the deadlines that are due at its ``now``.

    Args:
        domain: Name of the domain.
        refuse: Return SWF's cause to refuse a decision, None to carry it out: injects rates and limits.
    """

    def __init__(self, domain: str = "d", *, refuse: Callable[[Decision], str | None] | None = None) -> None:
        self.domain = domain
        self._store = MemoryStore()
        self._engine = Engine(self._store, refuse or refuse_none)
        self._registration = self._engine.registration
        self._registration.register_domain(Domain(name=domain))
        self._started = 0

    def prepare(
        self, workflow_types: Sequence[WorkflowType] = (), activity_types: Sequence[ActivityType] = ()
    ) -> None:
        """Register types with their ``simulated_defaults``."""
        self._registration.ensure(self.domain, simulated_defaults(workflow_types, activity_types), BEGINNING)

    def register_workflow_type(self, type_: WorkflowType, **defaults: Any) -> None:
        """Register a type with these fields of ``WorkflowDefaults``."""
        self._register(type_, WorkflowDefaults(**defaults))

    def register_activity_type(self, type_: ActivityType, **defaults: Any) -> None:
        """Register a type with these fields of ``ActivityDefaults``."""
        self._register(type_, ActivityDefaults(**defaults))

    def _register(
        self, type_: ActivityType | WorkflowType, defaults: ActivityDefaults | WorkflowDefaults
    ) -> None:
        registered = RegisteredType(type=type_, defaults=defaults, created_at=BEGINNING)
        self._registration.register_type(self.domain, registered)

    def start(self, request: StartRequest, now: datetime, run_id: str | None = None) -> WorkflowExecution:
        """Start a run; by default its run id is derived from the number of runs started before."""
        self.advance(now)
        chosen = run_id or derive_run_id(self.domain, self._started)
        execution = self._engine.start(self.domain, start_command(request), chosen, now)
        self._started += 1
        return execution

    def poll_decision(self, task_list: str, now: datetime, identity: str = "") -> PolledDecisionTask | None:
        """Claim the next decision task; return None if there is none."""
        self.advance(now)
        return self._engine.poll_decision(self.domain, task_list, identity, now)

    def poll_and_decide(
        self, task_list: str, now: datetime, decide: Decide, identity: str = ""
    ) -> tuple[PolledDecisionTask, Decided | None] | None:
        """Claim the next decision task and respond to it at once, see ``Engine.poll_and_decide``."""
        self.advance(now)
        return self._engine.poll_and_decide(self.domain, task_list, identity, now, decide)

    def respond_decision(self, token: str, decisions: Sequence[Decision], now: datetime) -> None:
        """Respond to a decision task."""
        self.advance(now)
        self._engine.respond(c.RespondDecisionTaskCompleted, token, now, decisions=tuple(decisions))

    def poll_activity(self, task_list: str, now: datetime, identity: str = "") -> PolledActivityTask | None:
        """Claim the next activity task; return None if there is none."""
        self.advance(now)
        return self._engine.poll_activity(self.domain, task_list, identity, now)

    def claim_activity(
        self, execution: WorkflowExecution, scheduled_event_id: int, now: datetime
    ) -> PolledActivityTask | None:
        """Claim the activity task that this event scheduled; return None if it is closed or claimed."""
        self.advance(now)
        chosen = Ready(execution.run_id, scheduled_event_id)
        # It may have timed out now.
        if not self._store.is_claimable(chosen):
            return None
        return self._engine.poll_activity(self.domain, "", "", now, chosen)

    def is_claimable(self, execution: WorkflowExecution, scheduled_event_id: int) -> bool:
        """Return True if the task that this event scheduled can be claimed."""
        return self._store.is_claimable(Ready(execution.run_id, scheduled_event_id))

    def has_decision(self, task_list: str) -> bool:
        """Return True if a task list has a decision task to claim."""
        return self._store.next_task(task_queue_of(self.domain, TaskKind.DECISION, task_list)) is not None

    def complete_activity(self, token: str, result: str | None, now: datetime) -> None:
        """Complete an activity task."""
        self.advance(now)
        self._engine.respond(c.RespondActivityTaskCompleted, token, now, result=result)

    def fail_activity(self, token: str, reason: str | None, details: str | None, now: datetime) -> None:
        """Fail an activity task."""
        self.advance(now)
        self._engine.respond(c.RespondActivityTaskFailed, token, now, reason=reason, details=details)

    def cancel_activity(self, token: str, details: str | None, now: datetime) -> None:
        """Report that an activity task was canceled."""
        self.advance(now)
        self._engine.respond(c.RespondActivityTaskCanceled, token, now, details=details)

    def heartbeat(self, token: str, details: str | None, now: datetime) -> bool:
        """Record a heartbeat; return True if cancellation of the activity was requested."""
        self.advance(now)
        return bool(self._engine.respond(c.RecordActivityTaskHeartbeat, token, now, details=details))

    def signal(
        self, workflow_id: str, name: str, input: str | None, now: datetime, run_id: str | None = None
    ) -> None:
        """Send a signal to an open run."""
        self.advance(now)
        command = c.SignalWorkflowExecution(signal_name=name, input=input)
        self._engine.send(self.domain, ToWorkflow(workflow_id, run_id), command, now)

    def request_cancel(self, workflow_id: str, now: datetime, run_id: str | None = None) -> None:
        """Request the cancellation of an open run."""
        self.advance(now)
        command = c.RequestCancelWorkflowExecution()
        self._engine.send(self.domain, ToWorkflow(workflow_id, run_id), command, now)

    def terminate(
        self,
        workflow_id: str,
        reason: str | None,
        details: str | None,
        now: datetime,
        child_policy: str | None = None,
    ) -> None:
        """Terminate an open run."""
        self.advance(now)
        command = c.TerminateWorkflowExecution(reason=reason, details=details, child_policy=child_policy)
        self._engine.send(self.domain, ToWorkflow(workflow_id), command, now)

    def next_deadline(self) -> datetime | None:
        """Return the time of the next deadline; None if there is none."""
        due = self.next_due()
        return None if due is None else due.at

    def next_due(self) -> Deadline | None:
        """Return the next deadline; None if there is none."""
        return self._store.next_deadline()

    def deadlines(self) -> list[Deadline]:
        """Return all deadlines, the earliest first."""
        return self._store.deadlines()

    def advance(self, now: datetime) -> None:
        """Fire the deadlines that are due, the earliest first."""
        # A world keeps closed runs for good, so no other deadline is earlier.
        first = self._store.open_runs.first_due()
        if first is not None and first <= now:
            self._engine.fire_due(now)

    def history(self, execution: WorkflowExecution) -> History:
        """Return the history of a run; raise ``UnknownResource`` if there is no such run."""
        if self._store.record(execution.run_id) is None:
            raise faults.unknown_run(execution)
        return History(self._store.history(execution.run_id), execution)

    def events(self, execution: WorkflowExecution, after: int = 0) -> tuple[Event, ...]:
        """Return the events of a run with an id above ``after``."""
        return self._store.history(execution.run_id, after)

    def executions(self) -> list[ExecutionInfo]:
        """Return all runs, in the order in which they started."""
        return [record.info for record in self._store.records()]

    def latest(self, workflow_id: str) -> ExecutionInfo | None:
        """Return the latest run of a workflow id; None if there is none."""
        record = self._store.latest(self.domain, workflow_id)
        return None if record is None else record.info

    def open_tasks(self) -> list[tuple[Ready, PollableTask]]:
        """Return every task that can be claimed, with its task list."""
        return self._store.pollable()


def simulated_defaults(
    workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType]
) -> dict[ActivityType | WorkflowType, ActivityDefaults | WorkflowDefaults]:
    """Return floto's defaults of these types, but for the heartbeat time-out.

    Workers send heartbeats by themselves, and those of a simulation do not.
    """
    types: dict[ActivityType | WorkflowType, ActivityDefaults | WorkflowDefaults] = {}
    types.update((type_, default_workflow()) for type_ in workflow_types)
    untimed = evolve(default_activity(), heartbeat_timeout="NONE")
    types.update((type_, untimed) for type_ in activity_types)
    return types
