"""Reads the document of a run as the script of the page does."""

from __future__ import annotations

import json
from bisect import bisect_right
from itertools import accumulate
from typing import Any

from attrs import frozen

from floto.core.swf.wire import from_ms
from floto.core.visible import moment_text


@frozen
class Shown:
    """One task at one moment."""

    status: str
    #: The sentences, in alphabetical order.
    conditions: tuple[str, ...]


class PageReader:
    """A document that has been written as JSON and read again."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = json.loads(json.dumps(document, allow_nan=False))
        self.moments = list(accumulate(self.document["events"]["at"]))
        self.numbers = {task["id"]: number for number, task in enumerate(self.document["tasks"])}

    def task(self, number: int, event: int) -> Shown | None:
        """A task after an event; None if the run does not have it."""
        task = self.document["tasks"][number]
        status = self._status(number, event)
        found = None if status is None else _at(task["whys"], event)
        if status is None or found is None:
            return None
        begin, why = found
        return Shown(status, tuple(sorted(self._conditions(task, begin, why, event))))

    def sentence(self, event: int) -> str:
        """The sentence of the header after an event."""
        found = _at(self.document["sentences"], event)
        return "" if found is None else self.text(found[1], found[0])

    def text(self, text: list[str | int], since: int) -> str:
        """A text that holds from an event on."""
        return "".join(each if isinstance(each, str) else self._moment(each, since) for each in text)

    def _moment(self, value: int, since: int) -> str:
        return moment_text(from_ms(value if value >= 0 else self.moments[since - 1] - value - 1))

    def _status(self, number: int, event: int) -> str | None:
        found = _at(self.document["tasks"][number]["statuses"], event)
        return None if found is None or found[1] < 0 else self.document["statuses"][found[1]]

    def _conditions(self, task: dict[str, Any], begin: int, why: int, event: int) -> list[str]:
        listed = self.document["whys"][why]
        named = {each["task"] for each in listed if "task" in each}
        told = []
        for each in listed:
            if "text" in each:
                told.append(self.text(each["text"], begin))
            elif "derived" in each:
                told += self._derived(task, event)
            else:
                since, shared = _at(self.document["shared"][each["shared"]], event) or (0, 0)
                others = self.document["whys"][shared]
                told += [self.text(one["text"], since) for one in others if one.get("task") not in named]
        return told

    def _derived(self, task: dict[str, Any], event: int) -> list[str]:
        derived, found = self.document["derived"], []
        for number in task["requires"]:
            other = self.document["tasks"][number]
            status = _at(other["statuses"], event)
            if status is not None and status[1] not in derived["over"]:
                before, after = derived["generator" if other["expands"] else "requires"]
                found.append(f"{before}{other['id']}{after}")
        return found


def _at(intervals: list[list[Any]], event: int) -> list[Any] | None:
    place = bisect_right(intervals, event, key=lambda interval: interval[0])
    return intervals[place - 1] if place else None
