"""The conversion of SWF's dicts to events and decisions and back, by one naming rule.

A class has SWF's name and its fields are SWF's fields in snake_case, so one reader and one writer serve all
classes. Unknown fields are ignored and unknown event types become ``OtherEvent``, because SWF may add some.

Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_HistoryEvent.html
and API_Decision.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from operator import attrgetter, itemgetter
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import attrs
from attrs import frozen

from floto.core.errors import HistoryError
from floto.core.quick_init import maker, unfrozen
from floto.core.swf.decisions import DECISION_TYPES, Decision
from floto.core.swf.events import EVENT_TYPES, Event, OtherEvent
from floto.core.swf.identifiers import shown
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# A sum of these takes a third of the time of a product of time deltas, and each event has a time.
_SECONDS = tuple(timedelta(seconds=number) for number in range(60))
_MILLISECONDS = tuple(number * _MILLISECOND for number in range(1000))
_NUMBERS = (float, int)
_new_event = maker(Event)


class WireError(ValueError):
    """A dict of SWF is malformed; the message names the field."""


@frozen
class _Field:
    name: str
    wire: str
    required: bool
    #: The type of the attribute, without ``| None``.
    kind: Any
    nested: bool

    def otherwise(self, value: Any, cls: type) -> Any:
        """Return the value of the attribute for one that is absent, or not of the exact type."""
        if value is None:
            return self.absent(cls)
        if self.nested and isinstance(value, Mapping):
            return read(self.kind, value)
        if self.kind is tuple and isinstance(value, list | tuple):
            # SWF has been observed to send nulls in a list of tags.
            texts = tuple(item for item in value if item is not None)
            if all(type(item) is str for item in texts):
                return texts
        msg = f"{self.wire} must be {_ENGLISH.get(self.kind, 'an object')}, not {shown(value)}"
        raise WireError(msg)

    def absent(self, cls: type) -> Any:
        # SWF writes 0 for a missing event id; some services omit it.
        if self.kind is int:
            return 0
        msg = f"{cls.__name__} needs {self.wire}"
        raise WireError(msg)


_ENGLISH: dict[type, str] = {str: "a string", int: "an integer", tuple: "a list of strings"}


def camel(name: str) -> str:
    """Convert ``task_list`` to ``taskList``."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def lower_first(name: str) -> str:
    """Convert ``TimerFired`` to ``timerFired``."""
    return name[0].lower() + name[1:]


@cache
def fields_of(cls: Any) -> tuple[_Field, ...]:
    """Return the names and types of the fields of an event, decision or shape class."""
    return tuple(_field(attribute) for attribute in attrs.fields(attrs.resolve_types(cls)))


def _field(attribute: attrs.Attribute[Any]) -> _Field:
    annotation = attribute.type
    if isinstance(annotation, UnionType):
        annotation = next(arg for arg in get_args(annotation) if arg is not NoneType)
    plain: Any = get_origin(annotation) or annotation
    return _Field(
        attribute.name, camel(attribute.name), attribute.default is attrs.NOTHING, plain, attrs.has(plain)
    )


def read(cls: type, data: Mapping[str, Any]) -> Any:
    """Return an object of ``cls`` from SWF's dict. Raises ``WireError`` naming a malformed field."""
    return _reader(cls)(data)


@cache
def _reader(cls: Any) -> Callable[[Mapping[str, Any]], Any]:
    """Return the reader of a class: one function, generated with a line for each field.

    It sets the fields one by one, as the constructor of ``quick_init`` does; a loop over the fields, or
    keyword arguments, would take half as much time again, which matters for histories of 50,000 events.
    """
    names: dict[str, Any] = {"new": cls.__new__, "cls": cls, "unfrozen": unfrozen(cls)}
    lines = ["def reader(data):", "    get, made = data.get, new(unfrozen)"]
    for number, field in enumerate(fields_of(cls)):
        names[f"kind{number}"] = dict if field.nested else field.kind
        names[f"convert{number}"] = _reader(field.kind) if field.nested else None
        names[f"other{number}"] = field.otherwise
        good = f"convert{number}(value)" if field.nested else "value"
        good = f"{good} if type(value) is kind{number} else other{number}(value, cls)"
        lines += [
            f"    value = get({field.wire!r})",
            f"    made.{field.name} = {'' if field.required else 'None if value is None else '}{good}",
        ]
    lines += ["    made.__class__ = cls", "    return made"]
    exec("\n".join(lines), names)  # noqa: S102 - of the names of fields alone
    reader: Callable[[Mapping[str, Any]], Any] = names["reader"]
    return _shared(cls, reader) if cls in _SHARED else reader


