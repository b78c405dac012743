"""A saved history decided again: what was decided at each step, and what would be decided now.

Each decision task of a history is a step. What a decider answered is read off the events
that the answer left, so this works on histories that floto did not decide, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from attrs import define, evolve, field, frozen

from floto.core import events as e
from floto.core.decide import decisions
from floto.core.decisions import Decision, FailWorkflowExecution
from floto.core.difference import Difference, difference
from floto.core.errors import HistoryError, SpecError
from floto.core.events import Event
from floto.core.history import History
from floto.core.limits import DATA_LIMIT
from floto.core.progress import begin, observe
from floto.core.recorded import Recorded, recorded, refuses
from floto.core.shapes import WorkflowExecution
from floto.core.specs import CODEC, DeciderSpec
from floto.core.state import EMPTY, TASK_CONTROL
from floto.core.tasks import TaskCodec


class Outcome(StrEnum):
    """What became of a decision task."""

    ANSWERED = "answered"
    TIMED_OUT = "timed out"
    #: The history ends while a decider has it.
    OPEN = "open"


@frozen(kw_only=True)
class Step:
    """One decision task: what was new, what was decided, and what would be decided now.

    The ids are those of its events. One that timed out before any decider took it has no
    ``started`` (0), and nothing is decided for it.
    """

    number: int
    scheduled: int
    started: int
    #: The event that ended it; 0 while it is open.
    ended: int
    outcome: Outcome
    #: What has happened since the last step, up to the start of this one.
    events: tuple[Event, ...] = field(repr=lambda events: f"<{len(events)} events>")
    recorded: tuple[Recorded, ...]
    decided: tuple[Decision, ...]
    difference: Difference | None


@frozen
class Divergence:
    """The first step at which a history and a spec part."""

    step: int
    #: The DecisionTaskCompleted under which the recorded decisions stand.
    event_id: int
    difference: Difference

    @property
    def field(self) -> str:
        """The field that differs, or ``decision`` or ``order``."""
        return self.difference.field

    @property
    def recorded(self) -> Any:
        """What was recorded in that field; None where there is nothing."""
        return self.difference.recorded

    @property
    def decided(self) -> Any:
        """What would be decided now; None where that is nothing."""
        return self.difference.decided

    def __str__(self) -> str:
        """One sentence."""
        return f"step {self.step} (event {self.event_id}): {self.difference}"


@frozen
class Replay:
    """A history decided again, step by step."""

    history: History
    steps: tuple[Step, ...] = field(repr=lambda steps: f"<{len(steps)} steps>")
    #: What is called for at the end of the history; nothing where the run has closed.
    next: tuple[Decision, ...]

    @property
    def divergence(self) -> Divergence | None:
        """Where history and spec part first; None where they agree."""
        for step in self.steps:
            if step.difference is not None:
                return Divergence(step.number, step.ended, step.difference)
        return None


def replay(spec: DeciderSpec, history: History, codec: TaskCodec = CODEC) -> Replay:
    """Decide a saved history again and compare, field by field, with what it recorded.

    Raises ``HistoryError`` for a history that cannot have happened.
    """
    asked = questions(history.events)
    taken = [question.started for question in asked if question.started]
    answers = decided_at(spec, history, [*taken, len(history)], codec)
    steps: list[Step] = []
    seen = 0
    for question in asked:
        decided = next(answers) if question.started else ()
        until = question.started or question.ended
        steps.append(_step(len(steps) + 1, question, history.events[seen:until], decided))
        seen = until
    return Replay(history, tuple(steps), next(answers))


def _step(number: int, question: Question, events: tuple[Event, ...], decided: tuple[Decision, ...]) -> Step:
    return Step(
        number=number,
        scheduled=question.scheduled,
        started=question.started,
        ended=question.ended,
        outcome=question.outcome,
        events=events,
        recorded=tuple(question.left),
        decided=decided,
        difference=question.against(decided),
    )


@define
class Question:
    """One decision task of a history, and what its answer left there."""

    scheduled: int
    started: int = 0
    ended: int = 0
    outcome: Outcome = Outcome.OPEN
    left: list[Recorded] = field(factory=list)
    #: Whether SWF closed the run for its length before all of the answer was carried out.
    is_cut: bool = False

    def against(self, decided: Sequence[Decision]) -> Difference | None:
        """How what the answer left differs from what is decided; nothing where there is no answer."""
        if self.outcome is not Outcome.ANSWERED:
            return None
        return difference(self.left, decided[: len(self.left)] if self.is_cut else decided)


def questions(events: Sequence[Event]) -> list[Question]:
    """The decision tasks of a history that a decider took or let pass, in order."""
    found: list[Question] = []
    answered: dict[int, Question] = {}
    for event in events:
        data = event.data
        if isinstance(data, e.DecisionTaskStarted):
            found.append(Question(data.scheduled_event_id, event.id))
        elif isinstance(data, e.DecisionTaskCompleted):
            answered[event.id] = _end(found, event, Outcome.ANSWERED)
        elif isinstance(data, e.DecisionTaskTimedOut):
            _end(found, event, Outcome.TIMED_OUT)
        else:
            _note(answered, event)
    return found


def _end(found: list[Question], event: Event, outcome: Outcome) -> Question:
    started = event.data.started_event_id
    if not started and outcome is Outcome.TIMED_OUT:
        found.append(Question(event.data.scheduled_event_id))
    elif not found or found[-1].started != started or found[-1].ended:
        raise HistoryError(event.id, f"ends a decision task that event {started} did not start")
    found[-1].ended, found[-1].outcome = event.id, outcome
    return found[-1]


def _note(answered: dict[int, Question], event: Event) -> None:
    """Add what an event tells of an answer to the question."""
    if getattr(event.data, "cause", None) == _FULL and answered:
        last = next(reversed(answered.values()))
        last.is_cut = event.id == 1 + max([last.ended, *(each.event_id for each in last.left)])
    completed = getattr(event.data, "decision_task_completed_event_id", None)
    if completed is None:
        return
    if completed not in answered:
        raise HistoryError(event.id, f"decisionTaskCompletedEventId is {completed}, which is no such event")
    left, initiated, own = answered[completed].left, refuses(event), recorded(event)
    if own is not None:
        left.append(own)
    elif initiated:
        left[:] = [_refused(each, event) if each.event_id == initiated else each for each in left]


def _refused(record: Recorded, event: Event) -> Recorded:
    return evolve(record, cause=event.data.cause)


_FULL = "EVENT_LIMIT_EXCEEDED"


def decided_at(
    spec: DeciderSpec, history: History, event_ids: Iterable[int], codec: TaskCodec = CODEC
) -> Iterator[tuple[Decision, ...]]:
    """What floto decides after each of these events, which must ascend; each costs what is new.

    A spec that cannot be used fails the run, as it would in a decider.
    """
    execution = history.execution or _execution(history.events)
    progress = begin(spec, evolve(EMPTY, execution=execution), codec)
    broken: tuple[Decision, ...] | None = None
    for event_id in event_ids:
        try:
            if broken is None:
                progress = observe(progress, history.events[progress.state.last_event_id : event_id])
        except SpecError as error:
            broken = (FailWorkflowExecution(reason="SpecError", details=str(error)[:DATA_LIMIT]),)
        yield tuple(decisions(progress)) if broken is None else broken


def _execution(events: Iterable[Event]) -> WorkflowExecution | None:
    """Which run a history is of, where it does not say so: floto names children after their parent."""
    for event in events:
        if isinstance(event.data, e.StartChildWorkflowExecutionInitiated):
            workflow_id, control = event.data.workflow_id, event.data.control or ""
            ending = f":{control.removeprefix(TASK_CONTROL)}"
            if control.startswith(TASK_CONTROL) and workflow_id.endswith(ending):
                return WorkflowExecution(workflow_id.removesuffix(ending), "")
    return None
