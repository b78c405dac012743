"""Decision tasks: when a decider is asked, and what becomes of its answer (scenarios 1-19 and 23-26)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.contract.backends import everywhere
from tests.integration.contract.clock import T0
from tests.integration.contract.stage import (
    COMPLETE,
    CONTINUE,
    FAIL,
    WORKFLOW,
    Stage,
    activity,
    attributes,
    decision,
    ids,
    marker,
    names,
    timer,
)

#: The order in which SWF names them is not that of its model.
DECISION_TYPES = (
    "CompleteWorkflowExecution, StartTimer, RequestCancelExternalWorkflowExecution, "
    "SignalExternalWorkflowExecution, CancelTimer, RecordMarker, ScheduleActivityTask, "
    "ContinueAsNewWorkflowExecution, ScheduleLambdaFunction, FailWorkflowExecution, "
    "RequestCancelActivityTask, StartChildWorkflowExecution, CancelWorkflowExecution"
)


def null_at(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def no_decision(value: str, path: str) -> str:
    constraint = f"Member must satisfy enum value set: [{DECISION_TYPES}]"
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


@everywhere
def test_01_start_records_started_and_decision_task_scheduled(stage: Stage) -> None:
    run = stage.start()
    first, second = stage.history(run)
    assert names([first, second]) == "WES DTS"
    assert ids([first, second]) == [1, 2]
    assert first["eventTimestamp"] == second["eventTimestamp"] == T0
    assert 1 <= len(run["runId"]) <= 64


@everywhere
def test_01_root_run_has_zero_as_parent_event_ids(stage: Stage) -> None:
    run = stage.start(input="in", tagList=["a", "b"])
    assert stage.said(run, 1) == {
        "workflowType": WORKFLOW,
        "taskList": {"name": "decide"},
        "childPolicy": "TERMINATE",
        "executionStartToCloseTimeout": "3600",
        "taskStartToCloseTimeout": "60",
        "input": "in",
        "tagList": ["a", "b"],
        "parentInitiatedEventId": 0,
    }
    assert stage.said(run, 2) == {
        "taskList": {"name": "decide"},
        "startToCloseTimeout": "60",
        "scheduleToStartTimeout": "NONE",
    }


def test_01_arguments_of_the_call_override_the_defaults(stage: Stage) -> None:
    given = {
        "taskList": {"name": "mine"},
        "taskPriority": "-3",
        "executionStartToCloseTimeout": "7",
        "taskStartToCloseTimeout": "NONE",
        "childPolicy": "ABANDON",
        "lambdaRole": "arn:aws:iam::1:role/r",
    }
    run = stage.start(**given)
    assert stage.said(run, 1) == {"workflowType": WORKFLOW, "parentInitiatedEventId": 0, **given}
    assert stage.said(run, 2) == {
        "taskList": {"name": "mine"},
        "taskPriority": "-3",
        "startToCloseTimeout": "NONE",
        "scheduleToStartTimeout": "NONE",
    }
    assert stage.describe(run)["executionConfiguration"] == given


@everywhere
def test_02_a_poll_starts_the_task_and_shows_the_history(stage: Stage) -> None:
    run = stage.start()
    task = stage.task(identity="me")
    assert stage.names(run, 2) == "DTSt"
    assert stage.said(run, 3) == {"scheduledEventId": 2, "identity": "me"}
    assert task["startedEventId"] == 3
    assert (task["workflowExecution"], task["workflowType"]) == (run, WORKFLOW)
    assert task["events"] == stage.history(run)
    assert ids(task["events"]) == [1, 2, 3]


@everywhere
def test_02_first_task_has_previous_started_event_id_0(stage: Stage) -> None:
    stage.start()
    assert stage.task()["previousStartedEventId"] == 0


@everywhere
@pytest.mark.parametrize("task_list", ["decide", "nowhere"])
def test_03_poll_of_an_empty_or_unknown_list_returns_no_task(stage: Stage, task_list: str) -> None:
    answer, work = stage.poll(task_list), stage.work_poll(task_list)
    for said in (answer, work):
        assert not said.get("taskToken")
        assert said["startedEventId"] == 0
        assert not said.get("events")


def test_03_idle_poll_has_no_task_token_and_no_events(stage: Stage) -> None:
    answer, work = stage.poll(), stage.work_poll()
    for said in (answer, work):
        said.pop("ResponseMetadata", None)
    assert answer == {"startedEventId": 0, "previousStartedEventId": 0}
    assert work == {"startedEventId": 0}


@everywhere
def test_03_an_unknown_domain_is_a_fault(stage: Stage) -> None:
    for poll in (stage.client.poll_for_decision_task, stage.client.poll_for_activity_task):
        with stage.refused("UnknownResourceFault", "Unknown domain: no"):
            poll(domain="no", taskList={"name": "decide"})


@everywhere
def test_04_response_without_decisions_leaves_the_run_idle(stage: Stage) -> None:
    run = stage.start()
    stage.decide()
    assert stage.names(run) == "WES DTS DTSt DTC"
    assert stage.said(run, 4) == {"scheduledEventId": 2, "startedEventId": 3}
    assert stage.idle()
    assert stage.describe(run)["executionInfo"]["executionStatus"] == "OPEN"


@everywhere
def test_05_next_task_has_the_previous_started_event_id(stage: Stage) -> None:
    stage.start()
    stage.decide()
    stage.signal()
    assert stage.task()["previousStartedEventId"] == 3


@everywhere
def test_05_timed_out_task_is_not_the_previous_one(stage: Stage) -> None:
    stage.start()
    stage.decide()
    stage.signal()
    stage.task()
    stage.wait(61)
    assert stage.task()["previousStartedEventId"] == 3


@everywhere
def test_06_signal_during_a_decision_task_schedules_another(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    stage.signal()
    assert stage.names(run, 3) == "WorkflowExecutionSignaled DTS"
    assert stage.idle()
    stage.respond(task)
    assert stage.task()["previousStartedEventId"] == 3
    assert stage.names(run, 3) == "WorkflowExecutionSignaled DTS DTC DTSt"


@everywhere
def test_07_three_signals_schedule_one_task(stage: Stage) -> None:
    run = stage.start()
    stage.task()
    for _ in range(3):
        stage.signal()
    signal = "WorkflowExecutionSignaled"
    assert stage.names(run, 3) == f"{signal} DTS {signal} {signal}"


@everywhere
def test_08_signals_share_the_scheduled_decision_task(stage: Stage) -> None:
    run = stage.start()
    stage.signal()
    stage.signal()
    assert stage.names(run, 2) == "WorkflowExecutionSignaled WorkflowExecutionSignaled"


@everywhere
def test_09_timed_out_decision_task_is_scheduled_again(stage: Stage) -> None:
    run = stage.start()
    stage.task()
    stage.wait(60)
    timed_out, scheduled = stage.history(run, 3)
    assert names([timed_out, scheduled]) == "DTTO DTS"
    assert timed_out["eventTimestamp"] == scheduled["eventTimestamp"] == stage.clock.now
    assert attributes(timed_out) == {
        "timeoutType": "START_TO_CLOSE",
        "scheduledEventId": 2,
        "startedEventId": 3,
    }


@everywhere
def test_09_late_response_is_refused(stage: Stage) -> None:
    stage.start()
    task = stage.task()
    stage.wait(60)
    with stage.refused("UnknownResourceFault", "Unknown decision task, scheduledEventId = 2"):
        stage.respond(task)


@everywhere
def test_09_decision_timeout_is_recorded_at_the_time_it_is_fired(stage: Stage) -> None:
    run = stage.start()
    stage.task()
    stage.wait(75)
    assert [event["eventTimestamp"] for event in stage.history(run, 3)] == [stage.clock.now] * 2


@everywhere
def test_10_decision_timeout_with_a_scheduled_task_schedules_no_second(stage: Stage) -> None:
    run = stage.start()
    stage.task()
    stage.signal()
    stage.wait(60)
    assert stage.names(run, 5) == "DTTO"
    assert stage.task()["startedEventId"] == 7


@everywhere
def test_11_timeout_of_none_never_fires(stage: Stage) -> None:
    run = stage.start(taskStartToCloseTimeout="NONE")
    stage.task()
    stage.wait(3599)
    assert stage.names(run) == "WES DTS DTSt"


@everywhere
def test_12_second_response_is_refused(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    stage.respond(task)
    with stage.refused("UnknownResourceFault", "Unknown decision task, scheduledEventId = 2"):
        stage.respond(task)
    assert stage.names(run) == "WES DTS DTSt DTC"


@everywhere
@pytest.mark.parametrize("token", ["garbage", "YWJjZGVmZ2g="])
def test_13_malformed_token_is_refused(stage: Stage, token: str) -> None:
    for answer in (stage.respond, stage.finish, stage.fail, stage.beat):
        with stage.invalid("Invalid token"):
            answer({"taskToken": token})


def test_13_token_of_another_kind_of_task_is_refused(stage: Stage) -> None:
    stage.start()
    task = stage.task()
    with stage.invalid("Invalid token"):
        stage.finish(task)
    token = task["taskToken"]
    changed = token[:-8] + ("A" if token[-8] != "A" else "B") + token[-7:]
    with stage.invalid("Invalid token"):
        stage.respond({"taskToken": changed})


@everywhere
def test_14_response_for_a_terminated_run_is_refused(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    stage.terminate()
    with stage.unknown_run(run):
        stage.respond(task)
    assert stage.names(run, 3) == "WorkflowExecutionTerminated"


@everywhere
def test_15_unknown_decision_type_refuses_the_whole_response(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    message = no_decision("Nonsense", "decisions.1.member.decisionType")
    with stage.invalid(f"1 validation error detected: {message}"):
        stage.respond(task, {"decisionType": "Nonsense"}, COMPLETE)
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task, COMPLETE)
    assert stage.names(run, 3) == "DTC WorkflowExecutionCompleted"


@everywhere
def test_16_missing_attribute_refuses_the_whole_response(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    message = null_at("decisions.2.member.startTimerDecisionAttributes.timerId")
    with stage.invalid(f"1 validation error detected: {message}"):
        stage.respond(task, marker(), decision("StartTimer", startToFireTimeout="1"))
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task)


@everywhere
def test_16_decision_without_attributes_is_refused(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    with stage.invalid() as said:
        stage.respond(task, {"decisionType": "StartTimer"})
    assert said[0].startswith("2 validation errors detected: ")
    for member in ("timerId", "startToFireTimeout"):
        assert null_at(f"decisions.1.member.startTimerDecisionAttributes.{member}") in said[0]
    assert stage.names(run) == "WES DTS DTSt"


def test_16_malformed_decision_refuses_the_whole_response(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    with stage.invalid() as said:
        stage.respond(task, marker(), timer("", "soon"))
    assert said[0].startswith("2 validation errors detected: ")
    assert "'decisions.2.member.startTimerDecisionAttributes.timerId'" in said[0]
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task, marker())
    assert stage.names(run, 3) == "DTC MarkerRecorded"


@everywhere
@pytest.mark.parametrize("after", [marker(), COMPLETE, FAIL], ids=["marker", "complete", "fail"])
def test_17_close_decision_must_be_last(stage: Stage, after: Any) -> None:
    run = stage.start()
    task = stage.task()
    with stage.invalid("Close must be last decision in list"):
        stage.respond(task, COMPLETE, after)
    assert stage.names(run) == "WES DTS DTSt"
    stage.respond(task)


@everywhere
def test_17_continue_as_new_decision_must_be_last(stage: Stage) -> None:
    run = stage.start()
    with stage.invalid("Close must be last decision in list"):
        stage.respond(stage.task(), CONTINUE, marker())
    assert stage.names(run) == "WES DTS DTSt"


@everywhere
def test_18_validation_reports_all_problems_at_once(stage: Stage) -> None:
    run = stage.start()
    wrong = {"decisionType": "Nonsense", "startTimerDecisionAttributes": {"startToFireTimeout": "1"}}
    with stage.invalid() as said:
        stage.respond(stage.task(), wrong)
    assert said[0].startswith("2 validation errors detected: ")
    assert null_at("decisions.1.member.startTimerDecisionAttributes.timerId") in said[0]
    assert no_decision("Nonsense", "decisions.1.member.decisionType") in said[0]
    assert stage.names(run) == "WES DTS DTSt"


@everywhere
def test_19_execution_context_is_stored(stage: Stage) -> None:
    run = stage.start()
    assert "latestExecutionContext" not in stage.describe(run)
    stage.decide(executionContext="half way")
    assert stage.said(run, 4) == {
        "scheduledEventId": 2,
        "startedEventId": 3,
        "executionContext": "half way",
    }
    assert stage.describe(run)["latestExecutionContext"] == "half way"


@everywhere
def test_19_empty_execution_context_is_stored(stage: Stage) -> None:
    run = stage.start()
    stage.decide(executionContext="")
    assert stage.said(run, 4)["executionContext"] == ""
    assert stage.describe(run)["latestExecutionContext"] == ""


def test_23_decision_tasks_are_dispatched_by_priority_then_by_age(stage: Stage) -> None:
    given = [("a", "5"), ("b", "10"), ("c", None), ("d", "-1"), ("e", "10")]
    for workflow_id, priority in given:
        stage.start(workflow_id, **({} if priority is None else {"taskPriority": priority}))
        stage.wait(1)
    order = [stage.task()["workflowExecution"]["workflowId"] for _ in given]
    assert order == ["b", "e", "a", "c", "d"]


def test_24_history_of_a_task_is_paged(stage: Stage) -> None:
    run = stage.start()
    first = stage.task(maximumPageSize=2)
    assert ids(first["events"]) == [1, 2]
    stage.signal()
    second = stage.task(maximumPageSize=2, nextPageToken=first["nextPageToken"])
    assert ids(second["events"]) == [3]
    assert "nextPageToken" not in second
    for member in (
        "taskToken",
        "startedEventId",
        "previousStartedEventId",
        "workflowExecution",
        "workflowType",
    ):
        assert second[member] == first[member]
    assert stage.names(run) == "WES DTS DTSt WorkflowExecutionSignaled DTS"
    stage.respond(first)


def test_24_paginator_reads_all_pages_of_a_task(stage: Stage) -> None:
    stage.start()
    assert stage.client.can_paginate("poll_for_decision_task")
    assert not stage.client.can_paginate("poll_for_activity_task")
    paginator = stage.client.get_paginator("poll_for_decision_task")
    pages = list(
        paginator.paginate(domain=stage.domain, taskList={"name": "decide"}, PaginationConfig={"PageSize": 1})
    )
    assert [ids(page["events"]) for page in pages] == [[1], [2], [3]]
    whole = paginator.paginate(domain=stage.domain, taskList={"name": "decide"}).build_full_result()
    assert whole["startedEventId"] == 0


def test_25_poll_with_start_at_previous_started_event_returns_new_events(stage: Stage) -> None:
    stage.start()
    first = stage.task(startAtPreviousStartedEvent=True)
    assert ids(first["events"]) == [1, 2, 3]
    stage.respond(first, marker())
    stage.signal()
    task = stage.task(startAtPreviousStartedEvent=True)
    assert names(task["events"]) == "DTSt DTC MarkerRecorded WorkflowExecutionSignaled DTS DTSt"
    assert (task["previousStartedEventId"], task["events"][0]["eventId"]) == (3, 3)


def test_25_new_events_can_be_paged_and_reversed(stage: Stage) -> None:
    stage.start()
    stage.decide()
    stage.signal()
    given = {"startAtPreviousStartedEvent": True, "reverseOrder": True, "maximumPageSize": 3}
    first = stage.task(**given)
    rest = stage.task(**given, nextPageToken=first["nextPageToken"])
    assert ids(first["events"]) + ids(rest["events"]) == [7, 6, 5, 4, 3]


@everywhere
def test_26_events_can_be_read_in_reverse_order(stage: Stage) -> None:
    run = stage.start()
    task = stage.task(reverseOrder=True)
    assert ids(task["events"]) == [3, 2, 1]
    stage.respond(task, timer())
    assert ids(stage.history(run, reverseOrder=True)) == [5, 4, 3, 2, 1]
    assert ids(stage.history(run)) == [1, 2, 3, 4, 5]


def test_26_pages_can_be_read_in_reverse_order(stage: Stage) -> None:
    run = stage.start()
    stage.decide(*[marker(str(number)) for number in range(6)])
    assert ids(stage.history(run, maximumPageSize=3, reverseOrder=True)) == list(range(10, 0, -1))


def test_events_of_one_step_share_a_timestamp_that_never_decreases(stage: Stage) -> None:
    run = stage.start()
    task = stage.task()
    stage.clock.now = stage.clock.now.replace(microsecond=123_456)
    stage.respond(task, activity())
    assert {event["eventTimestamp"].microsecond for event in stage.history(run, 3)} == {123_000}
    stage.clock.now = stage.clock.now.replace(microsecond=0)
    stage.signal()
    assert stage.history(run)[-1]["eventTimestamp"].microsecond == 123_000
