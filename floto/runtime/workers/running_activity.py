"""The running activity, which ``floto.current()`` returns to its function."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import datetime

from floto import logs
from floto.call_deadline import deadline_in
from floto.core.errors import FlotoError, ServiceError, ServiceGone, UnknownResource
from floto.core.payloads import payload
from floto.core.spec.activity_timeouts import Timeouts, split_timeouts
from floto.core.swf import service as ports
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import HEARTBEAT_LIMIT
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.core.view.trace_context import span_of_event
from floto.core.visible import encodable
from floto.runtime.retrying import brief, is_malformed, is_permanent
from floto.simulated_activity import SimulatedActivity, simulated_activity
from floto.trouble_log import trouble_log_of

log = logging.getLogger("floto")

#: Consecutive permanent heartbeat errors after which the task counts as lost.
_MAX_PERMANENT_ERRORS = 3
#: The beginning of SWF's message about a task whose run has closed; for one of an open run it names the task.
_NO_RUN = "Unknown execution"


class Canceled(FlotoError):
    """Raised by an activity that stops after a cancel request; the message becomes the details."""


class NoCurrentActivity(FlotoError, RuntimeError):
    """``floto.current()`` was called in a thread without the context of its activity."""


class RunningActivity:
    """An activity task that a worker runs.

    ``record`` sends a heartbeat. ``on_lost`` is called once, in any thread, when the service has closed the
    task or its start-to-close time-out is over, so that its result will not be used.
    """

    def __init__(
        self,
        task: ports.PolledActivityTask,
        record: Callable[[str, str | None], bool],
        on_lost: Callable[[RunningActivity], None] = lambda _activity: None,
    ) -> None:
        self._record, self._on_lost = record, on_lost
        self._began = time.monotonic()
        self._details: str | None = None
        self._permanent_errors = 0
        self.task = task
        #: True if this activity should stop: cancellation was requested, or its result will not be used.
        self.cancel_requested = False
        #: True if the task may have been closed before its activity begins, which a heartbeat tells.
        self.is_late = False
        #: True if the task is closed or given up: its result will be dropped.
        self.gone = False
        #: True while the result is being reported: refused heartbeats are ignored then.
        self.reporting = False
        #: True if the service closed the task while it and its run were open.
        self.lost_to_service = False
        #: The task's time-outs, as far as its input names them.
        self.timeouts = Timeouts()
        #: Seconds for the response to a heartbeat, after which it has failed.
        self.response_seconds = math.inf
        #: The most seconds for the response, where earlier heartbeats failed for want of one.
        self.longest_response_seconds = math.inf
        #: Seconds for the response to the next heartbeat, after one that failed so; None for the usual ones.
        self._extended_seconds: float | None = None
        #: 1 for the first attempt at the task; None until its input is read.
        self.attempt: int | None = None
        #: What an earlier attempt last sent with a heartbeat, also in the run that this one redrives; None if
        #: that is nothing.
        self.checkpoint: str | None = None

    @property
    def id(self) -> str:
        """The task's id in the spec."""
        return self.task.activity_id

    @property
    def scheduled_for(self) -> datetime | None:
        """The time, in UTC, for which a schedule started the run; None for other runs."""
        return self.timeouts.scheduled_for

    @property
    def execution(self) -> WorkflowExecution:
        """The run that the task belongs to."""
        return self.task.execution

    @property
    def traceparent(self) -> str:
        """The value of the HTTP header ``traceparent`` of calls that belong to this attempt.

        It names the span of the attempt in the trace that ``floto trace`` makes of the run, so spans of the
        service that is called are parts of that.
        """
        return span_of_event(self.execution.run_id, self.task.started_event_id).traceparent

    def logged(self) -> AbstractContextManager[None]:
        """Add the fields of this attempt to records that are logged in the block."""
        run = self.execution
        return logs.context(run.workflow_id, run.run_id, self.id, self.attempt)

    def heartbeat(self, details: str | None = None) -> bool:
        """Send a heartbeat; return True if the activity should stop.

        Args:
            details: A note on the progress, of which 2,048 characters are sent; later heartbeats repeat it.
                The next attempt finds it in ``checkpoint``.

        Raises:
            TypeError: if ``details`` is not a string.
        """
        if details is not None:
            if not isinstance(details, str):
                msg = f"the details of a heartbeat must be a string, not {shown(details)}"
                raise TypeError(msg)
            self._details = encodable(details)[:HEARTBEAT_LIMIT]
        self.beat()
        return self.cancel_requested

    def beat(self) -> bool:
        """Send a heartbeat with the latest details; return False if it failed and may be retried.

        After a heartbeat whose response did not come in time, the next one has twice the time: else every
        response of a service that is slow would be abandoned.
        """
        seconds = self.response_seconds if self._extended_seconds is None else self._extended_seconds
        began = time.monotonic()
        try:
            with deadline_in(seconds):
                is_cancel_requested = self._record(self.task.token, self._details)
        except UnknownResource as fault:
            has_run_ended = fault.message.startswith(_NO_RUN)
            self.lost_to_service = not self.reporting and not has_run_ended
            self.lose("its run has ended" if has_run_ended else "the service has closed it")
            return True
        except ServiceGone:
            self.lose("the service is gone")
            return True
        except ServiceError as error:
            if self._details is not None and is_malformed(error):
                log.warning(
                    "activity %s: the service refuses the details of a heartbeat (%s)", self.id, error
                )
                self._details = None
                return self.beat()
            if time.monotonic() - began >= seconds:
                self._extended_seconds = max(min(2 * seconds, self.longest_response_seconds), seconds)
            self._permanent_errors = self._permanent_errors + 1 if is_permanent(error) else 0
            if self._permanent_errors >= _MAX_PERMANENT_ERRORS:
                self.lose(str(error))
                return True
            trouble_log_of(self._record).failed(
                "heartbeats", "activity %s: heartbeat failed (%s)", self.id, brief(error)
            )
            return False
        self._permanent_errors, self._extended_seconds = 0, None
        trouble_log_of(self._record).over("heartbeats")
        if is_cancel_requested:
            self.cancel_requested = True
        return True

    @property
    def last_details(self) -> str:
        """The details of the last heartbeat in this attempt; empty if there are none."""
        return self._details or ""

    def drop(self) -> None:
        """Request cancellation: the result will not be used."""
        self.gone = self.cancel_requested = True

    @property
    def is_over(self) -> bool:
        """Return True if the start-to-close time-out, where the worker knows it, is over."""
        limit = self.timeouts.start_to_close
        return limit is not None and time.monotonic() - self._began > limit

    def lose(self, why: str) -> None:
        """Give the task up, because the service will not accept its result."""
        was_gone, is_reporting = self.gone, self.reporting
        self.drop()
        if not is_reporting and not was_gone:
            log.warning("activity %s: %s; its result will be dropped", self.id, why)
            self._on_lost(self)


