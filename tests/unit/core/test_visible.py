"""Texts for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from floto.core.visible import first_few, span_text

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (0.0004, "1ms"),
        (0.35, "350ms"),
        (0.9996, "999ms"),
        (1, "1s"),
        (59.9, "59s"),
        (61, "1m01s"),
        (7380, "2h03m"),
        (90_000, "1d01h"),
    ],
)
def test_span_has_its_largest_two_units_and_milliseconds_below_a_second(seconds: float, text: str) -> None:
    assert span_text(START, START + timedelta(seconds=seconds)) == text


def test_list_of_names_says_how_many_more_there_are_than_it_shows() -> None:
    assert first_few([]) == ""
    assert first_few(["a", "b"], 2) == "a, b"
    assert first_few(["a", "b", "c"], 2, "; ") == "a; b and 1 more"
    assert first_few([*"abcdef", *"x" * 1000]) == "a, b, c, d, e and 1,001 more"
