"""Decision tasks of a history, each with the decisions that its response recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from attrs import define, evolve, field

from floto.core.errors import HistoryError
from floto.core.replay.decision_diff import Difference, difference
from floto.core.replay.recorded_decisions import DECISION_OF_EVENT, Recorded, recorded, refuses
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event

_FULL = "EVENT_LIMIT_EXCEEDED"


class RecordedOutcome(StrEnum):
    """Outcome of a decision task."""

    ANSWERED = "answered"
    TIMED_OUT = "timed out"
    #: Started, and not closed at the end of the history.
    OPEN = "open"


@define
class DecisionTaskRecord:
    """One decision task, by the ids of its events; 0 if there is no such event."""

    scheduled: int
    started: int = 0
    ended: int = 0
    outcome: RecordedOutcome = RecordedOutcome.OPEN
    #: Decisions of the response, in their order.
    recorded: list[Recorded] = field(factory=list)
    #: Whether SWF closed the run for its length before all decisions were carried out.
    is_cut: bool = False

    def difference_from(self, decided: Sequence[Decision]) -> Difference | None:
        """Return the first difference from new decisions; None if there is none, or no response."""
        if self.outcome is not RecordedOutcome.ANSWERED:
            return None
        return difference(self.recorded, decided[: len(self.recorded)] if self.is_cut else decided)


def decision_tasks(events: Sequence[Event]) -> list[DecisionTaskRecord]:
    """Return the decision tasks that were started or timed out, in their order.

    Args:
        events: Events of one run, from the first.

    Raises:
        HistoryError: An event closes a decision task that was not started.
    """
    reading = _Reading()
    for event in events:
        reader = _READERS.get(type(event.data))
        if reader is not None:
            reader(reading, event)
    return reading.found


@define
class _Reading:
    """Decision tasks read so far: all, the started ones by start event, the closed ones by response."""

    found: list[DecisionTaskRecord] = field(factory=list)
    started: dict[int, DecisionTaskRecord] = field(factory=dict)
    answered: dict[int, DecisionTaskRecord] = field(factory=dict)


def _started(reading: _Reading, event: Event) -> None:
    task = reading.started[event.id] = DecisionTaskRecord(event.data.scheduled_event_id, event.id)
    reading.found.append(task)


def _answered(reading: _Reading, event: Event) -> None:
    reading.answered[event.id] = _end(reading, event, RecordedOutcome.ANSWERED)


def _timed_out(reading: _Reading, event: Event) -> None:
    if event.data.started_event_id:
        _end(reading, event, RecordedOutcome.TIMED_OUT)
    else:
        # It timed out before a decider claimed it.
        task = DecisionTaskRecord(event.data.scheduled_event_id, 0, event.id, RecordedOutcome.TIMED_OUT)
        reading.found.append(task)


def _end(reading: _Reading, event: Event, outcome: RecordedOutcome) -> DecisionTaskRecord:
    task = reading.started.pop(event.data.started_event_id, None)
    if task is None:
        problem = f"ends a decision task that event {event.data.started_event_id} did not start"
        raise HistoryError(event.id, problem)
    task.ended, task.outcome = event.id, outcome
    return task


def _recorded(reading: _Reading, event: Event) -> None:
    completed = event.data.decision_task_completed_event_id
    task = reading.answered.get(completed)
    if task is None:
        problem = f"but event {completed} is not a DecisionTaskCompleted"
        raise HistoryError(event.id, f"decisionTaskCompletedEventId is {completed}, {problem}")
    own = recorded(event)
    if own is not None:
        task.recorded.append(own)
        return
    initiated, cause = refuses(event), event.data.cause
    task.recorded = [
        evolve(each, cause=cause) if each.event_id == initiated else each for each in task.recorded
    ]


def _closed(reading: _Reading, event: Event) -> None:
    if event.data.cause == _FULL and reading.answered:
        last = next(reversed(reading.answered.values()))
        last.is_cut = event.id == 1 + max([last.ended, *(each.event_id for each in last.recorded)])


#: Readers of the event types that concern decision tasks.
_READERS: Mapping[type, Callable[[_Reading, Event], None]] = {
    e.DecisionTaskStarted: _started,
    e.DecisionTaskCompleted: _answered,
    e.DecisionTaskTimedOut: _timed_out,
    e.WorkflowExecutionTerminated: _closed,
    **dict.fromkeys(DECISION_OF_EVENT, _recorded),
}
