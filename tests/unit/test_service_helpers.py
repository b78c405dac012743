"""A stage for scenarios: one domain of SWF, in memory or in SQLite, and a clock wound by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from floto.adapters.sqlite.host import Host
from floto.core.decisions import Decision
from floto.core.events import Event
from floto.core.history import History
from floto.core.ports import ActivityTask, DecisionTask, StartRequest
from floto.core.service.commands import TerminateWorkflowExecution
from floto.core.service.defaults import ActivityDefaults, WorkflowDefaults
from floto.core.service.run import ToWorkflow
from floto.core.service.tokens import TaskKind, derive_run_id
from floto.core.service.world import World
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType

T0 = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = WorkflowType("work", "1")
ACTIVITY = ActivityType("act", "1")

#: SWF's event names in the short form in which the scenarios are written.
SHORT = {
    "WorkflowExecutionStarted": "WES",
    "DecisionTaskScheduled": "DTS",
    "DecisionTaskStarted": "DTSt",
    "DecisionTaskCompleted": "DTC",
    "DecisionTaskTimedOut": "DTTO",
    "ActivityTaskScheduled": "ATS",
    "ActivityTaskStarted": "ATSt",
    "ActivityTaskCompleted": "ATC",
    "ActivityTaskFailed": "ATF",
    "ActivityTaskTimedOut": "ATTO",
    "ActivityTaskCanceled": "ATX",
    "ActivityTaskCancelRequested": "ATCR",
}


class Hands:
    """Of a clock; apart from the world, which nothing it holds may hold: it closes its file when it goes."""

    now = T0


class SqliteWorld:
    """``World``'s methods on the SQLite store, each call in a transaction of its own."""

    def __init__(self, domain: str = "d", path: str = ":memory:") -> None:
        self.domain = domain
        self._hands = hands = Hands()
        self._host = Host(path, lambda: hands.now)
        self._engine, self._store = self._host.engine, self._host.store
        self._host.write(lambda _now: self._engine.register_domain(domain))
        self._started = 0

    def __del__(self) -> None:
        # A stage is made for one scenario and has no end of its own.
        self._host.close()

    def _do(self, now: datetime, call: Callable[[datetime], Any]) -> Any:
        self._hands.now = now
        return self._host.write(call)

    def register_workflow_type(self, type_: WorkflowType, **defaults: Any) -> None:
        given = WorkflowDefaults(**defaults)
        self._do(self._hands.now, lambda _now: self._engine.register_workflow_type(self.domain, type_, given))

    def register_activity_type(self, type_: ActivityType, **defaults: Any) -> None:
        given = ActivityDefaults(**defaults)
        self._do(self._hands.now, lambda _now: self._engine.register_activity_type(self.domain, type_, given))

    def start(self, request: StartRequest, now: datetime, run_id: str | None = None) -> WorkflowExecution:
        chosen = run_id or derive_run_id(self.domain, self._started)
        execution: WorkflowExecution = self._do(
            now, lambda now: self._engine.start(self.domain, request, chosen, now)
        )
        self._started += 1
        return execution

    def poll_decision(self, task_list: str, now: datetime, identity: str = "") -> DecisionTask | None:
        self._hands.now = now
        return self._host.poll(
            self.domain,
            TaskKind.DECISION,
            task_list,
            lambda now: self._engine.poll_decision(self.domain, task_list, identity, now),
            0,
        )

    def poll_activity(self, task_list: str, now: datetime, identity: str = "") -> ActivityTask | None:
        self._hands.now = now
        return self._host.poll(
            self.domain,
            TaskKind.ACTIVITY,
            task_list,
            lambda now: self._engine.poll_activity(self.domain, task_list, identity, now),
            0,
        )

    def respond_decision(
        self, token: str, decisions: Sequence[Decision], now: datetime, execution_context: str | None = None
    ) -> None:
        self._do(now, lambda now: self._engine.respond_decision(token, decisions, now, execution_context))

    def complete_activity(self, token: str, result: str | None, now: datetime) -> None:
        self._do(now, lambda now: self._engine.complete_activity(token, result, now))

    def fail_activity(self, token: str, reason: str | None, details: str | None, now: datetime) -> None:
        self._do(now, lambda now: self._engine.fail_activity(token, reason, details, now))

    def cancel_activity(self, token: str, details: str | None, now: datetime) -> None:
        self._do(now, lambda now: self._engine.cancel_activity(token, details, now))

    def heartbeat(self, token: str, details: str | None, now: datetime) -> bool:
        return bool(self._do(now, lambda now: self._engine.heartbeat(token, details, now)))

    def signal(
        self, workflow_id: str, name: str, input: str | None, now: datetime, run_id: str | None = None
    ) -> None:
        target = ToWorkflow(workflow_id, run_id)
        self._do(now, lambda now: self._engine.signal(self.domain, target, name, input, now))

    def request_cancel(self, workflow_id: str, now: datetime, run_id: str | None = None) -> None:
        target = ToWorkflow(workflow_id, run_id)
        self._do(now, lambda now: self._engine.request_cancel(self.domain, target, now))

    def terminate(
        self,
        workflow_id: str,
        reason: str | None,
        details: str | None,
        now: datetime,
        child_policy: str | None = None,
    ) -> None:
        target = ToWorkflow(workflow_id)
        command = TerminateWorkflowExecution(reason=reason, details=details, child_policy=child_policy)
        self._do(now, lambda now: self._engine.terminate(self.domain, target, command, now))

    def next_deadline(self) -> datetime | None:
        due = self._store.next_deadline()
        return None if due is None else due.at

    def advance(self, now: datetime) -> None:
        self._do(now, lambda _now: None)

    def history(self, execution: WorkflowExecution) -> History:
        return History(self._store.history(execution.run_id), execution)


