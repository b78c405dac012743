"""The children that a run has left open when it failed, and whose cancellation it requested.

A run that fails does not wait for its children. They end soon, if a decider polls for them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from floto.core.decide.closing import cancel_request
from floto.core.errors import ServiceError, UnknownResource
from floto.core.replay.redrive.redrive_children import last_run
from floto.core.state.state import Kind, State, Status
from floto.core.swf.events import WorkflowExecutionCompleted
from floto.core.swf.service import Service
from floto.core.visible import first_few
from floto.runtime.runs.run_follower import RunFollower
from floto.runtime.runs.run_loops import RunLoops
from floto.runtime.runs.time_limit import NotStarted, TimeLimit
from floto.runtime.shutdown import StopFlag

log = logging.getLogger("floto")


class EndingChildren:
    """The open children below a closed run whose cancellation was requested.

    Args:
        state: The state of the run.
        service: The service.
        stop: Ends the repetition of a call that fails.

    Raises:
        ServiceUnavailable: if the service is not available, and the caller has been stopped.
    """

    def __init__(self, state: State, service: Service, stop: StopFlag) -> None:
        self._service, self._stop = service, stop
        self._followers = list(self._below(state))

    def open_ids(self) -> list[str]:
        """Return the workflow ids of those that are still open. Raises ``ServiceUnavailable``."""
        self._followers = [each for each in self._followers if _is_open(each)]
        return [each.execution.workflow_id for each in self._followers]

    def _below(self, state: State) -> Iterator[RunFollower]:
        for key, item in state.items.items():
            run = last_run(item, state) if key[0] is Kind.CHILD else None
            if run is None or item.status is Status.COMPLETED:
                continue
            child = RunFollower(self._service, run, self._stop)
            if not _is_open(child):
                yield from self._below(child.state)
            elif child.state.cancel_requested or cancel_request(item, state) is not None:
                yield child


def children_to_end(state: State, service: Service, stop: StopFlag) -> Callable[[], list[str]]:
    """Return a function that returns the workflow ids of the open children of a closed run that are to end.

    It returns none after a stop, and where they cannot be read: the run has ended all the same.
    """
    known: list[EndingChildren] = []

    def ending() -> list[str]:
        try:
            if not known:
                known.append(EndingChildren(state, service, stop))
            return [] if stop.is_set() else known[0].open_ids()
        except ServiceError:
            log.debug("the children of a closed run cannot be read", exc_info=True)
            return []

    completed = state.closed is not None and type(state.closed.data) is WorkflowExecutionCompleted
    return list if completed else ending


def wait_for_children(children: EndingChildren, loops: RunLoops, deadline: TimeLimit) -> None:
    """Decide and work for children until they have closed, which takes as long as their activities do.

    Raises:
        TimeoutError: after the deadline; the caller has to end the loops.
        KeyboardInterrupt: after a signal, when the running activities have finished.
        ServiceError: if a loop ends with it.
    """

    def ending() -> list[str]:
        loops.check()
        return [] if deadline.stop.is_set() else children.open_ids()

    if children.open_ids():
        loops.start()
        loops.settle(ending)
    if deadline.stop.is_set():
        if not deadline.is_over:
            loops.finish()
        msg = f"still open, and to be canceled: {first_few(children.open_ids())}"
        raise deadline.error(msg, NotStarted)


def _is_open(follower: RunFollower) -> bool:
    try:
        follower.update()
    except UnknownResource:
        return False
    return follower.state.closed is None
