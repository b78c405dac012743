"""The arrivals of signals whose outcome is given: so long after a task began to wait for them.

A signal counts as awaited by the history that SWF has written: a decider that is slow does not delay it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from attrs import define, field, frozen

from floto.core.decide.progress import Progress, begin
from floto.core.replay.task_status import TaskGraph, TaskStatus, task_graphs
from floto.core.spec import graph
from floto.core.spec.tasks import Task
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, Kind, State
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.context import SimulationContext
from floto.testing.simulation.endings import Endings
from floto.testing.simulation.known_runs import Run, Runs
from floto.testing.simulation.outcomes import How


@frozen
class PossibleSignal:
    """A signal that a client may send to a run; ``task`` is None where no task waits for it."""

    execution: WorkflowExecution
    name: str
    task: Task | None = None


@define(eq=False)
class _Followed:
    """An open run, and the tasks in it that wait for signals with an outcome."""

    state: State = EMPTY
    #: The plan of which was found out whether its signals have outcomes.
    plan: graph.Plan | None = None
    has_outcomes: bool = True
    #: By name of the signal: the task that waits for it, and the virtual time since when.
    waiting: Mapping[str, tuple[Task, datetime]] = field(factory=dict)


class SignalArrivals:
    """Finds when signals arrive whose outcome is given."""

    def __init__(self, context: SimulationContext, runs: Runs, endings: Endings) -> None:
        self._context, self._runs, self._endings = context, runs, endings
        self._followed: dict[WorkflowExecution, _Followed] = {}

    def due(self) -> Iterator[PossibleSignal]:
        """Yield the signals that arrive now."""
        for signal, at in self._arrivals():
            if at <= self._context.now:
                yield signal

    def next(self) -> datetime | None:
        """Return when the next signal arrives after now; None if none does."""
        now = self._context.now
        return min((at for _, at in self._arrivals() if at > now), default=None)

    def _arrivals(self) -> Iterator[tuple[PossibleSignal, datetime]]:
        if not self._endings.has_any:
            return
        for execution in self._context.open_executions():
            for name, (task, since) in self._waiting(execution).items():
                ending = self._endings.of_signal(task)
                if ending is not None and ending.how is How.SUCCEEDS:
                    yield PossibleSignal(execution, name, task), since + timedelta(seconds=ending.seconds)

    def _waiting(self, execution: WorkflowExecution) -> Mapping[str, tuple[Task, datetime]]:
        run = self._runs.of(execution)
        known = self._followed.setdefault(execution, _Followed())
        if run.spec is None or not self._has_outcomes(run, known):
            return {}
        events = self._context.world.events(execution, known.state.last_event_id)
        if events:
            known.state = fold(events, known.state)
            since = {name: at for name, (_, at) in known.waiting.items()}
            tasks = _waiting_tasks(begin(run.spec, known.state, self._runs.specs.codec))
            known.waiting = {task.key[1]: (task, since.get(task.key[1], self._context.now)) for task in tasks}
        return known.waiting

    def _has_outcomes(self, run: Run, known: _Followed) -> bool:
        """Return True if an outcome is given for a signal of a run: to follow it takes long."""
        plan = None if run.progress is None else run.progress.plan
        if run.spec is not None and plan is not None and plan is not known.plan:
            known.plan = plan
            tasks = (*run.spec.all_tasks, *plan.tasks)
            known.has_outcomes = any(self._endings.of_signal(task) for task in signals_of(tasks))
        return known.has_outcomes


def signals_of(tasks: Iterable[Task]) -> Iterator[Task]:
    """Yield the tasks that wait for signals."""
    return (task for task in tasks if task.key[0] is Kind.SIGNAL)


def _waiting_tasks(progress: Progress) -> Iterator[Task]:
    """Yield the tasks of a run, and of its cleanup, that wait for a signal and for nothing else."""
    for each in task_graphs(progress):
        for position, task in enumerate(each.progress.plan.tasks):
            if task.key[0] is Kind.SIGNAL and _waits(each, position):
                yield task


def _waits(tasks: TaskGraph, position: int) -> bool:
    is_waiting = tasks.status(position) is TaskStatus.WAITING
    return is_waiting and not tasks.stopping and not tasks.needed(position)
