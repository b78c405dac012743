"""What the script of the run page would otherwise compute: rows of the timeline, idle time and failures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

_FAILURE = re.compile(r"(Failed|TimedOut|Terminated)$")
#: Statuses in which something is at work, so that the time is not idle.
_BUSY = frozenset({"running", "failed", "canceled"})
#: Kinds of tasks that run without anything at work.
_WAITS = frozenset({"timer", "signal"})
#: Idle time that is folded is longer than this part of the other time, and than so many milliseconds.
_PART, _LEAST = 1 / 8, 1000
_MOST_GAPS = 14

Gap = tuple[int, int]


def with_lanes(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its ``failures`` (event ids), ``lanes`` and ``gaps``.

    A lane is ``[depth, task, group]``: a row of the timeline if all groups are open; the task or the group
    is -1. A gap is ``[start, end]`` in milliseconds: idle time that the timeline folds.
    """
    events = document["events"]
    failed = [bool(_FAILURE.search(name)) for name in events["types"]]
    return {
        **document,
        "failures": [number for number, type in enumerate(events["type"], start=1) if failed[type]],
        "lanes": list(_lanes(document)),
        "gaps": _gaps(document),
    }


def _lanes(document: Mapping[str, Any]) -> Iterator[list[int]]:
    """Yield the lanes: tasks and outermost groups by their first span, members below their group."""
    tasks, groups = document["tasks"], document["groups"]
    members: list[list[tuple[int, int]]] = [[(task, -1) for task in group["tasks"]] for group in groups]
    top: list[tuple[int, int]] = [(task, -1) for task, each in enumerate(tasks) if each["group"] is None]
    for number, group in enumerate(groups):
        around = None if group["parent"] is None else tasks[group["parent"]]["group"]
        (top if around is None else members[around]).append((-1, number))

    def below(depth: int, rows: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
        for task, group in rows:
            yield [depth, task, group]
            if group >= 0:
                yield from below(depth + 1, members[group])

    def start(row: tuple[int, int]) -> float:
        starts = (tasks[task]["spans"] for _, task, _ in below(0, [row]) if task >= 0)
        return min((spans[0][1] for spans in starts if spans), default=math.inf)

    yield from below(0, sorted(top, key=start))


def _gaps(document: Mapping[str, Any]) -> list[list[int]]:
    """Return the idle time that is folded: no event, and no task at work, for long in comparison."""
    moments = list(accumulate(document["events"]["at"]))
    busy = _busy(document, moments[-1])
    idle = [gap for gap in pairwise(moments) if _length(gap) > _LEAST]
    idle = list(_outside(idle, busy))
    active = moments[-1] - moments[0] - sum(map(_length, idle))
    longest = sorted((gap for gap in idle if _length(gap) > active * _PART), key=_length, reverse=True)
    return [list(gap) for gap in sorted(longest[:_MOST_GAPS])]


def _length(gap: Gap) -> int:
    return gap[1] - gap[0]


def _busy(document: Mapping[str, Any], last: int) -> list[Gap]:
    """Return the time in which a task is at work, as ascending intervals that do not touch."""
    at_work = {number for number, status in enumerate(document["statuses"]) if status in _BUSY}
    spans = sorted(
        (start, last if end is None else end)
        for task in document["tasks"]
        if task["kind"].lower() not in _WAITS
        for status, start, end in task["spans"]
        if status in at_work
    )
    joined: list[Gap] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _outside(gaps: Sequence[Gap], busy: Sequence[Gap]) -> Iterator[Gap]:
    """Yield the gaps in which nothing is at work; both are ascending."""
    number = 0
    for start, end in gaps:
        while number < len(busy) and busy[number][1] <= start:
            number += 1
        if number == len(busy) or busy[number][0] >= end:
            yield start, end
