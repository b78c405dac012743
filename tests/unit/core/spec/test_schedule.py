"""Schedules: their checks, their JSON and their fires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from floto import ActivityTask, DeciderSpec, SpecError, WorkflowType
from floto.core.spec.schedule import ID_LIMIT, Overlap, Schedule

SPEC = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1")])
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def nightly(**more: Any) -> Schedule:
    return Schedule(**{"id_": "nightly", "spec": SPEC, "cron": "0 2 * * *", **more})


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"cron": None, "every": 60, "start": NEW_YEAR, "end": "2027-01-01", "overlap": Overlap.ALLOW_ALL},
        {"cron": None, "calendar": ["2026-12-24T18:00", NEW_YEAR], "time_zone": "Europe/Berlin"},
        {"workflow_type": WorkflowType("job", "1"), "spec": None, "input": [1, "a"], "note": "n"},
        {"input": {"n": 1}, "jitter": 60, "catch_up": 10, "paused": True, "pause_on_failure": True},
    ],
)
def test_json_of_a_schedule_reads_back_as_the_same(more: dict[str, Any]) -> None:
    schedule = nightly(**more)
    assert Schedule.from_json(schedule.to_json()) == schedule


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"id_": "a|b"}, "id_ may not contain"),
        ({"id_": "x" * (ID_LIMIT + 1)}, "at most 216 fit"),
        ({"spec": None}, "give the spec or the workflow_type"),
        ({"spec": "x"}, "spec must be a DeciderSpec"),
        ({"workflow_type": ("a",)}, "workflow_type must be a WorkflowType"),
        ({"workflow_type": ("a:b", "1")}, "workflow_type may not contain"),
        ({"input": [1]}, "input must be an object"),
        ({"input": {"decider_spec": 1}}, "without decider_spec"),
        ({"every": 5}, "exactly one of cron, every and calendar, not cron, every"),
        ({"cron": None}, "exactly one of cron, every and calendar, not none"),
        ({"cron": "x"}, "5 fields"),
        ({"cron": None, "every": 0}, "every must be an integer from 1"),
        ({"cron": None, "every": True}, "every must be an integer from 1"),
        ({"cron": None, "calendar": "2026"}, "calendar must be a list"),
        ({"cron": None, "calendar": ["soon"]}, "calendar must be a time in ISO 8601"),
        ({"time_zone": "Mars"}, "time_zone must be a name"),
        ({"overlap": "never"}, "overlap must be one of skip, buffer_one"),
        ({"catch_up": 9}, "catch_up must be an integer"),
        ({"jitter": 1.5}, "jitter must be an integer"),
        ({"start": "soon"}, "start must be a time"),
        ({"end": 3}, "end must be a time"),
        ({"end": "9999-12-31"}, "end must be a time"),
        ({"paused": 1}, "paused must be True or False"),
        ({"note": 1}, "note must be a string"),
    ],
)
def test_bad_field_raises_spec_error_naming_it(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError, match=problem.replace("|", r"\|")):
        nightly(**more)


def test_json_of_something_else_raises_spec_error() -> None:
    with pytest.raises(SpecError, match=r"must be a floto\.Schedule"):
        Schedule.from_json(SPEC.to_json())
    with pytest.raises(SpecError, match="overlap must be one of"):
        Schedule.from_json(nightly().to_json().replace('"skip"', '"skp"'))


def test_fires_are_in_utc_and_between_start_and_end() -> None:
    schedule = nightly(time_zone="Europe/Berlin", start="2026-01-02T02:00", end="2026-01-04T02:00")
    found = schedule.fires(NEW_YEAR, 9)
    assert found == tuple(datetime(2026, 1, day, 1, tzinfo=UTC) for day in (2, 3, 4))
    assert schedule.fires(found[-1]) == ()
    with pytest.raises(ValueError, match="offset"):
        schedule.fires(datetime(2026, 1, 1))  # noqa: DTZ001 - the error


def test_interval_is_anchored_at_the_start() -> None:
    schedule = nightly(cron=None, every=7, start=NEW_YEAR)
    assert schedule.fires(NEW_YEAR - timedelta(days=1)) == (NEW_YEAR,)
    assert schedule.fires(NEW_YEAR + timedelta(days=1))[0] - NEW_YEAR == timedelta(seconds=7 * 12_343)


def test_jitter_is_fixed_for_a_fire_and_ends_before_the_next() -> None:
    schedule = nightly(cron="* * * * *", jitter=3_600)
    fires = schedule.fires(NEW_YEAR, 200)
    delays = [(schedule.starts_at(fire) - fire).total_seconds() for fire in fires]
    assert delays == [
        (nightly(cron="* * * * *", jitter=3_600).starts_at(fire) - fire).total_seconds() for fire in fires
    ]
    assert max(delays) < 60
    assert len(set(delays)) > 20
    assert nightly().starts_at(fires[0]) == fires[0]


def test_words() -> None:
    assert nightly().words == "At 02:00 every day, UTC"
    assert nightly(cron=None, every=60).words == "every 60 seconds"
    assert nightly(cron=None, calendar=["2026-01-01"]).words == "2026-01-01, UTC"
