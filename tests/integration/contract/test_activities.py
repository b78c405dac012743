"""Activities (scenarios 36-56)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.contract.backends import everywhere
from tests.integration.contract.stage import ACTIVITY, COMPLETE, Stage, activity, decision

FAILED = "ScheduleActivityTaskFailed"


def cancel_activity(activity_id: str = "a") -> Any:
    return decision("RequestCancelActivityTask", activityId=activity_id)


def scheduled(stage: Stage, **given: Any) -> Any:
    """A run with one activity, its event 5."""
    run = stage.start()
    stage.decide(activity(**given))
    assert stage.names(run) == "WES DTS DTSt DTC ATS"
    return run


@everywhere
def test_36_an_activity_is_scheduled(stage: Stage) -> None:
    run = stage.start()
    stage.wait(3)
    stage.decide(activity())
    assert stage.names(run, 3) == "DTC ATS"
    assert stage.open_counts(run)["openActivityTasks"] == 1
    assert stage.describe(run)["latestActivityTaskTimestamp"] == stage.clock.now
    assert stage.idle()


@everywhere
def test_36_scheduled_event_has_all_resolved_attributes(stage: Stage) -> None:
    run = scheduled(
        stage, input="in", control="c", heartbeatTimeout="5", taskList={"name": "mine"}, taskPriority="7"
    )
    assert stage.said(run, 5) == {
        "activityType": ACTIVITY,
        "activityId": "a",
        "taskList": {"name": "mine"},
        "taskPriority": "7",
        "decisionTaskCompletedEventId": 4,
        "input": "in",
        "control": "c",
        "scheduleToStartTimeout": "NONE",
        "scheduleToCloseTimeout": "NONE",
        "startToCloseTimeout": "NONE",
        "heartbeatTimeout": "5",
    }


def test_36_scheduled_event_omits_attributes_that_were_not_given(stage: Stage) -> None:
    run = scheduled(stage)
    assert not {"input", "control", "taskPriority"} & set(stage.said(run, 5))


@everywhere
def test_37_worker_completes_an_activity(stage: Stage) -> None:
    run = scheduled(stage, input="in", control="c")
    task = stage.work(identity="me")
    assert stage.names(run, 5) == "ATSt"
    assert stage.said(run, 6) == {"scheduledEventId": 5, "identity": "me"}
    assert stage.idle()
    task.pop("ResponseMetadata", None)
    token = task.pop("taskToken")
    assert task == {
        "activityId": "a",
        "activityType": ACTIVITY,
        "input": "in",
        "startedEventId": 6,
        "workflowExecution": run,
    }
    stage.finish({"taskToken": token}, result="out")
    assert stage.names(run, 6) == "ATC DTS"
    assert stage.said(run, 7) == {"scheduledEventId": 5, "startedEventId": 6, "result": "out"}
    assert stage.open_counts(run)["openActivityTasks"] == 0


@everywhere
def test_38_worker_fails_an_activity(stage: Stage) -> None:
    run = scheduled(stage)
    stage.fail(stage.work(), reason="r", details="d")
    assert stage.names(run, 6) == "ATF DTS"
    assert stage.said(run, 7) == {
        "scheduledEventId": 5,
        "startedEventId": 6,
        "reason": "r",
        "details": "d",
    }


@everywhere
def test_39_unknown_activity_type_fails_the_decision(stage: Stage) -> None:
    unknown = {"name": "no", "version": "1"}
    run = stage.start()
    stage.decide(activity(activityType=unknown))
    assert stage.names(run, 3) == f"DTC {FAILED} DTS"
    assert stage.said(run, 5) == {
        "activityType": unknown,
        "activityId": "a",
        "cause": "ACTIVITY_TYPE_DOES_NOT_EXIST",
        "decisionTaskCompletedEventId": 4,
    }


@everywhere
def test_40_deprecated_activity_type_fails_the_decision(stage: Stage) -> None:
    run = stage.start()
    stage.deprecate("activity", ACTIVITY)
    stage.decide(activity())
    assert stage.names(run, 3) == f"DTC {FAILED} DTS"
    assert stage.said(run, 5)["cause"] == "ACTIVITY_TYPE_DEPRECATED"


def test_40_open_activity_survives_deprecation_of_its_type(stage: Stage) -> None:
    run = scheduled(stage)
    stage.deprecate("activity", ACTIVITY)
    stage.finish(stage.work())
    assert stage.names(run, 5) == "ATSt ATC DTS"


@everywhere
def test_41_id_of_an_open_activity_is_in_use(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity(), activity())
    assert stage.names(run, 3) == f"DTC ATS {FAILED} DTS"
    assert stage.said(run, 6)["cause"] == "ACTIVITY_ID_ALREADY_IN_USE"


@everywhere
def test_41_id_of_a_closed_activity_can_be_used_again(stage: Stage) -> None:
    run = scheduled(stage)
    stage.finish(stage.work())
    stage.decide(activity())
    assert stage.names(run, 8) == "DTSt DTC ATS"


NEEDS = [
    ("DEFAULT_TASK_LIST_UNDEFINED", "taskList", {"name": "work"}),
    ("DEFAULT_SCHEDULE_TO_START_TIMEOUT_UNDEFINED", "scheduleToStartTimeout", "NONE"),
    ("DEFAULT_SCHEDULE_TO_CLOSE_TIMEOUT_UNDEFINED", "scheduleToCloseTimeout", "NONE"),
    ("DEFAULT_START_TO_CLOSE_TIMEOUT_UNDEFINED", "startToCloseTimeout", "NONE"),
    ("DEFAULT_HEARTBEAT_TIMEOUT_UNDEFINED", "heartbeatTimeout", "NONE"),
]


@everywhere
def test_42_missing_defaults_are_reported_one_by_one_in_order(stage: Stage) -> None:
    bare = stage.register_bare("activity")
    run = stage.start()
    given: dict[str, Any] = {}
    for cause, field, value in NEEDS:
        stage.decide(activity(activityType=bare, **given))
        assert stage.last(run, FAILED)["cause"] == cause
        given[field] = value
    stage.decide(activity(activityType=bare, **given))
    assert stage.names(run).endswith("DTC ATS")


@everywhere
@pytest.mark.parametrize(("cause", "field"), [need[:2] for need in NEEDS])
def test_42_each_missing_default_has_its_own_cause(stage: Stage, cause: str, field: str) -> None:
    bare = stage.register_bare("activity")
    run = stage.start()
    given = {name: value for _, name, value in NEEDS if name != field}
    stage.decide(activity(activityType=bare, **given))
    assert stage.said(run, 5)["cause"] == cause


def test_42_causes_are_reported_in_a_fixed_order(stage: Stage) -> None:
    bare = stage.register_bare("activity")
    run = scheduled(stage)
    stage.signal()
    stage.decide(activity(activityType=bare))
    assert stage.last(run, FAILED)["cause"] == "ACTIVITY_ID_ALREADY_IN_USE"
    stage.deprecate("activity", bare)
    stage.decide(activity(activityType=bare))
    assert stage.last(run, FAILED)["cause"] == "ACTIVITY_TYPE_DEPRECATED"


@everywhere
def test_43_two_refused_decisions_schedule_one_decision_task(stage: Stage) -> None:
    unknown = {"name": "no", "version": "1"}
    run = stage.start()
    stage.decide(activity("a", activityType=unknown), activity("b", activityType=unknown))
    assert stage.names(run, 3) == f"DTC {FAILED} {FAILED} DTS"
    assert [stage.said(run, id)["activityId"] for id in (5, 6)] == ["a", "b"]


def test_44_1000_activities_may_be_open(stage: Stage) -> None:
    run = stage.start()
    stage.decide(*[activity(str(number)) for number in range(1001)])
    assert stage.open_counts(run)["openActivityTasks"] == 1000
    assert stage.names(run, 1003) == f"ATS {FAILED} DTS"
    assert stage.said(run, 1005) == {
        "activityType": ACTIVITY,
        "activityId": "1000",
        "cause": "OPEN_ACTIVITIES_LIMIT_EXCEEDED",
        "decisionTaskCompletedEventId": 4,
    }


def timed_out(stage: Stage, run: Any) -> Any:
    """Return the attributes of the last event but one: ActivityTaskTimedOut."""
    assert stage.names(run).endswith("ATTO DTS")
    return stage.last(run, "ActivityTaskTimedOut")


def test_45_activity_without_a_poller_times_out_schedule_to_start(stage: Stage) -> None:
    run = scheduled(stage, scheduleToStartTimeout="10", scheduleToCloseTimeout="20")
    stage.wait(9)
    assert stage.names(run, 5) == ""
    stage.wait(1)
    assert timed_out(stage, run) == {
        "timeoutType": "SCHEDULE_TO_START",
        "scheduledEventId": 5,
        "startedEventId": 0,
    }
    assert stage.no_work()


def test_46_heartbeats_do_not_extend_start_to_close(stage: Stage) -> None:
    run = scheduled(stage, startToCloseTimeout="10", scheduleToStartTimeout="1")
    task = stage.work()
    stage.wait(9)
    assert stage.beat(task, details="half") is False
    stage.wait(1)
    assert timed_out(stage, run) == {
        "timeoutType": "START_TO_CLOSE",
        "scheduledEventId": 5,
        "startedEventId": 6,
        "details": "half",
    }


def test_46_start_to_close_is_measured_from_the_start(stage: Stage) -> None:
    run = scheduled(stage, startToCloseTimeout="10")
    stage.wait(100)
    stage.work()
    stage.wait(9)
    assert stage.names(run, 5) == "ATSt"
    stage.wait(1)
    assert timed_out(stage, run)["timeoutType"] == "START_TO_CLOSE"


def test_47_schedule_to_close_times_out_before_the_start(stage: Stage) -> None:
    run = scheduled(stage, scheduleToCloseTimeout="10")
    stage.wait(10)
    assert timed_out(stage, run) == {
        "timeoutType": "SCHEDULE_TO_CLOSE",
        "scheduledEventId": 5,
        "startedEventId": 0,
    }


def test_47_schedule_to_close_times_out_after_the_start(stage: Stage) -> None:
    run = scheduled(stage, scheduleToCloseTimeout="10", startToCloseTimeout="10")
    stage.wait(4)
    stage.work()
    stage.wait(6)
    assert timed_out(stage, run) == {
        "timeoutType": "SCHEDULE_TO_CLOSE",
        "scheduledEventId": 5,
        "startedEventId": 6,
    }


@everywhere
def test_48_missed_heartbeat_times_out_the_activity(stage: Stage) -> None:
    run = scheduled(stage, heartbeatTimeout="10")
    task = stage.work()
    stage.wait(9)
    stage.beat(task, details="alive")
    stage.wait(10)
    assert timed_out(stage, run) == {
        "timeoutType": "HEARTBEAT",
        "scheduledEventId": 5,
        "startedEventId": 6,
        "details": "alive",
    }


@everywhere
def test_48_heartbeats_in_time_prevent_the_heartbeat_timeout(stage: Stage) -> None:
    run = scheduled(stage, heartbeatTimeout="10")
    task = stage.work()
    for _ in range(5):
        stage.wait(9)
        assert stage.beat(task) is False
    assert stage.names(run, 5) == "ATSt"
    stage.finish(task)


@everywhere
def test_48_heartbeat_timeout_is_measured_from_the_start(stage: Stage) -> None:
    run = scheduled(stage, heartbeatTimeout="10")
    stage.wait(30)
    task = stage.work()
    stage.wait(9)
    stage.finish(task)
    assert stage.names(run, 5) == "ATSt ATC DTS"


def test_48_heartbeat_without_details_keeps_the_previous_details(stage: Stage) -> None:
    run = scheduled(stage, heartbeatTimeout="10")
    task = stage.work()
    stage.beat(task, details="alive")
    stage.beat(task)
    stage.wait(10)
    assert timed_out(stage, run)["details"] == "alive"


@everywhere
def test_49_activity_without_timeouts_stays_open(stage: Stage) -> None:
    run = scheduled(stage)
    stage.work()
    stage.wait(3599)
    assert stage.names(run, 5) == "ATSt"
    stage.wait(1)
    assert stage.names(run, 6) == "WorkflowExecutionTimedOut"


@everywhere
def test_50_response_for_a_completed_activity_is_refused(stage: Stage) -> None:
    run = scheduled(stage)
    task = stage.work()
    stage.finish(task)
    for answer in (stage.finish, stage.fail, stage.beat):
        with stage.refused("UnknownResourceFault", "Unknown activity, scheduledEventId = 5"):
            answer(task)
    assert stage.names(run, 6) == "ATC DTS"


@everywhere
def test_50_response_for_a_timed_out_activity_is_refused(stage: Stage) -> None:
    run = scheduled(stage, heartbeatTimeout="10")
    task = stage.work()
    stage.wait(10)
    for answer in (stage.finish, stage.fail, stage.beat):
        with stage.refused("UnknownResourceFault", "Unknown activity, scheduledEventId = 5"):
            answer(task)
    assert stage.names(run, 6) == "ATTO DTS"


def test_50_a_completed_activity_is_not_canceled(stage: Stage) -> None:
    run = scheduled(stage)
    task = stage.work()
    stage.finish(task)
    with stage.refused("UnknownResourceFault", "Unknown activity, scheduledEventId = 5"):
        stage.cancel(task)
    assert stage.names(run, 6) == "ATC DTS"


def test_50_token_of_an_earlier_attempt_is_refused(stage: Stage) -> None:
    scheduled(stage)
    task = stage.work()
    stage.finish(task)
    stage.decide(activity())
    new = stage.work()
    with stage.refused("UnknownResourceFault", "Unknown activity, scheduledEventId = 5"):
        stage.cancel(task)
    stage.finish(new)


def test_51_cancel_of_a_scheduled_activity_takes_effect_at_once(stage: Stage) -> None:
    run = scheduled(stage)
    stage.signal()
    stage.decide(cancel_activity())
    assert stage.names(run, 8) == "DTC ATCR ATX DTS"
    assert stage.said(run, 10) == {"activityId": "a", "decisionTaskCompletedEventId": 9}
    assert stage.said(run, 11) == {
        "scheduledEventId": 5,
        "startedEventId": 0,
        "latestCancelRequestedEventId": 10,
    }
    assert stage.no_work()
    assert stage.open_counts(run)["openActivityTasks"] == 0


def cancel_requested(stage: Stage) -> tuple[Any, Any]:
    """A run, and its activity: started, and asked to stop in event 11."""
    run = scheduled(stage)
    task = stage.work()
    stage.signal()
    stage.decide(cancel_activity())
    assert stage.names(run, 9) == "DTC ATCR"
    return run, task


def test_52_cancel_of_a_running_activity_is_a_request(stage: Stage) -> None:
    run, task = cancel_requested(stage)
    assert stage.beat(task) is True
    stage.cancel(task, details="d")
    assert stage.names(run, 11) == "ATX DTS"
    assert stage.said(run, 12) == {
        "scheduledEventId": 5,
        "startedEventId": 6,
        "details": "d",
        "latestCancelRequestedEventId": 11,
    }


def test_52_worker_may_cancel_without_a_cancel_request(stage: Stage) -> None:
    run = scheduled(stage)
    stage.cancel(stage.work())
    assert stage.said(run, 7) == {"scheduledEventId": 5, "startedEventId": 6}


def test_52_canceled_event_refers_to_the_latest_cancel_request(stage: Stage) -> None:
    run, task = cancel_requested(stage)
    stage.signal()
    stage.decide(cancel_activity())
    stage.cancel(task)
    assert stage.last(run, "ActivityTaskCanceled")["latestCancelRequestedEventId"] == 16


def test_53_activity_may_complete_after_a_cancel_request(stage: Stage) -> None:
    run, task = cancel_requested(stage)
    stage.finish(task, result="all the same")
    assert stage.names(run, 11) == "ATC DTS"
    assert stage.said(run, 12) == {"scheduledEventId": 5, "startedEventId": 6, "result": "all the same"}


@pytest.mark.parametrize("was_there", [False, True])
def test_54_cancel_of_an_activity_that_is_not_open_is_refused(stage: Stage, was_there: bool) -> None:  # noqa: FBT001
    run = stage.start()
    if was_there:
        stage.decide(activity())
        stage.finish(stage.work())
    length = len(stage.history(run))
    stage.decide(cancel_activity())
    assert stage.names(run, length) == "DTSt DTC RequestCancelActivityTaskFailed DTS"
    assert stage.last(run, "RequestCancelActivityTaskFailed") == {
        "activityId": "a",
        "cause": "ACTIVITY_ID_UNKNOWN",
        "decisionTaskCompletedEventId": length + 2,
    }


def test_55_tasks_are_dispatched_by_priority_then_by_age(stage: Stage) -> None:
    stage.start()
    given = [("a", None), ("b", "7"), ("c", "-7"), ("d", "7"), ("e", "0")]
    stage.decide(*[activity(id, **({} if rank is None else {"taskPriority": rank})) for id, rank in given])
    assert [stage.work()["activityId"] for _ in given] == ["b", "d", "a", "e", "c"]


def test_55_default_priority_of_the_type_is_used(stage: Stage) -> None:
    urgent = stage.register_activity("urgent", defaultTaskPriority="3")
    run = stage.start()
    stage.decide(activity("a"), activity("b", activityType=urgent))
    assert stage.said(run, 6)["taskPriority"] == "3"
    assert stage.work()["activityId"] == "b"


@everywhere
def test_56_closed_run_dispatches_no_activity_tasks(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity(), COMPLETE)
    assert stage.names(run, 3) == "DTC ATS WorkflowExecutionCompleted"
    assert stage.no_work()


def test_56_terminated_run_dispatches_no_activity_tasks(stage: Stage) -> None:
    scheduled(stage)
    stage.terminate()
    assert stage.no_work()
