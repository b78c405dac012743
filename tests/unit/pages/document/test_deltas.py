from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from floto.pages.document.deltas import with_deltas

TRACKS = st.lists(st.tuples(st.integers(1, 25_000), st.integers(-1, 9)).map(list)).map(sorted)
SPANS = st.lists(st.integers(0, 10**13), min_size=2, max_size=8).map(
    lambda ends: [[1, start, end] for start, end in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)]
)


def read(flat: list[Any]) -> list[list[Any]]:
    """Intervals, as the script reads them."""
    found, begin = [], 0
    for number in range(0, len(flat), 2):
        begin += flat[number]
        found.append([begin, flat[number + 1]])
    return found


def read_spans(flat: list[int], end: int) -> list[list[int]]:
    found = []
    for status, gap, length in zip(flat[::3], flat[1::3], flat[2::3], strict=True):
        found.append([status, end + gap, end + gap + length])
        end = found[-1][2]
    return found


def prepared(**task: Any) -> Any:
    given = {"statuses": [], "whys": [], "spans": [], "attempts": [], **task}
    return with_deltas(
        {
            "run": {"started": 1000},
            "statuses": ["done", "running"],
            "sentences": given["whys"],
            "shared": {"due": given["whys"]},
            "tasks": [given],
        }
    )


@given(TRACKS)
def test_intervals_are_read_as_they_were(track: list[list[Any]]) -> None:
    found = prepared(statuses=track, whys=track)
    [task] = found["tasks"]
    for flat in (task["statuses"], task["whys"], found["sentences"], found["shared"]["due"]):
        assert read(flat) == track


@given(SPANS)
def test_spans_are_read_as_they_were(spans: list[list[int]]) -> None:
    assert read_spans(prepared(spans=spans)["tasks"][0]["spans"], 1000) == spans


def test_attempts_keep_events_that_are_missing() -> None:
    attempts = [[5, 7, 9, "w"], [5, 0, 9, "w"], [5, 7, 0, "w"], [5, 0, 0, "w"]]
    found = prepared(attempts=attempts)["tasks"][0]["attempts"]
    assert found == [[5, 2, 2, "w"], [5, 0, 4, "w"], [5, 2, 0, "w"], [5, 0, 0, "w"]]