def _shared(cls: Any, reader: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a reader that returns one object for equal dicts: a history repeats few of them very often."""
    known: dict[Any, Any] = {}
    key_of = itemgetter(*(field.wire for field in fields_of(cls)))

    def shared(data: Mapping[str, Any]) -> Any:
        try:
            return known[key_of(data)]
        except (KeyError, TypeError):
            made = reader(data)
        if len(known) >= _MOST_SHARED:
            known.clear()
        known[key_of(data)] = made
        return made

    return shared


#: Classes whose fields are all required strings, and of which a history has few different objects.
_SHARED = frozenset({TaskList, ActivityType, WorkflowType})
_MOST_SHARED = 500


def write(value: Any) -> dict[str, Any]:
    """Return SWF's dict of the fields of an event, decision or shape, without those that are None."""
    out: dict[str, Any] = {}
    for wire, get, convert in _columns(value.__class__):
        item = get(value)
        if item is not None:
            out[wire] = item if convert is None else convert(item)
    return out


@cache
def _columns(cls: Any) -> tuple[tuple[str, Callable[[Any], Any], Callable[[Any], Any] | None], ...]:
    """Return the wire name, getter and converter of each field."""
    return tuple(
        (
            field.wire,
            attrgetter(field.name),
            write if field.nested else list if field.kind is tuple else None,
        )
        for field in fields_of(cls)
    )


def write_json(value: Any) -> str:
    """Return the JSON text of ``write``, in ASCII."""
    return _json_writer(value.__class__)(value)


@cache
def _json_writer(cls: Any) -> Callable[[Any], str]:
    """Return the writer of a class: one function, generated with two lines for each field.

    It takes a third of the time of ``write`` and an encoder; each event is written once.
    """
    names: dict[str, Any] = {}
    lines = ["def writer(value):", "    out = []"]
    for number, field in enumerate(fields_of(cls)):
        names[f"write{number}"] = _json_writer(field.kind) if field.nested else _JSON[field.kind]
        lines += [
            f"    item = value.{field.name}",
            f"    if item is not None: out.append('{_quoted(field.wire)}:' + write{number}(item))",
        ]
    exec("\n".join([*lines, "    return '{' + ','.join(out) + '}'"]), names)  # noqa: S102 - as above
    writer: Callable[[Any], str] = names["writer"]
    return writer


_quoted = json.encoder.encode_basestring_ascii
_JSON: Mapping[type, Callable[[Any], str]] = {
    str: _quoted,
    int: repr,
    tuple: lambda texts: f"[{','.join(map(_quoted, texts))}]",
}


def type_name(data: Any) -> str:
    """Return SWF's name of an event's type, known or not."""
    return data.type if isinstance(data, OtherEvent) else type(data).__name__


def event_from_swf(raw: Mapping[str, Any]) -> Event:
    """Read one event in boto3's form.

    Args:
        raw: The dict; ``eventTimestamp`` is a datetime, epoch seconds or an ISO 8601 string.

    Raises:
        HistoryError: with the id of the event and the name of a malformed field.
    """
    event_id = raw.get("eventId") if type(raw) is dict or isinstance(raw, Mapping) else None
    if type(event_id) is not int or event_id < 1:
        raise HistoryError(None, f"an event needs an integer eventId of 1 or more: {shown(raw)}")
    try:
        name = raw.get("eventType")
        if type(name) is not str or name not in EVENT_TYPES:
            return Event(event_id, moment(raw.get("eventTimestamp")), _other(name, raw))
        key, reader = _known(name)
        attributes = raw.get(key)
        data = reader(attributes if type(attributes) is dict else _attributes(key, attributes))
        return _new_event(event_id, moment(raw.get("eventTimestamp")), data)
    except WireError as error:
        raise HistoryError(event_id, str(error)) from None


@cache
def _known(name: str) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
    # Only of known types: other names come from the outside, so they would fill the cache without a bound.
    return _attributes_key(name), _reader(EVENT_TYPES[name])


def _other(name: Any, raw: Mapping[str, Any]) -> OtherEvent:
    if type(name) is not str or not name:
        msg = f"eventType must be a string, not {shown(name)}"
        raise WireError(msg)
    key = _attributes_key(name)
    return OtherEvent(type=name, attributes=dict(_attributes(key, raw.get(key))))


def _attributes(key: str, attributes: Any) -> Mapping[str, Any]:
    if attributes is None:
        return {}
    if not isinstance(attributes, Mapping):
        msg = f"{key} must be an object, not {shown(attributes)}"
        raise WireError(msg)
    return attributes


def _attributes_key(name: str) -> str:
    return f"{lower_first(name)}EventAttributes"


def event_to_swf(event: Event) -> dict[str, Any]:
    """Return one event in boto3's form."""
    name = type_name(event.data)
    attributes = event.data.attributes if isinstance(event.data, OtherEvent) else write(event.data)
    return {
        "eventId": event.id,
        "eventTimestamp": event.at,
        "eventType": name,
        _attributes_key(name): attributes,
    }


def to_ms(at: datetime) -> int:
    """Return the whole milliseconds since 1970, the precision of SWF's times."""
    return (at - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """Return the time, in UTC, of milliseconds since 1970."""
    return _EPOCH + milliseconds * _MILLISECOND


@lru_cache(maxsize=500)
def _minute(number: int) -> datetime:
    """Return the time of a minute since 1970."""
    return from_ms(number * 60_000)


def moment(value: Any) -> datetime:
    """Return a timestamp in UTC, rounded to milliseconds as in SWF; naive ones are taken as UTC."""
    try:
        if type(value) in _NUMBERS:
            milliseconds: int = round(value * 1000)
            minute, rest = divmod(milliseconds, 60_000)
            return _minute(minute) + _SECONDS[rest // 1000] + _MILLISECONDS[rest % 1000]
        if isinstance(value, datetime):
            return _milliseconds(_utc(value))
        if isinstance(value, str):
            return _milliseconds(_utc(datetime.fromisoformat(value)))
    except (ValueError, OverflowError):
        pass
    msg = f"eventTimestamp must be a time, not {shown(value)}"
    raise WireError(msg)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is UTC:
        return at
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _milliseconds(at: datetime) -> datetime:
    micro = at.microsecond
    return at if micro % 1000 == 0 else at + timedelta(microseconds=round(micro, -3) - micro)


def decision_to_swf(decision: Decision) -> dict[str, Any]:
    """Return one decision in boto3's form."""
    name = type(decision).__name__
    return {"decisionType": name, f"{lower_first(name)}DecisionAttributes": write(decision)}


def decision_from_swf(raw: Mapping[str, Any]) -> Decision:
    """Read one decision in boto3's form. Raises ``WireError``."""
    name = raw.get("decisionType") if isinstance(raw, Mapping) else raw
    cls = DECISION_TYPES.get(name) if isinstance(name, str) else None
    if cls is None:
        msg = f"decisionType must be one of SWF's, not {shown(name)}"
        raise WireError(msg)
    key = f"{lower_first(cls.__name__)}DecisionAttributes"
    decision: Decision = read(cls, _attributes(key, raw.get(key)))
    return decision


def events_from_swf(raws: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Read events in boto3's form, in their order. Raises ``HistoryError``."""
    return [event_from_swf(raw) for raw in raws]
