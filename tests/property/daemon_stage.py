"""A daemon in the pure model of SWF: signals arrive, children start and close, and time advances."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from floto import CODEC, ActivityTask, DeciderSpec
from floto.core.decide.child_requests import CHILD_TYPE
from floto.core.decide.daemon import DAEMON_TYPE, SIGNAL, decide_daemon
from floto.core.engine.world import World
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf import events as e
from floto.core.swf.decisions import CompleteWorkflowExecution, Decision, FailWorkflowExecution
from floto.core.swf.history import History
from floto.core.swf.service import PolledDecisionTask, StartRequest
from floto.core.swf.shapes import WorkflowExecution, WorkflowType

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
ID, LIST, DOMAIN = "floto_daemon", "floto_daemon", "d"
SPEC = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1")])


def asking(spec: Any = SPEC, **more: Any) -> str:
    """The input of a signal that asks for a child."""
    value = CODEC.unstructure(spec) if isinstance(spec, DeciderSpec) else spec
    return json.dumps({"decider_spec": value, **more})


class Stage:
    """One daemon, its world and its clock."""

    def __init__(self, refuse: Callable[[Decision], str | None] | None = None) -> None:
        self.world = World(DOMAIN, refuse=refuse)
        self.now = BEGINNING
        self.world.prepare([DAEMON_TYPE, CHILD_TYPE, WorkflowType("other", "v2")])
        self.world.start(StartRequest(workflow_id=ID, workflow_type=DAEMON_TYPE, task_list=LIST), self.now)

    def signal(self, input: str | None) -> None:
        self.tick()
        self.world.signal(ID, SIGNAL, input, self.now)

    def tick(self, seconds: float = 0.01) -> None:
        self.now += timedelta(seconds=seconds)

    def poll(self) -> PolledDecisionTask | None:
        self.tick()
        return self.world.poll_decision(LIST, self.now)

    def respond(self, task: PolledDecisionTask, decisions: Sequence[Decision]) -> None:
        self.tick()
        self.world.respond_decision(task.token, decisions, self.now)

    def answer(self, task: PolledDecisionTask, *, well: bool = True) -> Sequence[Decision]:
        """Return the decisions of a daemon; a child is closed at once."""
        if task.workflow_type == DAEMON_TYPE:
            return decide_daemon(state_of(task.events, task.execution), domain=DOMAIN)
        return [CompleteWorkflowExecution(result="1") if well else FailWorkflowExecution(reason="sorry")]

    def decide(self) -> list[Decision]:
        """One decision of the daemon; its children stay as they are."""
        task = self.poll()
        while task is not None and task.workflow_type != DAEMON_TYPE:
            task = self.poll()
        if task is None:
            return []
        found = list(self.answer(task))
        self.respond(task, found)
        return found

    def settle(self) -> None:
        """Decide and let time pass until nothing but time-outs is left."""
        for _ in range(10_000):
            task = self.poll()
            if task is not None:
                self.respond(task, self.answer(task))
                continue
            due = self.world.next_deadline()
            if due is None or due - self.now > timedelta(days=100):
                return
            self.now = max(self.now, due)
            self.world.advance(self.now)
        raise AssertionError("the daemon goes on and on")  # noqa: EM101, TRY003

    @property
    def runs(self) -> list[History]:
        """The histories of the daemon's runs."""
        infos = [info for info in self.world.executions() if info.workflow_type == DAEMON_TYPE]
        return [self.world.history(info.execution) for info in infos]

    @property
    def state(self) -> State:
        """Return the state of the latest run of the daemon."""
        return state_of(self.runs[-1].events, self.runs[-1].execution)

    @property
    def notes(self) -> list[tuple[int, str]]:
        """Which signals start no child, and why, over all runs."""
        markers = [
            event.data for run in self.runs for event in run if isinstance(event.data, e.MarkerRecorded)
        ]
        details = [json.loads(marker.details or "{}") for marker in markers]
        return [(detail["signal"], detail["problem"]) for detail in details]

    @property
    def children(self) -> list[e.WorkflowExecutionStarted]:
        """Return the started event of each child."""
        infos = [info for info in self.world.executions() if info.workflow_type != DAEMON_TYPE]
        return [self.world.history(info.execution).start for info in infos]

    @property
    def child_ids(self) -> Counter[str]:
        """Return the number of starts of each workflow id of a child."""
        infos = [info for info in self.world.executions() if info.workflow_type != DAEMON_TYPE]
        return Counter(info.execution.workflow_id for info in infos)


def state_of(events: Sequence[e.Event], execution: WorkflowExecution | None) -> State:
    """A state that knows of which run it is."""
    return fold(events, evolve(EMPTY, execution=execution))
