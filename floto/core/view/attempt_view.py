"""The attempts at a task by the events of each, with all that its events tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

from floto.core.state.attempts import attempts
from floto.core.state.failures import failure_of
from floto.core.state.state import Item
from floto.core.swf.events import Event


@frozen
class AttemptView:
    """One attempt at a task; an event id is 0 if there is no such event."""

    opened: int
    started: int
    ended: int
    outcome: str
    worker: str | None = None
    reason: str | None = None
    details: str | None = None
    #: From its start to its end; None while it runs, or if it was not started.
    seconds: float | None = None


def attempt_views(item: Item | None, events: Sequence[Event]) -> Iterator[AttemptView]:
    """Yield every attempt of an item, the latest last; ``events`` is the whole history."""
    if item is None:
        return
    for each in attempts(item, events):
        failed = each.number <= len(item.failures)
        ended = item.failures[each.number - 1] if failed else item.closed
        opened, started = _ids(ended.data) if failed else _open_ids(item)
        failure = failure_of(ended) if failed else None
        seconds = None
        if each.ended is not None and each.started is not None:
            seconds = (each.ended - each.started).total_seconds()
        yield AttemptView(
            opened,
            started,
            ended.id if ended else 0,
            str(each.status),
            _worker(events, started),
            failure.reason if failure else None,
            (failure.traceback or failure.details) if failure else None,
            seconds,
        )


def _open_ids(item: Item) -> tuple[int, int]:
    return item.opened.id if item.opened else 0, item.started.id if item.started else 0


def _ids(data: Any) -> tuple[int, int]:
    started = getattr(data, "started_event_id", 0) or 0
    opened = getattr(data, "scheduled_event_id", 0) or getattr(data, "initiated_event_id", 0) or 0
    return opened or started, started


def _worker(events: Sequence[Event], started: int) -> str | None:
    return getattr(events[started - 1].data, "identity", None) if 0 < started <= len(events) else None
