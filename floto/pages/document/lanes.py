"""Rows and axis of the timeline, groups and failures: what the script would otherwise compute."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

_FAILURE = re.compile(r"(Failed|TimedOut|Terminated)$")
#: Statuses in which something is at work, so that the time is not idle; and kinds of tasks that only wait.
_BUSY, _WAITS = frozenset({"running", "failed", "canceled"}), frozenset({"timer", "signal"})
#: Idle time is folded if it is longer than this part of the active time, and than so many milliseconds.
_LEAST_PART, _LEAST_MS = 1 / 4, 5000
#: Most gaps that are folded.
_MOST_GAPS = 14
#: The width of a timeline in which what is between two spans of a group is less than a pixel.
_PIXELS = 2000
#: The part of the width that a folded gap takes.
_FOLDED = 0.035

Document = Mapping[str, Any]
Gap = tuple[int, int]
Lane = list[int]


def with_lanes(document: Document) -> dict[str, Any]:
    """Return a document with its ``failures``, ``lanes`` and ``axes``, and with what is in its ``groups``.

    A failure is the id of an event. A lane is ``[depth, task, group]``: a row of the timeline if all groups
    are open; the task or the group is -1. The first axis has idle time folded, the second one not; an axis
    is a list of ``[start, end, place, size, folded]``: two moments in milliseconds, two parts of the width,
    and 1 if it is folded. A group has ``below`` (the lanes from one number to another), ``inner`` (its tasks
    and those of the groups in it) and ``spans``, joined where nothing is to be seen between them.
    """
    events = document["events"]
    moments = list(accumulate(events["at"]))
    failed = [bool(_FAILURE.search(name)) for name in events["types"]]
    lanes = list(_lanes(document))
    return {
        **document,
        "failures": [number for number, type in enumerate(events["type"], start=1) if failed[type]],
        "lanes": lanes,
        "axes": [_axis(moments, _gaps(document, moments)), _axis(moments, [])],
        "groups": _groups(document, lanes, (moments[-1] - moments[0]) // _PIXELS),
    }


def _lanes(document: Document) -> Iterator[Lane]:
    """Yield the lanes: tasks and outermost groups by their first span, members below their group."""
    tasks, groups = document["tasks"], document["groups"]
    members: list[list[tuple[int, int]]] = [[(task, -1) for task in group["tasks"]] for group in groups]
    top: list[tuple[int, int]] = [(task, -1) for task, each in enumerate(tasks) if each["group"] is None]
    for number, group in enumerate(groups):
        around = None if group["parent"] is None else tasks[group["parent"]]["group"]
        (top if around is None else members[around]).append((-1, number))

    def below(depth: int, rows: Sequence[tuple[int, int]]) -> Iterator[Lane]:
        for task, group in rows:
            yield [depth, task, group]
            if group >= 0:
                yield from below(depth + 1, members[group])

    def start(row: tuple[int, int]) -> float:
        starts = (tasks[task]["spans"] for _, task, _ in below(0, [row]) if task >= 0)
        return min((spans[0][1] for spans in starts if spans), default=math.inf)

    yield from below(0, sorted(top, key=start))


def _groups(document: Document, lanes: Sequence[Lane], near: int) -> list[dict[str, Any]]:
    groups, tasks = [dict(each) for each in document["groups"]], document["tasks"]
    for row, (depth, _, group) in enumerate(lanes):
        if group >= 0:
            after = range(row + 1, len(lanes))
            end = next((other for other in after if lanes[other][0] <= depth), len(lanes))
            inner = [task for _, task, _ in lanes[row + 1 : end] if task >= 0]
            spans = sorted(
                (span for task in inner for span in tasks[task]["spans"]), key=lambda span: span[1]
            )
            # The number of its tasks is shown beside its label.
            label = groups[group]["label"].removeprefix(f"{len(groups[group]['tasks']):,} tasks ")
            groups[group] |= {
                "label": label,
                "below": [row + 1, end],
                "inner": inner,
                "spans": _joined(spans, near),
            }
    return groups


def _joined(spans: Iterable[Sequence[int]], near: int = 0) -> list[list[int]]:
    """Return ascending spans, with those of one status joined where at most ``near`` is between them."""
    found: list[list[int]] = []
    last: dict[int, list[int]] = {}
    for status, start, end in spans:
        before = last.get(status)
        if before is not None and start <= before[2] + near:
            before[2] = max(before[2], end)
        else:
            last[status] = [status, start, end]
            found.append(last[status])
    return found


def _axis(moments: Sequence[int], gaps: Sequence[Gap]) -> list[list[float]]:
    """Return the pieces of an axis; each gap takes the same part of its width."""
    starts = [moments[0], *(end for _, end in gaps)]
    ends = [*(start for start, _ in gaps), moments[-1]]
    lengths = [max(end - start, 1) for start, end in zip(starts, ends, strict=True)]
    scale = (1 - _FOLDED * len(gaps)) / sum(lengths)
    pieces: list[list[float]] = []
    place = 0.0
    for number, length in enumerate(lengths):
        pieces.append([starts[number], ends[number], place, length * scale, 0])
        place += length * scale
        if number < len(gaps):
            pieces.append([*gaps[number], place, _FOLDED, 1])
            place += _FOLDED
    return pieces


def _gaps(document: Document, moments: Sequence[int]) -> list[Gap]:
    """Return the idle time that is folded: no event, and no task at work, for long in comparison."""
    idle = [gap for gap in pairwise(moments) if _length(gap) > _LEAST_MS]
    idle = list(_outside(idle, _busy(document, moments[-1])))
    active = moments[-1] - moments[0] - sum(map(_length, idle))
    longest = sorted((gap for gap in idle if _length(gap) > active * _LEAST_PART), key=_length, reverse=True)
    return sorted(longest[:_MOST_GAPS])


def _length(gap: Gap) -> int:
    return gap[1] - gap[0]


def _busy(document: Document, last: int) -> list[Gap]:
    """Return the time in which a task is at work, as ascending intervals that do not touch."""
    at_work = {number for number, status in enumerate(document["statuses"]) if status in _BUSY}
    spans = sorted(
        [0, start, last if end is None else end]
        for task in document["tasks"]
        if task["kind"].lower() not in _WAITS
        for status, start, end in task["spans"]
        if status in at_work
    )
    return [(start, end) for _, start, end in _joined(spans)]


def _outside(gaps: Sequence[Gap], busy: Sequence[Gap]) -> Iterator[Gap]:
    """Yield the gaps in which nothing is at work; both are ascending."""
    number = 0
    for start, end in gaps:
        while number < len(busy) and busy[number][1] <= start:
            number += 1
        if number == len(busy) or busy[number][0] >= end:
            yield start, end
