"""The decider and the worker of one ``floto.run``, and how long it waits for them when it returns."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence

from floto.core.engine.embedded import embedded
from floto.core.errors import PayloadsUnavailable
from floto.core.swf.decisions import Decision, closes
from floto.core.swf.service import Service
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import first_few
from floto.runtime.deciders.decider import Decider
from floto.runtime.deciders.spec_choice import NoSpec
from floto.runtime.runs.run_request import WORKFLOW_TYPE, RunRequest, WrongWorkflow
from floto.runtime.supervisor import Supervisor
from floto.runtime.workers.worker import ActivityWorker

log = logging.getLogger("floto")

#: Seconds of a poll, and between readings of the run's history.
WAKE_SECONDS = 0.2
#: Seconds between heartbeats: short enough for every heartbeat time-out, which is at least one second.
_HEARTBEAT_SECONDS = 0.7
#: After the workflow closes: seconds to wait for running activities, and seconds before logging the wait.
_STOP_SECONDS, _QUIET_SECONDS = 10.0, 1.0
#: Seconds to wait for a thread that is polling. A poll that takes longer is held by the service for up to a
#: minute; closing the service ends it.
_POLL_SECONDS = 0.5
_JOIN_SECONDS = 0.05


class RunLoops:
    """The decider and the worker of one ``floto.run``, each in a thread of its own.

    Args:
        request: The run.
        service: The service of the run.
        wake: Set when a decision closes the run, and when the decider has failed.
    """

    def __init__(self, request: RunRequest, service: Service, wake: threading.Event) -> None:
        self._request, self._wake = request, wake
        self._embedded = embedded(service)
        self._supervisor = Supervisor()
        self._has_started = False
        self._decider = Decider(
            # By type: a child without a spec, decided by its parent's, would start children for ever.
            specs={WORKFLOW_TYPE: request.spec},
            service=service,
            task_list=request.task_list,
            codec=request.codec,
            payloads=request.payloads,
            listener=self._decided,
            poll_seconds=WAKE_SECONDS,
            take_over=request.take_over,
            sole=True,
        )
        self._worker = ActivityWorker(
            task_list=request.task_list,
            service=service,
            activities=request.activities,
            concurrency=request.concurrency,
            task_heartbeat_in_seconds=_HEARTBEAT_SECONDS,
            codec=request.codec,
            payloads=request.payloads,
            poll_seconds=WAKE_SECONDS,
            sole=True,
        )

    def start(self) -> None:
        """Start both loops, if they are not started."""
        if not self._has_started:
            self._has_started = True
            self._supervisor.start(self._decider)
            self._supervisor.start(self._worker)

    def check(self) -> None:
        """Raise the first error that ended a loop or kept the decider from deciding, if any."""
        self._supervisor.check()

    def finish(self) -> None:
        """Stop both loops and wait, without a time limit, until each has finished its tasks."""
        self._supervisor.stop()
        log.warning("interrupted: finishing running activities; interrupt again to stop at once")
        self._wait_ended(math.inf)

    def drop(self, closed: WorkflowExecution) -> None:
        """Request cancellation of the activities of a closed run: their results will not be used."""
        self._worker.drop(closed)

    def leave(self, ending: Callable[[], Sequence[str]] = tuple) -> None:
        """Stop both loops and wait up to ten seconds.

        Args:
            ending: Returns the workflow ids of open children that are to end: the loops go on until there are
                none, within this time.
        """
        end = time.monotonic() + _STOP_SECONDS
        left = self.settle(ending, _STOP_SECONDS)
        if left:
            log.warning("not waiting any longer; still open, and to be canceled: %s", first_few(left))
        self._supervisor.stop()
        if self._wait_ended(min(_QUIET_SECONDS, end - time.monotonic())):
            return
        if (busy := self._busy()) and not left:
            log.warning("waiting for %d %s", busy, "activity" if busy == 1 else "activities")
        if not self._wait_ended(end - time.monotonic()) and (busy := self._busy()):
            log.warning("not waiting any longer; results of %d running activities may be lost", busy)

    def settle(self, ending: Callable[[], Sequence[str]], seconds: float = math.inf) -> Sequence[str]:
        """Let the loops go on until no child is to end, and return the workflow ids of those that are left.

        Args:
            ending: Returns the workflow ids of open children that are to end.
            seconds: Seconds to wait at most; default: no limit.
        """
        now = time.monotonic()
        end, told_at = now + seconds, now + _QUIET_SECONDS
        while (left := ending()) and time.monotonic() < end:
            if time.monotonic() >= told_at:
                told_at = math.inf
                log.warning("waiting for canceled children to end: %s", first_few(left))
            self._wake.wait(WAKE_SECONDS)
            self._wake.clear()
        return left

    def _decided(self, found: Sequence[Decision], error: Exception | None) -> None:
        if isinstance(error, NoSpec):
            workflow_id = self._request.workflow_id
            error = WrongWorkflow(f"workflow {workflow_id!r} was taken over by another spec: {error}")
        # An unavailable store is transient: the decision task is scheduled again.
        if error is not None and not isinstance(error, PayloadsUnavailable):
            self._supervisor.fail(error)
        # Not for every decision: the cost of each update is proportional to the number of tasks.
        if error is not None or closes(found):
            self._wake.set()

    def _wait_ended(self, seconds: float) -> bool:
        """Wait until each loop has ended or is only polling; return False after ``seconds``."""
        now = time.monotonic()
        end, idle_at = now + seconds, now + _POLL_SECONDS
        while now < min(end, idle_at):
            if self._embedded is not None:
                # Each time: a loop that has just looked whether to stop polls once more.
                self._embedded.end_polls(self._request.task_list)
            if self._supervisor.join(min(_JOIN_SECONDS, end - now)):
                return True
            now = time.monotonic()
            if self._decider.is_busy or self._worker.is_busy:
                idle_at = now + _POLL_SECONDS
        return now >= idle_at

    def _busy(self) -> int:
        return len(self._worker.running)
