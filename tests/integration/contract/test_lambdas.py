"""Lambda functions: scheduled by a decider, invoked here by the test itself."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.engine import commands as c
from floto.core.engine.polled_tasks import LambdaTask
from floto.core.errors import ServiceFault, UnknownResource
from tests.integration.contract.backends import by_hand
from tests.integration.contract.engine_operations import LambdaInvoker
from tests.integration.contract.stage import COMPLETE, Json, Stage, child, decision, marker

WITH_ROLE = {"name": "with a role", "version": "1"}
FAILED = "ScheduleLambdaFunctionFailed"

pytestmark = by_hand


def function(id: str = "f", **given: Any) -> Json:
    return decision("ScheduleLambdaFunction", **{"id": id, "name": "resize", **given})


@pytest.fixture(autouse=True)
def type_with_a_role(stage: Stage) -> None:
    stage.restart(invokes_lambda=True)
    stage.register_workflow(WITH_ROLE["name"], defaultLambdaRole="arn:aws:iam::1:role/r")


def started(stage: Stage, *batch: Json) -> Json:
    """Start a run with a role, and respond with these decisions, by default with one function."""
    run = stage.start(workflowType=WITH_ROLE)
    stage.decide(*(batch or [function()]))
    return run


def invoker(stage: Stage) -> LambdaInvoker:
    operations: LambdaInvoker = stage.backend.operations  # type: ignore[attr-defined]
    return operations


def next_invocation(stage: Stage) -> LambdaTask | None:
    return invoker(stage).poll_lambda(stage.domain)


def invoke(stage: Stage) -> LambdaTask:
    task = next_invocation(stage)
    assert task is not None
    return task


def complete(stage: Stage, task: LambdaTask, result: str | None = "out") -> None:
    invoker(stage).respond_lambda(c.RespondLambdaFunctionCompleted, task.token, result=result)


def fail(stage: Stage, task: LambdaTask) -> None:
    invoker(stage).respond_lambda(c.RespondLambdaFunctionFailed, task.token, reason="r", details="d")


def test_a_function_is_scheduled_invoked_and_completed(stage: Stage) -> None:
    given = {"input": "in", "control": "c", "startToCloseTimeout": "7"}
    run = started(stage, function(**given))
    assert stage.names(run, 3) == "DTC LFS"
    assert stage.said(run, 5) == {"id": "f", "name": "resize", "decisionTaskCompletedEventId": 4, **given}
    task = invoke(stage)
    assert (task.name, task.input) == ("resize", "in")
    assert (task.execution.workflow_id, task.execution.run_id) == (run["workflowId"], run["runId"])
    assert stage.names(run, 5) == "LFSt"
    assert stage.idle()
    assert next_invocation(stage) is None
    complete(stage, task)
    assert stage.names(run, 6) == "LFC DTS"
    assert stage.said(run, 7) == {"scheduledEventId": 5, "startedEventId": 6, "result": "out"}


def test_a_function_fails(stage: Stage) -> None:
    run = started(stage)
    fail(stage, invoke(stage))
    assert stage.names(run, 6) == "LFF DTS"
    assert stage.said(run, 7) == {"scheduledEventId": 5, "startedEventId": 6, "reason": "r", "details": "d"}


@pytest.mark.parametrize(("given", "seconds"), [({"startToCloseTimeout": "7"}, 7), ({}, 900)])
def test_a_function_times_out_from_its_start(stage: Stage, given: Json, seconds: int) -> None:
    run = started(stage, function(**given))
    stage.wait(1000)
    assert stage.names(run, 5) == ""
    task = invoke(stage)
    stage.wait(seconds - 0.1)
    assert stage.names(run, 5) == "LFSt"
    stage.wait(0.1)
    assert stage.names(run, 6) == "LFTO DTS"
    assert stage.said(run, 7) == {
        "timeoutType": "START_TO_CLOSE",
        "scheduledEventId": 5,
        "startedEventId": 6,
    }
    with pytest.raises(UnknownResource):
        complete(stage, task)
    assert stage.names(run, 6) == "LFTO DTS"


def test_late_or_second_response_is_refused(stage: Stage) -> None:
    run = started(stage)
    task = invoke(stage)
    complete(stage, task)
    for answer in (complete, fail):
        with pytest.raises(UnknownResource):
            answer(stage, task)
    stage.decide(COMPLETE)
    with pytest.raises(UnknownResource, match="Unknown execution"):
        complete(stage, task)
    assert stage.names(run, 6) == "LFC DTS DTSt DTC WorkflowExecutionCompleted"


def test_token_of_another_kind_is_refused(stage: Stage) -> None:
    stage.start(workflowType=WITH_ROLE)
    task = stage.task()
    with pytest.raises(ServiceFault, match="Invalid token"):
        invoker(stage).respond_lambda(c.RespondLambdaFunctionCompleted, task["taskToken"])
    stage.respond(task, function())
    with stage.invalid("Invalid token"):
        stage.finish({"taskToken": invoke(stage).token})


def test_too_long_input_or_result_is_refused(stage: Stage) -> None:
    run = started(stage)
    task = invoke(stage)
    with pytest.raises(ServiceFault, match="ValidationException"):
        complete(stage, task, "x" * 32_769)
    complete(stage, task, "x" * 32_768)
    assert stage.names(run, 6) == "LFC DTS"


def test_id_of_an_open_function_is_in_use(stage: Stage) -> None:
    run = started(stage, function(), function(name="other"))
    assert stage.names(run, 3) == f"DTC LFS {FAILED} DTS"
    assert stage.said(run, 6) == {
        "id": "f",
        "name": "other",
        "cause": "ID_ALREADY_IN_USE",
        "decisionTaskCompletedEventId": 4,
    }
    complete(stage, invoke(stage))
    stage.decide(function())
    assert stage.names(run, 7) == "LFSt LFC DTSt DTC LFS"
    assert invoke(stage).name == "resize"


def test_1000_functions_may_be_open(stage: Stage) -> None:
    run = started(stage, *[function(str(number)) for number in range(1001)])
    assert stage.open_counts(run)["openLambdaFunctions"] == 1000
    assert stage.names(run, 1003) == f"LFS {FAILED} DTS"
    assert stage.last(run, FAILED)["cause"] == "OPEN_LAMBDA_FUNCTIONS_LIMIT_EXCEEDED"


def test_function_without_an_invoker_times_out(stage: Stage) -> None:
    stage.restart()
    run = started(stage)
    assert stage.names(run, 3) == f"DTC {FAILED} DTS"
    assert stage.last(run, FAILED)["cause"] == "LAMBDA_SERVICE_NOT_AVAILABLE_IN_REGION"


def test_a_run_without_a_role_cannot_start_a_function(stage: Stage) -> None:
    run = stage.start()
    stage.decide(function(), marker())
    assert stage.names(run, 3) == "DTC LFS MarkerRecorded StartLambdaFunctionFailed DTS"
    failed = stage.last(run, "StartLambdaFunctionFailed")
    assert (failed["scheduledEventId"], failed["cause"]) == (5, "ASSUME_ROLE_FAILED")
    assert failed["message"]
    assert next_invocation(stage) is None
    stage.decide(function(), COMPLETE)
    assert stage.names(run, 8) == "DTSt DTC LFS WorkflowExecutionCompleted"


@pytest.mark.parametrize(
    "given",
    [
        {"startToCloseTimeout": "0"},
        {"startToCloseTimeout": "901"},
        {"startToCloseTimeout": "NONE"},
        {"startToCloseTimeout": "-1"},
        {"id": ""},
        {"id": "x" * 257},
        {"name": ""},
        {"name": "x" * 65},
        {"input": "x" * 32_769},
    ],
)
def test_malformed_function_refuses_the_whole_response(stage: Stage, given: Json) -> None:
    run = stage.start(workflowType=WITH_ROLE)
    task = stage.task()
    with stage.invalid() as said:
        stage.respond(task, function(**given))
    assert said[0].startswith("1 validation error detected: ")
    [field] = given
    assert f"'decisions.1.member.scheduleLambdaFunctionDecisionAttributes.{field}'" in said[0]
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task, function(startToCloseTimeout="1"), function("g", startToCloseTimeout="900"))
    assert stage.names(run, 3) == "DTC LFS LFS"


def test_closed_run_dispatches_no_functions_and_refuses_responses(stage: Stage) -> None:
    run = started(stage, function("a"), function("b"))
    task = invoke(stage)
    stage.terminate()
    assert next_invocation(stage) is None
    with pytest.raises(UnknownResource):
        complete(stage, task)
    stage.wait(900)
    assert stage.names(run, 6) == "LFSt WorkflowExecutionTerminated"


def test_functions_are_invoked_in_the_order_of_scheduling(stage: Stage) -> None:
    started(stage, *(function(id, name=id) for id in "bac"))
    assert "".join(invoke(stage).name for _ in "bac") == "bac"


@pytest.mark.parametrize("role", ["", "x" * 1_601])
def test_lambda_role_of_invalid_length_is_refused(stage: Stage, role: str) -> None:
    stage.start()
    with stage.invalid() as said:
        stage.decide(child(workflowType=WITH_ROLE, lambdaRole=role))
    assert "lambdaRole" in said[0]
