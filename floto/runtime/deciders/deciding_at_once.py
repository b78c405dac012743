"""Deciding in the commit that claims a decision task, where the service is in this process.

``decide`` is pure, so the embedded engine can call it in the transaction in which a task completes. While it
does, no other call is executed, so this decides only what is quick and executes no code of users: specs of
floto's own task kinds and retry strategies, of a bounded size, without payload stores. Everything else is
left to the decider's own loop.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from floto.core.decide.decide import decisions
from floto.core.decide.progress import Progress
from floto.core.spec.decider_spec import ChildWorkflow, DeciderSpec
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry
from floto.core.spec.tasks import Task
from floto.core.swf.decisions import CLOSE_DECISIONS
from floto.core.swf.service import Decided, PolledDecisionTask
from floto.runtime.deciders.progress_cache import ProgressCache

#: Maximum number of tasks of a spec, and of events of a run that is not cached: some milliseconds.
_MOST_TASKS, _MOST_EVENTS = 500, 1_000
_OWN_KINDS = frozenset({ActivityTask, Generator, Timer, Signal, ChildWorkflow})
_OWN_STRATEGIES = frozenset({type(None), InstantRetry, FixedDelay, ExponentialBackoff})


class DecidingAtOnce:
    """A ``DecidesAtOnce`` of one decider.

    Args:
        cache: The decider's progress of runs.
        decided: Called by the thread that polls with each task and its decisions.
    """

    def __init__(self, cache: ProgressCache, decided: Callable[[PolledDecisionTask, Decided], None]) -> None:
        self._cache, self._decided = cache, decided
        self._responses: dict[str, Decided] = {}
        #: The spec that was examined last, and whether it is decided at once.
        self._examined: tuple[DeciderSpec | None, bool] = (None, False)

    def decide(self, task: PolledDecisionTask) -> Decided | None:
        """Return the decisions for a task; None to leave it to the decider's loop."""
        progress = self._cache.look_ahead(task, _MOST_EVENTS)
        if progress is None or len(progress.plan.tasks) > _MOST_TASKS or not self._is_own(progress.spec):
            return None
        found = decisions(progress)
        if found and isinstance(found[-1], CLOSE_DECISIONS) and progress.spec.terminate_decider_after_completion:
            return None
        decided = Decided(found, partial(self._keep, task, progress))
        self._responses[task.token] = decided
        return decided

    def _keep(self, task: PolledDecisionTask, progress: Progress) -> None:
        found = self._responses[task.token].decisions
        if found and isinstance(found[-1], CLOSE_DECISIONS):
            self._cache.forget(task.execution)
        else:
            self._cache.keep(task.execution.run_id, progress)

    def decided(self, task: PolledDecisionTask) -> None:
        """Report a task that was decided, in the thread that polls."""
        self._decided(task, self._responses.pop(task.token))

    def _is_own(self, spec: DeciderSpec) -> bool:
        known, is_own = self._examined
        if known is not spec:
            is_own = len(spec.tasks) <= _MOST_TASKS and all(map(_is_own_task, _all_tasks(spec)))
            self._examined = (spec, is_own)
        return is_own
