"""Timeline of a history: the data of a Gantt chart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from attrs import frozen

from floto.core.errors import HistoryError
from floto.core.state.attempts import Attempt, attempts
from floto.core.state.fold import fold
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.history import History
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.swf.wire import type_name


class Phase(StrEnum):
    """Phase of a task."""

    QUEUED = "queued"
    RUNNING = "running"
    #: Ran, and failed.
    FAILED = "failed"
    #: The attempt ran, or waited, until it was canceled.
    CANCELED = "canceled"
    #: The previous attempt failed, and the next is not due.
    RETRY_WAIT = "retry wait"


@frozen
class Span:
    """One phase of a task, with its start and end."""

    phase: Phase
    start: datetime
    end: datetime


@frozen
class Lane:
    """One task of a run: its attempts and phases."""

    key: Key
    status: Status
    attempts: tuple[Attempt, ...]
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Id of the activity, timer, child or Lambda function, or name of the signal."""
        return self.key[1]


@frozen
class Timeline:
    """Timeline of a run, from its first event to its last."""

    start: datetime
    end: datetime
    #: Type of the closing event; None while the run is open.
    closed: str | None
    #: Sorted by the start of the first phase.
    lanes: tuple[Lane, ...]
    #: Times of the responses to decision tasks.
    decisions: tuple[datetime, ...]

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return (self.end - self.start).total_seconds()


_SHOWN = (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD, Kind.LAMBDA, Kind.SIGNAL)


def timeline(history: History) -> Timeline:
    """Return the timeline of a history, also of one that floto did not decide.

    Args:
        history: The history of a run, open or closed.

    Raises:
        HistoryError: The history is empty or cannot have happened.
    """
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
        # Retry timers are phases of the task that they retry.
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
        # A refusal or a signal has no duration.
        yield Span(_ran(attempt), ended, ended)
        return
    # A timer runs from its start, since no worker claims it.
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
