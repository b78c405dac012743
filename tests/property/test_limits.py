"""SWF's limits for every list of decisions."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto import ActivityTask, ChildWorkflow, DeciderSpec, History, SpecError, Task, Timer, decide
from floto.core.spec.estimate import expected_events
from floto.core.swf import wire
from floto.core.swf.decisions import (
    Decision,
    FailWorkflowExecution,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.events import ActivityTaskScheduled, Event
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import MORE_TIMER
from floto.testing import Simulation, Simulator, fails, simulate
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE

#: Bytes of one request to SWF.
REQUEST_LIMIT = 1_000_000


def noise(seed: int, length: int) -> str:
    """Text that does not compress to less than about three quarters."""
    return "".join(
        Random(seed).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-", k=length)
    )


def in_batches(simulator: Simulator) -> Simulation:
    """A run in which everything that can happen does, before anything is decided."""
    while moves := simulator.moves():
        # Timers fire in a batch, too.
        ready = [move for move in moves if move.name != "decide" and (move.name != "wait" or len(moves) == 1)]
        simulator.make(ready[0] if ready else moves[0])
    return simulator.simulation()


def check_sizes(decisions: tuple[Decision, ...] | list[Decision]) -> None:
    raw = [wire.decision_to_swf(decision) for decision in decisions]
    assert len(json.dumps(raw)) <= REQUEST_LIMIT
    for decision in decisions:
        for field, limit in (("input", 32_768), ("result", 32_768), ("details", 32_768), ("control", 32_768)):
            assert len(getattr(decision, field, None) or "") <= limit
        for field in ("activity_id", "timer_id", "workflow_id", "reason", "marker_name"):
            assert len(getattr(decision, field, None) or "") <= 256


@SETTINGS
@given(st.lists(st.integers(1, 32_000), min_size=1, max_size=60), st.integers(0, 9))
def test_15_large_inputs_are_split_over_several_responses(sizes: list[int], seed: int) -> None:
    """Inputs that exceed 1 MB together go out in several responses, all of them in the end."""
    tasks = [
        ActivityTask(name="work", version="v1", id_=f"t{n}", input=noise(seed + n, size * 3 // 4))
        for n, size in enumerate(sizes)
    ]
    simulation = simulate(DeciderSpec(activity_tasks=tasks, activity_task_list="work"))
    for step in simulation.steps:
        check_sizes(step.decisions)
    assert simulation.status == "COMPLETED"
    scheduled = [event.data.activity_id for event in simulation.main if _is_scheduled(event)]
    assert scheduled == [task.id_ for task in tasks]


def _is_scheduled(event: Event) -> bool:
    return isinstance(event.data, ActivityTaskScheduled)


@SETTINGS
@given(st.integers(40_000, 90_000), st.integers(0, 99))
def test_15_too_large_value_fails_the_run_naming_the_task(length: int, seed: int) -> None:
    """A context that is too long even compressed fails the run and names its task, instead of wedging it."""
    work = ActivityTask(name="work", version="v1", id_="collect")
    spec = DeciderSpec(activity_tasks=[work], activity_task_list="work")
    history = started(json.dumps(noise(seed, length))[:70_000])
    decisions = decide(spec, history)
    [failed] = decisions
    assert isinstance(failed, FailWorkflowExecution)
    assert "collect" in (failed.details or "")
    assert "32,768" in (failed.details or "")
    check_sizes(decisions)


@SETTINGS
@given(st.integers(20_000, 60_000), st.integers(0, 99))
def test_15_child_spec_is_refused_exactly_if_no_child_could_start_with_it(length: int, seed: int) -> None:
    """It travels in the child's input, which must not be found too long by the run that starts the child."""
    work = ActivityTask(name="work", version="v1", id_="a", input=noise(seed, length))
    try:
        inner = DeciderSpec(activity_tasks=[work], activity_task_list="work")
        part = ChildWorkflow(
            workflow_type_name="c", workflow_type_version="1", workflow_id="c", id_="part", spec=inner
        )
        spec = DeciderSpec(activity_tasks=[part])
    except SpecError as error:
        assert length > 30_000
        assert "32,768" in str(error)
    else:
        [start] = decide(spec, started("null"))
        assert isinstance(start, StartChildWorkflowExecution)


