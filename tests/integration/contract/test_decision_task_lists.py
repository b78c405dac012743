"""Task lists that a decider chooses for the decision tasks to come (scenarios 20-22)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.contract.stage import CONTINUE, Stage, decision


def test_20_a_decider_may_move_to_another_list(stage: Stage) -> None:
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


def test_20_a_list_without_a_time_out_is_for_good(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskList={"name": "new"})
    stage.signal()
    stage.task("new")
    stage.wait(60)
    assert stage.names(run, 6) == "DTSt DTTO DTS"
    assert list_of_last_decision_task(stage, run) == "new"


def test_20_what_the_answer_itself_wakes_goes_to_the_new_list(stage: Stage) -> None:
    run = stage.start()
    stage.decide(decision("CancelTimer", timerId="none"), taskList={"name": "new"})
    assert stage.names(run, 3) == "DTC CancelTimerFailed DTS"
    assert list_of_last_decision_task(stage, run) == "new"


def test_20_a_task_behind_the_answered_one_stays_where_it_was(stage: Stage) -> None:
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


def test_20_a_time_out_without_a_list_is_written_down_and_changes_nothing(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskListScheduleToStartTimeout="5")
    assert stage.said(run, 4)["taskListScheduleToStartTimeout"] == "5"
    stage.signal()
    assert stage.said(run, 6)["scheduleToStartTimeout"] == "NONE"


@pytest.mark.parametrize(("task_list", "timeout"), [("a/b", None), ("", None), ("new", "soon")])
def test_20_a_malformed_list_refuses_the_whole_call(
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


def test_20_a_new_run_does_not_inherit_the_list(stage: Stage) -> None:
    run = stage.start()
    stage.decide(taskList={"name": "new"})
    stage.signal()
    stage.respond(stage.task("new"), CONTINUE)
    assert stage.names(run).endswith("WorkflowExecutionContinuedAsNew")
    assert stage.task()["workflowExecution"]["runId"] != run["runId"]


def moved(stage: Stage) -> Any:
    """A run whose next decision task waits five seconds on another list."""
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


def test_21_a_list_that_nobody_polls_is_left_again(stage: Stage) -> None:
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


def test_22_a_list_whose_decider_is_late_is_left_again(stage: Stage) -> None:
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


def test_22_a_provisional_list_lasts_while_its_tasks_are_in_time(stage: Stage) -> None:
    run = moved(stage)
    for _ in range(3):
        stage.wait(4)
        stage.respond(stage.task("new"))
        stage.signal()
    assert list_of_last_decision_task(stage, run) == "new"
    stage.wait(5)
    assert list_of_last_decision_task(stage, run) == "decide"


def test_22_what_is_given_up_for_is_the_list_that_was_for_good(stage: Stage) -> None:
    run = stage.start()
    provisional = {"taskListScheduleToStartTimeout": "5"}
    for chosen, task_list, given in (("decide", "b", {}), ("b", "c", provisional), ("c", "d", provisional)):
        stage.respond(stage.task(chosen), taskList={"name": task_list}, **given)
        stage.signal()
    assert list_of_last_decision_task(stage, run) == "d"
    stage.wait(5)
    assert list_of_last_decision_task(stage, run) == "b"


def test_22_a_task_that_nobody_could_take_yet_is_not_late(stage: Stage) -> None:
    run = moved(stage)
    task = stage.task("new")
    stage.signal()
    stage.wait(30)
    stage.respond(task)
    stage.wait(4.9)
    assert stage.names(run, 7) == "WorkflowExecutionSignaled DTS DTC"
    stage.wait(0.1)
    assert stage.names(run, 10) == "DTTO DTS"


def test_22_the_end_of_the_run_is_the_end_of_the_wait(stage: Stage) -> None:
    run = moved(stage)
    stage.terminate()
    stage.wait(5)
    assert stage.names(run, 6) == "WorkflowExecutionTerminated"
