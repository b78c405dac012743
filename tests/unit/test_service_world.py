"""``World`` itself, registration, and what is refused before any run is looked at."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from floto.core.engine.engine import Engine
from floto.core.engine.registration.registered_types import Domain
from floto.core.engine.stores.memory_store import MemoryStore
from floto.core.engine.stores.store import Ready
from floto.core.engine.tokens import TaskKind, Token, read_token
from floto.core.engine.world import World
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf.decisions import (
    ContinueAsNewWorkflowExecution,
    Decision,
    RecordMarker,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from tests.unit.test_service_helpers import ACTIVITY, T0, WORKFLOW, SqliteWorld, Stage, StageOf, on_both


def test_a_world_with_the_usual_defaults() -> None:
    world = World()
    world.prepare([WORKFLOW], [ACTIVITY])
    world.prepare([WORKFLOW], [ACTIVITY])
    run = world.start(StartRequest(workflow_id="wf", workflow_type=WORKFLOW), T0, run_id="mine")
    assert run == WorkflowExecution("wf", "mine")
    [(ready, task)] = world.open_tasks()
    assert ready == Ready("mine", 2)
    assert (task.kind, task.task_list) == (TaskKind.DECISION, "floto")
    [info] = world.executions()
    assert info == world.latest("wf")
    assert (info.execution, info.started_at, info.closed_at) == (run, T0, None)
    assert world.latest("other") is None
    assert world.next_deadline() == T0 + timedelta(days=365)
    assert world.history(run).execution == run
    with pytest.raises(UnknownResource, match="Unknown execution: "):
        world.history(WorkflowExecution("wf", "yours"))
    assert world.poll_decision("floto", T0) is not None
    assert world.open_tasks() == []


@on_both
def test_85_nothing_is_registered_twice(stage_of: StageOf) -> None:
    stage = stage_of()
    with pytest.raises(ServiceFault, match=r"TypeAlreadyExistsFault: WorkflowType=\[name=work, version=1\]"):
        stage.world.register_workflow_type(WORKFLOW)
    with pytest.raises(ServiceFault, match=r"TypeAlreadyExistsFault: ActivityType=\[name=act, version=1\]"):
        stage.world.register_activity_type(ACTIVITY)


def test_85_a_domain_is_registered_once() -> None:
    engine = Engine(MemoryStore())
    with pytest.raises(UnknownResource, match="Unknown domain: d"):
        engine.poll_decision("d", "l", "", T0)
    engine.registration.register_domain(Domain(name="d"))
    with pytest.raises(ServiceFault, match="DomainAlreadyExistsFault: d"):
        engine.registration.register_domain(Domain(name="d"))


def test_a_token_reads_back_and_nothing_else_does() -> None:
    token = Token("dömäin", "run", TaskKind.ACTIVITY, 5, 6)
    assert read_token(str(token), TaskKind.ACTIVITY) == token
    text = str(token)
    for wrong in (text[:-4], text[4:], text.swapcase(), text + "AAAA"):
        with pytest.raises(ServiceFault, match="Invalid token"):
            read_token(wrong, TaskKind.ACTIVITY)


@pytest.mark.parametrize(
    "body",
    [b"5", b"[", b"\xff", b"[]", b'["d","r","activity",1,"2"]', b'["d",1,"activity",1,2]', b"[" * 99_999],
)
def test_a_checksum_alone_makes_no_token(body: bytes) -> None:
    text = base64.urlsafe_b64encode(hashlib.sha256(body).digest()[:6] + body).decode()
    with pytest.raises(ServiceFault, match="ValidationException: Invalid token"):
        read_token(text, TaskKind.ACTIVITY)


def test_a_token_of_another_world_names_no_run() -> None:
    stage, other = Stage(World()), Stage(World())
    stage.start()
    task = stage.task()
    with pytest.raises(UnknownResource, match="Unknown execution: "):
        other.respond(task)


@pytest.mark.parametrize(
    ("decision", "path"),
    [
        (RecordMarker(marker_name="m" * 257), "recordMarkerDecisionAttributes.markerName"),
        (RecordMarker(marker_name="m", details="x" * 32_769), "recordMarkerDecisionAttributes.details"),
        (
            StartTimer(timer_id="t", start_to_fire_timeout="NONE"),
            "startTimerDecisionAttributes.startToFireTimeout",
        ),
        (
            StartTimer(timer_id="t", start_to_fire_timeout="-1"),
            "startTimerDecisionAttributes.startToFireTimeout",
        ),
        (
            ScheduleActivityTask(activity_type=ActivityType("", "1"), activity_id="a"),
            "scheduleActivityTaskDecisionAttributes.activityType.name",
        ),
        (
            ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", task_list=TaskList("a:b")),
            "scheduleActivityTaskDecisionAttributes.taskList.name",
        ),
        (
            ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", task_priority="2147483648"),
            "scheduleActivityTaskDecisionAttributes.taskPriority",
        ),
        (
            ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", input=1),  # type: ignore[arg-type]
            "scheduleActivityTaskDecisionAttributes.input",
        ),
        (
            StartChildWorkflowExecution(workflow_type=WorkflowType("w", "v" * 65), workflow_id="c"),
            "startChildWorkflowExecutionDecisionAttributes.workflowType.version",
        ),
        (
            ContinueAsNewWorkflowExecution(child_policy="terminate"),
            "continueAsNewWorkflowExecutionDecisionAttributes.childPolicy",
        ),
        (
            ContinueAsNewWorkflowExecution(tag_list=tuple("abcdef")),
            "continueAsNewWorkflowExecutionDecisionAttributes.tagList",
        ),
    ],
)
def test_93_a_malformed_field_is_named(decision: Decision, path: str) -> None:
    stage = Stage(World())
    run = stage.start()
    task = stage.task()
    with pytest.raises(ServiceFault) as refusal:
        stage.respond(task, decision)
    assert refusal.value.code == "ValidationException"
    assert f"'decisions.1.member.{path}'" in refusal.value.message
    assert len(stage.events(run)) == 3


@on_both
def test_93_what_is_missing_is_named(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    task = stage.task()
    nothing: Any = None
    wrong: list[Decision] = [
        StartTimer(timer_id=nothing, start_to_fire_timeout="1"),
        ScheduleActivityTask(activity_type=ActivityType("a", nothing), activity_id="x" * 257),
    ]
    with pytest.raises(ServiceFault) as refusal:
        stage.respond(task, *wrong)
    first, second, third = refusal.value.message.split("; ")
    null = "failed to satisfy constraint: Member must not be null"
    start = "3 validation errors detected: Value null at 'decisions.1.member.startTimerDecisionAttributes"
    assert first == f"{start}.timerId' {null}"
    activity = "decisions.2.member.scheduleActivityTaskDecisionAttributes"
    assert second == f"Value null at '{activity}.activityType.version' {null}"
    assert f"'{activity}.activityId'" in third
    with pytest.raises(ServiceFault, match=f"1 validation error detected: Value null at 'signalName' {null}"):
        stage.signal(nothing)
    with pytest.raises(ServiceFault, match=f"Value null at 'workflowId' {null}"):
        stage.start(nothing)
    assert len(stage.events(run)) == 3


@pytest.mark.parametrize(
    "given", [{"execution_timeout": "NONE"}, {"priority": "high"}, {"tags": ("x" * 257,)}]
)
def test_93_a_malformed_start_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ServiceFault, match="1 validation error detected: "):
        Stage(World()).start(**given)


@on_both
def test_a_child_without_a_time_out_lives_a_year(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.decide(
        StartChildWorkflowExecution(
            workflow_type=WORKFLOW,
            workflow_id="child",
            execution_start_to_close_timeout="NONE",
            task_start_to_close_timeout="NONE",
        )
    )
    stage.world.terminate("wf", None, None, stage.now, child_policy="ABANDON")
    assert stage.world.next_deadline() == T0 + timedelta(days=365)


def test_an_execution_context_is_data(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    stage = Stage(SqliteWorld(path=path))
    run = stage.start()
    stage.world.respond_decision(stage.task().token, [], stage.now, "half \ud800")
    stage.signal()
    # Nothing of it is in the cache of another.
    other = SqliteWorld("other", path)
    other.respond_decision(stage.task().token, [], stage.now)
    assert len(other.history(run)) == 8


@on_both
def test_hundreds_of_deadlines_at_once(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(*[StartTimer(timer_id=str(n), start_to_fire_timeout="1") for n in range(350)])
    stage.wait(1)
    assert stage.names(run).count("TimerFired") == 350
    assert stage.names(run).split().count("DTS") == 2
