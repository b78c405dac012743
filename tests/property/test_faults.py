"""Every call may be lost, throttled or answered twice: a workflow still ends right, and nobody dies of it."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import floto
from floto.adapters.sqlite import SqliteService
from floto.core import events as e
from floto.core.events import Event
from floto.core.tasks import Task
from floto.runtime import decider, resilient, run
from floto.runtime.activities import Activities
from floto.runtime.run import WORKFLOW_TYPE
from tests.integration.contract.clock import Clock
from tests.property.faults import Faulty, Script, scripts
from tests.property.setup import SETTINGS

#: What is lost counts as a failure, and no script loses so many.
RETRIES = st.sampled_from([floto.InstantRetry(50), floto.FixedDelay(7, 50)])
KINDS = ("work", "flaky", "timer", "child", "generator")
ENDS = (e.ActivityTaskCompleted, e.ActivityTaskFailed, e.ActivityTaskTimedOut, e.ActivityTaskCanceled)


@st.composite
def small_task(draw: st.DrawFn, id_: str, before: list[str], kinds: tuple[str, ...]) -> Task:
    requires = draw(st.lists(st.sampled_from(before), unique=True, max_size=2)) if before else []
    kind = draw(st.sampled_from(kinds))
    if kind == "timer":
        return floto.Timer(id_=id_, delay_in_seconds=draw(st.sampled_from([0, 3, 90])), requires=requires)
    if kind == "child":
        return floto.ChildWorkflow(
            workflow_type_name="child",
            workflow_type_version="v1",
            id_=id_,
            requires=requires,
            spec=draw(small_specs(KINDS[:3], 2)),
        )
    more: dict[str, Any] = {"retry_strategy": draw(RETRIES), "start_to_close_timeout": 30, "version": "v1"}
    if kind == "generator":
        tasks = [
            draw(small_task(f"{id_}.{number}", [], KINDS[:3])) for number in range(draw(st.integers(0, 2)))
        ]
        inputs = {"tasks": floto.CODEC.unstructure(tasks)}
        return floto.Generator(id_=id_, name="generator", requires=requires, input=inputs, **more)
    return floto.ActivityTask(id_=id_, name=kind, requires=requires, **more)


@st.composite
def small_specs(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS, most: int = 4) -> floto.DeciderSpec:
    tasks: list[Task] = []
    for number in range(draw(st.integers(1, most))):
        tasks.append(draw(small_task(f"t{number}", [task.id_ for task in tasks], kinds)))
    return floto.DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=tasks)


def result_of(activity_id: str, context: dict[str, Any]) -> dict[str, Any]:
    """What an activity returns: who it is, and what it was given."""
    return {"by": activity_id, "given": sorted(context)}


def workshop() -> Activities:
    """``work`` works, ``flaky`` fails at its first attempt, however often that is handed out."""
    activities, first = Activities(), dict[tuple[str, str], int]()

    @activities.activity(name="work", version="v1")
    def work(context: dict[str, Any]) -> dict[str, Any]:
        floto.current().heartbeat("at work")
        return result_of(floto.current().id, context)

    @activities.activity(name="flaky", version="v1")
    def flaky(context: dict[str, Any]) -> dict[str, Any]:
        task = floto.current().task
        if (
            first.setdefault((task.execution.run_id, task.activity_id), task.started_event_id)
            == task.started_event_id
        ):
            msg = "the first time"
            raise ValueError(msg)
        return result_of(task.activity_id, context)

    @activities.generator(name="generator", version="v1")
    def generator(context: dict[str, Any]) -> Any:
        return [floto.CODEC.structure(task) for task in context["activity_task"]["tasks"]]

    return activities


@contextmanager
def hurried() -> Iterator[None]:
    """Nobody waits long between two attempts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resilient, "_FIRST_WAIT", 0.001)
        patch.setattr(resilient, "_LONGEST_WAIT", 0.01)
        patch.setattr(resilient, "_IDLE_SECONDS", 0.001)
        patch.setattr(decider, "_ASK_SECONDS", 0.01)
        patch.setattr(run, "_ASK_SECONDS", 0.01)
        yield


@contextmanager
def second_decider(spec: floto.DeciderSpec, service: Any) -> Iterator[None]:
    """Another decider for the same runs: each sees only some of their decision tasks."""
    errors: list[Exception] = []
    other = floto.Decider(
        specs={WORKFLOW_TYPE: spec},
        service=service,
        task_list="decide",
        listener=lambda _, error: errors.append(error) if error else None,
    )
    thread = threading.Thread(target=other.run)
    thread.start()
    try:
        yield
        assert thread.is_alive()
    finally:
        other.stop()
        thread.join()
    assert errors == []


def result(spec: floto.DeciderSpec, script: Script) -> tuple[Any, list[tuple[Event, ...]]]:
    """What ``floto.run`` returns, and the histories of the run and its children."""
    clock = Clock()
    with SqliteService(":memory:", clock=clock, durability="normal") as engine, hurried():
        service: Any = Faulty(engine, clock, script)
        with second_decider(spec, service):
            found = floto.run(spec, service=service, activities=workshop(), workflow_id="w", timeout=60)
        return found, [engine.history(execution) for execution in service.runs]


def check(events: tuple[Event, ...]) -> None:
    """Each attempt has ended once, and each activity has the one right result."""
    scheduled = {event.id: event.data for event in events if isinstance(event.data, e.ActivityTaskScheduled)}
    ends: defaultdict[int, list[Any]] = defaultdict(list)
    for event in events:
        if isinstance(event.data, ENDS):
            ends[event.data.scheduled_event_id].append(event.data)
    assert {id_: len(found) for id_, found in ends.items()} == dict.fromkeys(scheduled, 1)
    outcomes: Counter[tuple[str, str]] = Counter()
    for id_, (end,) in ends.items():
        task = scheduled[id_]
        outcomes[task.activity_id, type(end).__name__] += 1
        if isinstance(end, e.ActivityTaskCompleted) and task.activity_type.name != "generator":
            assert json.loads(end.result or "") == result_of(task.activity_id, json.loads(task.input or "{}"))
    names = {task.activity_id: task.activity_type.name for task in scheduled.values()}
    for activity_id, name in names.items():
        assert outcomes[activity_id, "ActivityTaskCompleted"] == 1
        assert outcomes[activity_id, "ActivityTaskFailed"] == (name == "flaky")


@settings(SETTINGS, max_examples=40)
@given(small_specs(), scripts)
def test_whatever_calls_are_lost_a_workflow_ends_right(spec: floto.DeciderSpec, script: Script) -> None:
    """The result is that of a calm run, and nothing was reported twice."""
    expected, _ = result(spec, {})
    found, histories = result(spec, script)
    assert found == expected
    for events in histories:
        check(events)
