"""Replay of a saved history: recorded and new decisions at each step.

Each decision task of a history is a step. The recorded decisions are reconstructed from the
events that they caused, so this also works on histories that floto did not decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import evolve, field, frozen

from floto.core.decide.decide import decisions
from floto.core.decide.progress import begin
from floto.core.errors import SpecError
from floto.core.quick_init import quick_init
from floto.core.replay.decision_diff import Difference
from floto.core.replay.decision_tasks import DecisionTaskRecord, RecordedOutcome, decision_tasks
from floto.core.replay.recorded_decisions import Recorded, check_readable
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import EMPTY
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision, FailWorkflowExecution
from floto.core.swf.events import Event
from floto.core.swf.history import History, as_history, collector_paused
from floto.core.swf.limits import DATA_LIMIT
from floto.core.swf.reserved_names import TASK_CONTROL
from floto.core.swf.shapes import WorkflowExecution


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class Step:
    """One decision task: its new events, its recorded decisions, and the new decisions.

    ``scheduled``, ``started`` and ``ended`` are event ids. A task that timed out before a decider
    claimed it has ``started`` 0 and no decisions.
    """

    number: int
    scheduled: int
    started: int
    #: Event that closed it; 0 while it is open.
    ended: int
    outcome: RecordedOutcome
    #: Events since the previous step, up to the start of this one.
    events: tuple[Event, ...] = field(repr=lambda events: f"<{len(events)} events>")
    recorded: tuple[Recorded, ...]
    decided: tuple[Decision, ...]
    difference: Difference | None


@frozen
class Divergence:
    """First step at which the recorded and the new decisions differ."""

    step: int
    #: Id of the DecisionTaskCompleted event of the recorded decisions.
    event_id: int
    difference: Difference

    @property
    def field(self) -> str:
        """Name of the field that differs, or ``decision`` or ``order``."""
        return self.difference.field

    @property
    def recorded(self) -> Any:
        """Recorded value of that field; None if there is none."""
        return self.difference.recorded

    @property
    def decided(self) -> Any:
        """New value of that field; None if there is none."""
        return self.difference.decided

    def __str__(self) -> str:
        """Return one line."""
        return f"step {self.step} (event {self.event_id}): {self.difference}"


@frozen
class Replay:
    """Recorded and new decisions of a history, step by step."""

    history: History
    steps: tuple[Step, ...] = field(repr=lambda steps: f"<{len(steps)} steps>")
    #: New decisions at the end of the history; empty if the run is closed.
    next: tuple[Decision, ...]

    @property
    def divergence(self) -> Divergence | None:
        """First step at which the decisions differ; None if they all agree."""
        for step in self.steps:
            if step.difference is not None:
                return Divergence(step.number, step.ended, step.difference)
        return None

    def check_readable(self, codec: TaskCodec) -> None:
        """Raise ``PayloadsNeeded`` if the decisions may differ only because a stored value cannot be read."""
        first = next((step for step in self.steps if step.difference is not None), None)
        check_readable(() if first is None else first.recorded, codec)


def replay(spec: DeciderSpec, history: History, codec: TaskCodec = CODEC) -> Replay:
    """Decide a saved history again, and compare field by field with the recorded decisions.

    Args:
        spec: The spec to decide by.
        history: The history of a run, open or closed.
        codec: Codec of task results; with the payload store of the run if it has one.

    Returns:
        The steps, and the first divergence.

    Raises:
        HistoryError: The history cannot have happened.
        PayloadsNeeded: The decisions may differ only because values are stored and ``codec`` has no store.
    """
    with collector_paused():
        asked = decision_tasks(as_history(history).events)
        taken = [task.started for task in asked if task.started]
        done = compared(history, asked, decided_at(spec, history, [*taken, len(history)], codec))
    done.check_readable(codec)
    return done


def compared(
    history: History, asked: Sequence[DecisionTaskRecord], answers: Iterator[tuple[Decision, ...]]
) -> Replay:
    """Return the recorded decisions beside the new ones.

    Args:
        history: The history of a run.
        asked: Its decision tasks.
        answers: The new decisions at each of them that was started, and those at the end of the history.
    """
    steps: list[Step] = []
    seen = 0
    for task in asked:
        decided = next(answers) if task.started else ()
        until = task.started or task.ended
        steps.append(_step(len(steps) + 1, task, history.events[seen:until], decided))
        seen = until
    return Replay(history, tuple(steps), next(answers))


def _step(
    number: int, task: DecisionTaskRecord, events: tuple[Event, ...], decided: tuple[Decision, ...]
) -> Step:
    return Step(
        number=number,
        scheduled=task.scheduled,
        started=task.started,
        ended=task.ended,
        outcome=task.outcome,
        events=events,
        recorded=tuple(task.recorded),
        decided=decided,
        difference=task.difference_from(decided),
    )


def decided_at(
    spec: DeciderSpec, history: History, event_ids: Iterable[int], codec: TaskCodec = CODEC
) -> Iterator[tuple[Decision, ...]]:
    """Yield the decisions after each of these events; each step costs only its new events.

    An invalid spec yields the decision to fail the run, as in a decider.

    Args:
        spec: The spec to decide by.
        history: The history of a run.
        event_ids: Ids of events, ascending.
        codec: Codec of task results.

    Raises:
        HistoryError: The history cannot have happened.
    """
    progress = begin(spec, evolve(EMPTY, execution=execution_of(history)), codec)
    broken: tuple[Decision, ...] | None = None
    for event_id in event_ids:
        try:
            if broken is None:
                progress = progress.observe(history.events[progress.state.last_event_id : event_id])
        except SpecError as error:
            broken = (FailWorkflowExecution(reason="SpecError", details=str(error)[:DATA_LIMIT]),)
        yield tuple(decisions(progress)) if broken is None else broken


def execution_of(history: History) -> WorkflowExecution | None:
    """Return the run of a history; infer its workflow id from a child, which floto names after its parent."""
    if history.execution is not None:
        return history.execution
    for event in history.events:
        if isinstance(event.data, e.StartChildWorkflowExecutionInitiated):
            workflow_id, control = event.data.workflow_id, event.data.control or ""
            ending = f":{control.removeprefix(TASK_CONTROL)}"
            if control.startswith(TASK_CONTROL) and workflow_id.endswith(ending):
                return WorkflowExecution(workflow_id.removesuffix(ending), "")
    return None