def test_15_too_large_child_spec_is_refused_naming_the_child() -> None:
    """Each of its tasks would fit."""
    tasks = [ActivityTask(name="work", version="v1", id_=noise(n, 60)) for n in range(1_000)]
    part = ChildWorkflow(
        workflow_type_name="c", workflow_type_version="1", id_="part", spec=DeciderSpec(activity_tasks=tasks)
    )
    with pytest.raises(SpecError, match=r"task 'part': .*spec.*split it into more children"):
        DeciderSpec(activity_tasks=[part])


@SETTINGS
@given(st.integers(1, 40), st.integers(0, 2**20))
def test_15_failure_details_fit(count: int, seed: int) -> None:
    """However many tasks fail with however much to say, the run fails with details that fit."""
    tasks = [ActivityTask(name="work", version="v1", id_=f"task {n}") for n in range(count)]
    spec = DeciderSpec(activity_tasks=tasks, activity_task_list="work")
    run = in_batches(Simulator(spec, {"work": fails(1, "Loud", noise(seed, 32_000))}))
    check_sizes(run.steps[-1].decisions)
    assert run.failure is not None
    assert run.failure.details
    assert set(run.failure.details) <= {task.id_ for task in tasks} | {"..."}


@SETTINGS
@given(runs(specs(), faults=TROUBLE))
def test_15_no_run_completes_with_fewer_events_than_the_minimum(run: Simulation) -> None:
    """However completions fall together, ``floto check`` never expects more events than a run can do with."""
    if run.status == "COMPLETED":
        assert len(run.main) >= expected_events(run.spec)[0]


@SETTINGS
@given(st.integers(1, 6), st.integers(1, 6))
def test_15_minimum_is_reached_if_completions_coincide(wide: int, deep: int) -> None:
    """Rows of tasks, each row waiting for the one before, all of a row done before the next decision."""
    tasks: list[Task] = []
    for row in range(deep):
        before = tasks[-wide:]
        tasks += [
            ActivityTask(name="work", version="v1", id_=f"{row}.{n}", requires=before) for n in range(wide)
        ]
    spec = DeciderSpec(activity_tasks=tasks, activity_task_list="work")
    run = in_batches(Simulator(spec))
    assert run.status == "COMPLETED"
    least, most = expected_events(spec)
    assert len(run.main) == least == most - 3 * (wide - 1) * deep


def started(input: str) -> History:
    """A history that has just begun."""
    first: dict[str, Any] = {
        "eventId": 1,
        "eventTimestamp": 0,
        "eventType": "WorkflowExecutionStarted",
        "workflowExecutionStartedEventAttributes": {
            "childPolicy": "TERMINATE",
            "taskList": {"name": "decide"},
            "workflowType": {"name": "flow", "version": "v1"},
            "input": input,
        },
    }
    return History.from_swf([first])


@pytest.mark.parametrize("kind", ["activity", "timer"])
def test_15_open_items_stay_within_the_limits_of_swf(kind: str) -> None:
    """A fan-out beyond 1,000 activities or timers waits for some of them to close."""
    tasks: list[Task] = [
        ActivityTask(name="work", version="v1", id_=f"t{n}")
        if kind == "activity"
        else Timer(id_=f"t{n}", delay_in_seconds=5)
        for n in range(1_200)
    ]
    run = in_batches(Simulator(DeciderSpec(activity_tasks=tasks, activity_task_list="work")))
    assert [len(step.decisions) for step in run.steps] == [OPEN_LIMIT, 200, 1]
    assert run.status == "COMPLETED"
    assert not any(getattr(event.data, "cause", None) for event in run.main)


def test_15_remaining_decisions_are_forced_by_a_timer_of_zero_seconds() -> None:
    """Decisions that do not fit one response follow after a timer, and no other is made before."""
    tasks = [ActivityTask(name="work", version="v1", id_=f"t{n}", input=noise(n, 24_000)) for n in range(60)]
    spec = DeciderSpec(activity_tasks=tasks, activity_task_list="work")
    simulator = Simulator(spec)
    simulator.make(simulator.moves()[0])
    [step] = simulator.simulation().steps
    *scheduled, last = step.decisions
    assert last == StartTimer(timer_id=MORE_TIMER, start_to_fire_timeout="0")
    assert 0 < len(scheduled) < len(tasks)
    assert all(isinstance(decision, ScheduleActivityTask) for decision in scheduled)
    assert decide(spec, step.after) == []
    assert isinstance(step.after.events[-1], Event)
