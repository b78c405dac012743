"""Signals, cancel requests, terminations and time-outs of runs (scenarios 63-72)."""

from __future__ import annotations

import pytest

from tests.integration.contract.backends import everywhere
from tests.integration.contract.stage import (
    COMPLETE,
    CONTINUE,
    Stage,
    activity,
    cancel_external,
    child,
    signal_external,
    timer,
)

SIGNAL_SENT = "SignalExternalWorkflowExecutionInitiated"
CANCEL_SENT = "RequestCancelExternalWorkflowExecutionInitiated"


@everywhere
@pytest.mark.parametrize("with_run_id", [True, False])
def test_63_signal_schedules_a_decision_task(stage: Stage, with_run_id: bool) -> None:  # noqa: FBT001
    run = stage.start()
    stage.decide()
    stage.signal(**({"runId": run["runId"]} if with_run_id else {}))
    assert stage.names(run, 4) == "WorkflowExecutionSignaled DTS"
    said = stage.said(run, 5)
    assert (said["signalName"], said["input"]) == ("go", "now")


@everywhere
def test_63_external_signal_has_zero_as_initiated_event_id(stage: Stage) -> None:
    run = stage.start()
    stage.signal()
    assert stage.said(run, 3) == {"signalName": "go", "input": "now", "externalInitiatedEventId": 0}


def test_63_input_of_a_signal_is_optional(stage: Stage) -> None:
    run = stage.start()
    stage.client.signal_workflow_execution(domain=stage.domain, workflowId="wf", signalName="go")
    assert stage.said(run, 3) == {"signalName": "go", "externalInitiatedEventId": 0}


@everywhere
def test_63_signals_keep_their_order(stage: Stage) -> None:
    run = stage.start()
    for name in "abca":
        stage.signal(signalName=name)
    events = [e for e in stage.history(run) if e["eventType"] == "WorkflowExecutionSignaled"]
    assert [e["workflowExecutionSignaledEventAttributes"]["signalName"] for e in events] == list("abca")


def test_63_70_run_id_of_another_run_is_a_fault(stage: Stage) -> None:
    closed = stage.start()
    stage.decide(COMPLETE)
    run = stage.start()
    for call in (stage.signal, stage.request_cancel, stage.terminate):
        with stage.unknown_run(closed):
            call(runId=closed["runId"])
    assert stage.names(run) == "WES DTS"


def test_64_cancel_request_leaves_the_run_open(stage: Stage) -> None:
    run = stage.start()
    stage.decide()
    assert stage.describe(run)["executionInfo"]["cancelRequested"] is False
    stage.request_cancel()
    assert stage.names(run, 4) == "WorkflowExecutionCancelRequested DTS"
    assert stage.said(run, 5) == {"externalInitiatedEventId": 0}
    assert stage.describe(run)["executionInfo"]["cancelRequested"] is True
    stage.request_cancel(runId=run["runId"])
    assert stage.names(run, 6) == "WorkflowExecutionCancelRequested"
    stage.decide(COMPLETE)
    assert stage.describe(run)["executionInfo"]["closeStatus"] == "COMPLETED"


def test_65_a_signal_reaches_another_run(stage: Stage) -> None:
    other = stage.start("other", taskList={"name": "elsewhere"})
    stage.respond(stage.task("elsewhere"))
    run = stage.start()
    stage.decide(signal_external("other", input="i", control="c"))
    assert stage.names(run, 3) == f"DTC {SIGNAL_SENT} ExternalWorkflowExecutionSignaled DTS"
    assert stage.said(run, 5) == {
        "workflowId": "other",
        "signalName": "s",
        "input": "i",
        "control": "c",
        "decisionTaskCompletedEventId": 4,
    }
    assert stage.said(run, 6) == {"workflowExecution": other, "initiatedEventId": 5}
    assert stage.names(other, 4) == "WorkflowExecutionSignaled DTS"
    assert stage.said(other, 5) == {
        "signalName": "s",
        "input": "i",
        "externalWorkflowExecution": run,
        "externalInitiatedEventId": 5,
    }


def test_65_signal_to_another_run_may_have_its_run_id(stage: Stage) -> None:
    other = stage.start("other", taskList={"name": "elsewhere"})
    run = stage.start()
    stage.decide(signal_external("other", runId=other["runId"]))
    assert stage.said(run, 5)["runId"] == other["runId"]
    assert stage.names(run, 5) == "ExternalWorkflowExecutionSignaled DTS"


def test_65_signal_by_workflow_id_reaches_the_continued_run(stage: Stage) -> None:
    stage.start("other", taskList={"name": "elsewhere"})
    stage.respond(stage.task("elsewhere"), CONTINUE)
    run = stage.start()
    # The continued run has the list of its type: its decision task is the older one.
    assert stage.task()["workflowExecution"]["workflowId"] == "other"
    stage.decide(signal_external("other"))
    assert stage.names(run, 5) == "ExternalWorkflowExecutionSignaled DTS"


