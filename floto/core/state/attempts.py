"""The attempts at one task, each with its times and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Status
from floto.core.swf.events import Event
from floto.core.visible import moment_text, visible

#: The fields in which an event names what it ends, and when that began to be worked on. A
#: timer is named as what was started.
_OPENED = ("scheduled_event_id", "initiated_event_id", "started_event_id")
_STARTED = "started_event_id"


@frozen
class Attempt:
    """One attempt; a moment that has not come, or that SWF refused, is None."""

    number: int
    status: Status
    opened: datetime | None
    started: datetime | None
    ended: datetime | None
    #: Why it did not work, if it did not.
    message: str = ""

    def __str__(self) -> str:
        """Return one line."""
        parts = [f"attempt {self.number}: {self.status}"]
        last = self.ended or self.started or self.opened
        if last is not None:
            parts.append(f"at {moment_text(last)}")
        if self.ended is not None and self.started is not None:
            parts.append(f"after {(self.ended - self.started).total_seconds():.3f} s")
        return " ".join(parts) + (f": {visible(self.message)}" if self.message else "")


def attempts(item: Item | None, events: Sequence[Event]) -> tuple[Attempt, ...]:
    """Every attempt of an item, the latest last; ``events`` is the whole history."""
    if item is None:
        return ()
    found = [_failed(number, event, events) for number, event in enumerate(item.failures, start=1)]
    if item.is_open or item.status is Status.COMPLETED:
        began, taken, ended = map(moment_of, (item.opened, item.started, item.closed))
        found.append(Attempt(len(found) + 1, item.status, began, taken, ended))
    return tuple(found)


def moment_of(event: Event | None) -> datetime | None:
    """When an event happened, if it has."""
    return None if event is None else event.at


def _failed(number: int, event: Event, events: Sequence[Event]) -> Attempt:
    failure = failure_of(event)
    opened, started = (_moment(event.data, names, events) for names in (_OPENED, (_STARTED,)))
    return Attempt(number, failure.status, opened, started, event.at, failure.message)


def _moment(data: Any, names: Sequence[str], events: Sequence[Event]) -> datetime | None:
    """When the event happened that the first of these fields names; a 0 names none."""
    event_id = next((getattr(data, name) for name in names if hasattr(data, name)), 0)
    return events[event_id - 1].at if event_id else None
