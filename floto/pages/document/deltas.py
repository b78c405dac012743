"""Intervals of a document as flat lists of differences, which gzip makes smaller than pairs of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def with_deltas(document: Document) -> dict[str, Any]:
    """Return a document whose intervals, spans and attempts are flat lists of differences.

    Intervals ``[from, value]`` become ``from - from of the one before, value``. Spans ``[status, start,
    end]`` become ``status, start - end of the one before, end - start``; the first one counts from the start
    of the run. The start of an attempt counts from its opening, and its end from its start; 0 stays 0.
    """
    base = document["run"]["started"]
    return {
        **document,
        "sentences": _intervals(document["sentences"]),
        "shared": {name: _intervals(track) for name, track in document["shared"].items()},
        "tasks": [
            {
                **task,
                "statuses": _intervals(task["statuses"]),
                "whys": _intervals(task["whys"]),
                "spans": _spans(task["spans"], base),
                "attempts": [_attempt(each) for each in task["attempts"]],
            }
            for task in document["tasks"]
        ],
    }


def _intervals(track: Iterable[Sequence[Any]]) -> list[Any]:
    flat, before = [], 0
    for begin, value in track:
        flat += [begin - before, value]
        before = begin
    return flat


def _spans(spans: Iterable[Sequence[int]], before: int) -> list[int]:
    flat = []
    for status, start, end in spans:
        flat += [status, start - before, end - start]
        before = end
    return flat


def _attempt(attempt: Sequence[Any]) -> list[Any]:
    opened, started, ended, *rest = attempt
    return [opened, started and started - opened, ended and ended - (started or opened), *rest]
