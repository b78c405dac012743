"""Conversion of events, defaults and times to and from columns of the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define

from floto.core.errors import HistoryError, ServiceError
from floto.core.swf.events import EVENT_TYPES, Event
from floto.core.swf.wire import from_ms, read, to_ms, type_name, write

# json.dumps would create a new encoder for every event.
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def event_row(run: int, event: Event) -> tuple[int, int, int, str, str]:
    """Return the row of an event."""
    return (run, event.id, to_ms(event.at), type_name(event.data), to_json(event.data))


def row_event(row: tuple[int, int, str, str]) -> Event:
    """Return the event of a row: id, time, type and attributes."""
    id, at, type_, attributes = row
    return Event(id, from_ms(at), from_json(EVENT_TYPES[type_], attributes))


def to_json(value: Any) -> str:
    """Return an attrs object as JSON with SWF's field names."""
    return _ENCODER.encode(write(value))


def to_text(value: str | None) -> str | None:
    """Return a string as JSON, because SQLite cannot store unpaired surrogates."""
    return None if value is None else _ENCODER.encode(value)


def from_text(text: str | None) -> str | None:
    """Return the string that ``to_text`` encoded."""
    value: str | None = None if text is None else json.loads(text)
    return value


def from_json(cls: type, text: str) -> Any:
    """Return the object of class ``cls`` that ``to_json`` encoded."""
    return read(cls, json.loads(text))


@define
class UnreadableRun(ServiceError):
    """A run whose stored rows are corrupt or from a newer version."""

    run_id: str
    problem: str

    def __str__(self) -> str:
        """Name the run and what is wrong with it."""
        return f"run {self.run_id} cannot be read: {self.problem}"


@contextmanager
def reading(run_id: str) -> Iterator[None]:
    """Convert decoding errors in the block to ``UnreadableRun(run_id)``."""
    try:
        yield
    except UnicodeEncodeError:
        # An argument of the query has an unpaired surrogate; nothing was decoded.
        raise
    except (HistoryError, KeyError, TypeError, ValueError) as error:
        raise UnreadableRun(run_id, f"{type(error).__name__}: {error}") from error