@pytest.mark.parametrize("closed", [True, False])
def test_66_signal_to_an_unknown_workflow_fails(stage: Stage, closed: bool) -> None:  # noqa: FBT001
    if closed:
        stage.start("other")
        stage.decide(COMPLETE)
    run = stage.start()
    stage.decide(signal_external("other", control="c"))
    assert stage.names(run, 3) == f"DTC {SIGNAL_SENT} SignalExternalWorkflowExecutionFailed DTS"
    assert stage.said(run, 6) == {
        "workflowId": "other",
        "cause": "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
        "initiatedEventId": 5,
        "decisionTaskCompletedEventId": 4,
        "control": "c",
    }


def test_66_signal_with_the_run_id_of_a_closed_run_fails(stage: Stage) -> None:
    first = stage.start("other")
    stage.decide(COMPLETE)
    stage.start("other", taskList={"name": "elsewhere"})
    run = stage.start()
    stage.decide(signal_external("other", runId=first["runId"]))
    assert stage.said(run, 6)["runId"] == first["runId"]
    assert stage.names(run, 5) == "SignalExternalWorkflowExecutionFailed DTS"


def test_67_a_cancel_request_reaches_another_run(stage: Stage) -> None:
    other = stage.start("other", taskList={"name": "elsewhere"})
    stage.respond(stage.task("elsewhere"))
    run = stage.start()
    stage.decide(cancel_external("other", control="c"))
    assert stage.names(run, 3) == f"DTC {CANCEL_SENT} ExternalWorkflowExecutionCancelRequested DTS"
    assert stage.said(run, 5) == {
        "workflowId": "other",
        "control": "c",
        "decisionTaskCompletedEventId": 4,
    }
    assert stage.said(run, 6) == {"workflowExecution": other, "initiatedEventId": 5}
    assert stage.names(other, 4) == "WorkflowExecutionCancelRequested DTS"
    assert stage.said(other, 5) == {"externalWorkflowExecution": run, "externalInitiatedEventId": 5}


def test_67_cancel_request_to_an_unknown_workflow_fails(stage: Stage) -> None:
    run = stage.start()
    stage.decide(cancel_external("nobody", runId="r", control="c"))
    failed = "RequestCancelExternalWorkflowExecutionFailed"
    assert stage.names(run, 3) == f"DTC {CANCEL_SENT} {failed} DTS"
    assert stage.said(run, 6) == {
        "workflowId": "nobody",
        "runId": "r",
        "cause": "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
        "initiatedEventId": 5,
        "decisionTaskCompletedEventId": 4,
        "control": "c",
    }


def test_67_two_cancel_requests_have_one_outcome_each(stage: Stage) -> None:
    other = stage.start("other", taskList={"name": "elsewhere"})
    run = stage.start()
    stage.decide(cancel_external("other", runId=other["runId"]), cancel_external("nobody"))
    assert stage.names(run, 3) == (
        f"DTC {CANCEL_SENT} {CANCEL_SENT} ExternalWorkflowExecutionCancelRequested DTS"
        " RequestCancelExternalWorkflowExecutionFailed"
    )
    assert stage.last(other, "WorkflowExecutionCancelRequested")["externalInitiatedEventId"] == 5
    assert stage.last(run, "RequestCancelExternalWorkflowExecutionFailed")["initiatedEventId"] == 6


def test_68_run_may_signal_itself(stage: Stage) -> None:
    run = stage.start()
    stage.decide(signal_external("wf"))
    order = stage.names(run, 3).split()
    # Its decision task may be scheduled anywhere after the signal.
    assert [name for name in order if name != "DTS"] == [
        "DTC",
        SIGNAL_SENT,
        "WorkflowExecutionSignaled",
        "ExternalWorkflowExecutionSignaled",
    ]
    assert order.count("DTS") == 1
    assert order.index("DTS") > order.index("WorkflowExecutionSignaled")
    assert stage.said(run, 6) == {
        "signalName": "s",
        "externalWorkflowExecution": run,
        "externalInitiatedEventId": 5,
    }
    assert stage.last(run, "ExternalWorkflowExecutionSignaled") == {
        "workflowExecution": run,
        "initiatedEventId": 5,
    }
    stage.decide()
    assert stage.idle()


@everywhere
def test_69_a_termination_is_the_last_event(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity(), timer())
    work = stage.work()
    stage.signal()
    task = stage.task()
    length = len(stage.history(run))
    stage.terminate(reason="r", details="d")
    assert stage.names(run, length) == "WorkflowExecutionTerminated"
    assert stage.said(run, length + 1) == {
        "childPolicy": "TERMINATE",
        "reason": "r",
        "details": "d",
        "cause": "OPERATOR_INITIATED",
    }
    for answer, token in ((stage.respond, task), (stage.finish, work)):
        with stage.unknown_run(run):
            answer(token)
    assert stage.describe(run)["executionInfo"]["closeStatus"] == "TERMINATED"


