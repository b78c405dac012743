"""Commands to one run that only the engine gives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from floto.core.engine import commands as c
from floto.core.engine.run import EngineRules, EngineRun
from floto.core.engine.step import step
from floto.core.engine.tokens import TaskKind, Token
from floto.core.errors import UnknownResource
from floto.core.state.state import Kind, Status
from floto.core.swf import events as e
from floto.core.swf.decisions import ScheduleLambdaFunction
from floto.core.swf.shapes import TaskList, WorkflowExecution, WorkflowType

T0 = datetime(2026, 1, 1, tzinfo=UTC)

EXECUTION = WorkflowExecution("wf", "r")
RULES = EngineRules(
    registered=lambda *_: None, count_open=lambda _: 0, invokes_lambda=True, refuse=lambda _: None
)
STARTED = e.WorkflowExecutionStarted(
    child_policy="TERMINATE",
    task_list=TaskList("decide"),
    workflow_type=WorkflowType("work", "1"),
    execution_start_to_close_timeout="3600",
    task_start_to_close_timeout="NONE",
    lambda_role="role",
)


def scheduled() -> EngineRun:
    token = Token("d", "r", TaskKind.DECISION, 2, 3)
    run = EngineRun.fresh("d", EXECUTION)
    for command in (
        c.Begin(started=STARTED),
        c.StartDecisionTask(),
        c.RespondDecisionTaskCompleted(
            token=token, decisions=(ScheduleLambdaFunction(id="f", name="resize"),)
        ),
    ):
        run = step(run, command, T0, RULES).run
    return run


def invoked() -> EngineRun:
    return step(scheduled(), c.StartLambdaFunction(scheduled_event_id=5), T0, RULES).run


def test_function_whose_invokers_crash_times_out() -> None:
    outcome = step(invoked(), c.TimeOutLostTask(scheduled_event_id=5), T0, RULES)
    assert [type(event.data) for event in outcome.events] == [
        e.LambdaFunctionTimedOut,
        e.DecisionTaskScheduled,
    ]
    assert outcome.events[0].data.timeout_type == "START_TO_CLOSE"
    assert outcome.run.state.items[Kind.LAMBDA, "f"].status is Status.TIMED_OUT


def test_future_deadline_has_no_effect() -> None:
    assert step(invoked(), c.Fire(event_id=5), T0, RULES).events == ()


def test_function_cannot_be_started_twice() -> None:
    run = invoked()
    complete = c.RespondLambdaFunctionCompleted(token=Token("d", "r", TaskKind.LAMBDA, 5, 6))
    over = step(run, complete, T0, RULES).run
    with pytest.raises(UnknownResource):
        step(over, c.StartLambdaFunction(scheduled_event_id=5), T0, RULES)


def test_response_for_a_function_that_is_not_started_is_refused() -> None:
    complete = c.RespondLambdaFunctionCompleted(token=Token("d", "r", TaskKind.LAMBDA, 5, 6))
    with pytest.raises(UnknownResource):
        step(scheduled(), complete, T0, RULES)
