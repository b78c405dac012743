"""Encoding of payloads, and values that cannot be encoded."""

from __future__ import annotations

import datetime as dt
import enum
import subprocess
import sys
import zlib
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import pytest
from attrs import frozen

from floto import PayloadError
from floto.core.payloads import payload


class Color(enum.Enum):
    RED = "red"


@frozen
class Point:
    x: int
    at: dt.datetime


@dataclass
class Line:
    points: list[Point]


AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (0, "0"),
        ("", '""'),
        ({"b": 1, "a": [True, 1.5]}, '{"a":[true,1.5],"b":1}'),
        (Color.RED, '"red"'),
        (Point(1, AT), '{"at":"2026-01-02T03:04:05+00:00","x":1}'),
        (Line([Point(1, AT)]), '{"points":[{"at":"2026-01-02T03:04:05+00:00","x":1}]}'),
        ({3, 1, 2}, "[1,2,3]"),
        ({1: "a", 2: "b"}, '{"1":"a","2":"b"}'),
        ({1: "a", "b": 2}, '{"1":"a","b":2}'),
        ("ü漢", '"ü漢"'),
        ({"\ud800": 1, 2: "\udfff"}, '{"2":"\\udfff","\\ud800":1}'),
    ],
)
def test_values_are_encoded_as_json(value: Any, text: str) -> None:
    assert payload.dumps(value, "it") == text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (float("nan"), "it cannot be written as JSON"),
        (float("inf"), "it cannot be written as JSON"),
        (object(), "it cannot be written as JSON: Object of type object is not JSON serializable"),
        ({object()}, "it cannot be written as JSON"),
        (b"abc", "bytes is not a string: decode it, or pass a reference to where it is stored"),
        ({1: "a", "1": "b"}, "two keys of an object have the same JSON text"),
        ({(1, 2): 3}, "it cannot be written as JSON"),
    ],
)
def test_value_that_is_not_json_is_named(value: Any, says: str) -> None:
    with pytest.raises(PayloadError) as caught:
        payload.dumps(value, "it")
    assert says in str(caught.value)


def test_circular_value_is_named() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(PayloadError, match="it cannot be written as JSON"):
        payload.dumps(loop, "it")


def test_sets_are_encoded_in_the_same_order_in_every_process() -> None:
    task = "floto.ActivityTask(name='a', version='1', input={'x', 'yy', 'z'})"
    program = f"import floto; print({task}.id_)"
    ids = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert len(ids) == 1


def test_long_value_is_compressed_and_round_trips() -> None:
    packed = payload.dumps(["same"] * 20_000, "it")
    assert len(packed) < 2_000
    assert payload.loads(packed) == ["same"] * 20_000


def test_value_past_the_decompression_limit_is_not_compressed() -> None:
    with pytest.raises(PayloadError, match="SWF takes 32,768"):
        payload.dumps("a" * (payload.UNPACKED_LIMIT + 1), "it")


def test_decompression_bomb_is_refused() -> None:
    bomb = "floto:zlib:" + b64encode(zlib.compress(b"0" * (payload.UNPACKED_LIMIT * 4), 9)).decode()
    with pytest.raises(PayloadError, match="unpacks to more than"):
        payload.loads(bomb)


def test_nan_and_infinity_are_read_as_text() -> None:
    assert payload.loads("1e999") == "1e999"
    assert payload.loads("NaN") == "NaN"
