"""Timers until a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import floto
from floto import DeciderSpec, SpecError, Timer
from floto.core.engine.world import World
from floto.core.swf.decisions import Decision, StartTimer
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.testing import check

BEGINNING = datetime(2026, 3, 28, 22, 30, 0, 250_000, tzinfo=UTC)
NIGHT: dict[str, Any] = {"until": "cron 30 2 * * *", "time_zone": "Europe/Berlin"}


def first(seconds: float = 0, **more: Any) -> str:
    """Return the delay of a timer that a run starts so many seconds after it began."""
    world, kind = World(), WorkflowType("w", "1")
    world.prepare([kind])
    world.start(StartRequest(workflow_id="w", workflow_type=kind, task_list="l"), BEGINNING)
    task = world.poll_decision("l", BEGINNING + timedelta(seconds=seconds))
    assert task is not None
    found: list[Decision] = floto.decide(DeciderSpec(activity_tasks=[Timer(id_="t", **more)]), task.events)
    (timer,) = found
    assert isinstance(timer, StartTimer)
    return timer.start_to_fire_timeout


def test_timer_until_a_cron_time_follows_the_time_zone() -> None:
    # 02:30 does not exist in this night: it fires at 03:00, 01:00 in UTC.
    assert first(**NIGHT) == str(2 * 3600 + 1800)
    assert first(**{**NIGHT, "time_zone": None}) == str(4 * 3600)


def test_time_that_passes_before_the_decision_is_not_missed() -> None:
    assert first(3 * 3600, **NIGHT) == "0"


def test_timer_until_an_iso_time() -> None:
    assert first(until="2026-03-29T00:00:00+00:00") == "5400"
    assert first(until="2026-03-29T04:00", time_zone="Europe/Berlin") == str(3 * 3600 + 1800)
    assert first(until="2020-01-01") == "0"


def test_time_is_counted_from_the_end_of_the_requirements() -> None:
    spec = DeciderSpec(
        activity_tasks=[
            Timer(id_="first", delay_in_seconds=3600 * 3),
            Timer(id_="t", until="cron 0 * * * *", requires=["first"]),
        ]
    )
    world, kind = World(), WorkflowType("w", "1")
    world.prepare([kind])
    world.start(StartRequest(workflow_id="w", workflow_type=kind, task_list="l"), BEGINNING)
    progress, found = floto.begin(spec), []
    for at in (BEGINNING, BEGINNING + timedelta(hours=3, minutes=2)):
        task = world.poll_decision("l", at)
        assert task is not None
        progress = progress.observe(task.events[progress.state.last_event_id :])
        found = floto.decide(progress)
        world.respond_decision(task.token, found, at)
    # The first one fired at 01:30; two minutes later there are 28 to 02:00.
    assert [getattr(each, "start_to_fire_timeout", None) for each in found] == [str(28 * 60)]


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({}, "exactly one of delay_in_seconds and until"),
        ({"delay_in_seconds": 1, "until": "2026-01-01"}, "exactly one of delay_in_seconds and until"),
        ({"delay_in_seconds": 1, "time_zone": "UTC"}, "time_zone is only for until"),
        ({"until": "soon"}, "until must be a time in ISO 8601"),
        ({"until": "cron x"}, "cron must be 5 fields"),
        ({"until": "2026-01-01", "time_zone": "Mars"}, "time_zone must be a name"),
        ({"until": 3}, "until must be a time in ISO 8601"),
    ],
)
def test_bad_time_raises_spec_error(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem):
        DeciderSpec(activity_tasks=[Timer(id_="t", **more)])


def test_json_of_a_timer_has_only_the_fields_that_are_set() -> None:
    spec = DeciderSpec(activity_tasks=[Timer(id_="t", **NIGHT), Timer(id_="u", delay_in_seconds=0)])
    assert DeciderSpec.from_json(spec.to_json()) == spec
    timers = floto.CODEC.unstructure(spec)["activity_tasks"]
    assert [sorted(each) for each in timers] == [
        ["id_", "time_zone", "type", "until"],
        ["delay_in_seconds", "id_", "type"],
    ]


def test_invariants_hold_for_timers_until_a_time() -> None:
    spec = DeciderSpec(
        activity_tasks=[
            Timer(id_="t", until="cron */5 * * * *"),
            floto.ActivityTask(id_="a", name="a", version="1", requires=["t"]),
            Timer(id_="u", until="cron 0 * * * *", requires=["a"]),
        ]
    )
    assert check(spec, max_examples=60).runs == 60


def test_invariants_hold_for_timers_until_a_time_that_require_skipped_and_failed_tasks() -> None:
    spec = DeciderSpec(
        activity_tasks=[
            floto.ActivityTask(id_="a", name="a", version="1", on_error="continue"),
            floto.ActivityTask(id_="no", name="a", version="1", requires=["a"], when="b"),
            floto.ActivityTask(id_="b", name="a", version="1"),
            Timer(id_="t", until="cron */5 * * * *", requires=["a", "no", "b"]),
            Timer(id_="u", until="cron * * * * *", requires=["a", "b"], join="any"),
            Timer(id_="v", until="cron * * * * *", requires=["a", "no"], join="finished"),
        ]
    )
    assert check(spec, max_examples=60).runs == 60
