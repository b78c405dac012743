"""Deciding in the commit that claims a decision task, where the service is in this process.

``decide`` is pure, so the embedded engine can call it in the transaction in which a task completes. While it
does, no other call is executed. So it decides only what is quick and needs no code of users: runs of specs
with floto's own task kinds and retry strategies alone, of a bounded size, without payload stores. All other
runs are left to the decider's own loop, and so is a run while several of its activities are open: its workers
have enough to do meanwhile, and one decision about several completions takes less time than one about each,
and leaves a shorter history. A run that fails is decided at once in any case: SWF refuses to close it if an
event has come meanwhile, as it does while activities complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice

from floto.core.decide.phase import RunPhase, phase
from floto.core.decide.progress import Progress
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.embedded import Decided
from floto.core.spec.decider_spec import ChildWorkflow, DeciderSpec
from floto.core.spec.graph import Plan
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.nested_specs import nested_tasks
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry
from floto.core.spec.tasks import Task
from floto.core.state.state import Kind, State
from floto.core.swf.decisions import Decision, closes
from floto.core.swf.service import PolledDecisionTask
from floto.runtime.deciders.progress_cache import ProgressCache
from floto.runtime.shutdown import StopFlag

#: Number of specs and plans whose examination is remembered.
_REMEMBERED = 256
#: Maximum number of tasks of a spec, which is more than a history has room for, and of events that are not
#: folded: some milliseconds.
_MOST_TASKS, _MOST_EVENTS = 10_000, 1_000
#: Maximum number of open activities of a run that does not end.
_MOST_OPEN = 4
_OWN_KINDS = frozenset({ActivityTask, Generator, Timer, Signal, ChildWorkflow})
_OWN_STRATEGIES = frozenset({type(None), InstantRetry, FixedDelay, ExponentialBackoff})


class DecidingAtOnce:
    """A ``DecidesAtOnce`` of one decider.

    Args:
        cache: The decider's progress of runs.
        rule: Returns the decisions of a progress.
        stop: Set when the decider stops.
        decided: Called by the thread that polls with each task, the state of its run and the decisions.
    """

    def __init__(
        self,
        cache: ProgressCache,
        rule: Callable[[Progress], Sequence[Decision]],
        stop: StopFlag,
        decided: Callable[[PolledDecisionTask, State, Sequence[Decision]], None],
    ) -> None:
        self._cache, self._rule, self._stop, self._decided = cache, rule, stop, decided
        #: By id: the specs and plans that were examined, and whether all of their tasks are floto's own.
        self._examined: dict[int, tuple[DeciderSpec | Plan, bool]] = {}

    @property
    def is_stopped(self) -> bool:
        """True if the decider stops."""
        return self._stop.is_set()

    def decide(self, task: PolledDecisionTask, state: State, changed: ChangedKeys) -> Decided | None:
        """Return the decisions for a task; None to leave it to the decider's loop."""
        progress = self._cache.look_ahead(task, state, changed, _MOST_EVENTS, self._is_own)
        if progress is None or not self._is_own(progress.plan):
            return None
        is_busy = state.open_count.get(Kind.ACTIVITY, 0) > _MOST_OPEN
        if is_busy and phase(progress) is RunPhase.RUNNING:
            return None
        found = self._rule(progress)
        if closes(found) and progress.spec.terminate_decider_after_completion:
            return None
        return Decided(
            found, partial(self._keep, task, progress, found), partial(self._decided, task, state, found)
        )

    def _keep(self, task: PolledDecisionTask, progress: Progress, found: Sequence[Decision]) -> None:
        if closes(found):
            self._cache.forget(task.execution)
        else:
            self._cache.keep(task.execution.run_id, progress)

    def _is_own(self, tasks: DeciderSpec | Plan) -> bool:
        examined = self._examined.get(id(tasks))
        if examined is None:
            found = tuple(islice(_tasks(tasks), _MOST_TASKS + 1))
            examined = tasks, len(found) <= _MOST_TASKS and all(map(_is_own_task, found))
            if len(self._examined) >= _REMEMBERED:
                self._examined.clear()
            self._examined[id(tasks)] = examined
        return examined[1]


def _tasks(tasks: DeciderSpec | Plan) -> Iterable[Task]:
    return nested_tasks(tasks) if isinstance(tasks, DeciderSpec) else tasks.tasks


def _is_own_task(task: Task) -> bool:
    return type(task) in _OWN_KINDS and type(getattr(task, "retry_strategy", None)) in _OWN_STRATEGIES
