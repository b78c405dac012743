"""The six events that close a run: the status that SWF lists, and what a parent is told."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen

from floto.core.swf import events as e


class CloseStatus(StrEnum):
    """SWF's word for the end of a run.

    Source: https://docs.aws.amazon.com/amazonswf/latest/apireference/API_WorkflowExecutionInfo.html
    """

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    TIMED_OUT = "TIMED_OUT"


@frozen
class ClosingEvent:
    """One way to end."""

    status: CloseStatus
    #: The event in the parent's history; None where the parent is told nothing.
    child_event: type | None
    #: The fields that the parent's event repeats.
    repeated: tuple[str, ...] = ()


def reason_of(data: Any) -> str:
    """Return why a run closed, from the data of its closing event; empty if the event does not say it.

    That is the reason that somebody gave, or else SWF's cause, such as ``EVENT_LIMIT_EXCEEDED``.
    """
    return getattr(data, "reason", None) or getattr(data, "cause", None) or ""


CLOSING_EVENTS: Mapping[type, ClosingEvent] = {
    e.WorkflowExecutionCompleted: ClosingEvent(
        CloseStatus.COMPLETED, e.ChildWorkflowExecutionCompleted, ("result",)
    ),
    e.WorkflowExecutionFailed: ClosingEvent(
        CloseStatus.FAILED, e.ChildWorkflowExecutionFailed, ("reason", "details")
    ),
    e.WorkflowExecutionCanceled: ClosingEvent(
        CloseStatus.CANCELED, e.ChildWorkflowExecutionCanceled, ("details",)
    ),
    e.WorkflowExecutionTerminated: ClosingEvent(CloseStatus.TERMINATED, e.ChildWorkflowExecutionTerminated),
    e.WorkflowExecutionContinuedAsNew: ClosingEvent(CloseStatus.CONTINUED_AS_NEW, None),
    e.WorkflowExecutionTimedOut: ClosingEvent(
        CloseStatus.TIMED_OUT, e.ChildWorkflowExecutionTimedOut, ("timeout_type",)
    ),
}
