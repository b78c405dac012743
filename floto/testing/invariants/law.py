"""Invariants of every history that SWF writes; where one does not hold, the history is not genuine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.testing.invariants.violation import broken
from floto.testing.reading.moment import Moment
from floto.testing.reading.oracle import ENDS, name

#: The event types that each reference of an event may point at; 0 points at nothing.
_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "decision_task_completed_event_id": ("DecisionTaskCompleted",),
    "scheduled_event_id": ("DecisionTaskScheduled", "ActivityTaskScheduled", "LambdaFunctionScheduled"),
    "started_event_id": (
        "DecisionTaskStarted",
        "ActivityTaskStarted",
        "LambdaFunctionStarted",
        "TimerStarted",
        "ChildWorkflowExecutionStarted",
    ),
    "initiated_event_id": (
        "StartChildWorkflowExecutionInitiated",
        "SignalExternalWorkflowExecutionInitiated",
        "RequestCancelExternalWorkflowExecutionInitiated",
    ),
    "latest_cancel_requested_event_id": ("ActivityTaskCancelRequested",),
}
_CLOSING = frozenset(
    f"WorkflowExecution{end}"
    for end in ("Completed", "Failed", "Canceled", "ContinuedAsNew", "TimedOut", "Terminated")
)


def history_law(moment: Moment) -> None:
    """Event ids count up, times do not go back, references point back, and what began ends once."""
    check_history(moment.history)


def check_history(history: History) -> None:
    """Raise ``AssertionError`` for a history that SWF would not write."""
    events = history.events
    names = [name(event.data) for event in events]
    if names and names[0] != "WorkflowExecutionStarted":
        broken(f"the history begins with {names[0]}")
    for one, next_ in pairwise(events):
        if next_.id != one.id + 1 or next_.at < one.at:
            broken(f"event {next_.id} of {next_.at} follows event {one.id} of {one.at}")
    for what in names[:-1]:
        if what in _CLOSING:
            broken(f"something follows {what}")
    for event in events:
        _check_references(event, names)
    _check_ends(events, names)
    _check_decision_tasks(names)


def _check_references(event: Event, names: Sequence[str]) -> None:
    for reference, targets in _REFERENCES.items():
        target = getattr(event.data, reference, 0)
        if target and (target >= event.id or names[target - 1] not in targets):
            broken(f"{reference} of event {event.id} is {target}, not an earlier {' or '.join(targets)}")


def _check_ends(events: Sequence[Event], names: Sequence[str]) -> None:
    seen: set[int] = set()
    for event, what in zip(events, names, strict=True):
        began = getattr(event.data, ENDS[what], 0) if what in ENDS else 0
        if began in seen:
            broken(f"event {event.id} ends what event {began} began, which has ended")
        if began:
            seen.add(began)


def _check_decision_tasks(names: Sequence[str]) -> None:
    """Check that at most one decision task is started, and at most one is scheduled behind it."""
    scheduled = started = 0
    for what in names:
        if what == "DecisionTaskScheduled":
            scheduled += 1
        elif what == "DecisionTaskStarted":
            scheduled, started = scheduled - 1, started + 1
        elif what == "DecisionTaskCompleted":
            started -= 1
        elif what == "DecisionTaskTimedOut":
            started, scheduled = (started - 1, scheduled) if started else (started, scheduled - 1)
        if scheduled not in (0, 1) or started not in (0, 1):
            broken(f"{scheduled} decision tasks are scheduled and {started} started; SWF allows one each")
