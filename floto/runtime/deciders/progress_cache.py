"""What a decider remembers of runs, so that a decision costs what is new and not what is old.

A decision task shows only a part of its run's history. Folded on what is known it gives what
the whole history gives; where that is not enough, the service is asked for what is missing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from attrs import evolve

from floto.core.decide.progress import Progress, observe
from floto.core.errors import HistoryError
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, State
from floto.core.swf.events import Event
from floto.core.swf.service import PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution

#: Reads the events of a run with an id above the first number, up to the second.
Read = Callable[[WorkflowExecution, int, int], Sequence[Event]]


class ProgressCache:
    """The progress of the latest ``size`` runs.

    ``begin`` makes the progress of a run that is seen first, and of one whose progress is no longer
    ``is_current``.
    """

    def __init__(
        self,
        size: int,
        read: Read,
        begin: Callable[[State], Progress],
        is_current: Callable[[Progress], bool] = lambda _progress: True,
    ) -> None:
        self._size, self._read, self._begin, self._is_current = size, read, begin, is_current
        self._runs: OrderedDict[str, Progress] = OrderedDict()

    def follow(self, task: PolledDecisionTask) -> Progress:
        """How far the run of a task has come at its start. Raises ``HistoryError`` and ``ServiceError``."""
        run_id = task.execution.run_id
        known = self._runs.pop(run_id, None)
        current = None if known is None else self._continued(known, task)
        if current is None:
            whole = self._after(0, task)
            current = self._begin(fold(whole, evolve(EMPTY, execution=task.execution)))
        elif not self._is_current(current):
            current = self._begin(current.state)
        self._runs[run_id] = current
        while len(self._runs) > self._size:
            self._runs.popitem(last=False)
        return current

    def forget(self, execution: WorkflowExecution) -> None:
        """Keep nothing of a run that is closed."""
        self._runs.pop(execution.run_id, None)

    def _continued(self, known: Progress, task: PolledDecisionTask) -> Progress | None:
        """What is known, brought up to date; None if the history is not the one it was known from."""
        if task.started_event_id < known.state.last_event_id or not _agree(known.state, task):
            return None
        try:
            return observe(known, self._after(known.state.last_event_id, task))
        except HistoryError:
            return None

    def _after(self, seen: int, task: PolledDecisionTask) -> Sequence[Event]:
        """The events of a task behind one that was seen; what its part lacks is read."""
        first = task.events[0].id if task.events else task.started_event_id + 1
        if first <= seen + 1:
            return task.events[seen + 1 - first :]
        return (*self._read(task.execution, seen, first - 1), *task.events)


def _agree(state: State, task: PolledDecisionTask) -> bool:
    """Whether a task shows the last event that is known as it is known, if it shows it."""
    at = state.last_event_id - task.events[0].id if task.events else -1
    return at < 0 or task.events[at : at + 1] == (state.last,)
