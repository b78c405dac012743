"""When everything in a history happened: what a Gantt chart of a run shows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from attrs import frozen

from floto.core.errors import HistoryError
from floto.core.spec.graph import RESERVED_PREFIX
from floto.core.state.attempts import Attempt, attempts
from floto.core.state.fold import fold
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.history import History
from floto.core.swf.wire import type_name


class Phase(StrEnum):
    """What the time of a task goes into."""

    QUEUED = "queued"
    RUNNING = "running"
    #: It ran, and that did not work.
    FAILED = "failed"
    #: It ran, or waited, until it was canceled.
    CANCELED = "canceled"
    #: The last attempt failed, and the next is not due yet.
    RETRY_WAIT = "retry wait"


@frozen
class Span:
    """One phase of a task, from when to when."""

    phase: Phase
    start: datetime
    end: datetime


@frozen
class Lane:
    """One task of a run: its attempts, and what its time went into."""

    key: Key
    status: Status
    attempts: tuple[Attempt, ...]
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """The id of the activity, timer, child or function, or the name of the signal."""
        return self.key[1]


@frozen
class Timeline:
    """A run from its first event to its last."""

    start: datetime
    end: datetime
    #: The type of the event that closed the run; None while it is open.
    closed: str | None
    #: By when each was first wanted.
    lanes: tuple[Lane, ...]
    #: When decision tasks were answered.
    decisions: tuple[datetime, ...]

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end - self.start).total_seconds()


_SHOWN = (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD, Kind.LAMBDA, Kind.SIGNAL)


def timeline(history: History) -> Timeline:
    """What happened when in a history, whoever decided it. Raises ``HistoryError`` for an empty one."""
    state = fold(history)
    if state.started is None or state.last is None:
        raise HistoryError(None, "this history is empty; there is nothing to show")
    end = state.last.at
    lanes = [_lane(item, history, end) for item in _items(state)]
    return Timeline(
        state.started.at,
        end,
        None if state.closed is None else type_name(state.closed.data),
        tuple(sorted(lanes, key=lambda lane: (_first(lane, end), lane.key))),
        tuple(event.at for event in history if isinstance(event.data, e.DecisionTaskCompleted)),
    )


def _items(state: State) -> Iterator[Item]:
    for (kind, id_), item in state.items.items():
        # Waits for retries show in the lane of what is tried again.
        if kind in _SHOWN and not id_.startswith(RESERVED_PREFIX):
            yield item


def _lane(item: Item, history: History, end: datetime) -> Lane:
    tried = attempts(item, history.events)
    spans = [span for attempt in tried for span in _spans(item.key[0], attempt, end)]
    waits = (Span(Phase.RETRY_WAIT, *wait) for wait in _waits(tried))
    ordered = sorted([*spans, *waits], key=lambda span: (span.start, span.end))
    return Lane(item.key, item.status, tried, tuple(ordered))


def _spans(kind: Kind, attempt: Attempt, end: datetime) -> Iterator[Span]:
    ended = attempt.ended or end
    if attempt.opened is None:
        # Refused, or a signal: a moment and no more.
        yield Span(_ran(attempt), ended, ended)
        return
    # A timer runs from the moment it is started; nobody has to take it.
    began = attempt.opened if kind is Kind.TIMER else attempt.started
    if attempt.opened != began:
        yield Span(Phase.QUEUED, attempt.opened, began or ended)
    if began is not None:
        yield Span(_ran(attempt), began, ended)
    elif attempt.ended is not None:
        yield Span(_ran(attempt), ended, ended)


def _ran(attempt: Attempt) -> Phase:
    if attempt.status is Status.CANCELED:
        return Phase.CANCELED
    worked = attempt.ended is None or attempt.status is Status.COMPLETED
    return Phase.RUNNING if worked else Phase.FAILED


def _waits(tried: tuple[Attempt, ...]) -> Iterator[tuple[datetime, datetime]]:
    for before, after in pairwise(tried):
        due = after.opened or after.ended
        if before.ended is not None and due is not None and due > before.ended:
            yield before.ended, due


def _first(lane: Lane, end: datetime) -> datetime:
    return min((span.start for span in lane.spans), default=end)
