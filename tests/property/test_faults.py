"""Any call may be lost, throttled or executed twice: a workflow still completes, and no loop crashes."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.spec.activity_timeouts import without_timeouts
from floto.core.spec.tasks import Task
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.runtime import retrying as resilient
from floto.runtime.runs.run_request import WORKFLOW_TYPE
from floto.runtime.workers.activities import Activities
from floto.testing import specs
from tests.integration.contract.clock import Clock
from tests.property.faults import Faulty, Script, scripts
from tests.property.setup import SETTINGS, has_rules

#: What is lost counts as a failure, and no script loses so many.
MANY = floto.FixedDelay(7, 50)
RETRIES = st.sampled_from([floto.InstantRetry(50), MANY])
ENDS = (e.ActivityTaskCompleted, e.ActivityTaskFailed, e.ActivityTaskTimedOut, e.ActivityTaskCanceled)


def runnable(spec: floto.DeciderSpec) -> floto.DeciderSpec:
    """Return the same graph, with tasks that ``all_activities`` can run."""
    tasks = [own(task) for task in spec.activity_tasks]
    return evolve(spec, activity_tasks=tasks, on_failure=[], on_cancel=[])


def own(task: Any) -> Task:
    """Return a task of a random spec as one that ``all_activities`` can run."""
    if isinstance(task, floto.Signal):
        return floto.ActivityTask(
            id_=task.id_, name="work", requires=task.requires, retry_strategy=MANY, **_TIMED
        )
    if isinstance(task, floto.ChildWorkflow):
        return evolve(task, spec=runnable(task.spec or floto.DeciderSpec()), retry_strategy=None)
    if isinstance(task, floto.Generator):
        tasks = [own(floto.CODEC.structure(each)) for each in task.input["tasks"]]
        return evolve(task, name="generator", input={"tasks": floto.CODEC.unstructure(tasks)}, **_TIMED)
    if isinstance(task, floto.ActivityTask):
        return evolve(task, name="work" if task.input is None else "flaky", **_TIMED)
    return task  # type: ignore[no-any-return]


_TIMED: dict[str, Any] = {
    "version": "v1",
    "start_to_close_timeout": 30,
    "schedule_to_start_timeout": None,
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": None,
}


def result_of(activity_id: str, context: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an activity: its id and its input."""
    return {"by": activity_id, "given": sorted(context)}


def all_activities() -> Activities:
    """``work`` succeeds, ``flaky`` fails at its first attempt, for any number of redeliveries."""
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
def short_waits() -> Iterator[None]:
    """Shorten the waits between two attempts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resilient, "_FIRST_WAIT", 0.001)
        patch.setattr(resilient, "_LONGEST_WAIT", 0.01)
        patch.setattr(resilient, "_IDLE_SECONDS", 0.001)
        patch.setattr(resilient, "REREAD_SECONDS", 0.01)
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
    """Return the result of ``floto.run``, and the histories of the run and its children."""
    clock = Clock()
    with SqliteService(":memory:", clock=clock, durability="normal") as engine, short_waits():
        service: Any = Faulty(engine, clock, script)
        with second_decider(spec, service):
            found = floto.run(spec, service=service, activities=all_activities(), workflow_id="w", timeout=60)
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
            assert json.loads(end.result or "") == result_of(
                task.activity_id, without_timeouts(json.loads(task.input or "{}"))
            )
    names = {task.activity_id: task.activity_type.name for task in scheduled.values()}
    for activity_id, name in names.items():
        assert outcomes[activity_id, "ActivityTaskCompleted"] == 1
        assert outcomes[activity_id, "ActivityTaskFailed"] == (name == "flaky")


@settings(SETTINGS, max_examples=40)
@given(
    specs(most=4, depth=1, retry_strategies=RETRIES).filter(lambda spec: not has_rules(spec)).map(runnable),
    scripts,
)
def test_workflow_completes_correctly_with_any_lost_calls(spec: floto.DeciderSpec, script: Script) -> None:
    """The result is that of a calm run, and nothing was reported twice."""
    expected, _ = result(spec, {})
    found, histories = result(spec, script)
    assert found == expected
    for events in histories:
        check(events)