@everywhere
def test_69_terminated_run_has_its_close_timestamp(stage: Stage) -> None:
    run = stage.start()
    stage.wait(3)
    stage.terminate()
    assert stage.describe(run)["executionInfo"]["closeTimestamp"] == stage.clock.now


@everywhere
def test_70_termination_of_a_run_that_is_not_open_is_a_fault(stage: Stage) -> None:
    run = stage.start()
    with stage.refused("UnknownResourceFault", "Unknown execution, workflowId = nobody"):
        stage.terminate("nobody")
    with stage.unknown_run({"workflowId": "wf", "runId": "nothing"}):
        stage.terminate(runId="nothing")
    with stage.unknown_run({"workflowId": "nobody", "runId": run["runId"]}):
        stage.terminate("nobody", runId=run["runId"])
    with stage.refused("UnknownResourceFault", "Unknown domain: no"):
        stage.client.terminate_workflow_execution(domain="no", workflowId="wf")
    stage.terminate()
    with stage.unknown_run(run):
        stage.terminate(runId=run["runId"])
    assert stage.names(run) == "WES DTS WorkflowExecutionTerminated"


@everywhere
def test_71_a_run_times_out(stage: Stage) -> None:
    run = stage.start(executionStartToCloseTimeout="50", childPolicy="ABANDON")
    stage.decide(activity(heartbeatTimeout="60"))
    stage.work()
    stage.wait(49)
    assert stage.names(run, 5) == "ATSt"
    stage.wait(100)
    assert stage.names(run, 6) == "WorkflowExecutionTimedOut"
    assert stage.said(run, 7) == {"timeoutType": "START_TO_CLOSE", "childPolicy": "ABANDON"}
    info = stage.describe(run)["executionInfo"]
    assert (info["executionStatus"], info["closeStatus"]) == ("CLOSED", "TIMED_OUT")


def test_71_no_events_follow_a_run_timeout(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity(scheduleToStartTimeout="3600"), timer("t", "4000"))
    stage.wait(5000)
    assert stage.names(run, 6) == "WorkflowExecutionTimedOut"
    assert stage.history(run)[-1]["eventTimestamp"] == stage.clock.now


def test_72_deadlines_fire_in_order_of_time(stage: Stage) -> None:
    run = stage.start()
    stage.decide(
        timer("late", "20"),
        timer("early", "10"),
        activity(scheduleToStartTimeout="15"),
        timer("never", "3601"),
    )
    stage.wait(10_000)
    assert stage.names(run, 8) == "TimerFired DTS ATTO TimerFired WorkflowExecutionTimedOut"
    assert stage.said(run, 9)["timerId"] == "early"


@everywhere
def test_72_overdue_deadlines_fire_in_order_of_time(stage: Stage) -> None:
    run = stage.start(executionStartToCloseTimeout="50")
    stage.decide(activity("a", heartbeatTimeout="60"), activity("b", heartbeatTimeout="40"))
    stage.work(), stage.work()
    stage.wait(100)
    assert stage.names(run, 8) == "ATTO DTS WorkflowExecutionTimedOut"
    assert stage.said(run, 9)["scheduledEventId"] == 6


def test_72_deadlines_passed_during_downtime_fire_after_restart(stage: Stage) -> None:
    run = stage.start(executionStartToCloseTimeout="100")
    stage.decide(
        activity("late", startToCloseTimeout="120"),
        activity("soon", heartbeatTimeout="40"),
        timer("late", "100"),
        timer("soon", "20"),
    )
    stage.work(), stage.work()
    stage.signal()
    stage.task()
    length = len(stage.history(run))
    stage.backend.close()
    stage.wait(1000)
    stage.backend.open()
    assert stage.names(run, length) == "TimerFired DTS ATTO DTTO WorkflowExecutionTimedOut"
    times = [event["eventTimestamp"] for event in stage.history(run)]
    assert times == sorted(times)


def test_72_run_timeout_at_the_same_moment_fires_first_or_last(stage: Stage) -> None:
    run = stage.start(executionStartToCloseTimeout="100")
    stage.decide(timer("t", "100"))
    stage.wait(100)
    # Which of them is first is not known; the run's is the last event all the same.
    assert stage.names(run).endswith("WorkflowExecutionTimedOut")


def test_71_termination_affects_children_by_their_policy_only(stage: Stage) -> None:
    stage.start(childPolicy="ABANDON", executionStartToCloseTimeout="50")
    stage.decide(child(executionStartToCloseTimeout="1000"))
    stage.wait(50)
    assert stage.names(stage.task("children")["workflowExecution"]) == "WES DTS DTSt"


def test_72_hundreds_of_deadlines_fire_at_once(stage: Stage) -> None:
    run = stage.start()
    stage.decide(*[timer(str(number), "1") for number in range(350)])
    stage.wait(1)
    assert stage.names(run).split().count("TimerFired") == 350
    assert stage.names(run).split().count("DTS") == 2
