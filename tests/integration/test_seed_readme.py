"""The code blocks that floto promises to run: on moto, on floto's server, and on a file.

Moto is limited: it never frees the id of an activity, so there are no retries on it; it has no
children, so ``test_seed_daemon.py`` does not use it; and it has no ``ContinueAsNewWorkflowExecution``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import floto
import floto.api
import floto.specs
from floto.core.swf import events as e
from floto.runtime.workers.activities import Activities
from tests.integration.playing import DOMAIN, PATIENCE, SERVICES, Played, Stage, playing
from tests.integration.seed import BLOCKS, Program, block, run

SIMPLE = """
import floto

@floto.activity(name='simple_activity', version='v1')
def simple_activity():
    return 0
"""
ACTIVITY_C = """
import floto

@floto.activity(name='ActivityC', version='v1')
def activity_c(context):
    return context
"""


@pytest.fixture(scope="module", params=SERVICES)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with playing(request.param, tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def names() -> dict[str, Any]:
    """Names that earlier blocks have imported."""
    return {name: getattr(floto.specs, name) for name in ("ActivityTask", "DeciderSpec", "Timer")}


def program(stage: Stage, directory: Path, *texts: str) -> Program:
    made = Program(directory, stage.url, *texts)
    stage.enter(made)
    return made


def register(stage: Stage, *activities: str) -> None:
    for name in activities:
        stage.swf.register_activity_type(floto.api.ActivityType(domain=DOMAIN, name=name, version="v1"))


def completed(played: Played) -> Any:
    assert isinstance(played.end, e.WorkflowExecutionCompleted), played.end
    return json.loads(played.end.result or "")


def known(fail: int = 0) -> Activities:
    """``ActivityA`` fails so many times and then returns its context, as ``ActivityB`` does at once."""
    known, attempts = Activities(), iter(range(fail))

    @known.activity(name="ActivityA", version="v1")
    def activity_a(context: dict[str, Any]) -> dict[str, Any]:
        if next(attempts, None) is not None:
            msg = "not yet"
            raise ValueError(msg)
        return context

    @known.activity(name="ActivityB", version="v1")
    def activity_b(context: dict[str, Any]) -> dict[str, Any]:
        return context

    return known


def test_every_code_block_is_executed() -> None:
    files = (Path(__file__), Path(__file__).with_name("test_seed_daemon.py"))
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    assert {int(number) for number in re.findall(r"\bblock\((\d+)", text)} == set(BLOCKS) == set(range(1, 16))


def test_decider_worker_and_start_complete_a_run(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = block(1, your_domain=DOMAIN, your_decider_task_list="decider_task_list")
    program(stage, tmp_path_factory.mktemp("decider"), decider)
    worker = program(stage, tmp_path_factory.mktemp("worker"), ACTIVITY_C, block(8))
    monkeypatch.setenv("FLOTO_SERVICE", stage.url)
    names: dict[str, Any] = {}
    run(block(13), names)
    # Before the block that uses it.
    run(block(15), names)
    described = names["swf"].client.describe_activity_type(
        domain=DOMAIN, activityType={"name": "simple_activity", "version": "v1"}
    )
    assert described["configuration"]["defaultTaskHeartbeatTimeout"] == "600"
    register(stage, "ActivityA", "ActivityB", "ActivityC")
    played = stage.ended(run(block(14), names))
    names["swf"].close()

    [(c, context)] = completed(played).items()
    a, b, last = [event.activity_id for event in played.of(e.ActivityTaskScheduled)]
    assert [id_.split(":")[0] for id_ in (a, b, last)] == ["ActivityA", "ActivityB", "ActivityC"]
    assert (c, context) == (last, {a: {"your": "result_activity_a"}, b: {"your": "result_activity_b"}})
    first, second, third = [
        event.decision_task_completed_event_id for event in played.of(e.ActivityTaskScheduled)
    ]
    assert first == second < third
    said = worker.said.read_text(encoding="utf-8").splitlines()
    assert {"Running ActivityA", "Running ActivityB", "{}"} == set(said)


def test_json_spec_and_heartbeat_interval_work(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = block(2)
    spec = floto.DeciderSpec.from_json(text)
    assert json.loads(spec.to_json()) == json.loads(text)
    register(stage, "simple_activity")
    decider = program(
        stage,
        tmp_path_factory.mktemp("decider"),
        f"from floto.decider import Decider\nDecider(decider_spec={text!r}).run()",
    )
    worker = block(9, your_activity_task_list="hello_world_atl")
    program(stage, tmp_path_factory.mktemp("worker"), SIMPLE, worker, "worker.run()")
    played = stage.ended(stage.start("simple_decider"))
    assert completed(played) == {"simple_activity:v1:2be88ca424": 0}
    # As the spec says: terminate_decider_after_completion.
    assert decider.process.wait(PATIENCE) == 0


def test_timer_with_dependents_delays_them(stage: Stage, names: dict[str, Any]) -> None:
    run(block(3, _30="1"), names)
    tasks = [names[name] for name in ("activity_task_a", "timer_1", "activity_task_b")]
    played = stage.play(*tasks, activities=known())
    a, b = tasks[0].id_, tasks[2].id_
    places = [
        played.place(e.ActivityTaskScheduled, a),
        played.place(e.TimerStarted, "Timer1"),
        played.place(e.TimerFired, "Timer1"),
        played.place(e.ActivityTaskScheduled, b),
    ]
    assert places == sorted(places)
    assert list(completed(played)) == [b]


def test_timer_without_dependents_delays_the_close(stage: Stage, names: dict[str, Any]) -> None:
    run(block(4, _3600="2"), names)
    tasks = [names[name] for name in ("activity_task_a", "activity_task_b", "timer_2")]
    played = stage.play(*tasks, activities=known())
    assert list(completed(played)) == [tasks[1].id_]
    assert played.place(e.ActivityTaskScheduled, tasks[1].id_) < played.place(e.TimerFired, "Timer2")


def test_retry_strategy_retries_failures(stage: Stage, names: dict[str, Any]) -> None:
    run(block(5), names)
    task = names["activity_task"]
    # moto takes no second attempt.
    retries = 0 if stage.kind == "moto" else 3
    played = stage.play(task, activities=known(fail=retries))
    assert list(completed(played)) == [task.id_]
    assert len(played.of(e.ActivityTaskScheduled)) == retries + 1


def test_exhausted_retries_fail_the_run(stage: Stage, names: dict[str, Any]) -> None:
    strategy = "" if stage.kind == "moto" else ", retry_strategy=retry_strategy"
    run(block(5, **{", retry_strategy=retry_strategy": strategy}), names)
    task = names["activity_task"]
    played = stage.play(task, activities=known(fail=9))
    assert isinstance(played.end, e.WorkflowExecutionFailed)
    assert json.loads(played.end.details or "") == {task.id_: "ValueError: not yet"}
    assert len(played.of(e.ActivityTaskScheduled)) == (1 if stage.kind == "moto" else 4)


def test_input_of_a_task_is_passed_on(stage: Stage, names: dict[str, Any]) -> None:
    run(block(6), names)
    played = stage.play(names["activity_task"], activities=known(), input={"n": 1})
    [context] = completed(played).values()
    assert context == {"activity_task": {"filenames": ["a.in", "b.in"]}, "workflow": {"n": 1}}


def test_task_id_is_the_activity_id(stage: Stage, names: dict[str, Any]) -> None:
    run(block(7), names)
    played = stage.play(names["activity_task"], activities=known())
    assert list(completed(played)) == ["MyUniqueIdForActivityA"]
    assert [event.activity_id for event in played.of(e.ActivityTaskScheduled)] == ["MyUniqueIdForActivityA"]
