"""A domain on the pure engine whose deciders and workers always wait, with or without handovers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve, field, frozen

import floto
from floto.core.engine import commands as c
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.embedded import Decided
from floto.core.engine.engine import Engine
from floto.core.engine.registration.registered_types import Domain
from floto.core.engine.run import ToWorkflow
from floto.core.engine.stores.changes import all_entries
from floto.core.engine.stores.memory_store import MemoryStore
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.engine.world import BEGINNING, simulated_defaults
from floto.core.state.fold import trace
from floto.core.state.state import EMPTY, State
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType

T0 = datetime(2026, 1, 1, tzinfo=UTC)
DOMAIN, FLOW = "d", WorkflowType("flow", "1")
RUN = WorkflowExecution("w", "run")
#: The events of a step that reports, decides and starts the next activity.
HANDED_OVER = [
    "ActivityTaskCompleted",
    "DecisionTaskScheduled",
    "DecisionTaskStarted",
    "DecisionTaskCompleted",
    "ActivityTaskScheduled",
    "ActivityTaskStarted",
]
Rule = Callable[[PolledDecisionTask], Sequence[Decision]]


@frozen
class Poll:
    """A poll that waits."""

    kind: TaskKind
    identity: str
    decide: Any = None


@define
class Service:
    """A domain whose deciders and workers wait at all times, with or without handovers."""

    rule: Rule
    hands_over: bool
    now: datetime = T0
    store: MemoryStore = field(factory=MemoryStore)
    engine: Engine = field(init=False)
    claimed: list[PolledActivityTask] = field(factory=list)
    handed: int = 0
    #: A task list whose polls cannot be read, once.
    broken_list: str = ""
    out: int = 0

    def __attrs_post_init__(self) -> None:
        self.engine = Engine(self.store, waiting=lambda: self if self.hands_over else None)
        self.engine.registration.register_domain(Domain(name=DOMAIN))

    def register(self, activities: Sequence[ActivityType], workflows: Sequence[WorkflowType] = ()) -> None:
        self.engine.registration.ensure(DOMAIN, simulated_defaults([FLOW, *workflows], activities), BEGINNING)

    def start(self) -> None:
        self.start_undecided()
        self.drain()

    def start_undecided(self) -> None:
        command = c.StartWorkflowExecution(
            workflow_id=RUN.workflow_id, workflow_type=FLOW, task_list=TaskList("deciders")
        )
        self.engine.start(DOMAIN, command, RUN.run_id, self.now)

    def take(self, task_queue: TaskQueue, priority: int) -> Poll | None:
        if self.store.open_runs.goes_first(task_queue, priority, self.now) or self._is_due():
            return None
        if task_queue.task_list == self.broken_list:
            self.broken_list = ""
            raise ValueError
        self.out += 1
        is_decision = task_queue.kind is TaskKind.DECISION
        return Poll(task_queue.kind, "d" if is_decision else "w", self.decide if is_decision else None)

    def give(self, poll: Poll, task: Any, decided: Decided | None) -> None:
        self.out -= 1
        self.handed += 1
        assert (decided is not None) is (poll.kind is TaskKind.DECISION)
        if decided is None:
            self.claimed.append(task)

    def put_back(self, _poll: Poll) -> None:
        self.out -= 1

    def decide(self, task: PolledDecisionTask, state: State, changed: ChangedKeys, now: datetime) -> Decided:
        """Check what a decider gets, and decide."""
        assert now == self.now
        # A decider that followed the run until then need not fold any event.
        assert changed.since < task.started_event_id
        first = task.events[0].id
        assert first <= max(task.previous_started_event_id, 1)
        assert [each.id for each in task.events] == list(range(first, task.started_event_id + 1))
        events = (*self.store.history(task.execution.run_id)[: first - 1], *task.events)
        known = floto.fold(events[: changed.since], evolve(EMPTY, execution=task.execution))
        after, keys = trace(events[changed.since :], known)
        assert after == state
        assert set(keys) <= set(changed.keys)
        return Decided(self.rule(evolve(task, events=events)), lambda: None)

    def _is_due(self) -> bool:
        due = self.store.next_deadline()
        return due is not None and due.at <= self.now

    def drain(self) -> None:
        """Claim every task by calls of their own."""
        assert self.out == 0
        while tasks := self.store.pollable():
            queues = sorted({TaskQueue(DOMAIN, task.kind, task.task_list) for _, task in tasks})
            for queue in queues:
                while self.store.next_task(queue) is not None:
                    if self._is_due():
                        self.engine.fire_due(self.now)
                    elif queue.kind is TaskKind.DECISION:
                        self.engine.poll_and_decide(DOMAIN, queue.task_list, "d", self.now, self.decide)
                    elif task := self.engine.poll_activity(DOMAIN, queue.task_list, "w", self.now):
                        self.claimed.append(task)
        assert self.out == 0
        self._check_open_runs()

    def _check_open_runs(self) -> None:
        """Compare the tasks and deadlines of open runs with those of their states."""
        for known in self.store.open_runs:
            run = self.store.load(known.execution.run_id)
            assert run is not None
            events = self.store.history(run.execution.run_id)
            entries = all_entries(run, events, self.now)
            assert known.tasks.keys() == {each.event_id for each in entries if each.task is not None}
            lists = {id: getattr(events[id - 1].data, "task_list", None) for id in known.tasks}
            assert {id: task.task_list for id, task in known.tasks.items()} == {
                id: "lambda" if each is None else each.name for id, each in lists.items()
            }
            assert known.dues.keys() == {each.event_id for each in entries if each.due is not None}

    def respond(self, number: int) -> None:
        """End the activity of a number, one way or another."""
        if not self.claimed:
            return
        task = self.claimed.pop(number % len(self.claimed))
        with suppress(floto.ServiceFault):
            if number % 3:
                result = json.dumps({"n": number})
                self.engine.respond(c.RespondActivityTaskCompleted, task.token, self.now, result=result)
            else:
                reason = "Final" if number % 2 else "r"
                self.engine.respond(
                    c.RespondActivityTaskFailed, task.token, self.now, reason=reason, details=None
                )

    def send(self, command: c.Command) -> None:
        with suppress(floto.ServiceFault):
            self.engine.send(DOMAIN, ToWorkflow(RUN.workflow_id), command, self.now)

    def wait(self) -> None:
        due = self.store.next_deadline()
        if due is not None and due.at < T0 + timedelta(days=300):
            self.now = max(self.now, due.at)
            self.engine.fire_due(self.now)

    def play(self, script: Sequence[int], signals: Sequence[str]) -> None:
        for number in script:
            if number % 10 < 6:
                self.respond(number // 10)
            elif number % 10 < 8:
                self.wait()
            elif number % 10 == 8 and signals:
                self.send(c.SignalWorkflowExecution(signal_name=signals[number % len(signals)], input="1"))
            elif number > 900:
                self.send(c.RequestCancelWorkflowExecution())
            self.drain()
            self.now += timedelta(seconds=number % 3)

    def histories(self) -> dict[str, tuple[Event, ...]]:
        runs = [record.info.execution.run_id for record in self.store.records()]
        return {run_id: self.store.history(run_id) for run_id in runs}
