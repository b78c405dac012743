"""``floto.run`` beside other runs, deciders and workers that use the same task-list names in one file."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.swf import events as e
from floto.core.swf.history import History
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime.deciders.decider import Decider
from floto.runtime.runs.run import run
from floto.runtime.runs.run_request import WORKFLOW_TYPE, WrongWorkflow
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.worker import ActivityWorker
from tests.runs import left_open, task

LISTS = {"task_list": "decide", "activity_task_list": "work"}


def flow(*tasks: Any, **more: Any) -> floto.DeciderSpec:
    return floto.DeciderSpec(activity_tasks=tasks, **{**LISTS, **more})


def scheduled_lists(service: SqliteService, workflow_id: str) -> set[str]:
    info = service.latest_execution(workflow_id)
    assert info is not None
    data = [event.data for event in service.history(info.execution)]
    return {each.task_list.name for each in data if isinstance(each, e.ActivityTaskScheduled)}


def started_timers(service: SqliteService, workflow_id: str) -> set[str]:
    info = service.latest_execution(workflow_id)
    assert info is not None
    data = [event.data for event in service.history(info.execution)]
    return {each.timer_id for each in data if isinstance(each, e.TimerStarted)}


@contextmanager
def running(*members: Decider | ActivityWorker) -> Iterator[None]:
    threads = [threading.Thread(target=member.run, daemon=True) for member in members]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for member in members:
            member.stop()
        for thread in threads:
            thread.join(60)
        # A thread that is still running would find its service closed, and fail a later test.
        assert not any(thread.is_alive() for thread in threads)


def activities_named(name: str) -> Activities:
    """Return activities whose ``say`` returns ``name``."""
    known = Activities()
    known.activity(name="say", version="1")(lambda: name)
    known.generator(name="make", version="1")(lambda: [task("say", "made", task_list="work")])
    known.activity(name="linger", version="1")(lambda: threading.Event().wait(0.5))
    return known


FAMILIES: dict[str, list[Any]] = {
    "activity": [task("say", requires=["wait"])],
    "generator": [floto.Generator(id_="make", name="make", version="1", requires=["wait"])],
    "child": [
        floto.ChildWorkflow(
            id_="child",
            workflow_type_name="child",
            workflow_type_version="1",
            spec=flow(task("say", task_list="work")),
            requires=["wait"],
        )
    ],
}

EXPECTED: dict[str, dict[str, Any]] = {
    "activity": {"say": "first"},
    "generator": {"made": "first"},
    "child": {"child": {"say": "first"}},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_run_does_not_decide_an_open_run_of_another_flow_on_the_same_lists(
    service: SqliteService, family: str
) -> None:
    wait = floto.Timer(id_="wait", delay_in_seconds=1)
    first = flow(wait, *FAMILIES[family])
    left_open(first, service, activities_named("first"), "a")
    other = flow(floto.Timer(id_="while", delay_in_seconds=2), task("say", "other", requires=["while"]))
    result = run(other, service=service, activities=activities_named("other"), workflow_id="b", timeout=30)
    assert result == {"other": "other"}
    # A spec that decided another flow's run would have started its own timer there.
    assert started_timers(service, "a") == {"wait"}
    result = run(first, service=service, activities=activities_named("first"), workflow_id="a", timeout=30)
    assert result.items() >= EXPECTED[family].items()


def test_run_does_not_decide_a_repeating_run_of_another_flow(service: SqliteService) -> None:
    repeating = flow(floto.Timer(id_="wait", delay_in_seconds=1), repeat_workflow=True)
    left_open(repeating, service, activities_named("first"), "a")
    result = run(
        flow(floto.Timer(id_="while", delay_in_seconds=2)),
        service=service,
        activities=activities_named("other"),
        workflow_id="b",
        timeout=30,
    )
    assert result == {}
    assert started_timers(service, "a") == {"wait"}


def test_decider_and_worker_on_the_same_lists_get_no_task_of_floto_run(service: SqliteService) -> None:
    others = activities_named("somebody else")
    decider = Decider(flow(task("say", "wrong")), service=service, poll_seconds=0.1)
    worker = ActivityWorker(task_list="work", service=service, activities=others, poll_seconds=0.1)
    with running(decider, worker):
        spec = flow(*(task("say", f"say {number}", task_list="work") for number in range(10)))
        result = run(spec, service=service, activities=activities_named("own"), workflow_id="w", timeout=30)
    assert set(result.values()) == {"own"}
    assert scheduled_lists(service, "w") == {"floto.run.w"}


def test_saved_history_of_floto_run_replays_with_the_original_spec(service: SqliteService) -> None:
    inner = flow(task("say", task_list="elsewhere"))
    child = floto.ChildWorkflow(
        id_="child", workflow_type_name="child", workflow_type_version="1", spec=inner, task_list="children"
    )
    spec = flow(task("say", task_list="more work"), child)
    run(spec, service=service, activities=activities_named("own"), workflow_id="w", timeout=30)
    for workflow_id, replayed in (("w", spec), ("w:child", inner)):
        info = service.latest_execution(workflow_id)
        assert info is not None
        history = History(service.history(info.execution), info.execution)
        assert floto.replay(replayed, history).divergence is None


def test_child_without_a_spec_is_decided_on_the_list_of_its_task(service: SqliteService) -> None:
    theirs = WorkflowType("theirs", "1")
    child = floto.ChildWorkflow(
        id_="child", workflow_type_name="theirs", workflow_type_version="1", task_list="theirs"
    )
    decider = Decider(
        specs={theirs: flow(floto.Timer(id_="t", delay_in_seconds=0))},
        service=service,
        task_list="theirs",
        poll_seconds=0.1,
    )
    with running(decider):
        result = run(
            flow(child), service=service, activities=activities_named("own"), workflow_id="w", timeout=30
        )
    assert result == {"child": {}}


def test_spec_with_a_reserved_task_list_is_refused() -> None:
    with pytest.raises(floto.SpecError, match="is reserved for floto"):
        flow(task("say"), task_list="floto.run.w")
    with pytest.raises(floto.SpecError, match="is reserved for floto"):
        flow(task("say"), activity_task_list="floto.run.w")
    with pytest.raises(floto.SpecError, match="is reserved for floto"):
        floto.DeciderSpec(activity_tasks=[task("say", task_list="floto.run.w")])


def test_open_run_on_a_shared_list_is_refused_advising_commands(
    service: SqliteService,
) -> None:
    service.prepare([WORKFLOW_TYPE], [])
    service.start_workflow_execution(
        StartRequest(workflow_id="w", workflow_type=WORKFLOW_TYPE, task_list="decide")
    )
    with pytest.raises(WrongWorkflow, match="floto decider SPEC --task-list decide"):
        run(
            flow(task("say")),
            service=service,
            activities=activities_named("own"),
            workflow_id="w",
            timeout=60,
        )


def has_changed(service: SqliteService, workflow_id: str) -> bool:
    """Return True if another spec has taken over the latest run of a workflow."""
    info = service.latest_execution(workflow_id)
    assert info is not None
    data = [event.data for event in service.history(info.execution)]
    return any(isinstance(each, e.WorkflowExecutionSignaled) and each.signal_name != "go" for each in data)


def test_run_raises_if_another_spec_takes_over_its_workflow(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'f.db'}"
    go = floto.Signal(id_="go", signal_name="go")
    errors: list[BaseException] = []

    def first() -> None:
        try:
            run(
                flow(go, task("say", "old", requires=["go"])),
                service=url,
                activities=activities_named("1"),
                workflow_id="w",
            )
        except WrongWorkflow as error:
            errors.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    with SqliteService(tmp_path / "f.db") as service, ThreadPoolExecutor(1) as pool:
        while service.latest_execution("w") is None:
            time.sleep(0.01)
        changed = flow(go, task("say", "new", requires=["go"]))
        with pytest.raises(WrongWorkflow, match="take_over=True"):
            run(changed, service=service, activities=activities_named("2"), workflow_id="w", timeout=60)
        taken_over = pool.submit(
            run,
            changed,
            service=service,
            activities=activities_named("2"),
            workflow_id="w",
            timeout=60,
            take_over=True,
        )
        while not has_changed(service, "w"):
            time.sleep(0.01)
        service.signal_workflow_execution("w", "go")
        assert list(taken_over.result()) == ["new"]
    thread.join(30)
    assert "taken over by another spec" in str(errors[0])
