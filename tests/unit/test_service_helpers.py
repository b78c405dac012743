"""A stage for scenarios: one domain of SWF, in memory or in SQLite, and a clock wound by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import pytest

from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.core.engine import commands as c
from floto.core.engine.engine import Engine, LambdaTask, start_command
from floto.core.engine.registration.defaults import ActivityDefaults, WorkflowDefaults
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.run import ToWorkflow
from floto.core.engine.stores.records import Place
from floto.core.engine.tokens import LAMBDA_LIST, TaskKind, derive_run_id
from floto.core.engine.world import World
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType

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
    "LambdaFunctionScheduled": "LFS",
    "LambdaFunctionStarted": "LFSt",
    "LambdaFunctionCompleted": "LFC",
    "LambdaFunctionFailed": "LFF",
    "LambdaFunctionTimedOut": "LFTO",
}


class MemoryWorld(World):
    """``World``, and what only scenarios ask of it: any answer, and Lambda functions."""

    def __init__(self, *, invokes_lambda: bool = False) -> None:
        super().__init__()
        self._engine = Engine(self._store, invokes_lambda=invokes_lambda)

    def respond(self, answer: type, token: str, now: datetime, **fields: Any) -> Any:
        self._engine.fire_due(now)
        return self._engine.respond(answer, token, now, **fields)

    def poll_lambda(self, now: datetime) -> LambdaTask | None:
        self._engine.fire_due(now)
        return self._engine.poll_lambda(self.domain, now)


class Hands:
    """Of a clock; apart from the world, which nothing it holds may hold: it closes its file when it goes."""

    now = T0


class SqliteWorld:
    """``World``'s methods on the SQLite store, each call in a transaction of its own."""

    def __init__(self, domain: str = "d", path: str = ":memory:", *, invokes_lambda: bool = False) -> None:
        self.domain = domain
        self._hands = hands = Hands()
        self._host = SqliteEngine(path, lambda: hands.now, invokes_lambda=invokes_lambda)
        self._engine, self._store = self._host.engine, self._host.store
        self._registration = self._engine.registration
        self._host.write(lambda _now: self._registration.register_domain(Domain(name=domain)))
        self._started = 0

    def __del__(self) -> None:
        # A stage is made for one scenario and has no end of its own.
        self._host.close()

    def _do(self, now: datetime, call: Callable[[datetime], Any]) -> Any:
        self._hands.now = now
        return self._host.write(call)

    def register_workflow_type(self, type_: WorkflowType, **defaults: Any) -> None:
        self._register(type_, WorkflowDefaults(**defaults))

    def register_activity_type(self, type_: ActivityType, **defaults: Any) -> None:
        self._register(type_, ActivityDefaults(**defaults))

    def _register(
        self, type_: ActivityType | WorkflowType, defaults: ActivityDefaults | WorkflowDefaults
    ) -> None:
        def register(now: datetime) -> None:
            registered = RegisteredType(type=type_, defaults=defaults, created_at=now)
            self._registration.register_type(self.domain, registered)

        self._do(self._hands.now, register)

    def start(self, request: StartRequest, now: datetime, run_id: str | None = None) -> WorkflowExecution:
        chosen = run_id or derive_run_id(self.domain, self._started)
        command = start_command(request)
        execution: WorkflowExecution = self._do(
            now, lambda now: self._engine.start(self.domain, command, chosen, now)
        )
        self._started += 1
        return execution

    def poll_decision(self, task_list: str, now: datetime, identity: str = "") -> PolledDecisionTask | None:
        self._hands.now = now
        return self._host.poll(
            Place(self.domain, TaskKind.DECISION, task_list),
            lambda now: self._engine.poll_decision(self.domain, task_list, identity, now),
            0,
            attrgetter("token"),
        )

    def poll_activity(self, task_list: str, now: datetime, identity: str = "") -> PolledActivityTask | None:
        self._hands.now = now
        return self._host.poll(
            Place(self.domain, TaskKind.ACTIVITY, task_list),
            lambda now: self._engine.poll_activity(self.domain, task_list, identity, now),
            0,
            attrgetter("token"),
        )

    def poll_lambda(self, now: datetime) -> LambdaTask | None:
        self._hands.now = now
        place = Place(self.domain, TaskKind.LAMBDA, LAMBDA_LIST)
        return self._host.attempt(place, lambda now: self._engine.poll_lambda(self.domain, now))

    def respond_decision(
        self, token: str, decisions: Sequence[Decision], now: datetime, execution_context: str | None = None
    ) -> None:
        answer = c.RespondDecisionTaskCompleted
        self.respond(answer, token, now, decisions=tuple(decisions), execution_context=execution_context)

    def complete_activity(self, token: str, result: str | None, now: datetime) -> None:
        self.respond(c.RespondActivityTaskCompleted, token, now, result=result)

    def fail_activity(self, token: str, reason: str | None, details: str | None, now: datetime) -> None:
        self.respond(c.RespondActivityTaskFailed, token, now, reason=reason, details=details)

    def cancel_activity(self, token: str, details: str | None, now: datetime) -> None:
        self.respond(c.RespondActivityTaskCanceled, token, now, details=details)

    def heartbeat(self, token: str, details: str | None, now: datetime) -> bool:
        return bool(self.respond(c.RecordActivityTaskHeartbeat, token, now, details=details))

    def respond(self, answer: type, token: str, now: datetime, **fields: Any) -> Any:
        return self._do(now, lambda now: self._engine.respond(answer, token, now, **fields))

    def signal(
        self, workflow_id: str, name: str, input: str | None, now: datetime, run_id: str | None = None
    ) -> None:
        command = c.SignalWorkflowExecution(signal_name=name, input=input)
        self._tell(ToWorkflow(workflow_id, run_id), command, now)

    def request_cancel(self, workflow_id: str, now: datetime, run_id: str | None = None) -> None:
        self._tell(ToWorkflow(workflow_id, run_id), c.RequestCancelWorkflowExecution(), now)

    def terminate(
        self,
        workflow_id: str,
        reason: str | None,
        details: str | None,
        now: datetime,
        child_policy: str | None = None,
    ) -> None:
        command = c.TerminateWorkflowExecution(reason=reason, details=details, child_policy=child_policy)
        self._tell(ToWorkflow(workflow_id), command, now)

    def _tell(self, target: ToWorkflow, command: Any, now: datetime) -> None:
        self._do(now, lambda now: self._engine.send(self.domain, target, command, now))

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

    @property
    def service(self) -> MemoryWorld | SqliteWorld:
        """The world of a stage that ``in_memory`` or ``in_sqlite`` made: it can do more."""
        assert isinstance(self.world, MemoryWorld | SqliteWorld)
        return self.world

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.world.advance(self.now)

    def start(self, workflow_id: str = "wf", **given: Any) -> WorkflowExecution:
        request = StartRequest(**{"workflow_id": workflow_id, "workflow_type": WORKFLOW, **given})
        return self.world.start(request, self.now)

    def task(self, task_list: str = "decide") -> PolledDecisionTask:
        task = self.world.poll_decision(task_list, self.now)
        assert task is not None
        return task

    def idle(self) -> bool:
        """Whether no decider is asked; only sure to change nothing where that is so."""
        return self.idle_at("decide")

    def decide(self, *decisions: Decision) -> None:
        self.respond(self.task(), *decisions)

    def respond(self, task: PolledDecisionTask, *decisions: Decision) -> None:
        self.world.respond_decision(task.token, decisions, self.now)

    def override(
        self,
        task: PolledDecisionTask,
        task_list: str | None,
        timeout: str | None = None,
        *decisions: Decision,
    ) -> None:
        """Answer with another list for the decision tasks to come."""
        self.service.respond(
            c.RespondDecisionTaskCompleted,
            task.token,
            self.now,
            decisions=decisions,
            task_list=None if task_list is None else TaskList(task_list),
            task_list_schedule_to_start_timeout=timeout,
        )

    def idle_at(self, task_list: str) -> bool:
        """Whether no decider is asked at a list."""
        return self.world.poll_decision(task_list, self.now) is None

    def work(self, task_list: str = "work") -> PolledActivityTask:
        task = self.world.poll_activity(task_list, self.now)
        assert task is not None
        return task

    def complete(self, task: PolledActivityTask, result: str | None = None) -> None:
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


def in_memory(*, invokes_lambda: bool = False) -> Stage:
    return Stage(MemoryWorld(invokes_lambda=invokes_lambda))


def in_sqlite(*, invokes_lambda: bool = False) -> Stage:
    return Stage(SqliteWorld(invokes_lambda=invokes_lambda))


#: Every scenario holds on both stores.
on_both = pytest.mark.parametrize("stage_of", [in_memory, in_sqlite], ids=["memory", "sqlite"])

StageOf = Callable[..., Stage]
