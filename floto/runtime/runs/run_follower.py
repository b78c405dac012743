"""The state of a run and of the runs that continue it, as one reads it event by event."""

from __future__ import annotations

from attrs import evolve

from floto.core.state.fold import fold
from floto.core.state.state import EMPTY
from floto.core.swf.closing_events import CLOSING_EVENTS, CloseStatus
from floto.core.swf.events import Event
from floto.core.swf.service import Service
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.retrying import persist
from floto.runtime.shutdown import StopFlag


class RunFollower:
    """Follows a run, and the runs that it continues as: each event is read once.

    Args:
        service: The service.
        execution: The run.
        stop: Ends the repetition of a call that fails.
    """

    def __init__(self, service: Service, execution: WorkflowExecution, stop: StopFlag) -> None:
        self._service, self._stop = service, stop
        #: The run that is read now, and its state as of the last update.
        self.execution = execution
        self.state = evolve(EMPTY, execution=execution)

    def update(self) -> bool:
        """Read the new events, after a closed run those of the run that continues it; return True if any.

        Raises:
            ServiceUnavailable: if the service is not available, and the caller has been stopped.
        """
        closed = self.state.closed
        if closed is not None and self.end is None:
            self.execution = evolve(self.execution, run_id=closed.data.new_execution_run_id)
            self.state = evolve(EMPTY, execution=self.execution)
        new = persist(self._stop, self._service.history, self.execution, self.state.last_event_id)
        self.state = fold(new, self.state)
        return bool(new)

    @property
    def end(self) -> Event | None:
        """The event that closed the run, if no other run continues it."""
        closed = self.state.closed
        if closed is None or CLOSING_EVENTS[type(closed.data)].status is CloseStatus.CONTINUED_AS_NEW:
            return None
        return closed
