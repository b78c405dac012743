"""Activities, timers and markers (scenarios 36-62)."""

from __future__ import annotations

from typing import Any

import pytest

from floto.core.engine.decisions import decisions
from floto.core.engine.registration.defaults import ACTIVITY_NEEDS
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelTimer,
    CompleteWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    ScheduleActivityTask,
    ScheduleLambdaFunction,
    StartTimer,
)
from floto.core.swf.shapes import ActivityType, TaskList
from tests.unit.test_service_helpers import ACTIVITY, Stage, StageOf, on_both

pytestmark = on_both


def schedule(activity_id: str = "a", **given: Any) -> ScheduleActivityTask:
    return ScheduleActivityTask(**{"activity_type": ACTIVITY, "activity_id": activity_id, **given})


def test_36_37_an_activity_is_scheduled_started_and_completed(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule(input="in", control="c", heartbeat_timeout="5"))
    assert stage.names(run, 3) == "DTC ATS"
    assert stage.events(run)[-1].data == e.ActivityTaskScheduled(
        activity_type=ACTIVITY,
        activity_id="a",
        task_list=TaskList("work"),
        decision_task_completed_event_id=4,
        input="in",
        control="c",
        schedule_to_start_timeout="NONE",
        schedule_to_close_timeout="NONE",
        start_to_close_timeout="NONE",
        heartbeat_timeout="5",
    )
    assert stage.idle()
    task = stage.work()
    assert (task.activity_id, task.activity_type, task.input, task.started_event_id) == (
        "a",
        ACTIVITY,
        "in",
        6,
    )
    assert stage.names(run, 5) == "ATSt"
    assert stage.idle()
    stage.complete(task, "out")
    assert stage.names(run, 6) == "ATC DTS"
    assert stage.last(run, e.ActivityTaskCompleted) == e.ActivityTaskCompleted(
        scheduled_event_id=5, started_event_id=6, result="out"
    )


