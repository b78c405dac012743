"""Texts for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from floto.core.visible import span_text

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
