"""Workflows as people build them, on ``floto server`` through boto3 and on the embedded engine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest

import floto
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.service import PolledDecisionTask
from floto.decider import DynamicDecider
from floto.runtime.workers.activities import Activities
from floto.specs import ActivityTask, ChildWorkflow, DeciderSpec, Generator, InstantRetry
from tests.integration.playing import TYPE, Played, Stage, eventually, playing


@pytest.fixture(scope="module", params=["embedded", "server"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with playing(request.param, tmp_path_factory.mktemp("stage")) as stage:
        yield stage


@pytest.fixture
def known() -> Activities:
    """``echo`` returns its context, ``plain`` takes none, ``shaky`` and ``nap`` behave better in time."""
    known = Activities()
    attempts: list[None] = []

    @known.activity(name="echo", version="v1")
    def echo(context: dict[str, Any]) -> dict[str, Any]:
        return context

    @known.activity(name="plain", version="v1")
    def plain() -> str:
        return "done"

    @known.activity(name="shaky", version="v1")
    def shaky(context: dict[str, Any]) -> int:
        attempts.append(None)
        if len(attempts) <= context["activity_task"]:
            msg = f"no luck, {len(attempts)}"
            raise ValueError(msg)
        return len(attempts)

    @known.activity(name="nap", version="v1")
    def nap(context: dict[str, Any]) -> str:
        attempts.append(None)
        time.sleep(context["activity_task"] if len(attempts) == 1 else 0)
        return "woke up"

    return known


def task(name: str, id_: str | None = None, **more: Any) -> ActivityTask:
    return ActivityTask(id_=id_ or name, name=name, version="v1", **more)


def child(id_: str, *tasks: Any, **more: Any) -> ChildWorkflow:
    spec = DeciderSpec(activity_tasks=tasks)
    return ChildWorkflow(id_=id_, workflow_type_name=TYPE, workflow_type_version="v1", spec=spec, **more)


def result(played: Played) -> Any:
    assert isinstance(played.end, e.WorkflowExecutionCompleted), played.end
    return json.loads(played.end.result or "null")


def failures(played: Played) -> dict[str, str]:
    assert isinstance(played.end, e.WorkflowExecutionFailed), played.end
    details: dict[str, str] = json.loads(played.end.details or "null")
    return details


def test_falsy_results_are_passed_on(stage: Stage) -> None:
    known, values = Activities(), [0, "", [], {}, False, None]

    @known.activity(name="give", version="v1")
    def give(context: dict[str, Any]) -> Any:
        return values[context["activity_task"]]

    tasks = [task("give", f"give {number}", input=number) for number in range(len(values))]
    played = stage.play(*tasks, activities=known)
    assert list(result(played).values()) == values


def test_unregistered_activity_is_given_back_until_another_worker_has_it(
    stage: Stage, known: Activities
) -> None:
    @known.activity(name="other", version="v1")
    def other() -> None: ...

    name = stage.name()
    spec = DeciderSpec(activity_tasks=[task("other")], task_list=name, activity_task_list=name)
    stage.decider(spec)
    stage.worker(stage.name(), known)
    # This worker has never heard of it.
    stage.worker(name, Activities())
    execution = stage.start(name)
    eventually(lambda: "floto.NotServed" in str(stage.service.history(execution)))
    stage.worker(name, known)
    assert result(stage.ended(execution)) == {"other": None}


def test_too_long_result_fails_with_advice(stage: Stage) -> None:
    known = Activities()

    @known.activity(name="long", version="v1")
    def long() -> str:
        return Random(1).randbytes(40_000).hex()

    message = failures(stage.play(task("long"), activities=known))["long"]
    assert message.startswith("PayloadError: the result of activity 'long' version 'v1' is 80,002 characters")
    assert "SWF takes 32,768" in message
    assert "floto.payloads" in message
    assert "--payloads" in message


def test_heartbeats_keep_an_activity_longer_than_its_heartbeat_timeout(
    stage: Stage, known: Activities
) -> None:
    nap = task("nap", input=2.5, heartbeat_timeout=2)
    played = stage.play(nap, activities=known, task_heartbeat_in_seconds=0.3)
    assert result(played) == {"nap": "woke up"}
    assert not played.of(e.ActivityTaskTimedOut)


def test_activity_without_heartbeats_times_out(stage: Stage, known: Activities) -> None:
    nap = task("nap", input=2.5, heartbeat_timeout=1, retry_strategy=InstantRetry(1))
    played = stage.play(nap, activities=known, task_heartbeat_in_seconds=0, concurrency=2)
    assert result(played) == {"nap": "woke up"}
    assert [event.timeout_type for event in played.of(e.ActivityTaskTimedOut)] == ["HEARTBEAT"]


class Slow(floto.Decider):
    """Takes longer than it may, the first time or always."""

    times: int | None = None
    slept = 0

    def decide(self, task: PolledDecisionTask) -> Sequence[Decision]:
        if self.times is None or self.slept < self.times:
            self.slept += 1
            time.sleep(1.6)
        return super().decide(task)


def test_run_completes_if_one_of_two_deciders_always_times_out(stage: Stage, known: Activities) -> None:
    name = stage.name()
    first = task("plain", "first")
    spec = DeciderSpec(
        activity_tasks=[first, task("echo", "last", requires=[first])],
        task_list=name,
        activity_task_list=name,
    )
    stage.decider(spec, kind=Slow, identity="slow")
    stage.worker(name, known)
    execution = stage.start(name, task_start_to_close_timeout=1)
    # Before there is another, so that the slow one has at least this one.
    eventually(
        lambda: (
            any(isinstance(event.data, e.DecisionTaskStarted) for event in history(stage, execution)) or None
        )
    )
    stage.decider(spec, identity="quick")
    played = stage.ended(execution)
    assert result(played) == {"last": {"first": "done"}}
    assert played.of(e.DecisionTaskTimedOut)
    assert [event.activity_id for event in played.of(e.ActivityTaskScheduled)] == ["first", "last"]
    started = {
        event.id: event.data.identity
        for event in played.events
        if isinstance(event.data, e.DecisionTaskStarted)
    }
    assert {started[event.started_event_id] for event in played.of(e.DecisionTaskCompleted)} == {"quick"}


def history(stage: Stage, execution: floto.WorkflowExecution) -> tuple[Any, ...]:
    return stage.service.history(execution)


def test_child_workflow_completes(stage: Stage, known: Activities) -> None:
    played = stage.play(child("child", task("echo", input=1), input=2), activities=known, input={"n": 3})
    [inner] = result(played)["child"].values()
    assert inner["activity_task"] == 1
    assert inner["workflow"]["workflow"] == {"n": 3}
    assert inner["workflow"]["child_workflow_task"] == 2
    [started] = played.of(e.ChildWorkflowExecutionStarted)
    assert started.workflow_execution.workflow_id == f"{played.execution.workflow_id}:child"


def test_failed_child_is_retried(stage: Stage, known: Activities) -> None:
    shaky = child("child", task("shaky", input=1), retry_strategy=InstantRetry(retries=1))
    played = stage.play(shaky, activities=known)
    assert result(played) == {"child": {"shaky": 2}}
    [failed] = played.of(e.ChildWorkflowExecutionFailed)
    assert json.loads(failed.details) == {"shaky": "ValueError: no luck, 1"}


def test_task_requiring_a_generator_waits_for_generated_tasks(stage: Stage, known: Activities) -> None:
    @known.generator(name="split", version="v1")
    def split() -> list[ActivityTask]:
        return [task("echo", "one", input=1), task("echo", "two", input=2)]

    parts = Generator(id_="parts", name="split", version="v1")
    played = stage.play(parts, task("echo", "all", requires=[parts]), activities=known)
    seen = result(played)["all"]
    assert (seen["one"], seen["two"]) == ({"activity_task": 1}, {"activity_task": 2})


def test_dynamic_decider_decides_a_child_that_carries_its_spec(stage: Stage, known: Activities) -> None:
    name = stage.name()
    stage.decider(kind=DynamicDecider, task_list=name)
    stage.worker(name, known)
    inner = child("child", task("echo", input="inner"))
    spec = DeciderSpec(activity_tasks=[inner, task("plain", requires=[inner])], activity_task_list=name)
    played = stage.ended(stage.start(name, {"decider_spec": spec, "n": 1}))
    assert result(played) == {"plain": "done"}
    [closed] = played.of(e.ChildWorkflowExecutionCompleted)
    assert json.loads(closed.result)["echo"]["activity_task"] == "inner"


def test_dynamic_decider_does_not_decide_a_run_without_a_spec(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    name = stage.name()
    stage.decider(kind=DynamicDecider, task_list=name)
    execution = stage.start(name, {"n": 1})
    eventually(lambda: "the run carries none" in caplog.text)
    assert floto.fold(stage.service.history(execution)).closed is None
    stage.service.terminate_workflow_execution(execution.workflow_id)