AnyWorld = World | SqliteWorld


class Stage:
    """A world with usable types, a clock, and shorthands."""

    def __init__(self, world: AnyWorld) -> None:
        self.world = world
        self.now = T0
        world.register_workflow_type(
            WORKFLOW,
            task_list="decide",
            execution_start_to_close_timeout="3600",
            task_start_to_close_timeout="60",
            child_policy="TERMINATE",
        )
        world.register_activity_type(
            ACTIVITY,
            task_list="work",
            schedule_to_start_timeout="NONE",
            schedule_to_close_timeout="NONE",
            start_to_close_timeout="NONE",
            heartbeat_timeout="NONE",
        )

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.world.advance(self.now)

    def start(self, workflow_id: str = "wf", **given: Any) -> WorkflowExecution:
        request = StartRequest(**{"workflow_id": workflow_id, "workflow_type": WORKFLOW, **given})
        return self.world.start(request, self.now)

    def task(self, task_list: str = "decide") -> DecisionTask:
        task = self.world.poll_decision(task_list, self.now)
        assert task is not None
        return task

    def idle(self) -> bool:
        """Whether no decider is asked; only sure to change nothing where that is so."""
        return self.world.poll_decision("decide", self.now) is None

    def decide(self, *decisions: Decision) -> None:
        self.respond(self.task(), *decisions)

    def respond(self, task: DecisionTask, *decisions: Decision) -> None:
        self.world.respond_decision(task.token, decisions, self.now)

    def work(self, task_list: str = "work") -> ActivityTask:
        task = self.world.poll_activity(task_list, self.now)
        assert task is not None
        return task

    def complete(self, task: ActivityTask, result: str | None = None) -> None:
        self.world.complete_activity(task.token, result, self.now)

    def signal(self, name: str = "go", workflow_id: str = "wf") -> None:
        self.world.signal(workflow_id, name, None, self.now)

    def events(self, execution: WorkflowExecution, after: int = 0) -> list[Event]:
        return list(self.world.history(execution))[after:]

    def names(self, execution: WorkflowExecution, after: int = 0) -> str:
        """The types of a run's events, in short."""
        types = [type(event.data).__name__ for event in self.events(execution, after)]
        return " ".join(SHORT.get(name, name) for name in types)

    def last(self, execution: WorkflowExecution, type_: type) -> Any:
        """What the latest event of a type says."""
        return next(e.data for e in reversed(self.events(execution)) if type(e.data) is type_)


def in_memory() -> Stage:
    return Stage(World())


def in_sqlite() -> Stage:
    return Stage(SqliteWorld())


#: Every scenario holds on both stores.
on_both = pytest.mark.parametrize("stage_of", [in_memory, in_sqlite], ids=["memory", "sqlite"])

StageOf = Callable[[], Stage]
