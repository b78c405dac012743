"""Task lists that a decider chooses for the decision tasks to come (scenarios 20-22)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.contract.stage import CONTINUE, Stage, decision


def test_20_response_may_change_the_task_list(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskList={"name": "new"})
    assert stage.said(run, 4)["taskList"] == {"name": "new"}
    assert "taskListScheduleToStartTimeout" not in stage.said(run, 4)
    for scheduled in (6, 10):
        stage.signal()
        assert stage.said(run, scheduled) == {
            "taskList": {"name": "new"},
            "startToCloseTimeout": "60",
            "scheduleToStartTimeout": "NONE",
        }
        assert stage.idle("decide")
        stage.respond(stage.task("new"))


def list_of_last_decision_task(stage: Stage, run: Any) -> str:
    name: str = stage.last(run, "DecisionTaskScheduled")["taskList"]["name"]
    return name


def test_20_task_list_without_a_timeout_is_permanent(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskList={"name": "new"})
    stage.signal()
    stage.task("new")
    stage.wait(60)
    assert stage.names(run, 6) == "DTSt DTTO DTS"
    assert list_of_last_decision_task(stage, run) == "new"


def test_20_decision_task_caused_by_the_response_goes_to_the_new_list(stage: Stage) -> None:
    run = stage.start()
    stage.decide(decision("CancelTimer", timerId="none"), taskList={"name": "new"})
    assert stage.names(run, 3) == "DTC CancelTimerFailed DTS"
    assert list_of_last_decision_task(stage, run) == "new"


def test_20_decision_task_already_scheduled_stays_on_the_old_list(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    stage.signal()
    stage.respond(task, taskList={"name": "new"}, taskListScheduleToStartTimeout="5")
    stage.wait(3000)
    assert stage.idle("new")
    assert stage.names(run, 3) == "WorkflowExecutionSignaled DTS DTC"
    stage.decide()
    stage.signal()
    stage.task("new")


def test_20_timeout_without_a_list_is_recorded_without_effect(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskListScheduleToStartTimeout="5")
    assert stage.said(run, 4)["taskListScheduleToStartTimeout"] == "5"
    stage.signal()
    assert stage.said(run, 6)["scheduleToStartTimeout"] == "NONE"


@pytest.mark.parametrize(("task_list", "timeout"), [("a/b", None), ("", None), ("new", "soon")])
def test_20_malformed_task_list_refuses_the_whole_response(
    stage: Stage, task_list: str, timeout: str | None
) -> None:
    run = stage.start()
    task = stage.task()
    given = {} if timeout is None else {"taskListScheduleToStartTimeout": timeout}
    with stage.invalid() as said:
        stage.respond(task, taskList={"name": task_list}, **given)
    assert said[0].startswith("1 validation error detected: ")
    assert "taskList" in said[0]
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task)


def test_20_continued_run_does_not_inherit_the_task_list(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskList={"name": "new"})
    stage.signal()
    stage.respond(stage.task("new"), CONTINUE)
    assert stage.names(run).endswith("WorkflowExecutionContinuedAsNew")
    assert stage.task()["workflowExecution"]["runId"] != run["runId"]


def moved(stage: Stage) -> Any:
    """Start a run whose next decision task is on another list, with a timeout of five seconds."""
    run = stage.start()
    stage.decide(taskList={"name": "new"}, taskListScheduleToStartTimeout="5")
    assert stage.said(run, 4)["taskListScheduleToStartTimeout"] == "5"
    stage.signal()
    assert stage.said(run, 6) == {
        "taskList": {"name": "new"},
        "startToCloseTimeout": "60",
        "scheduleToStartTimeout": "5",
    }
    return run


def test_21_provisional_list_without_a_poller_is_abandoned(stage: Stage) -> None:
    run = moved(stage)
    stage.wait(4.9)
    assert stage.names(run, 6) == ""
    stage.wait(0.1)
    assert stage.names(run, 6) == "DTTO DTS"
    assert [event["eventTimestamp"] for event in stage.history(run, 6)] == [stage.clock.now] * 2
    assert stage.said(run, 7) == {
        "timeoutType": "SCHEDULE_TO_START",
        "scheduledEventId": 6,
        "startedEventId": 0,
    }
    assert stage.said(run, 8) == {
        "taskList": {"name": "decide"},
        "startToCloseTimeout": "60",
        "scheduleToStartTimeout": "NONE",
    }
    assert stage.idle("new")
    assert stage.task("decide")["previousStartedEventId"] == 3


def test_22_provisional_list_with_a_late_decider_is_abandoned(stage: Stage) -> None:
    run = moved(stage)
    stage.wait(4)
    task = stage.task("new")
    stage.wait(59)
    assert stage.names(run, 6) == "DTSt"
    stage.wait(1)
    assert stage.names(run, 7) == "DTTO DTS"
    assert stage.said(run, 8) == {
        "timeoutType": "START_TO_CLOSE",
        "scheduledEventId": 6,
        "startedEventId": 7,
    }
    assert stage.said(run, 9)["taskList"] == {"name": "decide"}
    with stage.refused("UnknownResourceFault", "Unknown decision task, scheduledEventId = 6"):
        stage.respond(task)
    stage.task("decide")


def test_22_provisional_list_lasts_while_its_tasks_start_in_time(stage: Stage) -> None:
    run = moved(stage)
    for _ in range(3):
        stage.wait(4)
        stage.respond(stage.task("new"))
        stage.signal()
    assert list_of_last_decision_task(stage, run) == "new"
    stage.wait(5)
    assert list_of_last_decision_task(stage, run) == "decide"


def test_22_abandoned_list_is_replaced_by_the_last_permanent_one(stage: Stage) -> None:
    run = stage.start()
    provisional = {"taskListScheduleToStartTimeout": "5"}
    for chosen, task_list, given in (("decide", "b", {}), ("b", "c", provisional), ("c", "d", provisional)):
        stage.respond(stage.task(chosen), taskList={"name": task_list}, **given)
        stage.signal()
    assert list_of_last_decision_task(stage, run) == "d"
    stage.wait(5)
    assert list_of_last_decision_task(stage, run) == "b"


def test_22_timeout_of_a_list_starts_when_the_task_becomes_claimable(stage: Stage) -> None:
    run = moved(stage)
    task = stage.task("new")
    stage.signal()
    stage.wait(30)
    stage.respond(task)
    stage.wait(4.9)
    assert stage.names(run, 7) == "WorkflowExecutionSignaled DTS DTC"
    stage.wait(0.1)
    assert stage.names(run, 10) == "DTTO DTS"


def test_22_close_of_the_run_removes_the_timeout_of_the_list(stage: Stage) -> None:
    run = moved(stage)
    stage.terminate()
    stage.wait(5)
    assert stage.names(run, 6) == "WorkflowExecutionTerminated"
