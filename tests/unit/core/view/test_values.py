"""Values of bounded size."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from floto.core.payloads import payload
from floto.core.swf.reserved_names import COMPRESSED
from floto.core.view.values import ALL_STRINGS, NAME, STRINGS, Bounds, bounds_of, name, text_parts

AT = datetime(2026, 1, 1, tzinfo=UTC)
MS = 1_767_225_600_000


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_name_is_one_short_line_of_printable_characters() -> None:
    assert name("a\nb\x1b\u202e\ud800") == "a\\nb\\x1b\\u202e\\ud800"
    assert len(name("x" * 1_000_000)) == NAME


def test_moments_from_the_begin_on_are_relative_to_it() -> None:
    text = ("a", "b ", AT, " c ", AT - timedelta(seconds=1), AT + timedelta(seconds=2))
    assert text_parts(text, AT) == ["ab ", -1, " c ", MS - 1000, -2001]
    assert text_parts(text) == ["ab ", MS, " c ", MS - 1000, MS + 2000]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ('{"a": [1, null, true]}', {"a": [1, None, True]}),
        ("not json", "not json"),
        (COMPRESSED + "?", COMPRESSED + "?"),
        (payload.dumps({"a": "b"}, "x"), {"a": "b"}),
    ],
)
def test_payload_is_shown_as_its_value_or_as_text(text: str | None, expected: Any) -> None:
    assert Bounds().payload(text) == expected


@pytest.mark.parametrize("text", ["[" * 5_000 + "]" * 5_000, json.dumps(list(range(100_000))), "9" * 5_000])
def test_long_or_deep_payload_is_shown_as_text_without_its_middle(text: str) -> None:
    found = Bounds().payload(text)
    assert isinstance(found, str)
    assert len(found) <= STRINGS[0]
    assert "the middle is cut out" in found


def test_short_payload_that_is_deep_is_shown_as_text() -> None:
    assert Bounds().payload(json.dumps(nested(60))) == nested(60)
    assert isinstance(Bounds().payload(json.dumps(nested(61))), str)


@pytest.mark.parametrize("text", ["9007199254740992", '{"order": [-123456789012345678901234567890]}'])
def test_payload_with_an_integer_that_javascript_rounds_is_shown_as_text(text: str) -> None:
    assert Bounds().payload(text) == text
    assert Bounds().payload("9007199254740991") == 2**53 - 1


def test_value_that_is_no_json_becomes_text() -> None:
    found = Bounds().value({"at": AT, "big": 10**5000, "nan": float("nan"), 1: (2, 2.5, None, True)})
    assert found == {
        "at": str(AT),
        "big": "an integer of 16,610 bits",
        "nan": "nan",
        "1": [2, 2.5, None, True],
    }
    assert Bounds().whole({"at": AT, "n": float("inf")}) == {"at": str(AT), "n": "inf"}
    for deep in (nested(100_000), nested(100)):
        json.dumps([Bounds().value(deep), Bounds().whole(deep)])


def test_many_long_strings_are_cut_shorter() -> None:
    assert bounds_of([{"a": "x" * 10}]).most == STRINGS[0]
    many = [{"a": {"b": ["x" * 4_000]}} for _ in range(ALL_STRINGS // 2_000)]
    assert bounds_of(many).most == 1_200
    assert bounds_of(many * 100).most == STRINGS[-1]
