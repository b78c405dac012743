"""Clocks that are set forward and back: histories never go back, and time-outs count real seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto.adapters.clock import ClockWatch
from floto.adapters.sqlite import SqliteService
from floto.core.swf.decisions import ScheduleActivityTask, StartTimer
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Wall:
    """A clock that anybody may set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def times_and_names(service: SqliteService) -> tuple[list[datetime], list[str]]:
    info = service.latest_execution("w")
    assert info is not None
    events = service.history(info.execution)
    return [event.at for event in events], [type(event.data).__name__ for event in events]


def decide(service: SqliteService, *decisions: Any) -> None:
    task = service.poll_for_decision_task("decide", "test", 0)
    assert task is not None
    service.respond_decision_task_completed(task.token, decisions)


def start(service: SqliteService) -> None:
    request = StartRequest(workflow_id="w", workflow_type=WorkflowType("t", "1"), task_list="decide")
    service.start_workflow_execution(request)


def started(clock: Any) -> SqliteService:
    service = SqliteService(":memory:", clock=clock)
    start(service)
    return service


def test_timer_of_a_run_whose_events_are_ahead_of_the_clock_fires_in_time() -> None:
    wall = Wall()
    with started(wall) as service:
        wall.now += HOUR
        service.signal_workflow_execution("w", "while the clock is an hour ahead")
        wall.now -= HOUR
        decide(service, StartTimer(timer_id="t", start_to_fire_timeout="2"))
        wall.now += timedelta(seconds=1.9)
        assert times_and_names(service)[1][-1] == "TimerStarted"
        wall.now += timedelta(seconds=0.2)
        times, names = times_and_names(service)
        assert "TimerFired" in names
        assert times == sorted(times)
        fired, begun = names.index("TimerFired"), names.index("TimerStarted")
        assert times[fired] - times[begun] == timedelta(seconds=2)


@pytest.mark.parametrize(
    "timeout", ["heartbeat_timeout", "start_to_close_timeout", "schedule_to_start_timeout"]
)
def test_activity_of_a_run_whose_events_are_ahead_of_the_clock_times_out_in_time(timeout: str) -> None:
    wall = Wall()
    with started(wall) as service:
        wall.now += HOUR
        service.signal_workflow_execution("w", "ahead")
        wall.now -= HOUR
        decide(
            service,
            ScheduleActivityTask(
                activity_type=ActivityType("a", "1"),
                activity_id="a",
                task_list=TaskList("work"),
                **{timeout: "5"},
            ),
        )
        if timeout != "schedule_to_start_timeout":
            task = service.poll_for_activity_task("work", "test", 0)
            assert task is not None
            wall.now += timedelta(seconds=3)
            service.record_activity_task_heartbeat(task.token)
        wall.now += timedelta(seconds=3)
        assert ("ActivityTaskTimedOut" in times_and_names(service)[1]) is (
            timeout == "start_to_close_timeout"
        )
        wall.now += timedelta(seconds=2.1)
        assert "ActivityTaskTimedOut" in times_and_names(service)[1]
        assert times_and_names(service)[0] == sorted(times_and_names(service)[0])


def test_timer_that_was_started_while_the_clock_was_ahead_fires_in_time_after_it_was_set_back() -> None:
    wall = Wall()
    with started(wall) as service:
        wall.now += HOUR
        decide(service, StartTimer(timer_id="t", start_to_fire_timeout="2"))
        wall.now -= HOUR
        assert "TimerFired" not in times_and_names(service)[1]
        wall.now += timedelta(seconds=2.1)
        times, names = times_and_names(service)
        assert "TimerFired" in names
        assert times == sorted(times)


def test_timer_that_was_started_while_the_clock_was_ahead_fires_in_time_after_a_restart(
    tmp_path: Path,
) -> None:
    wall = Wall()
    with SqliteService(tmp_path / "db", clock=wall) as service:
        start(service)
        wall.now += HOUR
        decide(service, StartTimer(timer_id="t", start_to_fire_timeout="2"))
    wall.now -= HOUR
    # To open the file again and again puts nothing off.
    for _ in range(3):
        wall.now += timedelta(seconds=0.7)
        with SqliteService(tmp_path / "db", clock=wall) as service:
            assert "TimerFired" not in times_and_names(service)[1]
    wall.now += timedelta(seconds=0.7)
    with SqliteService(tmp_path / "db", clock=wall) as service:
        assert "TimerFired" in times_and_names(service)[1]


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(-7200, 7200)), max_size=20))
def test_only_a_clock_set_back_is_detected(steps: list[tuple[float, float]]) -> None:
    elapsed, now = [0.0], NOON
    watch = ClockWatch(lambda: elapsed[0])
    watch.went_back(now)
    for seconds, jump in steps:
        elapsed[0] += seconds
        now += timedelta(seconds=seconds + jump)
        if abs(jump + 1) > 0.001:
            assert watch.went_back(now) is (jump < -1)
        else:
            watch.went_back(now)
