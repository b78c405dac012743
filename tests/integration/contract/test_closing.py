"""The end of a run, by its own decision (scenarios 27-35)."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.engine import step_context
from tests.integration.contract.backends import everywhere
from tests.integration.contract.clock import T0
from tests.integration.contract.stage import (
    CANCEL,
    COMPLETE,
    CONTINUE,
    FAIL,
    Stage,
    activity,
    child,
    decision,
    marker,
    timer,
)


def assert_closed(stage: Stage, run: Any, status: str) -> None:
    info = stage.describe(run)["executionInfo"]
    assert (info["executionStatus"], info["closeStatus"]) == ("CLOSED", status)
    assert info["closeTimestamp"] == stage.history(run)[-1]["eventTimestamp"]


@everywhere
def test_27_a_run_completes(stage: Stage) -> None:
    run = stage.start()
    stage.wait(2)
    stage.decide(decision("CompleteWorkflowExecution", result="out"))
    assert stage.names(run, 3) == "DTC WorkflowExecutionCompleted"
    assert stage.said(run, 5) == {"decisionTaskCompletedEventId": 4, "result": "out"}
    assert_closed(stage, run, "COMPLETED")


@everywhere
def test_27_result_is_optional(stage: Stage) -> None:
    run = stage.start()
    stage.decide({"decisionType": "CompleteWorkflowExecution"})
    assert stage.said(run, 5) == {"decisionTaskCompletedEventId": 4}


@everywhere
def test_28_a_run_fails(stage: Stage) -> None:
    run = stage.start()
    stage.decide(decision("FailWorkflowExecution", reason="r", details="d"))
    assert stage.names(run, 3) == "DTC WorkflowExecutionFailed"
    assert stage.said(run, 5) == {"decisionTaskCompletedEventId": 4, "reason": "r", "details": "d"}
    assert_closed(stage, run, "FAILED")


@everywhere
def test_29_run_may_cancel_without_a_cancel_request(stage: Stage) -> None:
    run = stage.start()
    stage.decide(decision("CancelWorkflowExecution", details="d"))
    assert stage.names(run, 3) == "DTC WorkflowExecutionCanceled"
    assert stage.said(run, 5) == {"decisionTaskCompletedEventId": 4, "details": "d"}
    assert_closed(stage, run, "CANCELED")


def interrupted(stage: Stage) -> tuple[Any, Any]:
    """A run, and its decision task during which an activity completed."""
    run = stage.start()
    stage.decide(activity())
    work = stage.work()
    stage.signal()
    task = stage.task()
    stage.finish(work)
    assert stage.names(run, 9) == "ATC DTS"
    return run, task


@everywhere
def test_30_close_with_an_unseen_completion_is_refused(stage: Stage) -> None:
    run, task = interrupted(stage)
    stage.respond(task, COMPLETE)
    assert stage.names(run, 9) == "ATC DTS DTC CompleteWorkflowExecutionFailed"
    assert stage.said(run, 13) == {"cause": "UNHANDLED_DECISION", "decisionTaskCompletedEventId": 12}
    again = stage.task()
    assert (again["previousStartedEventId"], again["startedEventId"]) == (9, 14)
    assert stage.said(run, 14)["scheduledEventId"] == 11
    stage.respond(again, COMPLETE)
    assert_closed(stage, run, "COMPLETED")


@everywhere
def test_31_cancel_with_unseen_events_is_refused(stage: Stage) -> None:
    run, task = interrupted(stage)
    stage.respond(task, CANCEL)
    assert stage.names(run, 9) == "ATC DTS DTC CancelWorkflowExecutionFailed"
    assert stage.said(run, 13) == {"cause": "UNHANDLED_DECISION", "decisionTaskCompletedEventId": 12}
    stage.respond(stage.task(), CANCEL)
    assert_closed(stage, run, "CANCELED")


@everywhere
def test_32_decisions_before_a_refused_close_are_kept(stage: Stage) -> None:
    run, task = interrupted(stage)
    stage.respond(task, marker(), FAIL)
    assert stage.names(run, 11) == "DTC MarkerRecorded FailWorkflowExecutionFailed"
    assert stage.said(run, 14) == {"cause": "UNHANDLED_DECISION", "decisionTaskCompletedEventId": 12}


def test_33_continue_as_new_with_unseen_events_is_refused(stage: Stage) -> None:
    run, task = interrupted(stage)
    stage.respond(task, CONTINUE)
    assert stage.names(run, 11) == "DTC ContinueAsNewWorkflowExecutionFailed"
    assert stage.said(run, 13) == {"cause": "UNHANDLED_DECISION", "decisionTaskCompletedEventId": 12}
    found = stage.client.list_open_workflow_executions(domain=stage.domain, startTimeFilter={"oldestDate": 0})
    assert [info["execution"] for info in found["executionInfos"]] == [run]


def test_34_run_closes_with_open_work(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity(), timer(), child())
    work = stage.work()
    stage.decide(COMPLETE)
    assert stage.names(run).endswith("DTC WorkflowExecutionCompleted")
    length = len(stage.history(run))
    for answer in (stage.finish, stage.fail, stage.cancel, stage.beat):
        with stage.unknown_run(run):
            answer(work)
    stage.wait(20)
    other = stage.task("children")
    assert stage.names(other["workflowExecution"]) == "WES DTS DTSt"
    stage.respond(other, COMPLETE)
    assert len(stage.history(run)) == length


@everywhere
def test_34_run_cancels_with_an_open_activity(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity())
    work = stage.work()
    stage.signal()
    stage.decide(CANCEL)
    assert stage.names(run).endswith("DTC WorkflowExecutionCanceled")
    with stage.unknown_run(run):
        stage.finish(work)


@everywhere
def test_34_a_timer_of_a_closed_run_does_not_fire(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer(), COMPLETE)
    stage.wait(20)
    assert stage.names(run).endswith("WorkflowExecutionCompleted")


@everywhere
@pytest.mark.parametrize("call", ["signal", "terminate"])
@pytest.mark.parametrize("end", [COMPLETE, FAIL, CANCEL], ids=["completed", "failed", "canceled"])
def test_35_closed_run_refuses_signal_and_terminate(stage: Stage, call: str, end: Any) -> None:
    run = stage.start()
    stage.decide(end)
    length = len(stage.history(run))
    with stage.refused("UnknownResourceFault", "Unknown execution, workflowId = wf"):
        getattr(stage, call)()
    with stage.unknown_run(run):
        getattr(stage, call)(runId=run["runId"])
    assert len(stage.history(run)) == length


@pytest.mark.parametrize("how", ["completed", "terminated", "timed out"])
def test_35_run_closed_in_any_way_refuses_signal_cancel_and_terminate(stage: Stage, how: str) -> None:
    run = stage.start()
    if how == "completed":
        stage.decide(COMPLETE)
    elif how == "terminated":
        stage.terminate()
    else:
        stage.wait(3600)
    length = len(stage.history(run))
    for call in (stage.request_cancel, stage.signal, stage.terminate):
        with stage.refused("UnknownResourceFault", "Unknown execution, workflowId = wf"):
            call()
        with stage.unknown_run(run):
            call(runId=run["runId"])
    assert len(stage.history(run)) == length


@pytest.mark.parametrize("end", [COMPLETE, FAIL, CONTINUE])
def test_76_child_cannot_have_the_workflow_id_of_its_closing_parent(stage: Stage, end: Any) -> None:
    run = stage.start()
    stage.decide(child("wf"), end)
    closed = end["decisionType"].removesuffix("WorkflowExecution")
    word = {"Complete": "Completed", "Fail": "Failed"}.get(closed, "ContinuedAsNew")
    assert stage.names(run, 3) == f"DTC StartChildWorkflowExecutionInitiated WorkflowExecution{word}"
    since = {"startTimeFilter": {"oldestDate": T0}}
    opened = stage.client.list_open_workflow_executions(domain=stage.domain, **since)["executionInfos"]
    assert [info.get("parent") for info in opened] == [None] * (end == CONTINUE)


def test_run_is_terminated_at_the_event_limit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_context, "MAX_EVENTS", 10)
    run = stage.start()
    stage.decide(*[marker(str(number)) for number in range(20)])
    assert stage.names(run, 4) == " ".join(["MarkerRecorded"] * 6 + ["WorkflowExecutionTerminated"])
    assert stage.last(run, "WorkflowExecutionTerminated")["cause"] == "EVENT_LIMIT_EXCEEDED"


def test_full_run_schedules_no_decision_task(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_context, "MAX_EVENTS", 5)
    run = stage.start()
    stage.decide()
    stage.signal()
    assert stage.names(run, 4) == "WorkflowExecutionSignaled WorkflowExecutionTerminated"


def test_poll_that_fills_a_run_claims_a_task_of_another_run(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, other = stage.start("full"), stage.start("other")
    stage.signal("full")
    monkeypatch.setattr(step_context, "MAX_EVENTS", 4)
    assert stage.task()["workflowExecution"] == other
    assert stage.names(full).endswith("DTSt WorkflowExecutionTerminated")