_CURRENT: ContextVar[RunningActivity] = ContextVar("floto_running_activity")


def current() -> RunningActivity:
    """Return the activity task that the calling code works on.

    In a simulation of ``floto.testing`` it has the attempt, the run and the checkpoint of the simulated task,
    and no cancel requests. Elsewhere outside of a worker, such as in a test that calls the function, it is a
    stand-in without heartbeats and cancel requests. A thread that an activity starts has no context of the
    activity: pass it the object that ``current()`` returned, or start it with
    ``contextvars.copy_context().run``, which also gives its log records their fields.

    Raises:
        NoCurrentActivity: in a thread without the context of an activity while activities run in this
            process: the heartbeats of a stand-in would not be sent.
    """
    simulated = simulated_activity()
    if simulated is not None:
        return _in_simulation(simulated)
    found = _CURRENT.get(None)
    if found is not None:
        return found
    if _active and threading.current_thread() is not threading.main_thread():
        msg = (
            f"thread {threading.current_thread().name!r} does not know which activity it works for; call "
            "floto.current() in the activity and pass on its result, or start the thread with "
            "contextvars.copy_context().run"
        )
        raise NoCurrentActivity(msg)
    return RunningActivity(_NO_TASK, lambda _token, _details: False)


def _in_simulation(called: SimulatedActivity) -> RunningActivity:
    """Return the activity whose function a simulation calls, as a worker would run it."""
    found = RunningActivity(called.task, called.record)
    _, found.timeouts = split_timeouts(payload.loads(called.task.input))
    found.attempt, found.checkpoint = found.timeouts.attempt or 1, found.timeouts.checkpoint
    return found


#: The activities that run in this process.
_active: dict[RunningActivity, None] = {}


_NO_TASK = ports.PolledActivityTask(
    token="",
    execution=WorkflowExecution("", ""),
    activity_id="",
    activity_type=ActivityType("", ""),
    started_event_id=0,
)


@contextmanager
def running(activity: RunningActivity) -> Iterator[None]:
    """Make ``current()`` return ``activity`` during the block."""
    mark = _CURRENT.set(activity)
    _active[activity] = None
    try:
        yield
    finally:
        del _active[activity]
        _CURRENT.reset(mark)