def test_38_an_activity_fails(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    stage.world.fail_activity(stage.work().token, "r", "d", stage.now)
    assert stage.names(run, 6) == "ATF DTS"
    assert stage.last(run, e.ActivityTaskFailed) == e.ActivityTaskFailed(
        scheduled_event_id=5, started_event_id=6, reason="r", details="d"
    )


def test_39_43_refused_schedules_wake_the_decider_once(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    unknown = ActivityType("no", "1")
    stage.decide(schedule("a", activity_type=unknown), schedule("b", activity_type=unknown))
    failed = "ScheduleActivityTaskFailed"
    assert stage.names(run, 3) == f"DTC {failed} {failed} DTS"
    assert stage.last(run, e.ScheduleActivityTaskFailed) == e.ScheduleActivityTaskFailed(
        activity_type=unknown,
        activity_id="b",
        cause="ACTIVITY_TYPE_DOES_NOT_EXIST",
        decision_task_completed_event_id=4,
    )


def test_41_an_open_id_is_taken_and_a_closed_one_is_free(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule(), schedule())
    assert stage.last(run, e.ScheduleActivityTaskFailed).cause == "ACTIVITY_ID_ALREADY_IN_USE"
    stage.complete(stage.work())
    stage.decide(schedule())
    assert stage.names(run, 7).endswith("DTC ATS")


def test_42_every_default_may_be_missing(stage_of: StageOf) -> None:
    stage = stage_of()
    bare = ActivityType("bare", "1")
    stage.world.register_activity_type(bare)
    run = stage.start()
    given: dict[str, Any] = {}
    for field in ACTIVITY_NEEDS:
        stage.decide(schedule(activity_type=bare, **given))
        cause = stage.last(run, e.ScheduleActivityTaskFailed).cause
        assert cause == f"DEFAULT_{field.upper()}_UNDEFINED"
        given[field] = TaskList("work") if field == "task_list" else "NONE"
    stage.decide(schedule(activity_type=bare, **given))
    assert stage.names(run).endswith("DTC ATS")


def test_44_open_activities_and_timers_are_limited(
    stage_of: StageOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "OPEN_LIMIT", 2)
    stage = stage_of()
    run = stage.start()
    timers = [StartTimer(timer_id=id, start_to_fire_timeout="9") for id in "abc"]
    stage.decide(*[schedule(id) for id in "abc"], *timers)
    assert stage.last(run, e.ScheduleActivityTaskFailed).cause == "OPEN_ACTIVITIES_LIMIT_EXCEEDED"
    assert stage.last(run, e.StartTimerFailed).cause == "OPEN_TIMERS_LIMIT_EXCEEDED"


def timed_out(stage: Stage, run: Any) -> tuple[str, int, str | None]:
    data = stage.last(run, e.ActivityTaskTimedOut)
    assert stage.names(run).endswith("ATTO DTS")
    return data.timeout_type, data.started_event_id, data.details


def test_45_nobody_polls(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule(schedule_to_start_timeout="10", schedule_to_close_timeout="20"))
    stage.wait(10)
    assert timed_out(stage, run) == ("SCHEDULE_TO_START", 0, None)
    assert stage.world.poll_activity("work", stage.now) is None


def test_46_nobody_answers_and_heartbeats_do_not_help(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule(start_to_close_timeout="10", schedule_to_start_timeout="1"))
    task = stage.work()
    stage.wait(9)
    assert stage.world.heartbeat(task.token, "half", stage.now) is False
    stage.wait(1)
    assert timed_out(stage, run) == ("START_TO_CLOSE", 6, "half")


def test_47_schedule_to_close_runs_before_and_after_the_start(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule(schedule_to_close_timeout="10"))
    stage.wait(10)
    assert timed_out(stage, run) == ("SCHEDULE_TO_CLOSE", 0, None)
    stage.decide(schedule(schedule_to_close_timeout="10", start_to_close_timeout="10"))
    task = stage.work()
    stage.wait(10)
    assert timed_out(stage, run) == ("SCHEDULE_TO_CLOSE", task.started_event_id, None)


def test_48_a_heartbeat_is_missed(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule(heartbeat_timeout="10"))
    stage.wait(30)
    task = stage.work()
    for _ in range(5):
        stage.wait(9)
        stage.world.heartbeat(task.token, "alive", stage.now)
    stage.world.heartbeat(task.token, None, stage.now)
    stage.wait(10)
    assert timed_out(stage, run) == ("HEARTBEAT", 6, "alive")


def test_48_heartbeat_details_are_short(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.decide(schedule())
    task = stage.work()
    stage.world.heartbeat(task.token, "x" * 2048, stage.now)
    with pytest.raises(ServiceFault, match="ValidationException"):
        stage.world.heartbeat(task.token, "x" * 2049, stage.now)


def test_49_without_time_outs_it_stays_open(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    stage.work()
    stage.wait(3599)
    assert stage.names(run).endswith("ATSt")


def test_50_an_activity_is_answered_once(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    task = stage.work()
    stage.complete(task)
    length = len(stage.events(run))
    for call in (
        lambda: stage.complete(task),
        lambda: stage.world.fail_activity(task.token, None, None, stage.now),
        lambda: stage.world.cancel_activity(task.token, None, stage.now),
        lambda: stage.world.heartbeat(task.token, None, stage.now),
    ):
        with pytest.raises(UnknownResource, match="Unknown activity, scheduledEventId = 5"):
            call()
    assert len(stage.events(run)) == length


def test_51_an_activity_that_waits_is_canceled_at_once(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    stage.signal()
    stage.decide(RequestCancelActivityTask(activity_id="a"))
    assert stage.names(run, 8) == "DTC ATCR ATX DTS"
    assert stage.last(run, e.ActivityTaskCanceled) == e.ActivityTaskCanceled(
        scheduled_event_id=5, started_event_id=0, latest_cancel_requested_event_id=10
    )
    assert stage.world.poll_activity("work", stage.now) is None


def test_52_a_running_activity_is_asked_to_stop(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    task = stage.work()
    stage.signal()
    stage.decide(RequestCancelActivityTask(activity_id="a"))
    assert stage.names(run, 9) == "DTC ATCR"
    assert stage.world.heartbeat(task.token, None, stage.now) is True
    stage.world.cancel_activity(task.token, "d", stage.now)
    assert stage.names(run, 11) == "ATX DTS"
    assert stage.last(run, e.ActivityTaskCanceled) == e.ActivityTaskCanceled(
        scheduled_event_id=5, started_event_id=6, details="d", latest_cancel_requested_event_id=11
    )


def test_53_a_worker_may_complete_what_it_was_asked_to_stop(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    task = stage.work()
    stage.signal()
    stage.decide(RequestCancelActivityTask(activity_id="a"))
    stage.complete(task)
    assert stage.names(run, 11) == "ATC DTS"


def test_52_a_worker_may_cancel_unasked(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(schedule())
    stage.world.cancel_activity(stage.work().token, None, stage.now)
    assert stage.last(run, e.ActivityTaskCanceled).latest_cancel_requested_event_id is None


def test_54_an_unknown_activity_cannot_be_canceled(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(RequestCancelActivityTask(activity_id="a"))
    assert stage.names(run, 3) == "DTC RequestCancelActivityTaskFailed DTS"
    assert stage.last(run, e.RequestCancelActivityTaskFailed).cause == "ACTIVITY_ID_UNKNOWN"


def test_55_higher_priority_first_then_oldest(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    given = [("a", None), ("b", "7"), ("c", "-7"), ("d", "7")]
    stage.decide(*[schedule(id, task_priority=priority) for id, priority in given])
    assert "".join(stage.work().activity_id for _ in given) == "bdac"


def test_56_a_closed_run_hands_out_nothing(stage_of: StageOf) -> None:
    stage = stage_of()
    stage.start()
    stage.decide(schedule(), CompleteWorkflowExecution())
    assert stage.world.poll_activity("work", stage.now) is None


def test_57_a_timer_fires(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(StartTimer(timer_id="t", start_to_fire_timeout="2", control="c"))
    stage.wait(1)
    assert stage.names(run, 3) == "DTC TimerStarted"
    stage.wait(1.005)
    assert stage.names(run, 5) == "TimerFired DTS"
    assert stage.last(run, e.TimerFired) == e.TimerFired(timer_id="t", started_event_id=5)
    assert stage.events(run)[-1].at == stage.now


def test_58_a_timer_of_no_seconds_fires_after_the_batch(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(StartTimer(timer_id="t", start_to_fire_timeout="0"), RecordMarker(marker_name="m"))
    assert stage.names(run, 3) == "DTC TimerStarted MarkerRecorded"
    stage.wait(0)
    assert stage.names(run, 6) == "TimerFired DTS"


def test_59_an_open_timer_id_is_taken(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    timer = StartTimer(timer_id="t", start_to_fire_timeout="9")
    stage.decide(timer, timer)
    assert stage.names(run, 3) == "DTC TimerStarted StartTimerFailed DTS"
    assert stage.last(run, e.StartTimerFailed).cause == "TIMER_ID_ALREADY_IN_USE"


def test_60_a_canceled_timer_does_not_fire_and_frees_its_id(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    timer = StartTimer(timer_id="t", start_to_fire_timeout="9")
    stage.decide(timer)
    stage.signal()
    stage.decide(CancelTimer(timer_id="t"), timer, CancelTimer(timer_id="t"))
    assert stage.names(run, 8) == "DTC TimerCanceled TimerStarted TimerCanceled"
    assert stage.last(run, e.TimerCanceled) == e.TimerCanceled(
        timer_id="t", started_event_id=11, decision_task_completed_event_id=9
    )
    stage.wait(20)
    assert stage.names(run).endswith("TimerCanceled")


def test_61_an_unknown_timer_cannot_be_canceled(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(CancelTimer(timer_id="t"))
    assert stage.names(run, 3) == "DTC CancelTimerFailed DTS"
    assert stage.last(run, e.CancelTimerFailed).cause == "TIMER_ID_UNKNOWN"


def test_62_markers_repeat_and_wake_nobody(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    marker = RecordMarker(marker_name="m", details="d")
    stage.decide(marker, marker)
    assert stage.names(run, 3) == "DTC MarkerRecorded MarkerRecorded"
    assert stage.idle()


def test_lambda_functions_are_not_offered(stage_of: StageOf) -> None:
    stage = stage_of()
    run = stage.start()
    stage.decide(ScheduleLambdaFunction(id="l", name="f"))
    assert stage.names(run, 3) == "DTC ScheduleLambdaFunctionFailed DTS"
    assert stage.last(run, e.ScheduleLambdaFunctionFailed).cause == "LAMBDA_SERVICE_NOT_AVAILABLE_IN_REGION"
