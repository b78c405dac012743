"""Lambda functions: scheduled by a decider, invoked by whoever polls for them."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.engine import commands as c
from floto.core.engine.decisions import decisions
from floto.core.engine.engine import LambdaTask
from floto.core.engine.run import EngineRun, Rules
from floto.core.engine.step import step
from floto.core.engine.tokens import TaskKind, Token
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.state.state import Kind, Status
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CompleteWorkflowExecution,
    RecordMarker,
    ScheduleLambdaFunction,
    StartChildWorkflowExecution,
)
from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType
from tests.unit.test_service_helpers import T0, Stage, StageOf, on_both

WITH_ROLE = WorkflowType("with a role", "1")


def function(id: str = "f", **given: Any) -> ScheduleLambdaFunction:
    return ScheduleLambdaFunction(**{"id": id, "name": "resize", **given})


def staged(stage_of: StageOf) -> Stage:
    stage = stage_of(invokes_lambda=True)
    stage.world.register_workflow_type(
        WITH_ROLE,
        task_list="decide",
        execution_start_to_close_timeout="3600",
        task_start_to_close_timeout="60",
        child_policy="TERMINATE",
        lambda_role="arn:aws:iam::1:role/r",
    )
    return stage


def started(stage: Stage, *batch: Any) -> WorkflowExecution:
    run = stage.start(workflow_type=WITH_ROLE)
    stage.decide(*(batch or [function()]))
    return run


def invoke(stage: Stage) -> LambdaTask:
    task = stage.service.poll_lambda(stage.now)
    assert task is not None
    return task


def complete(stage: Stage, task: LambdaTask, result: str | None = "out") -> None:
    stage.service.respond(c.RespondLambdaFunctionCompleted, task.token, stage.now, result=result)


def fail(stage: Stage, task: LambdaTask) -> None:
    stage.service.respond(c.RespondLambdaFunctionFailed, task.token, stage.now, reason="r", details="d")


@on_both
def test_a_function_is_scheduled_invoked_and_completed(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = started(stage, function(input="in", control="c", start_to_close_timeout="7"))
    assert stage.names(run, 3) == "DTC LFS"
    assert stage.events(run)[-1].data == e.LambdaFunctionScheduled(
        id="f",
        name="resize",
        input="in",
        control="c",
        start_to_close_timeout="7",
        decision_task_completed_event_id=4,
    )
    task = invoke(stage)
    assert (task.name, task.input, task.execution) == ("resize", "in", run)
    assert stage.names(run, 5) == "LFSt"
    assert stage.idle()
    assert stage.service.poll_lambda(stage.now) is None
    complete(stage, task)
    assert stage.names(run, 6) == "LFC DTS"
    assert stage.last(run, e.LambdaFunctionCompleted) == e.LambdaFunctionCompleted(
        scheduled_event_id=5, started_event_id=6, result="out"
    )


@on_both
def test_a_function_fails(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = started(stage)
    fail(stage, invoke(stage))
    assert stage.names(run, 6) == "LFF DTS"
    assert stage.last(run, e.LambdaFunctionFailed) == e.LambdaFunctionFailed(
        scheduled_event_id=5, started_event_id=6, reason="r", details="d"
    )


@on_both
@pytest.mark.parametrize(("timeout", "seconds"), [("7", 7), (None, 900)])
def test_a_function_times_out_from_its_start(stage_of: StageOf, timeout: str | None, seconds: int) -> None:
    stage = staged(stage_of)
    run = started(stage, function(start_to_close_timeout=timeout))
    stage.wait(1000)
    assert stage.names(run, 5) == ""
    task = invoke(stage)
    stage.wait(seconds - 0.1)
    assert stage.names(run, 5) == "LFSt"
    stage.wait(0.1)
    assert stage.names(run, 6) == "LFTO DTS"
    assert stage.last(run, e.LambdaFunctionTimedOut) == e.LambdaFunctionTimedOut(
        timeout_type="START_TO_CLOSE", scheduled_event_id=5, started_event_id=6
    )
    with pytest.raises(UnknownResource):
        complete(stage, task)
    assert stage.names(run, 6) == "LFTO DTS"


@on_both
def test_a_late_or_second_answer_is_refused(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = started(stage)
    task = invoke(stage)
    complete(stage, task)
    for answer in (complete, fail):
        with pytest.raises(UnknownResource):
            answer(stage, task)
    stage.decide(CompleteWorkflowExecution())
    with pytest.raises(UnknownResource, match="Unknown execution"):
        complete(stage, task)
    assert stage.names(run, 6) == "LFC DTS DTSt DTC WorkflowExecutionCompleted"


@on_both
def test_a_token_of_another_kind_is_none(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    stage.start(workflow_type=WITH_ROLE)
    decision = stage.task()
    with pytest.raises(ServiceFault, match="Invalid token"):
        stage.service.respond(c.RespondLambdaFunctionCompleted, decision.token, stage.now)
    stage.respond(decision, function())
    with pytest.raises(ServiceFault, match="Invalid token"):
        stage.world.complete_activity(invoke(stage).token, None, stage.now)


@on_both
def test_what_does_not_fit_into_a_history_is_refused(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = started(stage)
    task = invoke(stage)
    with pytest.raises(ServiceFault, match="ValidationException"):
        complete(stage, task, "x" * 32_769)
    complete(stage, task, "x" * 32_768)
    assert stage.names(run, 6) == "LFC DTS"


@on_both
def test_an_id_is_taken_while_its_function_is_open(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = started(stage, function(), function(name="other"))
    assert stage.names(run, 3) == "DTC LFS ScheduleLambdaFunctionFailed DTS"
    assert stage.last(run, e.ScheduleLambdaFunctionFailed) == e.ScheduleLambdaFunctionFailed(
        id="f", name="other", cause="ID_ALREADY_IN_USE", decision_task_completed_event_id=4
    )
    complete(stage, invoke(stage))
    stage.decide(function())
    assert stage.names(run, 7) == "LFSt LFC DTSt DTC LFS"
    assert invoke(stage).name == "resize"


@on_both
def test_open_functions_have_a_limit(stage_of: StageOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "OPEN_LIMIT", 2)
    stage = staged(stage_of)
    run = started(stage, *map(function, "abc"))
    assert stage.names(run, 3) == "DTC LFS LFS ScheduleLambdaFunctionFailed DTS"
    assert stage.last(run, e.ScheduleLambdaFunctionFailed).cause == "OPEN_LAMBDA_FUNCTIONS_LIMIT_EXCEEDED"


@on_both
def test_nobody_invokes(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(function())
    assert stage.names(run, 3) == "DTC ScheduleLambdaFunctionFailed DTS"
    assert stage.last(run, e.ScheduleLambdaFunctionFailed).cause == "LAMBDA_SERVICE_NOT_AVAILABLE_IN_REGION"


@on_both
def test_a_run_without_a_role_cannot_start_a_function(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = stage.start()
    stage.decide(function(), RecordMarker(marker_name="m"))
    assert stage.names(run, 3) == "DTC LFS MarkerRecorded StartLambdaFunctionFailed DTS"
    failed = stage.last(run, e.StartLambdaFunctionFailed)
    assert (failed.scheduled_event_id, failed.cause) == (5, "ASSUME_ROLE_FAILED")
    assert failed.message
    assert stage.service.poll_lambda(stage.now) is None
    stage.decide(function(), CompleteWorkflowExecution())
    assert stage.names(run, 8) == "DTSt DTC LFS WorkflowExecutionCompleted"


@on_both
@pytest.mark.parametrize(
    "given",
    [
        {"start_to_close_timeout": "0"},
        {"start_to_close_timeout": "901"},
        {"start_to_close_timeout": "NONE"},
        {"start_to_close_timeout": "-1"},
        {"id": ""},
        {"id": "x" * 257},
        {"name": ""},
        {"name": "x" * 65},
        {"input": "x" * 32_769},
    ],
)
def test_a_malformed_function_refuses_the_whole_call(stage_of: StageOf, given: dict[str, str]) -> None:
    stage = staged(stage_of)
    run = stage.start(workflow_type=WITH_ROLE)
    task = stage.task()
    member = r"decisions\.1\.member\.scheduleLambdaFunctionDecisionAttributes\."
    with pytest.raises(ServiceFault, match=f"ValidationException: 1 validation error detected: .*'{member}"):
        stage.respond(task, ScheduleLambdaFunction(**{"id": "f", "name": "resize", **given}))
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task, function(start_to_close_timeout="1"), function("g", start_to_close_timeout="900"))
    assert stage.names(run, 3) == "DTC LFS LFS"


@on_both
def test_a_closed_run_takes_its_functions_along(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    run = started(stage, function("a"), function("b"))
    task = invoke(stage)
    stage.world.terminate("wf", None, None, stage.now)
    assert stage.service.poll_lambda(stage.now) is None
    with pytest.raises(UnknownResource):
        complete(stage, task)
    stage.wait(900)
    assert stage.names(run, 6) == "LFSt WorkflowExecutionTerminated"


@on_both
def test_functions_are_invoked_in_the_order_they_came(stage_of: StageOf) -> None:
    stage = staged(stage_of)
    started(stage, *(function(id, name=id) for id in "bac"))
    assert "".join(invoke(stage).name for _ in "bac") == "bac"


@on_both
@pytest.mark.parametrize("role", ["", "x" * 1_601])
def test_a_role_has_a_length(stage_of: StageOf, role: str) -> None:
    stage = staged(stage_of)
    stage.start()
    child = StartChildWorkflowExecution(workflow_id="c", workflow_type=WITH_ROLE, lambda_role=role)
    with pytest.raises(ServiceFault, match="lambdaRole"):
        stage.decide(child)


EXECUTION = WorkflowExecution("wf", "r")
RULES = Rules(registered=lambda _: None, is_full=lambda: False, invokes_lambda=True, refuse=lambda _: None)
STARTED = e.WorkflowExecutionStarted(
    child_policy="TERMINATE",
    task_list=TaskList("decide"),
    workflow_type=WITH_ROLE,
    execution_start_to_close_timeout="3600",
    task_start_to_close_timeout="NONE",
    lambda_role="role",
)


def invoked() -> EngineRun:
    token = Token("d", "r", TaskKind.DECISION, 2, 3)
    run = EngineRun.fresh("d", EXECUTION)
    for command in (
        c.Begin(started=STARTED),
        c.StartDecisionTask(),
        c.RespondDecisionTaskCompleted(token=token, decisions=(function(),)),
        c.StartLambdaFunction(scheduled_event_id=5),
    ):
        run = step(run, command, T0, RULES).run
    return run


def test_a_function_whose_invokers_die_times_out() -> None:
    outcome = step(invoked(), c.TimeOutLostTask(scheduled_event_id=5), T0, RULES)
    assert [type(event.data) for event in outcome.events] == [
        e.LambdaFunctionTimedOut,
        e.DecisionTaskScheduled,
    ]
    assert outcome.events[0].data.timeout_type == "START_TO_CLOSE"
    assert outcome.run.state.items[Kind.LAMBDA, "f"].status is Status.TIMED_OUT


def test_a_deadline_that_has_not_come_changes_nothing() -> None:
    assert step(invoked(), c.Fire(event_id=5), T0, RULES).events == ()


def test_a_function_is_started_once() -> None:
    run = invoked()
    complete = c.RespondLambdaFunctionCompleted(token=Token("d", "r", TaskKind.LAMBDA, 5, 6))
    over = step(run, complete, T0, RULES).run
    with pytest.raises(UnknownResource):
        step(over, c.StartLambdaFunction(scheduled_event_id=5), T0, RULES)
