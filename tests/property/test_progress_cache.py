"""Cached progress, updated by new events, must equal the progress of the whole history."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from floto import CODEC, DeciderSpec, History, decide, fold
from floto.core.decide.decide import decisions, spec_of
from floto.core.decide.progress import Progress, begin
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.errors import HistoryError
from floto.core.state.fold import trace
from floto.core.state.state import EMPTY, State
from floto.core.swf.events import Event
from floto.core.swf.service import PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.deciders.progress_cache import ProgressCache
from floto.testing import Faults, Simulation, Step, simulate
from floto.testing.simulation.context import WORKFLOW
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS


class Stage:
    """Deciders of one task list, each with a memory, and a service that shows histories as they are later."""

    def __init__(self, spec: DeciderSpec, deciders: int, size: int) -> None:
        self._spec = spec
        self._later: dict[WorkflowExecution, History] = {}
        self.reads = 0
        self.memories = [ProgressCache(size, self._read, self._choose, _begin) for _ in range(deciders)]

    def _choose(self, state: State) -> DeciderSpec:
        return spec_of(state.start.input) or self._spec

    def _read(self, execution: WorkflowExecution, after: int, until: int) -> Sequence[Event]:
        self.reads += 1
        return self._later[execution].events[after:until]

    def ask(self, memory: ProgressCache, step: Step, part: Sequence[Event]) -> Progress:
        """Return the decisions for a part of a step's history."""
        execution = step.history.execution
        assert execution is not None
        self._later[execution] = step.after
        return memory.follow(task_of(step, part))

    def look_ahead(self, step: Step, since: int) -> Progress | None:
        """Return the progress of the first memory, by the state and the changed keys of an engine."""
        history = step.history
        before = fold(history.events[:since], evolve(EMPTY, execution=history.execution))
        state, keys = trace(history.events[since:], before)
        changed = ChangedKeys(since, tuple(keys))
        task = task_of(step, history.events[max(previous(history) - 1, 0) :])
        return self.memories[0].look_ahead(task, state, changed, 10_000, lambda _tasks: True)


def _begin(spec: DeciderSpec, state: State) -> Progress:
    return begin(spec, state, CODEC)


def task_of(step: Step, part: Sequence[Event]) -> PolledDecisionTask:
    execution = step.history.execution
    assert execution is not None
    return PolledDecisionTask(
        token="",
        execution=execution,
        workflow_type=WORKFLOW,
        events=tuple(part),
        started_event_id=len(step.history),
    )


def previous(history: History) -> int:
    """The start of the decision task that was answered last; 0 if none was."""
    return fold(history).decision_tasks.previous_started


def part_of(history: History, cut: int) -> Sequence[Event]:
    """The end of a history: the whole, what is new and its overlap (SWF), a bit of that, or nothing."""
    starts = (
        0,
        max(previous(history) - 1, 0),
        max(previous(history) - 1, 0),
        len(history) - cut,
        len(history),
    )
    return history.events[max(starts[cut % len(starts)], 0) :]


@SETTINGS
@given(
    runs(specs()),
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60), st.booleans()), max_size=40),
)
def test_cached_progress_with_new_events_equals_the_whole_history(
    run: Simulation, deciders: int, size: int, moves: list[tuple[int, int, bool]]
) -> None:
    """For any decider, any part of the history, and any evicted entries."""
    stage = Stage(run.spec, deciders, size)
    script = [*moves, *[(0, 1, False)] * 1_500]
    for step, (who, cut, forgets) in zip(run.steps, script, strict=False):
        memory = stage.memories[who % deciders]
        if forgets and step.history.execution is not None:
            memory.forget(step.history.execution)
        current = stage.ask(memory, step, part_of(step.history, cut))
        scratch = begin(step.spec, fold(step.history, evolve(EMPTY, execution=step.history.execution)))
        assert current == scratch
        assert decisions(current) == list(step.decisions) == decide(step.spec, step.history)


@SETTINGS
@given(runs(specs()), st.integers(1, 3), st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_progress_by_the_state_of_an_engine_equals_the_whole_history(
    run: Simulation, size: int, moves: list[tuple[int, bool]]
) -> None:
    """For changes since any start of a decision task, and any entries that are missing or behind."""
    stage, starts = Stage(run.spec, 1, size), [0]
    for step, (back, keeps) in zip(run.steps, [*moves, *[(0, True)] * 1_500], strict=False):
        current = stage.look_ahead(step, min(starts[-1 - min(back, len(starts) - 1)], len(step.history)))
        starts.append(len(step.history))
        assert current == begin(
            step.spec, fold(step.history, evolve(EMPTY, execution=step.history.execution))
        )
        if keeps and step.history.execution is not None:
            stage.memories[0].keep(step.history.execution.run_id, current)
    assert stage.reads == 0


@SETTINGS
@given(runs(specs(), faults=evolve(Faults.all(), loses_decision=0)))
def test_single_decider_never_reads_a_history(run: Simulation) -> None:
    """The events from the start of the previous task on suffice, if no task was lost."""
    stage = Stage(run.spec, 1, 1_000)
    for step in run.steps:
        part = step.history.events[max(previous(step.history) - 1, 0) :]
        stage.ask(stage.memories[0], step, part)
    assert stage.reads == 0


def test_events_after_an_unfillable_gap_are_refused() -> None:
    step = simulate(DeciderSpec(task_list="decide", activity_tasks=[])).steps[0]
    memory = ProgressCache(1, lambda *_: (), lambda _state: step.spec, _begin)
    task = task_of(step, step.history.events[1:])
    with pytest.raises(HistoryError, match="follows event 0"):
        memory.follow(task)
