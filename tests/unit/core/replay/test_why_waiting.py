"""Conditions as sentences, of histories that other programs wrote."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from floto import Cause, Condition, History, TaskStatus, events, fold
from floto.core.replay.explain import explain_started
from floto.core.swf.shapes import ActivityType, TaskList
from tests.unit.core.view.test_lints import history

AT = datetime(2026, 11, 28, 12, 3, 10, tzinfo=UTC)
FULL = {"task": "a", "at": AT, "detail": "d", "task_list": "l'", "who": "vm:1", "until": AT}


@pytest.mark.parametrize("cause", Cause)
def test_sentence_and_text_are_of_one_template(cause: Cause) -> None:
    condition = Condition(cause, **FULL)  # type: ignore[arg-type]
    values = {**FULL, "at": "2026-11-28 12:03:10Z", "who": " on vm:1"}
    until = ", times out at 2026-11-28 12:03:10Z"
    assert str(condition) == cause.value.format(**{**values, "until": until})
    assert "{" not in str(Condition(cause))


def test_moments_of_a_text_are_values() -> None:
    condition = Condition(Cause.WORK, at=AT, who="vm:1", until=AT)
    assert condition.text == ("running since ", AT, " on vm:1", ", times out at ", AT)
    assert Condition(Cause.WORKER, at=AT, task_list="l").text[2:] == (
        " on task list ",
        "'l'",
        ", no worker has picked it up",
    )


@pytest.mark.parametrize("seconds", ["soon", "", "9" * 30, "9" * 5_000, "-1"])
def test_time_that_no_clock_shows_is_left_out(seconds: str) -> None:
    run = history(
        events.TimerStarted(timer_id="t", start_to_fire_timeout=seconds, decision_task_completed_event_id=0),
        events.ActivityTaskScheduled(
            activity_id="a",
            activity_type=ActivityType("work", "v1"),
            task_list=TaskList("l"),
            start_to_close_timeout=seconds,
            decision_task_completed_event_id=0,
        ),
        events.ActivityTaskStarted(scheduled_event_id=3),
    )
    found = explain_started(fold(run), run.events)
    assert isinstance(run, History)
    [timer], [work] = found["t"].conditions, found["a"].conditions
    assert (timer.at, work.until, found["a"].status) == (None, None, TaskStatus.RUNNING)
