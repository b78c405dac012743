"""Events, defaults and moments as a database keeps them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define

from floto.core.errors import HistoryError, ServiceError
from floto.core.swf.events import EVENT_TYPES, Event
from floto.core.swf.wire import read, type_name, write

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# json.dumps would make a new one for every event.
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, as precise as SWF's times are."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The moment so many milliseconds after the beginning of 1970."""
    return _EPOCH + milliseconds * _MILLISECOND


def event_row(run: int, event: Event) -> tuple[int, int, int, str, str]:
    """One row of ``events``."""
    return (run, event.id, to_ms(event.at), type_name(event.data), to_json(event.data))


def row_event(row: tuple[int, int, str, str]) -> Event:
    """The event of a row: its id, time, type and attributes."""
    id, at, type_, attributes = row
    return Event(id, from_ms(at), from_json(EVENT_TYPES[type_], attributes))


def to_json(value: Any) -> str:
    """An attrs value in SWF's field names."""
    return _ENCODER.encode(write(value))


def to_text(value: str | None) -> str | None:
    """A text as JSON: it may hold half a surrogate pair, which SQLite cannot."""
    return None if value is None else _ENCODER.encode(value)


def from_text(text: str | None) -> str | None:
    """The text that ``to_text`` wrote."""
    value: str | None = None if text is None else json.loads(text)
    return value


def from_json(cls: type, text: str) -> Any:
    """The value that ``to_json`` wrote."""
    return read(cls, json.loads(text))


@define
class UnreadableRun(ServiceError):
    """The rows of a run say what floto cannot make sense of."""

    run_id: str
    problem: str

    def __str__(self) -> str:
        """Name the run and what is wrong with it."""
        return f"run {self.run_id} cannot be read: {self.problem}"


@contextmanager
def reading(run_id: str) -> Iterator[None]:
    """Say of which run it is that cannot be read what is read in here."""
    try:
        yield
    except UnicodeEncodeError:
        # What was asked for is no text; nothing has been read.
        raise
    except (HistoryError, KeyError, TypeError, ValueError) as error:
        raise UnreadableRun(run_id, f"{type(error).__name__}: {error}") from error
