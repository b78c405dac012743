"""The engine's own check of requests, for callers that do not go through SWF's model."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.engine import commands as c
from floto.core.engine.api import Api
from floto.core.engine.command_checks import check_command
from floto.core.engine.engine import Engine
from floto.core.engine.registration.regions import domain_key
from floto.core.engine.registration.registered_types import Domain
from floto.core.engine.stores.memory_store import MemoryStore
from floto.core.engine.tokens import TaskKind, Token
from floto.core.engine.world import BEGINNING, simulated_defaults
from floto.core.errors import ServiceFault
from floto.core.swf.decisions import (
    ContinueAsNewWorkflowExecution,
    Decision,
    RecordMarker,
    ScheduleActivityTask,
    ScheduleLambdaFunction,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.swf.wire import write

WORKFLOW = WorkflowType("work", "1")
ACTIVITY = ActivityType("act", "1")
TOKEN = Token("d", "r", TaskKind.ACTIVITY, 2, 3)
NOTHING: Any = None


def check_decisions(decisions: list[Decision]) -> None:
    check_command(c.RespondDecisionTaskCompleted(token=TOKEN, decisions=tuple(decisions)))


def function(**given: str) -> ScheduleLambdaFunction:
    return ScheduleLambdaFunction(**{"id": "f", "name": "resize", **given})


def child(**given: Any) -> StartChildWorkflowExecution:
    return StartChildWorkflowExecution(**{"workflow_type": WORKFLOW, "workflow_id": "c", **given})


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
            child(workflow_type=WorkflowType("w", "v" * 65)),
            "startChildWorkflowExecutionDecisionAttributes.workflowType.version",
        ),
        (child(lambda_role=""), "startChildWorkflowExecutionDecisionAttributes.lambdaRole"),
        (child(lambda_role="x" * 1_601), "startChildWorkflowExecutionDecisionAttributes.lambdaRole"),
        (
            ContinueAsNewWorkflowExecution(child_policy="terminate"),
            "continueAsNewWorkflowExecutionDecisionAttributes.childPolicy",
        ),
        (
            ContinueAsNewWorkflowExecution(tag_list=tuple("abcdef")),
            "continueAsNewWorkflowExecutionDecisionAttributes.tagList",
        ),
        *[
            (
                function(start_to_close_timeout=seconds),
                "scheduleLambdaFunctionDecisionAttributes.startToClose",
            )
            for seconds in ("0", "901", "NONE", "-1")
        ],
        *[(function(id=text), "scheduleLambdaFunctionDecisionAttributes.id") for text in ("", "x" * 257)],
        *[(function(name=text), "scheduleLambdaFunctionDecisionAttributes.name") for text in ("", "x" * 65)],
        (function(input="x" * 32_769), "scheduleLambdaFunctionDecisionAttributes.input"),
    ],
)
def test_93_malformed_field_is_named(decision: Decision, path: str) -> None:
    with pytest.raises(ServiceFault) as refusal:
        check_decisions([decision])
    assert refusal.value.code == "ValidationException"
    assert refusal.value.message.startswith("1 validation error detected: ")
    assert f"'decisions.1.member.{path}" in refusal.value.message


def test_longest_texts_and_times_are_accepted() -> None:
    check_decisions(
        [
            RecordMarker(marker_name="m" * 256, details="x" * 32_768),
            function(id="x" * 256, name="x" * 64, start_to_close_timeout="900"),
            child(lambda_role="x" * 1_600),
        ]
    )


def test_16_malformed_decision_refuses_the_whole_response() -> None:
    with pytest.raises(ServiceFault) as refusal:
        check_decisions(
            [RecordMarker(marker_name="m"), StartTimer(timer_id="", start_to_fire_timeout="soon")]
        )
    assert refusal.value.message.startswith("2 validation errors detected: ")
    assert "'decisions.2.member.startTimerDecisionAttributes.timerId'" in refusal.value.message


def test_93_missing_field_is_named() -> None:
    wrong: list[Decision] = [
        StartTimer(timer_id=NOTHING, start_to_fire_timeout="1"),
        ScheduleActivityTask(activity_type=ActivityType("a", NOTHING), activity_id="x" * 257),
    ]
    with pytest.raises(ServiceFault) as refusal:
        check_decisions(wrong)
    first, second, third = refusal.value.message.split("; ")
    null = "failed to satisfy constraint: Member must not be null"
    start = "3 validation errors detected: Value null at 'decisions.1.member.startTimerDecisionAttributes"
    assert first == f"{start}.timerId' {null}"
    activity = "decisions.2.member.scheduleActivityTaskDecisionAttributes"
    assert second == f"Value null at '{activity}.activityType.version' {null}"
    assert f"'{activity}.activityId'" in third
    with pytest.raises(ServiceFault, match=f"1 validation error detected: Value null at 'signalName' {null}"):
        check_command(c.SignalWorkflowExecution(signal_name=NOTHING))
    with pytest.raises(ServiceFault, match=f"Value null at 'workflowId' {null}"):
        check_command(c.StartWorkflowExecution(workflow_id=NOTHING, workflow_type=WORKFLOW))


@pytest.mark.parametrize(
    "given",
    [
        {"execution_start_to_close_timeout": "NONE"},
        {"task_priority": "high"},
        {"tag_list": ("x" * 257,)},
        *[{"workflow_id": text} for text in ("a/b", "a|b", "arn", "", "x" * 257, "a\nb")],
    ],
)
def test_93_a_malformed_start_is_refused(given: dict[str, Any]) -> None:
    check_command(c.StartWorkflowExecution(workflow_id="a:b", workflow_type=WORKFLOW))
    with pytest.raises(ServiceFault, match="ValidationException: 1 validation error detected: "):
        check_command(c.StartWorkflowExecution(**{"workflow_id": "wf", "workflow_type": WORKFLOW, **given}))


@pytest.mark.parametrize(("task_list", "timeout"), [("a/b", None), ("", None), ("other", "soon")])
def test_malformed_task_list_refuses_the_whole_response(task_list: str, timeout: str | None) -> None:
    command = c.RespondDecisionTaskCompleted(
        token=TOKEN, task_list=TaskList(task_list), task_list_schedule_to_start_timeout=timeout
    )
    with pytest.raises(ServiceFault, match=r"ValidationException: 1 validation error detected: .*taskList"):
        check_command(command)


@pytest.mark.parametrize(
    ("command", "field", "longest"),
    [(c.RecordActivityTaskHeartbeat, "details", 2_048), (c.RespondLambdaFunctionCompleted, "result", 32_768)],
)
def test_too_long_texts_of_workers_are_refused(command: type, field: str, longest: int) -> None:
    check_command(command(token=TOKEN, **{field: "x" * longest}))
    with pytest.raises(ServiceFault, match=f"'{field}' failed .* less than or equal to {longest}"):
        check_command(command(token=TOKEN, **{field: "x" * (longest + 1)}))


def test_fields_of_a_request_are_checked_once() -> None:
    """The request was checked against SWF's model, which ``Api`` expects; a typed command was not."""
    store = MemoryStore()
    engine = Engine(store)
    engine.registration.register_domain(Domain(name=domain_key("r", "d")))
    ids = iter(("run 1", "run 2"))
    defaults = simulated_defaults([WORKFLOW], [])
    engine.registration.ensure(domain_key("r", "d"), defaults, BEGINNING)
    request = {"domain": "d", "workflowId": "w", "workflowType": write(WORKFLOW), "lambdaRole": ""}
    api = Api(engine, store, ids.__next__)
    assert api.call("StartWorkflowExecution", request, BEGINNING, "r") == {"runId": "run 1"}
    command = c.StartWorkflowExecution(workflow_id="v", workflow_type=WORKFLOW, lambda_role="")
    with pytest.raises(ServiceFault, match="lambdaRole"):
        engine.start(domain_key("r", "d"), command, next(ids), BEGINNING)
