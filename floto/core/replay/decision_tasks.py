"""The decision tasks of a history, each with what its answer left there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from attrs import define, evolve, field

from floto.core.errors import HistoryError
from floto.core.replay.decision_diff import Difference, difference
from floto.core.replay.recorded_decisions import LEFT_BY, Recorded, recorded, refuses
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event

_FULL = "EVENT_LIMIT_EXCEEDED"


class RecordedOutcome(StrEnum):
    """What became of a decision task."""

    ANSWERED = "answered"
    TIMED_OUT = "timed out"
    #: The history ends while a decider has it.
    OPEN = "open"


@define
class DecisionTaskRecord:
    """One decision task, by the ids of its events; 0 where there is none."""

    scheduled: int
    started: int = 0
    ended: int = 0
    outcome: RecordedOutcome = RecordedOutcome.OPEN
    #: What the answer left, in its order.
    left: list[Recorded] = field(factory=list)
    #: Whether SWF closed the run for its length before all of the answer was carried out.
    is_cut: bool = False

    def against(self, decided: Sequence[Decision]) -> Difference | None:
        """How what the answer left differs from what is decided; nothing where there is no answer."""
        if self.outcome is not RecordedOutcome.ANSWERED:
            return None
        return difference(self.left, decided[: len(self.left)] if self.is_cut else decided)


def questions(events: Sequence[Event]) -> list[DecisionTaskRecord]:
    """The decision tasks that a decider took or let pass, in order.

    Raises ``HistoryError`` for an answer to what nobody asked.
    """
    reading = _Reading()
    for event in events:
        note = _NOTES.get(type(event.data))
        if note is not None:
            note(reading, event)
    return reading.found


@define
class _Reading:
    """What was read so far: all questions, those by the start and those by the answer."""

    found: list[DecisionTaskRecord] = field(factory=list)
    taken: dict[int, DecisionTaskRecord] = field(factory=dict)
    answered: dict[int, DecisionTaskRecord] = field(factory=dict)


def _started(reading: _Reading, event: Event) -> None:
    question = reading.taken[event.id] = DecisionTaskRecord(event.data.scheduled_event_id, event.id)
    reading.found.append(question)


def _answered(reading: _Reading, event: Event) -> None:
    reading.answered[event.id] = _end(reading, event, RecordedOutcome.ANSWERED)


def _timed_out(reading: _Reading, event: Event) -> None:
    if event.data.started_event_id:
        _end(reading, event, RecordedOutcome.TIMED_OUT)
    else:
        # No decider took it.
        question = DecisionTaskRecord(event.data.scheduled_event_id, 0, event.id, RecordedOutcome.TIMED_OUT)
        reading.found.append(question)


def _end(reading: _Reading, event: Event, outcome: RecordedOutcome) -> DecisionTaskRecord:
    question = reading.taken.pop(event.data.started_event_id, None)
    if question is None:
        problem = f"ends a decision task that event {event.data.started_event_id} did not start"
        raise HistoryError(event.id, problem)
    question.ended, question.outcome = event.id, outcome
    return question


def _left(reading: _Reading, event: Event) -> None:
    completed = event.data.decision_task_completed_event_id
    question = reading.answered.get(completed)
    if question is None:
        raise HistoryError(event.id, f"decisionTaskCompletedEventId is {completed}, which is no such event")
    own = recorded(event)
    if own is not None:
        question.left.append(own)
        return
    initiated, cause = refuses(event), event.data.cause
    question.left = [
        evolve(each, cause=cause) if each.event_id == initiated else each for each in question.left
    ]


def _closed(reading: _Reading, event: Event) -> None:
    if event.data.cause == _FULL and reading.answered:
        last = next(reversed(reading.answered.values()))
        last.is_cut = event.id == 1 + max([last.ended, *(each.event_id for each in last.left)])


#: What each type of event tells of questions and answers; the others tell nothing.
_NOTES: Mapping[type, Callable[[_Reading, Event], None]] = {
    e.DecisionTaskStarted: _started,
    e.DecisionTaskCompleted: _answered,
    e.DecisionTaskTimedOut: _timed_out,
    e.WorkflowExecutionTerminated: _closed,
    **dict.fromkeys(LEFT_BY, _left),
}
