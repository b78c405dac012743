"""A saved history decided again: what was decided at each step, and what would be decided now.

Each decision task of a history is a step. What a decider answered is read off the events
that the answer left, so this works on histories that floto did not decide, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve, field, frozen

from floto.core.decide.decide import decisions
from floto.core.decide.progress import begin, observe
from floto.core.errors import SpecError
from floto.core.replay.decision_diff import Difference
from floto.core.replay.decision_tasks import DecisionTaskRecord, RecordedOutcome, questions
from floto.core.replay.recorded_decisions import Recorded
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import EMPTY, TASK_CONTROL
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision, FailWorkflowExecution
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.limits import DATA_LIMIT
from floto.core.swf.shapes import WorkflowExecution


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
    outcome: RecordedOutcome
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
    asked = deque(questions(history.events))
    taken = [question.started for question in asked if question.started]
    answers = decided_at(spec, history, [*taken, len(history)], codec)
    steps: list[Step] = []
    seen = 0
    # A question goes when its step has come: the garbage collector looks at all that stays.
    while asked:
        question = asked.popleft()
        decided = next(answers) if question.started else ()
        until = question.started or question.ended
        steps.append(_step(len(steps) + 1, question, history.events[seen:until], decided))
        seen = until
    return Replay(history, tuple(steps), next(answers))


def _step(
    number: int, question: DecisionTaskRecord, events: tuple[Event, ...], decided: tuple[Decision, ...]
) -> Step:
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
