"""Reading histories that the service returns late.

GetWorkflowExecutionHistory is eventually consistent: for seconds, events that exist may be missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from floto.core.errors import ServiceUnavailable
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf.events import Event
from floto.core.swf.service import PolledDecisionTask, Service
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.retrying import persist, persist_after_stop
from floto.runtime.shutdown import StopFlag

#: Seconds to retry, and seconds between attempts.
_LAG_SECONDS, _REREAD_SECONDS = 10.0, 1.0


class LateHistories:
    """Reads the history of a run again until it has the events that are known to exist."""

    def __init__(self, service: Service, stop: StopFlag) -> None:
        self._service, self._stop = service, stop

    def read(self, execution: WorkflowExecution, after: int, until: int) -> Sequence[Event]:
        """Return the events with ids above ``after`` up to ``until``, which are known to exist.

        Raises:
            ServiceUnavailable: if the service does not return all of them for ten seconds.
        """
        end = time.monotonic() + _LAG_SECONDS
        while True:
            found = persist_after_stop(self._stop, self._service.history, execution, after)[: until - after]
            if len(found) == until - after:
                return found
            if time.monotonic() >= end:
                problem = (
                    f"history incomplete: got events up to {after + len(found)}, expected at least {until}"
                )
                raise ServiceUnavailable(problem)
            # Also after a stop: the task is claimed.
            time.sleep(_REREAD_SECONDS)

    def shows_close(self, task: PolledDecisionTask, is_own: Callable[[State], bool]) -> bool:
        """Return True if the response to a task closed a run that ``is_own``: SWF may refuse to close it."""
        end = time.monotonic() + _LAG_SECONDS
        while time.monotonic() < end and not self._stop.is_set():
            state = fold(persist(self._stop, self._service.history, task.execution))
            if state.started is not None and not is_own(state):
                return False
            if state.closed is not None or _is_over(task, state):
                return state.closed is not None
            self._stop.wait(_REREAD_SECONDS)
        return False


def _is_over(task: PolledDecisionTask, state: State) -> bool:
    """Return True if a state shows that a decision task was completed or timed out."""
    started = state.decision_tasks.started
    return state.last_event_id > task.started_event_id and (
        started is None or started.id != task.started_event_id
    )
