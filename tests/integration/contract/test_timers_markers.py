"""Timers and markers (scenarios 57-62)."""

from __future__ import annotations

from tests.integration.contract.backends import everywhere
from tests.integration.contract.stage import Stage, decision, marker, timer


def stop_timer(timer_id: str = "t") -> dict[str, object]:
    return decision("CancelTimer", timerId=timer_id)


@everywhere
def test_57_a_timer_fires(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer("t", "2", control="c"))
    assert stage.said(run, 5) == {
        "timerId": "t",
        "startToFireTimeout": "2",
        "control": "c",
        "decisionTaskCompletedEventId": 4,
    }
    assert stage.idle()
    stage.wait(1)
    assert stage.names(run, 3) == "DTC TimerStarted"
    stage.wait(1)
    assert stage.names(run, 5) == "TimerFired DTS"
    assert stage.said(run, 6) == {"timerId": "t", "startedEventId": 5}
    assert [event["eventTimestamp"] for event in stage.history(run, 5)] == [stage.clock.now] * 2
    stage.task()


@everywhere
def test_57_open_counts_include_timers(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer("t", "2"), timer("u", "20"))
    assert stage.open_counts(run)["openTimers"] == 2
    stage.wait(2)
    assert stage.open_counts(run)["openTimers"] == 1


def test_58_timer_of_zero_seconds_fires_after_the_response(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer("t", "0"), marker())
    assert stage.names(run, 3) == "DTC TimerStarted MarkerRecorded TimerFired DTS"
    stage.task()


@everywhere
def test_59_id_of_an_open_timer_is_in_use(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer(), timer())
    assert stage.names(run, 3) == "DTC TimerStarted StartTimerFailed DTS"
    assert stage.said(run, 6) == {
        "timerId": "t",
        "cause": "TIMER_ID_ALREADY_IN_USE",
        "decisionTaskCompletedEventId": 4,
    }


def test_59_1000_timers_may_be_open(stage: Stage) -> None:
    run = stage.start()
    stage.decide(*[timer(str(number)) for number in range(1001)])
    assert stage.names(run, 1003) == "TimerStarted StartTimerFailed DTS"
    assert stage.last(run, "StartTimerFailed")["cause"] == "OPEN_TIMERS_LIMIT_EXCEEDED"


@everywhere
def test_60_a_canceled_timer_does_not_fire_and_frees_its_id(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer())
    stage.signal()
    stage.decide(stop_timer(), timer("t", "99"))
    assert stage.names(run, 8) == "DTC TimerCanceled TimerStarted"
    assert stage.said(run, 10) == {
        "timerId": "t",
        "startedEventId": 5,
        "decisionTaskCompletedEventId": 9,
    }
    assert stage.idle()
    stage.wait(20)
    assert stage.names(run).endswith("TimerStarted")


def test_60_a_timer_may_be_canceled_by_the_response_that_started_it(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer(), stop_timer(), timer(), stop_timer())
    assert stage.names(run, 3) == "DTC TimerStarted TimerCanceled TimerStarted TimerCanceled"
    assert stage.said(run, 8) == {"timerId": "t", "startedEventId": 7, "decisionTaskCompletedEventId": 4}
    stage.wait(20)
    assert stage.names(run).endswith("TimerCanceled")


@everywhere
def test_60_id_of_a_fired_timer_can_be_used_again(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer("t", "1"))
    stage.wait(1)
    stage.decide(timer("t", "1"))
    assert stage.names(run, 7) == "DTSt DTC TimerStarted"


@everywhere
def test_61_an_unknown_timer_cannot_be_canceled(stage: Stage) -> None:
    run = stage.start()
    stage.decide(stop_timer())
    assert stage.names(run, 3) == "DTC CancelTimerFailed DTS"
    assert stage.said(run, 5) == {
        "timerId": "t",
        "cause": "TIMER_ID_UNKNOWN",
        "decisionTaskCompletedEventId": 4,
    }


def test_61_fired_timer_cannot_be_canceled(stage: Stage) -> None:
    run = stage.start()
    stage.decide(timer("t", "1"))
    stage.wait(1)
    stage.decide(stop_timer())
    assert stage.names(run, 8) == "DTC CancelTimerFailed DTS"


@everywhere
def test_62_marker_names_may_repeat_and_schedule_no_decision_task(stage: Stage) -> None:
    run = stage.start()
    stage.decide(marker(details="d"), marker())
    assert stage.names(run, 3) == "DTC MarkerRecorded MarkerRecorded"
    assert stage.said(run, 5) == {"markerName": "m", "details": "d", "decisionTaskCompletedEventId": 4}
    assert stage.said(run, 6) == {"markerName": "m", "decisionTaskCompletedEventId": 4}
    assert stage.idle()
