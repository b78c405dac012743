"""Laws that hold for whatever deciders, workers and operators do, in any order."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from floto.core.errors import ServiceFault
from floto.core.state.fold import fold
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution
from tests.unit.test_service_helpers import ACTIVITY, WORKFLOW, Stage, in_memory, in_sqlite

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

IDS = st.sampled_from(["a", "b", "c"])
LISTS = ["decide", "other"]
SECONDS = st.sampled_from(["0", "1", "5", "30"])
TIMEOUTS = st.none() | SECONDS
CHILD_CONTROL = st.sampled_from([None, "floto.task:t"])

DECISIONS = st.one_of(
    st.builds(
        d.ScheduleActivityTask,
        activity_type=st.sampled_from([ACTIVITY, ACTIVITY, ActivityType("unknown", "1")]),
        activity_id=IDS,
        schedule_to_start_timeout=TIMEOUTS,
        schedule_to_close_timeout=TIMEOUTS,
        start_to_close_timeout=TIMEOUTS,
        heartbeat_timeout=TIMEOUTS,
        task_priority=st.sampled_from([None, "1", "-1"]),
    ),
    st.builds(d.RequestCancelActivityTask, activity_id=IDS),
    st.builds(d.StartTimer, timer_id=IDS, start_to_fire_timeout=SECONDS),
    st.builds(d.CancelTimer, timer_id=IDS),
    st.builds(d.RecordMarker, marker_name=IDS),
    st.builds(d.SignalExternalWorkflowExecution, workflow_id=IDS, signal_name=IDS),
    st.builds(d.RequestCancelExternalWorkflowExecution, workflow_id=IDS),
    st.builds(
        d.StartChildWorkflowExecution,
        workflow_type=st.just(WORKFLOW),
        workflow_id=IDS,
        control=CHILD_CONTROL,
        child_policy=st.sampled_from([None, "REQUEST_CANCEL", "ABANDON"]),
        execution_start_to_close_timeout=TIMEOUTS,
    ),
)
CLOSES = st.one_of(
    st.builds(d.CompleteWorkflowExecution),
    st.builds(d.FailWorkflowExecution, reason=st.just("r")),
    st.builds(d.CancelWorkflowExecution),
    st.builds(d.ContinueAsNewWorkflowExecution, task_list=st.none() | st.just(TaskList("decide"))),
)
BATCHES = st.tuples(st.lists(DECISIONS, max_size=4), st.lists(CLOSES, max_size=1)).map(
    lambda parts: [*parts[0], *parts[1]]
)
#: Which of the tasks handed out so far is answered; mostly the latest, sometimes one long over.
WHICH = st.sampled_from([-1, -1, -1, -2, 0])

STEPS = st.one_of(
    st.tuples(st.just("start"), IDS),
    st.tuples(st.just("signal"), IDS),
    st.tuples(st.just("request_cancel"), IDS),
    st.tuples(st.just("terminate"), IDS, st.sampled_from([None, "REQUEST_CANCEL", "ABANDON"])),
    st.tuples(st.just("wait"), st.sampled_from([0, 0.5, 1, 10, 61, 4000])),
    st.tuples(st.just("decide"), BATCHES),
    st.tuples(st.just("decide"), BATCHES),
    st.tuples(st.just("poll_decision")),
    st.tuples(st.just("respond"), WHICH, BATCHES),
    st.tuples(st.just("move"), st.sampled_from(LISTS), TIMEOUTS, BATCHES),
    st.tuples(st.just("poll_activity")),
    st.tuples(st.just("poll_activity")),
    st.tuples(st.just("answer"), WHICH, st.sampled_from(["complete", "fail", "cancel", "heartbeat"])),
)
PROGRAMS = st.lists(STEPS, max_size=40)


class Player:
    """Plays a program on a stage and writes down every answer, refusals included."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.answers: list[Any] = []
        self._decisions: list[str] = []
        self._activities: list[str] = []
        self.runs: dict[WorkflowExecution, None] = {}

    def play(self, program: list[tuple[Any, ...]]) -> None:
        for name, *arguments in program:
            try:
                self.answers.append(getattr(self, name)(*arguments))
            except ServiceFault as fault:
                self.answers.append((fault.code, fault.message))

    def start(self, workflow_id: str) -> None:
        self.runs[self.stage.start(workflow_id)] = None

    def signal(self, workflow_id: str) -> None:
        self.stage.signal(workflow_id=workflow_id)

    def request_cancel(self, workflow_id: str) -> None:
        self.stage.world.request_cancel(workflow_id, self.stage.now)

    def terminate(self, workflow_id: str, policy: str | None) -> None:
        self.stage.world.terminate(workflow_id, None, None, self.stage.now, policy)

    def wait(self, seconds: float) -> Any:
        self.stage.wait(seconds)
        return self.stage.world.next_deadline()

    def poll_decision(self) -> Any:
        polled = (self.stage.world.poll_decision(name, self.stage.now) for name in LISTS)
        task = next((task for task in polled if task is not None), None)
        if task is not None:
            self._decisions.append(task.token)
            self.runs[task.execution] = None
        return task

    def decide(self, batch: list[d.Decision]) -> None:
        if self.poll_decision() is not None:
            self.respond(-1, batch)

    def respond(self, which: int, batch: list[d.Decision]) -> None:
        if len(self._decisions) >= abs(which or 1):
            self.stage.world.respond_decision(self._decisions[which], batch, self.stage.now)

    def move(self, task_list: str, timeout: str | None, batch: list[d.Decision]) -> None:
        task = self.poll_decision()
        if task is not None:
            self.stage.override(task, task_list, timeout, *batch)

    def poll_activity(self) -> Any:
        task = self.stage.world.poll_activity("work", self.stage.now)
        if task is not None:
            self._activities.append(task.token)
        return task

    def answer(self, which: int, how: str) -> Any:
        if len(self._activities) < abs(which or 1):
            return None
        world, token, now = self.stage.world, self._activities[which], self.stage.now
        if how == "complete":
            return world.complete_activity(token, "r", now)
        if how == "fail":
            return world.fail_activity(token, "r", None, now)
        if how == "cancel":
            return world.cancel_activity(token, None, now)
        return world.heartbeat(token, "alive", now)

    def histories(self) -> list[History]:
        return [self.stage.world.history(run) for run in self.runs]


