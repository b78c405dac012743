"""Timeline of a history: the data of a Gantt chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from attrs import frozen

from floto.core.decide.next_step import retry_timer_id
from floto.core.errors import HistoryError
from floto.core.replay.recorded_progress import recorded_progress
from floto.core.replay.task_status import (
    STARTED_KINDS,
    TaskStatus,
    item_name,
    started_statuses,
    task_statuses,
)
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import TaskCodec
from floto.core.state.attempts import Attempt, attempts
from floto.core.state.fold import state_of
from floto.core.state.state import OPEN, Item, Key, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.history import History, as_history
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.swf.wire import type_name


@frozen
class Span:
    """A status of a task, with its start and end.

    An attempt that ran is a span of ``RUNNING``, or of its failure if it failed or was canceled; the wait
    before its retry is one of ``RETRYING``.
    """

    status: TaskStatus
    start: datetime
    end: datetime


@frozen
class Lane:
    """One task of a run: its status, attempts and spans."""

    key: Key
    status: TaskStatus
    attempts: tuple[Attempt, ...]
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Id of what was started, or name of the signal that arrived."""
        return item_name(self.key)


@frozen
class Timeline:
    """Timeline of a run, from its first event to its last."""

    start: datetime
    end: datetime
    #: Type of the closing event; None while the run is open.
    closed: str | None
    #: Sorted by the start of the first span.
    lanes: tuple[Lane, ...]
    #: Times of the responses to decision tasks.
    decisions: tuple[datetime, ...]

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return (self.end - self.start).total_seconds()


_GOOD = (*OPEN, Status.COMPLETED)


def timeline(history: History, spec: DeciderSpec | None = None, codec: TaskCodec = CODEC) -> Timeline:
    """Return the timeline of a history, also of one that floto did not decide.

    Args:
        history: The history of a run, open or closed.
        spec: The spec that decided the run. Without it, a failed task is not known to have a retry left.
        codec: Codec of task results; with the payload store of the run if it has one.

    Raises:
        HistoryError: The history is empty or cannot have happened.
        SpecError: ``spec`` is not a spec, or ``codec`` cannot read generated tasks that have begun.
    """
    state = state_of(as_history(history))
    found = {}
    if spec is not None:
        progress = recorded_progress(spec, state, codec)
        found = {task.key: status for task, status in task_statuses(progress)}
    return timeline_of(history, state, found)


def timeline_of(history: History, state: State, known: Mapping[Key, TaskStatus]) -> Timeline:
    """Return the timeline of a history.

    Args:
        history: The history of a run, open or closed.
        state: The state after it.
        known: The status of each task, by the key of its item, as far as it is known from a spec.

    Raises:
        HistoryError: The history is empty.
    """
    if state.started is None or state.last is None:
        raise HistoryError(None, "this history is empty; there is nothing to show")
    end = state.last.at
    found = {**started_statuses(state), **known}
    lanes = [_lane(item, found[item.key], history, state) for item in shown_items(state)]
    return Timeline(
        state.started.at,
        end,
        None if state.closed is None else type_name(state.closed.data),
        tuple(sorted(lanes, key=lambda lane: (_first(lane, end), lane.key))),
        tuple(event.at for event in history if isinstance(event.data, e.DecisionTaskCompleted)),
    )


def shown_items(state: State) -> Iterator[Item]:
    """Yield what a run started and what arrived, without what floto starts for itself."""
    for (kind, id_), item in state.items.items():
        # Retry timers are spans of the task that they retry.
        if kind in (*STARTED_KINDS, Kind.SIGNAL) and not id_.startswith(RESERVED_PREFIX):
            yield item


def _lane(item: Item, status: TaskStatus, history: History, state: State) -> Lane:
    tried, end = attempts(item, history.events), history.events[-1].at
    spans = [span for attempt in tried for span in _spans(item.key[0], attempt, end)]
    waits = [Span(TaskStatus.RETRYING, *wait) for wait in _waits(tried)]
    timer = state.items.get((Kind.TIMER, retry_timer_id(item.key[1], len(item.failures))))
    if item.status not in _GOOD and timer is not None and timer.status in _GOOD:
        waits.append(Span(TaskStatus.RETRYING, item.failures[-1].at, end))
    ordered = sorted([*spans, *waits], key=lambda span: (span.start, span.end))
    return Lane(item.key, status, tried, tuple(ordered))


def _spans(kind: Kind, attempt: Attempt, end: datetime) -> Iterator[Span]:
    ended = attempt.ended or end
    if attempt.opened is None:
        # A refusal or a signal has no duration.
        yield Span(_ran(attempt), ended, ended)
        return
    # A timer runs from its start, since no worker claims it.
    began = attempt.opened if kind is Kind.TIMER else attempt.started
    if attempt.opened != began:
        yield Span(TaskStatus.QUEUED, attempt.opened, began or ended)
    if began is not None:
        yield Span(_ran(attempt), began, ended)
    elif attempt.ended is not None:
        yield Span(_ran(attempt), ended, ended)


def _ran(attempt: Attempt) -> TaskStatus:
    if attempt.status is Status.CANCELED:
        return TaskStatus.CANCELED
    worked = attempt.ended is None or attempt.status is Status.COMPLETED
    return TaskStatus.RUNNING if worked else TaskStatus.FAILED


def _waits(tried: tuple[Attempt, ...]) -> Iterator[tuple[datetime, datetime]]:
    for before, after in pairwise(tried):
        due = after.opened or after.ended
        if before.ended is not None and due is not None and due > before.ended:
            yield before.ended, due


def _first(lane: Lane, end: datetime) -> datetime:
    return min((span.start for span in lane.spans), default=end)
