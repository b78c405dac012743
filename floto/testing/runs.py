"""The runs of a simulation as their deciders know them: which spec, how far, and what was tried."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, field

from floto.core import payload
from floto.core.decide import decisions as decisions_of
from floto.core.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    StartTimer,
)
from floto.core.errors import SpecError
from floto.core.events import WorkflowExecutionStarted
from floto.core.fold import fold
from floto.core.history import History
from floto.core.progress import Progress, begin, observe
from floto.core.shapes import WorkflowExecution
from floto.core.specs import DeciderSpec
from floto.core.state import EMPTY, TASK_CONTROL, Kind, Status
from floto.core.tasks import TaskCodec
from floto.testing.outcomes import Ending, How
from floto.testing.shown import Shown
from floto.testing.simulation import AttemptKey

#: How long a child without a spec is at work.
_WORK_TIMER = "work"


@define(eq=False)
class Run:
    """One run, with what its decider remembers of it."""

    execution: WorkflowExecution
    #: Which run of its workflow id it is, from 1.
    number: int
    shown: Shown
    spec: DeciderSpec | None = None
    progress: Progress | None = None
    #: How many events the progress has seen.
    followed: int = 0
    #: How it ends, of a child that nobody has a spec for.
    ending: Ending | None = None
    is_new: bool = True
    attempts: Counter[str] = field(factory=Counter)

    @property
    def start(self) -> WorkflowExecutionStarted:
        """How it began."""
        data: WorkflowExecutionStarted = self.shown.events[0].data
        return data

    @property
    def type_name(self) -> str:
        """The name of its workflow type."""
        return self.start.workflow_type.name

    @property
    def is_continued(self) -> bool:
        """Whether another run continued as this one."""
        return self.start.continued_execution_run_id is not None

    def count(self, task_id: str) -> int:
        """Note one more attempt at a task; which one it is."""
        self.attempts[task_id] += 1
        return self.attempts[task_id]

    def uncount(self, task_id: str) -> None:
        """Note that an attempt was none."""
        self.attempts[task_id] -= 1

    def key(self, task_id: str, attempt: int) -> AttemptKey:
        """The name of an attempt."""
        return AttemptKey(self.execution.workflow_id, self.number, task_id, attempt)


def task_id_of(data: Any) -> str:
    """The task that an event about a child belongs to, as floto names it in ``control``."""
    control = data.control or ""
    return control.removeprefix(TASK_CONTROL) if control.startswith(TASK_CONTROL) else data.workflow_id


class Runs:
    """All runs of a simulation, and who decides for each."""

    def __init__(
        self,
        spec_for: Callable[[WorkflowExecution, WorkflowExecutionStarted], DeciderSpec | None],
        codec: TaskCodec,
        decider: Callable[[DeciderSpec, History], Sequence[Decision]] | None,
    ) -> None:
        self._spec_for, self._codec, self._decider = spec_for, codec, decider
        self._by_id: dict[str, Run] = {}
        #: The attempts that started children, by the run of the parent and the event in it.
        self._started: dict[tuple[str, int], AttemptKey] = {}

    def begun(self, execution: WorkflowExecution) -> Run | None:
        """A run that was heard of before."""
        return self._by_id.get(execution.run_id)

    def begin(self, execution: WorkflowExecution, number: int) -> Run:
        """A run that nothing was heard of before."""
        run = self._by_id[execution.run_id] = Run(execution, number, Shown(execution))
        return run

    def note_child(self, run: Run, initiated_event_id: int, key: AttemptKey) -> None:
        """Note which attempt a child is."""
        self._started[run.execution.run_id, initiated_event_id] = key

    def key_of_child(self, run: Run) -> AttemptKey:
        """Which attempt of its parent's a child is."""
        parent, initiated = run.start.parent_workflow_execution, run.start.parent_initiated_event_id
        key = None if parent is None else self._started.get((parent.run_id, initiated or 0))
        return key or AttemptKey(run.execution.workflow_id, run.number, run.execution.workflow_id, 1)

    def decisions(self, run: Run, ending_of: Callable[[Run], Ending]) -> tuple[Decision, ...]:
        """What is next for a run; one whose spec cannot be used fails, as with floto's decider."""
        try:
            if run.followed == 0:
                run.spec = self._spec_for(run.execution, run.start)
            if run.spec is not None:
                return tuple(self._by_spec(run, run.spec))
        except SpecError as error:
            return (FailWorkflowExecution(reason="SpecError", details=str(error)[: payload.LIMIT]),)
        if run.ending is None:
            run.ending = ending_of(run)
        run.followed = len(run.shown.events)
        return tuple(_by_ending(run, run.ending))

    def _by_spec(self, run: Run, spec: DeciderSpec) -> Sequence[Decision]:
        events = run.shown.events
        if self._decider is not None:
            run.followed = len(events)
            return self._decider(spec, run.shown.history())
        if run.progress is None:
            state = fold(events, evolve(EMPTY, execution=run.execution))
            run.progress = begin(spec, state, self._codec)
        else:
            run.progress = observe(run.progress, events[run.followed :])
        run.followed = len(events)
        return decisions_of(run.progress)


def _by_ending(run: Run, ending: Ending) -> list[Decision]:
    """What a child decides that nobody has a spec for: work as long as it is to, then end as it is to."""
    state = fold(run.shown.events)
    if state.cancel_requested is not None:
        return [CancelWorkflowExecution(details="as asked")]
    work = state.items.get((Kind.TIMER, _WORK_TIMER))
    if ending.how is How.TIMES_OUT or (work is not None and work.is_open):
        return []
    if ending.seconds and (work is None or work.status is not Status.COMPLETED):
        return [StartTimer(timer_id=_WORK_TIMER, start_to_fire_timeout=str(math.ceil(ending.seconds)))]
    if ending.how is How.FAILS:
        return [FailWorkflowExecution(reason=ending.reason, details=ending.details)]
    return [CompleteWorkflowExecution(result=payload.dumps(ending.value, "the result of a child"))]
