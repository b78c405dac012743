"""SWF's events in the forms of other programs: SDKs and scripts that wrote down what they were given.

An event in SWF's own form is read as it is. Only one that cannot be read, or whose members have other names,
is made to look like SWF's: names in camelCase, ids as numbers, enums as texts, times as datetimes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from floto.core.errors import HistoryError
from floto.core.swf import wire
from floto.core.swf.events import EVENT_TYPES, Event

#: Characters of names that are remembered; SWF's longest has some 60.
_NAME_LIMIT = 128
#: Epoch seconds end with the year 9999: a larger number is one of milliseconds.
_MOST_SECONDS = 253_402_300_800
#: A millisecond less than there are, because numbers are rounded.
_MOST_MILLISECONDS = _MOST_SECONDS * 1000 - 1
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DIGITS = re.compile(r"[0-9]{1,18}")
#: How SDKs call the text of an enum, which they have as an object.
_ENUM_TEXT = ("Value", "value")


def swf_name(name: str) -> str:
    """Return SWF's name of a member that is written in camelCase, PascalCase or snake_case."""
    return _swf_name(name) if len(name) <= _NAME_LIMIT else name


@lru_cache(maxsize=4096)
def _swf_name(name: str) -> str:
    return wire.camel(name) if "_" in name.strip("_") else name[:1].lower() + name[1:]


def event_from(raw: Mapping[str, Any], *, is_renamed: bool) -> Event:
    """Read an event in SWF's own form or another. Raises ``HistoryError``.

    ``raw`` has SWF's names; ``is_renamed`` says that its members were called otherwise, as those in its
    attributes are then.
    """
    # Not tried under other names: ids would be read as if they were left out.
    if is_renamed:
        return wire.event_from_swf(_event(raw))
    try:
        return wire.event_from_swf(raw)
    except HistoryError:
        return wire.event_from_swf(_event(raw))


def shape_from(cls: type, value: Any) -> Any:
    """Read an attrs class of SWF's shapes in SWF's own form or another. Raises ``WireError``."""
    return wire.read(cls, _fields(cls, value))


def _event(raw: Mapping[str, Any]) -> dict[str, Any]:
    name = _text(raw.get("eventType"))
    event = {
        **raw,
        "eventId": _number(raw.get("eventId")),
        "eventTimestamp": _moment(raw.get("eventTimestamp")),
        "eventType": name,
    }
    cls = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if cls is not None:
        key = f"{wire.lower_first(cls.__name__)}EventAttributes"
        event[key] = _fields(cls, raw.get(key))
    return event


def _fields(cls: Any, value: Any) -> Any:
    """Return the members of a shape under SWF's names and with SWF's types, as far as they can be told."""
    if not isinstance(value, Mapping):
        return value
    given = {swf_name(name): item for name, item in value.items() if isinstance(name, str)}
    for field in wire.fields_of(cls):
        item = given.get(field.wire)
        if item is None:
            continue
        if attrs.has(field.kind):
            given[field.wire] = _fields(field.kind, item)
        else:
            given[field.wire] = _CONVERTED.get(field.kind, _same)(item)
    return given


def _same(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    if isinstance(value, Mapping) and len(value) == 1:
        (name,) = value
        return value[name] if name in _ENUM_TEXT else value
    return value


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value


_CONVERTED = {str: _text, int: _number}


def _moment(value: Any) -> Any:
    """Return a time as floto's reader takes it: milliseconds as a datetime, seconds as a number."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, int | float) and _MOST_SECONDS <= value < _MOST_MILLISECONDS:
        return wire.from_ms(round(value))
    if isinstance(value, str):
        # As Ruby writes them.
        return re.sub(r" UTC$", "+00:00", value)
    return value
