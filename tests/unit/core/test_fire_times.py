"""Fires of cron expressions, intervals and local times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from floto.core.fire_times import (
    clock_changes,
    cron_fires,
    cron_problems,
    every_fires,
    in_words,
    local_fires,
    moment,
    zone_problems,
)
from tests.cron_oracle import EXPRESSIONS, differences

BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(text: str, zone: str, after: str, number: int = 2) -> list[str]:
    found = islice(cron_fires(text, zone, at(after)), number)
    return [each.strftime("%m-%dT%H:%M") for each in found]


#: Zones and dates before changes of an hour, half an hour, at midnight, in southern seasons, and for Ramadan.
CHANGES = (
    *(("Europe/Berlin", "2026-03-20"), ("Europe/Berlin", "2026-10-20"), ("America/New_York", "2027-11-01")),
    *(("Australia/Lord_Howe", "2026-04-01"), ("Australia/Lord_Howe", "2026-10-01")),
    *(("America/Asuncion", "2023-03-20"), ("America/Asuncion", "2023-09-25")),
    *(("Asia/Beirut", "2025-03-25"), ("Asia/Beirut", "2025-10-20"), ("Africa/Casablanca", "2023-03-15")),
)


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_fires_around_a_change_equal_those_of_a_walk_through_every_minute(zone: str, day: str) -> None:
    assert not list(differences(zone, EXPRESSIONS, at(day), at(day) + timedelta(days=20)))


def test_whole_day_that_a_zone_skipped_equals_the_walk() -> None:
    begin = datetime(2011, 12, 25, tzinfo=UTC)
    assert not list(differences("Pacific/Apia", EXPRESSIONS, begin, begin + timedelta(days=12)))


def test_clock_that_went_back_over_midnight_equals_the_walk() -> None:
    begin = datetime(2010, 11, 5, tzinfo=UTC)
    assert not list(differences("America/St_Johns", EXPRESSIONS, begin, begin + timedelta(days=4)))


def test_fixed_time_that_is_skipped_fires_at_the_end_of_the_gap() -> None:
    assert fires("30 2 * * *", BERLIN, "2026-03-28T12:00") == ["03-29T01:00", "03-30T00:30"]


def test_fixed_time_that_is_repeated_fires_the_first_time_only() -> None:
    assert fires("30 2 * * *", BERLIN, "2026-10-24T12:00") == ["10-25T00:30", "10-26T01:30"]
    # A computation that begins between the two occurrences agrees.
    assert fires("30 2 * * *", BERLIN, "2026-10-25T01:00", 1) == ["10-26T01:30"]


def test_wildcard_follows_the_clock_on_the_wall() -> None:
    assert fires("*/30 2 * * *", BERLIN, "2026-03-28T12:00") == ["03-30T00:00", "03-30T00:30"]
    repeated = ["10-25T00:00", "10-25T00:30", "10-25T01:00", "10-25T01:30"]
    assert fires("*/30 2 * * *", BERLIN, "2026-10-24T12:00", 4) == repeated


def test_fires_do_not_depend_on_where_the_computation_begins() -> None:
    whole = list(islice(cron_fires("*/40 1-3 * * *", BERLIN, at("2026-10-24T00:00")), 20))
    for number, each in enumerate(whole[:-1]):
        assert next(cron_fires("*/40 1-3 * * *", BERLIN, each)) == whole[number + 1]


def test_expression_without_fires_ends() -> None:
    assert list(cron_fires("0 0 */40 * MON#5", "UTC", at("2026-01-01"))) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("* * * *", "5 fields"),
        ("0 * * * * *", "5 fields"),
        (3, "5 fields"),
        ("61 * * * *", "bad minute"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 * * XYZ", "bad day-of-week"),
        ("0 0 */40 * MON#5", "never fires"),
    ],
)
def test_bad_expression_is_a_problem(text: object, problem: str) -> None:
    assert problem in next(iter(cron_problems(text)))
    assert not list(cron_problems("0 2 * * *"))


@pytest.mark.parametrize("name", ["Europe", "Mars/Phobos", "../etc/passwd", "", 3, None])
def test_bad_time_zone_is_a_problem(name: object) -> None:
    assert "time_zone must be a name" in next(iter(zone_problems(name)))
    assert not list(zone_problems(BERLIN))


def test_interval_is_anchored_and_does_not_drift() -> None:
    anchor = at("2026-01-01T00:00:10")
    assert next(every_fires(60, anchor, at("2025-01-01"))) == anchor
    assert next(every_fires(60, anchor, anchor)) == anchor + timedelta(seconds=60)
    assert next(every_fires(60, anchor, at("2026-01-02T00:00"))) == at("2026-01-02T00:00:10")
    assert next(every_fires(3600, None, at("2026-01-02T00:30"))) == at("2026-01-02T01:00")


def test_local_times_are_in_order_and_once() -> None:
    times = ["2026-12-24T18:00", "2026-03-29T02:30", "2026-03-29T02:45", "2026-01-01T00:00+00:00"]
    found = [each.strftime("%m-%dT%H:%M") for each in local_fires(times, BERLIN, at("2025-12-31"))]
    assert found == ["01-01T00:00", "03-29T01:00", "12-24T17:00"]
    assert moment("2026-07-01T12:00", BERLIN) == at("2026-07-01T10:00")


def test_clock_changes_name_skipped_and_repeated_times() -> None:
    found = list(clock_changes("30 2 * * *", BERLIN, at("2026-01-01"), at("2027-01-01")))
    assert [(change.local.isoformat(), change.is_skipped) for change in found] == [
        ("2026-03-29T02:30:00", True),
        ("2026-10-25T02:30:00", False),
    ]
    assert found[0].fires == (at("2026-03-29T01:00"),)
    assert not list(clock_changes("30 4 * * *", BERLIN, at("2026-01-01"), at("2027-01-01")))


def test_expression_in_words() -> None:
    assert in_words("0 2 * * *") == "At 02:00 every day"
