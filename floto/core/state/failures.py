"""The failure of an attempt, read from the event that closed it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from attrs import frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.quick_init import maker, quick_init
from floto.core.state.state import Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.reserved_names import NOT_SERVED

#: Separates the message and the traceback in the details of a failed activity. Retry strategies, cleanup
#: tasks and reports use the message only; ``Failure.traceback`` has the rest.
TRACEBACK = "\n--- floto.traceback ---\n"
#: Follows the traceback; then comes what the activity last sent with a heartbeat.
CHECKPOINT = "\n--- floto.checkpoint ---\n"
#: Causes of transient refusals: limits, rates, and ids still in use (a retried child may find the children of
#: its last attempt still closing). All other refusals are permanent.
TRANSIENT = frozenset(
    {
        NOT_SERVED,
        "OPEN_ACTIVITIES_LIMIT_EXCEEDED",
        "ACTIVITY_CREATION_RATE_EXCEEDED",
        "ACTIVITY_ID_ALREADY_IN_USE",
        "OPEN_TIMERS_LIMIT_EXCEEDED",
        "TIMER_CREATION_RATE_EXCEEDED",
        "TIMER_ID_ALREADY_IN_USE",
        "OPEN_CHILDREN_LIMIT_EXCEEDED",
        "OPEN_WORKFLOWS_LIMIT_EXCEEDED",
        "CHILD_CREATION_RATE_EXCEEDED",
        "WORKFLOW_ALREADY_RUNNING",
        "OPEN_LAMBDA_FUNCTIONS_LIMIT_EXCEEDED",
        "LAMBDA_FUNCTION_CREATION_RATE_EXCEEDED",
        "ID_ALREADY_IN_USE",
        "CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED",
        "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",
        "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED",
    }
)


@quick_init
@frozen(kw_only=True)
class Failure:
    """One failed attempt.

    ``status`` is ``REFUSED`` if SWF did not start the attempt or a worker gave it back; neither counts for a
    retry strategy. ``reason`` is the exception's type if an activity raised, the kind of time-out
    (``HEARTBEAT``, ...) if it timed out, SWF's cause if it was refused, and ``floto.NotServed`` if it was
    given back.
    """

    status: Status
    at: datetime
    event_id: int
    reason: str = ""
    details: str = ""
    #: The traceback of an activity's exception, as its worker reported it; empty if there is none.
    traceback: str = ""
    #: What the activity last sent with a heartbeat in this attempt; empty if that is nothing or unknown.
    checkpoint: str = ""

    @property
    def passes(self) -> bool:
        """Return True if this is a transient refusal, which a later attempt may not meet."""
        return self.status is Status.REFUSED and self.reason in TRANSIENT

    @property
    def message(self) -> str:
        """The failure as one line."""
        if self.reason == NOT_SERVED:
            return f"given back: {self.details}"
        before = _BEFORE.get(self.status, "")
        return ": ".join(part for part in (before, self.reason, self.details) if part) or str(self.status)


_BEFORE = {
    Status.TIMED_OUT: "timed out",
    Status.CANCELED: "canceled",
    Status.TERMINATED: "terminated",
    Status.REFUSED: "refused by SWF",
}

_Read = Callable[[Any], tuple[Status, str | None, str | None]]


def _refused(data: Any) -> tuple[Status, str | None, str | None]:
    return Status.REFUSED, data.cause, getattr(data, "message", None)


def _failed(data: Any) -> tuple[Status, str | None, str | None]:
    return Status.FAILED, data.reason, data.details


def _activity_failed(data: Any) -> tuple[Status, str | None, str | None]:
    return (Status.REFUSED if data.reason == NOT_SERVED else Status.FAILED), data.reason, data.details


def _timed_out(data: Any) -> tuple[Status, str | None, str | None]:
    return Status.TIMED_OUT, data.timeout_type, getattr(data, "details", None)


def _canceled(data: Any) -> tuple[Status, str | None, str | None]:
    return Status.CANCELED, None, getattr(data, "details", None)


def _terminated(_: Any) -> tuple[Status, str | None, str | None]:
    return Status.TERMINATED, None, None


_READ: dict[type, _Read] = {
    e.ActivityTaskFailed: _activity_failed,
    e.ActivityTaskTimedOut: _timed_out,
    e.ActivityTaskCanceled: _canceled,
    e.ScheduleActivityTaskFailed: _refused,
    e.TimerCanceled: _canceled,
    e.StartTimerFailed: _refused,
    e.ChildWorkflowExecutionFailed: _failed,
    e.ChildWorkflowExecutionTimedOut: _timed_out,
    e.ChildWorkflowExecutionCanceled: _canceled,
    e.ChildWorkflowExecutionTerminated: _terminated,
    e.StartChildWorkflowExecutionFailed: _refused,
    e.LambdaFunctionFailed: _failed,
    e.LambdaFunctionTimedOut: _timed_out,
    e.ScheduleLambdaFunctionFailed: _refused,
    e.StartLambdaFunctionFailed: _refused,
    e.SignalExternalWorkflowExecutionFailed: _refused,
    e.RequestCancelExternalWorkflowExecutionFailed: _refused,
    e.ContinueAsNewWorkflowExecutionFailed: _refused,
}

_new_failure = maker(Failure)


def failure_of(event: Event) -> Failure:
    """Return the failure that a closing event reports."""
    status, reason, details = _READ[type(event.data)](event.data)
    traceback, checkpoint = "", ""
    if status is Status.FAILED:
        details, traceback, checkpoint = split_details(details)
    elif type(event.data) is e.ActivityTaskTimedOut:
        checkpoint = details or ""
    return _new_failure(
        status=status,
        at=event.at,
        event_id=event.id,
        reason=reason or "",
        details=_text(details),
        traceback=traceback,
        checkpoint=checkpoint,
    )


def checkpoint_of(failures: Iterable[Event]) -> str:
    """Return what an activity last sent with a heartbeat in failed attempts; empty if that is nothing."""
    found = (failure_of(event).checkpoint for event in reversed(tuple(failures)))
    return next(filter(None, found), "")


def joined_details(message: str, traceback: str, checkpoint: str) -> str:
    """Return the details of a failed activity: the message, and behind it what there is of the rest."""
    rest = f"{CHECKPOINT}{checkpoint}" if checkpoint else ""
    return f"{message}{TRACEBACK}{traceback}{rest}" if traceback or rest else message


def split_details(details: str | None) -> tuple[str | None, str, str]:
    """Return the message, the traceback and the checkpoint in the details of a failed activity."""
    message, mark, rest = (details or "").partition(TRACEBACK)
    traceback, _, checkpoint = rest.partition(CHECKPOINT)
    return (message, traceback, checkpoint) if mark else (details, "", "")


def _text(details: str | None) -> str:
    try:
        value = payload.loads(details)
    except PayloadError:
        value = details
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and all(isinstance(message, str) for message in value.values()):
        # The failures of a child: messages by task id.
        return "; ".join(f"{id_}: {message}" for id_, message in value.items())
    return details or ""
