"""A cache of the progress of runs, so that the cost of a decision depends on the new events only.

A decision task contains only a part of its run's history. Folding these events onto the cached state gives
the same state as folding the whole history; events that are missing in between are read from the service.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from attrs import evolve

from floto.core.decide.progress import Progress, advanced
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.errors import HistoryError
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.graph import Plan
from floto.core.state.ended_attempts import events_after
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.events import Event
from floto.core.swf.service import PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution

#: Reads the events of a run whose ids are greater than the first number, up to the second.
Read = Callable[[WorkflowExecution, int, int], Sequence[Event]]


class ProgressCache:
    """The progress of the latest ``size`` runs.

    ``choose`` returns the spec with which ``begin`` builds the progress of a run that is not cached,
    or whose cached progress is not ``is_current`` any more.
    """

    def __init__(
        self,
        size: int,
        read: Read,
        choose: Callable[[State], DeciderSpec],
        begin: Callable[[DeciderSpec, State], Progress],
        is_current: Callable[[Progress], bool] = lambda _progress: True,
    ) -> None:
        self._size, self._read, self._is_current = size, read, is_current
        self._choose, self._begin = choose, begin
        self._runs: OrderedDict[str, Progress] = OrderedDict()

    def follow(self, task: PolledDecisionTask) -> Progress:
        """Return the progress of a run at a decision task. Raises ``HistoryError`` and ``ServiceError``."""
        known = self._runs.pop(task.execution.run_id, None)
        current = None if known is None else self._continued(known, task)
        if current is None:
            state = fold(self._after(0, task), evolve(EMPTY, execution=task.execution))
            current = self._begin(self._choose(state), state)
        elif not self._is_current(current):
            current = self._begin(self._choose(current.state), current.state)
        self.keep(task.execution.run_id, current)
        return current

    def look_ahead(
        self,
        task: PolledDecisionTask,
        state: State,
        changed: ChangedKeys,
        most: int,
        may_follow: Callable[[DeciderSpec | Plan], bool],
    ) -> Progress | None:
        """Return the progress of a run at a decision task, but keep what is cached.

        Nothing is read from the service, and no spec is executed that ``may_follow`` refuses.

        Args:
            task: The decision task.
            state: The state after its history.
            changed: The keys of the items that changed lately.
            most: Maximum number of events to fold, and of a run that is examined as a whole.
            may_follow: Returns True for a spec, and a plan of it, that may be executed.

        Returns:
            The progress; None if it would take longer, or may not be built.
        """
        known = self._runs.get(task.execution.run_id)
        current = None
        if known is not None and _place_of_last(known.state, task) >= 0 and _continues(known.state, task):
            if not (may_follow(known.spec) and may_follow(known.plan)):
                return None
            seen = known.state.last_event_id
            if changed.since <= seen:
                current = advanced(known, state, changed.keys)
            elif task.started_event_id - seen <= most:
                current = self._continued(known, task)
        if current is not None and self._is_current(current):
            return current
        if task.started_event_id > most:
            return None
        spec = self._choose(state)
        return self._begin(spec, state) if may_follow(spec) else None

    def keep(self, run_id: str, progress: Progress) -> None:
        """Cache the progress of a run as the one that was used last."""
        self._runs.pop(run_id, None)
        self._runs[run_id] = progress
        while len(self._runs) > self._size:
            self._runs.popitem(last=False)

    def state_at(self, task: PolledDecisionTask) -> State | None:
        """Return the state of a run at a decision task that ``follow`` had last; else None."""
        known = self._runs.get(task.execution.run_id)
        return known.state if known and known.state.last_event_id == task.started_event_id else None

    def forget(self, execution: WorkflowExecution) -> None:
        """Remove a run from the cache."""
        self._runs.pop(execution.run_id, None)

    def _continued(self, known: Progress, task: PolledDecisionTask) -> Progress | None:
        """Return the cached progress with the new events; None if the history does not continue it."""
        if not _continues(known.state, task):
            return None
        try:
            return known.observe(self._after(known.state.last_event_id, task))
        except HistoryError:
            return None

    def _after(self, seen: int, task: PolledDecisionTask) -> Sequence[Event]:
        """Return the events after ``seen`` up to the task, reading those that the task does not contain."""
        first = task.events[0].id if task.events else task.started_event_id + 1
        if first <= seen + 1:
            return events_after(task.events, seen)
        return (*self._read(task.execution, seen, first - 1), *task.events)


def _continues(state: State, task: PolledDecisionTask) -> bool:
    """Return False if a task ends before the last known event, or contains it with other contents."""
    if task.started_event_id < state.last_event_id:
        return False
    at = _place_of_last(state, task)
    return at < 0 or task.events[at : at + 1] == (state.last,)


def _place_of_last(state: State, task: PolledDecisionTask) -> int:
    """Return the index of the last known event among those of a task; negative if it is before them."""
    return state.last_event_id - task.events[0].id if task.events else -1
