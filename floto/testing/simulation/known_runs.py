"""The runs of a simulation as their deciders know them: spec, progress and attempts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from attrs import define, evolve, field, frozen

from floto.core.decide.decide import decisions as decisions_of
from floto.core.decide.decide import spec_of
from floto.core.decide.progress import Progress, advanced, begin
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.errors import SpecError
from floto.core.payloads import payload
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.tasks import Task, TaskCodec, expands
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, Kind, State, Status
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    StartTimer,
)
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.context import WORKFLOW_ID, SimulationContext
from floto.testing.simulation.default_tasks import default_tasks
from floto.testing.simulation.endings import Endings
from floto.testing.simulation.outcomes import Ending, How
from floto.testing.simulation.result import AttemptKey
from floto.testing.simulation.shown import ShownHistory

#: Decides in place of floto.
Decider = Callable[[DeciderSpec, History], Sequence[Decision]]

#: Timer id of the work of a child without a spec.
_WORK_TIMER = "work"


@define(eq=False)
class Run:
    """One run, with the state that its decider keeps."""

    execution: WorkflowExecution
    #: Number of the run among those of its workflow id, from 1.
    number: int
    shown: ShownHistory
    spec: DeciderSpec | None = None
    progress: Progress | None = None
    #: Number of events that the progress includes.
    followed: int = 0
    #: How a child ends that has no spec, or whose outcome is given.
    ending: Ending | None = None
    is_new: bool = True
    attempts: Counter[str] = field(factory=Counter)

    @property
    def start(self) -> WorkflowExecutionStarted:
        """The data of the WorkflowExecutionStarted event."""
        data: WorkflowExecutionStarted = self.shown.events[0].data
        return data

    @property
    def is_continued(self) -> bool:
        """True if the run continues another as new."""
        return self.start.continued_execution_run_id is not None

    def default_tasks(self, task_id: str) -> list[ActivityTask] | None:
        """Return the tasks that a generator returns by default; None for a task that is not a generator."""
        task = self._task(task_id)
        if task is None or not expands(task):
            return None
        return default_tasks(task, lambda id_: self._task(id_) is not None)

    def _task(self, task_id: str) -> Task | None:
        plan = None if self.progress is None else self.progress.plan
        if plan is not None and task_id in plan.index:
            return plan.tasks[plan.index[task_id]]
        tasks: Iterable[Task] = () if self.spec is None else self.spec.all_tasks
        return next((task for task in tasks if task.id_ == task_id), None)

    def count(self, task_id: str) -> int:
        """Count one more attempt at a task and return its number."""
        self.attempts[task_id] += 1
        return self.attempts[task_id]

    def uncount(self, task_id: str) -> None:
        """Take back an attempt that SWF refused."""
        self.attempts[task_id] -= 1

    def key(self, task_id: str, attempt: int) -> AttemptKey:
        """Return the key of an attempt."""
        return AttemptKey(self.execution.workflow_id, self.number, task_id, attempt)


@frozen
class SpecLookup:
    """Finds the spec of a run; ``children`` are those of children that carry none, by type name."""

    spec: DeciderSpec
    children: Mapping[str, DeciderSpec]
    codec: TaskCodec

    def of(self, execution: WorkflowExecution, start: WorkflowExecutionStarted) -> DeciderSpec | None:
        """Return the spec of a run, or None for a child without one; may raise ``SpecError``."""
        if execution.workflow_id == WORKFLOW_ID:
            return self.spec
        return spec_of(start.input, self.codec) or self.children.get(start.workflow_type.name)


class Runs:
    """All runs of a simulation and their next decisions; ``decider`` decides in place of floto."""

    def __init__(
        self, context: SimulationContext, endings: Endings, specs: SpecLookup, decider: Decider | None
    ) -> None:
        self._context, self._endings, self.specs, self._decider = context, endings, specs, decider
        self._by_run_id: dict[str, Run] = {}
        #: The attempts that started children, by run id and initiated event id of the parent.
        self._started: dict[tuple[str, int], AttemptKey] = {}

    def of(self, execution: WorkflowExecution) -> Run:
        """Return the record of a run, and add it if it is new."""
        run = self._by_run_id.get(execution.run_id)
        if run is None:
            begun = (info.execution for info in self._context.world.executions())
            same = [each.run_id for each in begun if each.workflow_id == execution.workflow_id]
            run = Run(execution, 1 + same.index(execution.run_id), ShownHistory(execution))
            self._by_run_id[execution.run_id] = run
        return run

    def all(self) -> list[Run]:
        """Return every run in order of start, with its history up to date."""
        found = [self.of(info.execution) for info in self._context.world.executions()]
        for run in found:
            run.shown.extend(self._context.world.events(run.execution, run.shown.written))
        return found

    def note_child(self, run: Run, initiated_event_id: int, key: AttemptKey) -> None:
        """Record the attempt that a child belongs to."""
        self._started[run.execution.run_id, initiated_event_id] = key

    def spec_of(self, execution: WorkflowExecution, start: WorkflowExecutionStarted) -> DeciderSpec | None:
        """Return the spec of a run; None for a child that has none, or whose outcome is given.

        May raise ``SpecError``.
        """
        key = self._starter(start)
        find = partial(self._readable_spec, execution, start)
        if key is not None and self._endings.is_given(key, start.workflow_type.name, find):
            return None
        return self.specs.of(execution, start)

    def _readable_spec(
        self, execution: WorkflowExecution, start: WorkflowExecutionStarted
    ) -> DeciderSpec | None:
        """Return the spec of a run, also if its outcome is given; None if it has none that can be read."""
        with suppress(SpecError):
            return self.specs.of(execution, start)
        return None

    def decisions(self, run: Run, state: State, changed: ChangedKeys) -> tuple[Decision, ...]:
        """Return the next decisions of a run; a run whose spec is unusable fails, as with floto's decider.

        Args:
            run: The run, with the history that is shown.
            state: The state after the history that SWF has written.
            changed: The keys of the items that changed lately in it.
        """
        try:
            if run.followed == 0:
                run.spec = self.spec_of(run.execution, run.start)
            if run.spec is not None:
                return tuple(self._by_spec(run, run.spec, state, changed))
        except SpecError as error:
            return (FailWorkflowExecution(reason="SpecError", details=str(error)[: payload.LIMIT]),)
        if run.ending is None:
            find = partial(self._readable_spec, run.execution, run.start)
            run.ending = self._endings.of_child(self._key_of_child(run), run.start, find)
        run.followed = len(run.shown.events)
        return tuple(self._by_ending(run, run.ending))

    def _by_spec(self, run: Run, spec: DeciderSpec, state: State, changed: ChangedKeys) -> Sequence[Decision]:
        events = run.shown.events
        if self._decider is not None:
            run.followed = len(events)
            return self._decider(spec, run.shown.history())
        is_altered = run.shown.is_altered
        if run.progress is None:
            shown = fold(events, evolve(EMPTY, execution=run.execution)) if is_altered else state
            run.progress = begin(spec, shown, self.specs.codec)
        elif is_altered or changed.since > run.followed:
            run.progress = run.progress.observe(events[run.followed :])
        else:
            run.progress = advanced(run.progress, state, changed.keys)
        run.followed = len(events)
        return decisions_of(run.progress)

    def _key_of_child(self, run: Run) -> AttemptKey:
        """Return the attempt of the parent that a child belongs to."""
        workflow_id = run.execution.workflow_id
        return self._starter(run.start) or AttemptKey(workflow_id, run.number, workflow_id, 1)

    def _starter(self, start: WorkflowExecutionStarted) -> AttemptKey | None:
        """Return the attempt that started a run; None for the main run."""
        parent, initiated = start.parent_workflow_execution, start.parent_initiated_event_id
        return None if parent is None else self._started.get((parent.run_id, initiated or 0))

    def _by_ending(self, run: Run, ending: Ending) -> list[Decision]:
        """Return the decisions of a child that runs no spec: it works for its time, then ends."""
        state = fold(run.shown.events)
        if state.cancel_requested is not None:
            return [CancelWorkflowExecution(details="as asked")]
        work = state.items.get((Kind.TIMER, _WORK_TIMER))
        if ending.how is How.TIMES_OUT or (work is not None and work.is_open):
            return []
        if ending.seconds and (work is None or work.status is not Status.COMPLETED):
            lasts = str(math.ceil(ending.seconds))
            return [StartTimer(timer_id=_WORK_TIMER, start_to_fire_timeout=lasts)]
        if ending.how is How.FAILS:
            return [FailWorkflowExecution(reason=ending.reason, details=ending.details)]
        return [CompleteWorkflowExecution(result=self._endings.text(ending, self._key_of_child(run).task_id))]
