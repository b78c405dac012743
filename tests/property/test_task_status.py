"""Every command and picture gives a task the same status."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from floto import (
    ActivityTask,
    DeciderSpec,
    FixedDelay,
    Generator,
    History,
    InstantRetry,
    Timer,
    begin,
    decide,
    explain,
    fold,
)
from floto.core.decide.phase import RunPhase, phase
from floto.core.replay.explain import explain_started
from floto.core.replay.task_status import TaskStatus, task_statuses
from floto.core.replay.timeline import Lane, timeline
from floto.core.swf import events as e
from floto.pictures import terminal
from floto.pictures.dot import describe
from floto.pictures.graph import graph
from floto.runtime.runs.live_table import Rows
from floto.testing import Simulation, fails, simulate
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE
from tests.replay_many import spec_for

A = ActivityTask(id_="a", name="work", version="v1")
RETRIED = ActivityTask(id_="a", name="work", version="v1", retry_strategy=FixedDelay(9, 1))
LONG = Timer(id_="long", delay_in_seconds=99)
AFTER = ActivityTask(id_="after", name="work", version="v1", requires=["a"])

#: The statuses that a task may have at the end of the span that a timeline draws last.
AT_END_OF = {
    TaskStatus.QUEUED: {TaskStatus.QUEUED, TaskStatus.SKIPPED},
    # A completed attempt is drawn as running; a signal may come early, a generator return what is unusable.
    TaskStatus.RUNNING: {
        TaskStatus.RUNNING,
        TaskStatus.DONE,
        TaskStatus.SKIPPED,
        TaskStatus.WAITING,
        TaskStatus.FAILED,
        TaskStatus.RESERVED,
    },
    TaskStatus.RETRYING: {TaskStatus.RETRYING, TaskStatus.DUE, TaskStatus.SKIPPED, TaskStatus.FAILED},
    # Until the decision that starts the wait, or the next attempt.
    TaskStatus.FAILED: {TaskStatus.FAILED, TaskStatus.DUE, TaskStatus.SKIPPED, TaskStatus.WAITING},
    TaskStatus.CANCELED: {TaskStatus.CANCELED, TaskStatus.DUE, TaskStatus.SKIPPED, TaskStatus.WAITING},
}


def until(history: History, end: int) -> History:
    return History(history.events[:end], history.execution)


def lanes(spec: DeciderSpec | None, history: History) -> dict[Any, Lane]:
    return {lane.key: lane for lane in timeline(history, spec).lanes}


def agreed(spec: DeciderSpec, history: History, rows: Rows | None = None) -> dict[str, TaskStatus]:
    """The status of each task, which all that show it must agree on."""
    state = fold(history.events, fold(History([], history.execution)))
    explained = explain(spec, history)
    found = {id_: task.status for id_, task in explained.tasks.items()}
    drawn = graph(spec, state)
    assert {node.id: node.status for node in drawn.nodes} == found
    assert all(f": {found[node.id]}" in describe(node) for node in drawn.nodes)
    shown = {row.task: row.status for row in (rows or Rows(spec)).at(state)}
    assert shown == {id_: found[id_] for id_ in shown}
    assert shown.keys() >= {task.id_ for task in begin(spec, state).plan.tasks}
    for task, status in task_statuses(begin(spec, state)):
        lane = lanes(spec, history).get(task.key)
        if lane is not None:
            assert lane.status is status
            assert status in AT_END_OF[lane.spans[-1].status]
    return found


@settings(SETTINGS, max_examples=25)
@given(runs(specs()))
def test_status_is_the_same_wherever_it_is_shown_at_every_event(run: Simulation) -> None:
    for history in run.histories:
        own = spec_for(run.spec, history)
        rows = Rows(own)
        for end in range(1, len(history) + 1):
            agreed(own, until(history, end), rows)


@settings(SETTINGS, max_examples=25)
@given(runs(specs(), faults=TROUBLE))
def test_without_a_spec_all_agree_and_what_is_open_or_done_has_the_same_status(run: Simulation) -> None:
    for history in run.histories:
        own = spec_for(run.spec, history)
        for end in range(1, len(history) + 1):
            begun, known = until(history, end), explain(own, until(history, end))
            state = fold(begun)
            started = explain_started(state, begun.events).tasks
            drawn = lanes(None, begun)
            for (kind, id_), lane in drawn.items():
                if kind != "signal":
                    assert started[id_].status is lane.status
                if lane.status in (TaskStatus.QUEUED, TaskStatus.RUNNING):
                    assert known[id_].status is lane.status


@settings(SETTINGS, max_examples=25)
@given(runs(specs()))
def test_phase_says_what_the_next_decision_is_about(run: Simulation) -> None:
    ends = {
        "CompleteWorkflowExecution": {RunPhase.COMPLETING},
        "ContinueAsNewWorkflowExecution": {RunPhase.COMPLETING},
        # A result may be too long, an input unreadable, and a start invalid.
        "FailWorkflowExecution": set(RunPhase) - {RunPhase.CANCELING, RunPhase.CLOSED},
        "CancelWorkflowExecution": {RunPhase.CANCELING},
    }
    for history in run.histories:
        own = spec_for(run.spec, history)
        for end in range(1, len(history) + 1):
            progress = begin(own, until(history, end))
            now = phase(progress)
            assert (now is RunPhase.CLOSED) is (progress.state.closed is not None)
            for decision in decide(progress):
                assert now in ends.get(type(decision).__name__, {now})


def run_that_failed() -> tuple[DeciderSpec, History]:
    """A run that closed with an open timer and a task that was not started."""
    spec = DeciderSpec(activity_tasks=[A, LONG, AFTER])
    return spec, simulate(spec, {"a": fails()}).main


def test_closed_run_skips_the_task_that_was_not_started() -> None:
    assert agreed(*run_that_failed())["after"] is TaskStatus.SKIPPED


def test_closed_run_skips_the_task_that_was_open() -> None:
    spec, history = run_that_failed()
    assert agreed(spec, history)["long"] is TaskStatus.SKIPPED
    for own in (spec, None):
        lines = terminal.text(timeline(history, own), "run").split("\n")
        assert [line.split()[-1] for line in lines if line.split()[:1] == ["long"]] == ["skipped"]


def waiting_for_its_retry() -> tuple[DeciderSpec, History]:
    spec = DeciderSpec(activity_tasks=[RETRIED, LONG])
    history = simulate(spec, {"a": fails()}).main
    waits = [
        each.id for each in history if isinstance(each.data, e.TimerStarted) and each.data.control == "a"
    ]
    return spec, until(history, waits[0])


def test_retry_wait_under_way_has_one_name_and_is_drawn() -> None:
    spec, history = waiting_for_its_retry()
    assert agreed(spec, history)["a"] is TaskStatus.RETRYING
    for own in (spec, None):
        lane = next(lane for lane in timeline(history, own).lanes if lane.name == "a")
        assert (lane.status, lane.spans[-1].status) == (TaskStatus.RETRYING, TaskStatus.RETRYING)
        assert lane.spans[-1].end == history.events[-1].at


def test_retry_wait_is_drawn_up_to_the_last_event() -> None:
    spec, history = waiting_for_its_retry()
    whole = simulate(spec, {"a": fails()}).main
    fired = next(each for each in whole if isinstance(each.data, e.TimerFired))
    lane = next(lane for lane in timeline(until(whole, fired.id)).lanes if lane.name == "a")
    assert lane.spans[-1].status is TaskStatus.RETRYING
    assert (lane.spans[-1].end - lane.spans[-1].start).total_seconds() >= 9
    assert "waiting for its retry" in terminal.text(timeline(history), "run")


def test_task_of_a_failed_generator_is_failed_everywhere() -> None:
    spec = DeciderSpec(
        activity_tasks=[Generator(id_="g", name="g", version="v1", retry_strategy=InstantRetry(1))]
    )
    history = simulate(spec, {"g": fails(None)}).main
    assert agreed(spec, history) == {"g": TaskStatus.FAILED}
