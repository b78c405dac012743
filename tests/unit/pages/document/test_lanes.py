from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from floto.pages.document.lanes import with_lanes

STATUSES = ["done", "running", "queued", "waiting for its retry", "waiting", "due", "failed", "canceled"]
RUNNING, RETRYING, FAILED = (STATUSES.index(each) for each in ("running", "waiting for its retry", "failed"))


def task(*spans: list[int], kind: str = "ActivityTask", group: int | None = None) -> dict[str, Any]:
    return {"kind": kind, "group": group, "spans": [*spans]}


def document(
    moments: list[int], tasks: list[dict[str, Any]], groups: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    at = [moments[0], *(end - start for start, end in pairwise(moments))]
    events = {"at": at, "types": ["A", "TimerFailed", "TaskTimedOut"], "type": [0] * len(moments)}
    return {"statuses": STATUSES, "events": events, "tasks": tasks, "groups": groups or []}


def folded(found: dict[str, Any]) -> list[tuple[int, int]]:
    return [(start, end) for start, end, _, _, fold in found["axes"][0] if fold]


def test_long_wait_for_a_retry_is_folded() -> None:
    found = with_lanes(document([0, 1000, 91000, 92000], [task([FAILED, 0, 1000], [RETRYING, 1000, 91000])]))
    assert folded(found) == [(1000, 91000)]


def test_time_in_which_a_task_runs_is_not_folded() -> None:
    assert folded(with_lanes(document([0, 1000, 91000], [task([RUNNING, 1000, 91000])]))) == []


def test_timer_that_runs_is_folded() -> None:
    found = with_lanes(document([0, 1000, 91000], [task([RUNNING, 1000, 91000], kind="Timer")]))
    assert folded(found) == [(1000, 91000)]


def test_second_without_anything_is_not_folded() -> None:
    assert folded(with_lanes(document([0, 100, 1200, 1300], [task()]))) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_pieces_of_an_axis_fill_its_width(axis: int) -> None:
    moments = [0, 1000, 91000, 92000, 192000, 193000]
    pieces = with_lanes(document(moments, [task()]))["axes"][axis]
    assert [pieces[0][0], pieces[-1][1]] == [0, 193000]
    assert sum(piece[3] for piece in pieces) == pytest.approx(1)
    for before, after in pairwise(pieces):
        assert before[1] == after[0]
        assert before[2] + before[3] == pytest.approx(after[2])


def test_pieces_of_a_run_in_which_nothing_takes_time_fill_the_width() -> None:
    pieces = with_lanes(document([0, 60_000, 120_000], [task()]))["axes"][0]
    assert sum(piece[3] for piece in pieces) == pytest.approx(1)


def test_run_of_one_event_has_an_axis() -> None:
    assert with_lanes(document([5], []))["axes"][0] == [[5, 5, 0.0, 1.0, 0]]


def test_lanes_are_in_the_order_of_their_first_span_with_members_below_their_group() -> None:
    tasks = [
        task([RUNNING, 50, 60]),
        task([RUNNING, 20, 30], group=0),
        task(),
        task([RUNNING, 10, 15], group=0),
    ]
    found = with_lanes(document([0, 100], tasks, [{"label": "g", "tasks": [1, 3], "parent": None}]))
    assert found["lanes"] == [[0, -1, 0], [1, 1, -1], [1, 3, -1], [0, 0, -1], [0, 2, -1]]
    [group] = found["groups"]
    assert (group["below"], group["inner"]) == ([1, 3], [1, 3])


def test_group_of_a_generator_in_a_group_is_below_that_group() -> None:
    tasks = [task(), task(group=0), task(group=1), task(group=1)]
    groups = [{"label": "outer", "tasks": [1], "parent": 0}, {"label": "inner", "tasks": [2, 3], "parent": 1}]
    found = with_lanes(document([0, 100], tasks, groups))
    assert [lane for lane in found["lanes"] if lane[2] >= 0] == [[0, -1, 0], [1, -1, 1]]
    assert [group["inner"] for group in found["groups"]] == [[1, 2, 3], [2, 3]]


def test_spans_of_a_group_are_joined_where_nothing_is_to_be_seen_between_them() -> None:
    tasks = [task([RUNNING, at, at + 90], group=0) for at in (0, 91, 182, 50_000)]
    found = with_lanes(document([0, 100_000], tasks, [{"label": "g", "tasks": [0, 1, 2, 3], "parent": None}]))
    assert found["groups"][0]["spans"] == [[RUNNING, 0, 272], [RUNNING, 50_000, 50_090]]


def test_failures_are_events_whose_types_say_so() -> None:
    given = document([0, 1, 2, 3], [])
    given["events"]["type"] = [0, 1, 0, 2]
    assert with_lanes(given)["failures"] == [2, 4]
