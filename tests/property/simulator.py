"""Drives the pure model of SWF through one run of a spec, in whatever order a script says.

The outcome of every attempt is a function of a number and of who attempts what, never of
the order of things; the order is read off a script of numbers. A script that has ended
lets everything go well and in turn, so every simulation comes to an end.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import field, frozen

from floto import (
    CODEC,
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    Generator,
    History,
    Signal,
    decide,
    expand,
    fold,
)
from floto.core import payload, ports
from floto.core.decide import spec_of
from floto.core.decisions import (
    ContinueAsNewWorkflowExecution,
    Decision,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.errors import UnknownResource
from floto.core.events import ActivityTaskScheduled
from floto.core.ports import ExecutionInfo, StartRequest
from floto.core.service.world import World
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = WorkflowType("flow", "v1")
WORKFLOW_ID = "w"
#: Far more moves than any of these runs needs.
PATIENCE = 1_500
_YEAR = timedelta(days=364)
_PASSING: dict[type, str] = {
    ScheduleActivityTask: "ACTIVITY_CREATION_RATE_EXCEEDED",
    StartTimer: "TIMER_CREATION_RATE_EXCEEDED",
    StartChildWorkflowExecution: "CHILD_CREATION_RATE_EXCEEDED",
    RequestCancelExternalWorkflowExecution: "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",
    RequestCancelActivityTask: "OPERATION_NOT_PERMITTED",
    RecordMarker: "OPERATION_NOT_PERMITTED",
    ContinueAsNewWorkflowExecution: "CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED",
}
_FINAL: dict[type, str] = {
    ScheduleActivityTask: "ACTIVITY_TYPE_DOES_NOT_EXIST",
    StartTimer: "OPERATION_NOT_PERMITTED",
    StartChildWorkflowExecution: "WORKFLOW_TYPE_DOES_NOT_EXIST",
}


@frozen(kw_only=True)
class Plot:
    """What happens; with all zeros, everything succeeds in turn."""

    outcomes: int = 0
    script: tuple[int, ...] = ()
    refusals: int = 0
    cancel_at: int | None = None
    #: How many of the awaited signals arrive before anything is decided.
    early: int = 0
    input: Any = None


@frozen
class Step:
    """One question and its answer."""

    spec: DeciderSpec
    history: History
    decisions: tuple[Decision, ...]
    #: The history just after the answer took effect.
    after: History


@frozen(kw_only=True)
class Simulation:
    """A run that has been driven until nothing moved any more."""

    spec: DeciderSpec
    plot: Plot
    steps: tuple[Step, ...] = field(repr=lambda steps: f"<{len(steps)} steps>")
    histories: tuple[History, ...]
    infos: tuple[ExecutionInfo, ...]
    stuck: bool

    @property
    def main(self) -> History:
        """The history of the first run."""
        return self.histories[0]


def chance(*parts: object) -> int:
    """A number that depends on these and nothing else."""
    return zlib.crc32(repr(parts).encode())


def outcome(plot: Plot, workflow_id: str, activity_id: str, attempt: int) -> str:
    """What becomes of one attempt."""
    if not plot.outcomes:
        return "ok"
    number = chance(plot.outcomes, workflow_id, activity_id, attempt) % 8
    return {5: "fail", 6: "lose", 7: "final"}.get(number, "ok")


class Simulator:
    """One world, one spec, one script."""

    def __init__(
        self, spec: DeciderSpec, plot: Plot, decider: Callable[..., list[Decision]] = decide
    ) -> None:
        self.spec, self.plot, self.decider = spec, plot, decider
        self.world = World(refuse=self.refuse if plot.refusals else None)
        self.now = BEGINNING
        self.script = list(reversed(plot.script))
        self.steps: list[Step] = []
        self.asked: list[tuple[ports.DecisionTask, DeciderSpec, History, tuple[Decision, ...]]] = []
        self.working: list[ports.ActivityTask] = []
        self.refused = 0
        self.stuck = False
        types = _types(spec)
        self.world.prepare([WORKFLOW, *types[0]], types[1])
        text = None if plot.input is None else json.dumps(plot.input)
        request = StartRequest(
            workflow_id=WORKFLOW_ID, workflow_type=WORKFLOW, task_list="decide", input=text
        )
        self.world.start(request, self.now)

    def refuse(self, decision: Decision) -> str | None:
        """Refuse some decisions, a bounded number of times in all."""
        if type(decision) not in _PASSING or self.refused >= 6:
            return None
        number = chance(self.plot.refusals, self.refused, type(decision).__name__) % 40
        self.refused += number < 8
        if number == 0:
            return _FINAL.get(type(decision), _PASSING[type(decision)])
        return _PASSING[type(decision)] if number < 8 else None

    def run(self) -> Simulation:
        """Move until nothing is left to move."""
        moves = 0
        for _ in range(self.plot.early):
            self.approve()
        while self.move():
            moves += 1
            if moves == self.plot.cancel_at:
                self.cancel()
            assert moves < PATIENCE, "the run goes on and on"
        infos = tuple(self.world.executions())
        return Simulation(
            spec=self.spec,
            plot=self.plot,
            steps=tuple(self.steps),
            histories=tuple(self.world.history(info.execution) for info in infos),
            infos=infos,
            stuck=self.stuck,
        )

    def cancel(self) -> None:
        """Ask the run to stop, if it still runs."""
        with contextlib.suppress(UnknownResource):
            self.world.request_cancel(WORKFLOW_ID, self.now)

    def move(self) -> bool:
        """Make the next move; False when all runs are closed, or nothing but their time-out is left."""
        if all(info.close_status for info in self.world.executions()):
            return False
        self.now += timedelta(milliseconds=10)
        moves = [
            self.decide,
            self.poll_activity,
            self.work,
            self.answer,
            self.pass_time,
            self.signal,
            self.lose,
            self.approve,
        ]
        number = self.script.pop() if self.script else 0
        first = moves[number % len(moves)]
        in_turn = (self.decide, self.answer, self.poll_activity, self.work, self.pass_time, self.approve)
        self.stuck = not (first() or any(move() for move in in_turn))
        return not self.stuck

    def decide(self) -> bool:
        """Take a decision task, work out the answer, and give it now or later."""
        task = self.world.poll_decision("decide", self.now)
        if task is None:
            return False
        history = History(task.events, task.execution)
        spec = spec_of(history.events[0].data.input) or self.spec
        self.asked.append((task, spec, history, tuple(self.decider(spec, history))))
        return bool(self.script and self.script[-1] % 3 == 0) or self.answer()

    def answer(self) -> bool:
        """Give an answer that was worked out before, if its question still stands."""
        if not self.asked:
            return False
        task, spec, history, decisions = self.asked.pop(0)
        try:
            self.world.respond_decision(task.token, decisions, self.now)
        except UnknownResource:
            return True
        self.steps.append(Step(spec, history, decisions, self.world.history(task.execution)))
        return True

    def lose(self) -> bool:
        """A decider takes a task and dies."""
        return self.world.poll_decision("decide", self.now) is not None

    def signal(self) -> bool:
        """Somebody sends a signal that no task waits for."""
        try:
            self.world.signal(WORKFLOW_ID, "noise", '"hello"', self.now)
        except UnknownResource:
            return False
        return True

    def approve(self) -> bool:
        """Somebody sends a signal that a task waits for, or will wait for one day, early or late."""
        missing = [
            (info.execution.workflow_id, name)
            for info in self.world.executions()
            if not info.close_status
            for name in self.missing_signals(info.execution)
        ]
        if not missing:
            return False
        workflow_id, name = missing[(self.script[-1] if self.script else 0) % len(missing)]
        self.world.signal(workflow_id, name, json.dumps({"to": workflow_id, "said": name}), self.now)
        return True

    def missing_signals(self, run: WorkflowExecution) -> list[str]:
        """The signals that a run has tasks for, and has not been sent."""
        history = self.world.history(run)
        state = fold(history)
        spec = spec_of(state.start.input) or self.spec
        names = [task.signal_name for task in expand(spec, state).all_tasks if isinstance(task, Signal)]
        return [name for name in names if name not in state.signals]

    def poll_activity(self) -> bool:
        """A worker takes an activity."""
        task = self.world.poll_activity("work", self.now)
        if task is None:
            return False
        self.working.append(task)
        return True

    def work(self) -> bool:
        """A worker ends an activity, not always the one it took first."""
        if not self.working:
            return False
        task = self.working.pop((self.script[-1] if self.script else 0) % len(self.working))
        with contextlib.suppress(UnknownResource):
            self.end(task)
        return True

    def end(self, task: ports.ActivityTask) -> None:
        """Report what the plot says."""
        if self.world.heartbeat(task.token, None, self.now):
            self.world.cancel_activity(task.token, "as asked", self.now)
            return
        scheduled, attempt = self.attempt(task)
        what = outcome(self.plot, task.execution.workflow_id, task.activity_id, attempt)
        if what == "lose" and {scheduled.start_to_close_timeout, scheduled.heartbeat_timeout} != {"NONE"}:
            return
        if what in ("fail", "lose"):
            self.world.fail_activity(task.token, "Passing", f"attempt {attempt}", self.now)
        elif what == "final":
            self.world.fail_activity(task.token, "Final", f"attempt {attempt}", self.now)
        else:
            self.world.complete_activity(task.token, result_of(task.activity_id, task.input), self.now)

    def attempt(self, task: ports.ActivityTask) -> tuple[ActivityTaskScheduled, int]:
        """How an activity was scheduled, and for which time."""
        scheduled = [
            event.data
            for event in self.world.history(task.execution)
            if isinstance(event.data, ActivityTaskScheduled) and event.data.activity_id == task.activity_id
        ]
        return scheduled[-1], len(scheduled)

    def pass_time(self) -> bool:
        """Wait until the next deadline."""
        due = self.world.next_deadline()
        if due is None or due - BEGINNING > _YEAR:
            return False
        self.now = max(self.now, due)
        self.world.advance(self.now)
        return True


def result_of(activity_id: str, text: str | None) -> str:
    """What an activity returns: a generator its tasks, another something that names it."""
    context = payload.loads(text) or {}
    given = context.get("activity_task")
    if isinstance(given, dict) and "tasks" in given:
        return json.dumps(given["tasks"])
    return json.dumps({"by": activity_id})


def _types(spec: DeciderSpec) -> tuple[list[WorkflowType], list[ActivityType]]:
    workflows = {WorkflowType("child", "v1"): None}
    activities = {ActivityType("work", "v1"): None, ActivityType("gen", "v1"): None}
    for task in spec.all_tasks:
        if isinstance(task, ActivityTask | Generator):
            activities[ActivityType(task.name, task.version)] = None
        if isinstance(task, ChildWorkflow):
            workflows[WorkflowType(task.workflow_type_name, task.workflow_type_version)] = None
    return list(workflows), list(activities)


def simulate(spec: DeciderSpec, plot: Plot | None = None) -> Simulation:
    """Run a spec to its end."""
    return Simulator(spec, plot or Plot()).run()


def execution(workflow_id: str = WORKFLOW_ID) -> WorkflowExecution:
    """Some run of a workflow id."""
    return WorkflowExecution(workflow_id, "r")


__all__ = [
    "BEGINNING",
    "CODEC",
    "Plot",
    "Simulation",
    "Simulator",
    "Step",
    "execution",
    "outcome",
    "simulate",
]
