"""The commands of a simulation, noted as they are given, and played again on the embedded engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Self, cast
from unittest.mock import patch

from attrs import evolve, frozen

from floto.adapters.sqlite import SqliteService
from floto.core.engine.engine import Engine
from floto.core.engine.handover import Decide
from floto.core.engine.stores.store import Ready
from floto.core.engine.world import World, simulated_defaults
from floto.core.errors import ServiceFault
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.service import PolledActivityTask, StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.testing import Simulator
from floto.testing.simulation.fault_injector import FaultInjector
from tests.integration.contract.clock import Clock

#: What a simulation asks of its world that changes something there.
COMMANDS = frozenset(
    {
        "prepare",
        "start",
        "respond_decision",
        "claim_activity",
        "complete_activity",
        "fail_activity",
        "cancel_activity",
        "heartbeat",
        "signal",
        "request_cancel",
        "advance",
    }
)
DOMAIN = "d"


@frozen
class Command:
    """One call, when it was made (None: whenever), and what was answered or why it was refused."""

    name: str
    arguments: tuple[Any, ...]
    now: datetime | None
    answer: Any


def answer_of(call: Callable[[], Any]) -> Any:
    """Return the response of a call, or its fault."""
    try:
        return call()
    except ServiceFault as fault:
        return fault.code, fault.message


class Noting:
    """A world that notes every command, and why it refused each decision."""

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector
        self._world = World(DOMAIN, refuse=self._refuse)
        self.commands: list[Command] = []
        self.causes: list[str | None] = []

    def _refuse(self, decision: Decision) -> str | None:
        self.causes.append(self._injector.refuse(decision))
        return self.causes[-1]

    def poll_and_decide(self, task_list: str, now: datetime, decide: Decide) -> Any:
        """Note a task that is decided at once as one that is polled, and then responded to."""
        polled = self._world.poll_and_decide(task_list, now, decide)
        task, decided = polled or (None, None)
        if task is not None:
            # A poll returns the whole history, of which this is the end.
            whole = self._world.events(task.execution)[: task.started_event_id]
            assert whole[-len(task.events) :] == task.events
            task = evolve(task, events=whole)
        self.commands.append(Command("poll_decision", (task_list,), now, task))
        if task is not None and decided is not None:
            self.commands.append(Command("respond_decision", (task.token, decided.decisions), now, None))
        return polled

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._world, name)
        return partial(self._noted, name, method) if name in COMMANDS else method

    def _noted(self, name: str, method: Callable[..., Any], *arguments: Any) -> Any:
        now = next((each for each in arguments if isinstance(each, datetime)), None)
        given = tuple(each for each in arguments if each is not now)
        try:
            answer = method(*arguments)
        except ServiceFault as fault:
            self.commands.append(Command(name, given, now, (fault.code, fault.message)))
            raise
        self.commands.append(Command(name, given, now, answer))
        return answer


class NotingSimulator(Simulator):
    """A simulator whose world records the commands."""

    noting: Noting

    def make_world(self, injector: FaultInjector) -> World:
        self.noting = Noting(injector)
        return cast("World", self.noting)


class Played:
    """Repeat the recorded commands on the embedded engine on a file, at the same times."""

    def __init__(self, path: Path, causes: Iterable[str | None]) -> None:
        self._clock, self._causes = Clock(), iter(causes)
        #: What the next run is to be called, and the task that is to be taken.
        self.run_id, self.chosen = "", Ready("", 0)
        with patch("floto.adapters.sqlite.sqlite_engine.Engine", self._engine):
            self._service = SqliteService(
                path, DOMAIN, clock=self._clock, durability="normal", auto_register=False
            )

    def _engine(self, store: Any, **options: Any) -> Engine:
        player = self

        class Chosen(Engine):
            """Names runs and hands out tasks as the world did, where the service leaves that to chance."""

            def start(self, domain: str, command: Any, _run_id: str, now: datetime) -> WorkflowExecution:
                return super().start(domain, command, player.run_id, now)

            def poll_activity(
                self, domain: str, task_list: str, identity: str, now: datetime, _chosen: Ready | None = None
            ) -> PolledActivityTask | None:
                return super().poll_activity(domain, task_list, identity, now, player.chosen)

        return Chosen(store, lambda _decision: next(self._causes), **options)

    def play(self, command: Command) -> Any:
        """Give a command; the answer, or how it is refused."""
        self._clock.now = command.now or self._clock.now
        if isinstance(command.answer, WorkflowExecution):
            self.run_id = command.answer.run_id
        own = getattr(self, f"_{command.name}", None)
        call = own or getattr(self._service, _NAMES[command.name])
        return answer_of(lambda: call(*command.arguments))

    def history(self, execution: WorkflowExecution) -> tuple[Event, ...]:
        """A whole history."""
        return self._service.history(execution)

    def _prepare(self, workflow_types: Any, activity_types: Any = ()) -> None:
        self._service.prepare(workflow_types, ())
        types = simulated_defaults(workflow_types, activity_types)
        host = self._service._host  # noqa: SLF001 - a service has floto's own defaults
        host.write(lambda now: host.engine.registration.ensure(DOMAIN, types, now))

    def _start(self, request: StartRequest) -> WorkflowExecution:
        self._service.start_workflow_execution(request)
        return WorkflowExecution(request.workflow_id, self.run_id)

    def _poll_decision(self, task_list: str) -> Any:
        return self._service.poll_for_decision_task(task_list, "", 0)

    def _claim_activity(self, execution: WorkflowExecution, scheduled_event_id: int) -> Any:
        self.chosen = Ready(execution.run_id, scheduled_event_id)
        scheduled = self._service.history(execution)[scheduled_event_id - 1].data
        return self._service.poll_for_activity_task(scheduled.task_list.name, "", 0)

    def _advance(self) -> None:
        self._service.latest_execution("")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._service.close()


_NAMES = {
    "respond_decision": "respond_decision_task_completed",
    "complete_activity": "respond_activity_task_completed",
    "fail_activity": "respond_activity_task_failed",
    "cancel_activity": "respond_activity_task_canceled",
    "heartbeat": "record_activity_task_heartbeat",
    "signal": "signal_workflow_execution",
    "request_cancel": "request_cancel_workflow_execution",
}