#: Field by field, what an id in an event must point back to; a literal 0 points to nothing.
REFERENCES: dict[str, tuple[type, ...]] = {
    "decision_task_completed_event_id": (e.DecisionTaskCompleted,),
    "scheduled_event_id": (e.ActivityTaskScheduled, e.DecisionTaskScheduled),
    "started_event_id": (
        e.ActivityTaskStarted,
        e.DecisionTaskStarted,
        e.TimerStarted,
        e.ChildWorkflowExecutionStarted,
    ),
    "initiated_event_id": (
        e.StartChildWorkflowExecutionInitiated,
        e.SignalExternalWorkflowExecutionInitiated,
        e.RequestCancelExternalWorkflowExecutionInitiated,
    ),
    "latest_cancel_requested_event_id": (e.ActivityTaskCancelRequested,),
}


def check_references(events: list[Event]) -> None:
    for event in events:
        for field, types in REFERENCES.items():
            target = getattr(event.data, field, None)
            if target:
                assert target < event.id
                assert isinstance(events[target - 1].data, types)


def check_decision_tasks(events: list[Event]) -> None:
    scheduled = started = 0
    for event in events:
        match event.data:
            case e.DecisionTaskScheduled():
                scheduled += 1
            case e.DecisionTaskStarted():
                scheduled, started = scheduled - 1, started + 1
            case e.DecisionTaskCompleted():
                started -= 1
            case e.DecisionTaskTimedOut(started_event_id=0):
                scheduled -= 1
            case e.DecisionTaskTimedOut():
                started -= 1
            case _:
                pass
        assert 0 <= started <= 1
        assert 0 <= scheduled <= 1


@SETTINGS
@given(program=PROGRAMS)
def test_the_law_of_histories(program: list[tuple[Any, ...]]) -> None:
    """Invariants 17 and 18: ids, times, references, and at most one decision task of a kind."""
    player = Player(in_memory())
    player.play(program)
    for history in player.histories():
        events = list(history)
        fold(events)
        assert all(one.at <= next_.at for one, next_ in pairwise(events))
        check_references(events)
        check_decision_tasks(events)


@SETTINGS
@given(program=PROGRAMS)
def test_an_open_run_is_never_forgotten(program: list[tuple[Any, ...]]) -> None:
    """A run that is open ends: by its decider, by an operator, or at its deadline."""
    player = Player(in_memory())
    player.play(program)
    player.stage.wait(4000)
    player.stage.wait(4000)
    assert player.stage.world.next_deadline() is None
    assert all(fold(history).closed is not None for history in player.histories())


@settings(SETTINGS, max_examples=40)
@given(program=PROGRAMS)
def test_memory_and_sqlite_answer_alike(program: list[tuple[Any, ...]]) -> None:
    """Invariant 20: response for response, error for error, event for event."""
    memory, sqlite = Player(in_memory()), Player(in_sqlite())
    memory.play(program)
    sqlite.play(program)
    assert sqlite.answers == memory.answers
    assert sqlite.histories() == memory.histories()
