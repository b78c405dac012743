"""JSON values of bounded size, of texts and payloads that others control."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.replay.why_waiting import Text
from floto.core.swf.events import Event, OtherEvent
from floto.core.swf.wire import to_ms, write
from floto.core.visible import shorten_middle, visible

#: Most characters of a name or of a string in a sentence.
NAME = 400
#: Most characters of one string of an event, the first of these with which all strings together fit.
STRINGS = (4_000, 1_200, 250, 60)
ALL_STRINGS = 4_000_000
#: Most nested lists and objects in a value; JavaScript and Python read some hundreds.
_DEEPEST = 60
#: Most bits of an integer that JavaScript reads exactly.
_BITS = 53
_CUT = " ... {:,} characters, the middle is cut out ... "


def name(text: str) -> str:
    """Return a name as one line of printable characters, of bounded length."""
    return text if len(text) <= NAME and text.isprintable() else visible(shorten_middle(text, NAME))


def text_parts(text: Text, since: datetime | None = None) -> list[str | int]:
    """Return a sentence as strings and moments.

    Args:
        text: The sentence.
        since: The time from which it holds. A moment from then on is a negative integer: ``-1`` is ``since``,
            and ``-1 - n`` is n milliseconds later; so sentences that are alike are equal. Other moments, and
            all moments without ``since``, are milliseconds since 1970.
    """
    found: list[str | int] = []
    for each in text:
        if isinstance(each, datetime):
            found.append(to_ms(each) if since is None or each < since else to_ms(since) - to_ms(each) - 1)
        elif found and isinstance(found[-1], str):
            found[-1] += name(each)
        else:
            found.append(name(each))
    return found


def attributes(event: Event) -> dict[str, Any]:
    """Return the attributes of an event in SWF's form."""
    data = event.data
    return dict(data.attributes) if isinstance(data, OtherEvent) else write(data)


@frozen
class Bounds:
    """Makes values short enough to be shown."""

    #: Most characters of a string.
    most: int = STRINGS[0]

    def text(self, text: str | None) -> str | None:
        """Return a string without its middle, if it is long; None for None."""
        return None if text is None else shorten_middle(text, self.most, _CUT)

    def payload(self, text: str | None) -> Any:
        """Return the value of a payload; its text, if that is long or cannot be read."""
        try:
            return self.whole(payload.loads(text))
        except PayloadError:
            return self.text(text)

    def whole(self, value: Any) -> Any:
        """Return a value as JSON; as its JSON text if JavaScript cannot read it exactly, or if it is long.

        The text of a long value is without its middle. JavaScript rounds large integers.
        """
        if isinstance(value, str | None):
            return self.text(value)
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return self.value(value)
        return value if len(text) <= self.most and _is_exact(value) else self.text(text)

    def value(self, value: Any, depth: int = _DEEPEST) -> Any:
        """Return a JSON value with short strings, and with a string in place of what is no JSON."""
        if isinstance(value, str):
            return self.text(value)
        if not depth:
            return "nested more deeply than is shown"
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(each, depth - 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each, depth - 1) for each in value]
        if isinstance(value, int):
            return value if value.bit_length() <= _BITS else f"an integer of {value.bit_length():,} bits"
        is_number = isinstance(value, float) and math.isfinite(value)
        return value if value is None or is_number else self.text(str(value))


def bounds_of(values: Iterable[Any]) -> Bounds:
    """Return the bounds with which all strings in these values are short enough together."""
    lengths = Counter(map(len, _strings(values)))
    for most in STRINGS:
        if sum(min(length, most) * count for length, count in lengths.items()) <= ALL_STRINGS:
            return Bounds(most)
    return Bounds(STRINGS[-1])


def _strings(values: Iterable[Any]) -> Iterator[str]:
    todo = [iter(values)]
    while todo:
        for value in todo.pop():
            if isinstance(value, str):
                yield value
            elif isinstance(value, Mapping):
                todo.append(iter(value.values()))
            elif isinstance(value, list | tuple):
                todo.append(iter(value))


def _is_exact(value: Any) -> bool:
    """Return True if JavaScript reads a JSON value exactly: its nesting and its integers are small."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        if any(isinstance(each, int) and each.bit_length() > _BITS for each in level):
            return False
        inner = [
            each.values() if isinstance(each, dict) else each
            for each in level
            if isinstance(each, dict | list)
        ]
        level = [item for each in inner for item in each]
    return not level
