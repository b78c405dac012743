"""The attempts at one task, each with its times and its outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.state.failures import Failure, failure_of
from floto.core.state.state import Item, KeptItem, Status
from floto.core.swf.events import Event
from floto.core.visible import moment_text, visible

#: Fields of a closing event with the id of the event that opened the attempt, and of the event that started
#: it. A timer is opened by the event in ``started_event_id``.
_OPENED = ("scheduled_event_id", "initiated_event_id", "started_event_id")
_STARTED = "started_event_id"


@frozen
class Attempt:
    """One attempt at a task; a time is None until it is reached, or if SWF refused the attempt."""

    number: int
    status: Status
    opened: datetime | None
    started: datetime | None
    ended: datetime | None
    #: Message of the failure, or where a kept task of a redriven run completed; else empty.
    message: str = ""

    def __str__(self) -> str:
        """Return the attempt as one line."""
        parts = [f"attempt {self.number}: {self.status}"]
        last = self.ended or self.started or self.opened
        if last is not None:
            parts.append(f"at {moment_text(last)}")
        if self.ended is not None and self.started is not None:
            parts.append(f"after {(self.ended - self.started).total_seconds():.3f} s")
        return " ".join(parts) + (f": {visible(self.message)}" if self.message else "")


@frozen
class AttemptEvents:
    """The events of one attempt, as far as there are any, and its failure."""

    number: int
    status: Status
    opened: Event | None
    started: Event | None
    ended: Event | None
    failure: Failure | None = None
    #: Where a kept task of a redriven run completed; else empty.
    origin: str = ""


def attempts(item: Item | None, events: Sequence[Event]) -> tuple[Attempt, ...]:
    """Return every attempt of an item, the latest last; ``events`` is the whole history."""
    found = []
    for each in attempt_events(item, events):
        opened, started, ended = map(moment_of, (each.opened, each.started, each.ended))
        message = each.origin if each.failure is None else each.failure.message
        found.append(Attempt(each.number, each.status, opened, started, ended, message))
    return tuple(found)


def attempt_events(item: Item | None, events: Sequence[Event]) -> Iterator[AttemptEvents]:
    """Yield the events of every attempt of an item, the latest last; ``events`` is the whole history."""
    if item is None:
        return
    for number, event in enumerate(item.failures, start=1):
        failure = failure_of(event)
        opened, started = (_event(event.data, names, events) for names in (_OPENED, (_STARTED,)))
        yield AttemptEvents(number, failure.status, opened, started, event, failure)
    if item.is_open or item.status is Status.COMPLETED:
        number = len(item.failures) + 1
        origin = str(item.origin) if isinstance(item, KeptItem) else ""
        yield AttemptEvents(number, item.status, item.opened, item.started, item.closed, origin=origin)


def attempt_count(item: Item | None) -> int:
    """Return the number of attempts of an item, an open one included."""
    return 0 if item is None else len(item.failures) + (item.is_open or item.status is Status.COMPLETED)


def moment_of(event: Event | None) -> datetime | None:
    """Return the time of an event; None for no event."""
    return None if event is None else event.at


def _event(data: Any, names: Sequence[str], events: Sequence[Event]) -> Event | None:
    """Return the event that the first of these fields names; None if there is no such event."""
    event_id = next((getattr(data, name) for name in names if hasattr(data, name)), 0)
    return events[event_id - 1] if 0 < event_id <= len(events) else None
