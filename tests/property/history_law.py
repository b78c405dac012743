"""What holds for every history that SWF writes, whatever was asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Raw = Mapping[str, Any]

#: What each reference of an event must point at; a literal 0 points at nothing.
REFERENCES: Mapping[str, tuple[str, ...]] = {
    "decisionTaskCompletedEventId": ("DecisionTaskCompleted",),
    "scheduledEventId": ("DecisionTaskScheduled", "ActivityTaskScheduled", "LambdaFunctionScheduled"),
    "startedEventId": (
        "DecisionTaskStarted",
        "ActivityTaskStarted",
        "LambdaFunctionStarted",
        "TimerStarted",
        "ChildWorkflowExecutionStarted",
    ),
    "initiatedEventId": (
        "StartChildWorkflowExecutionInitiated",
        "SignalExternalWorkflowExecutionInitiated",
        "RequestCancelExternalWorkflowExecutionInitiated",
    ),
    "latestCancelRequestedEventId": ("ActivityTaskCancelRequested",),
}
CLOSING = frozenset(
    f"WorkflowExecution{end}"
    for end in ("Completed", "Failed", "Canceled", "ContinuedAsNew", "TimedOut", "Terminated")
)
#: The events that end what another event opened, by the reference that names it.
ENDS: Mapping[str, str] = {
    **dict.fromkeys(("DecisionTaskCompleted", "DecisionTaskTimedOut"), "scheduledEventId"),
    **{f"ActivityTask{end}": "scheduledEventId" for end in ("Completed", "Failed", "TimedOut", "Canceled")},
    **{f"LambdaFunction{end}": "scheduledEventId" for end in ("Completed", "Failed", "TimedOut")},
    "StartLambdaFunctionFailed": "scheduledEventId",
    **dict.fromkeys(("TimerFired", "TimerCanceled"), "startedEventId"),
    **{
        f"ChildWorkflowExecution{end}": "initiatedEventId"
        for end in ("Completed", "Failed", "Canceled", "TimedOut", "Terminated")
    },
    "ExternalWorkflowExecutionSignaled": "initiatedEventId",
    "SignalExternalWorkflowExecutionFailed": "initiatedEventId",
    "ExternalWorkflowExecutionCancelRequested": "initiatedEventId",
    "RequestCancelExternalWorkflowExecutionFailed": "initiatedEventId",
}


def attributes(event: Raw) -> Raw:
    """What an event says beside its id, type and time."""
    name = event["eventType"]
    found: Raw = event[f"{name[0].lower()}{name[1:]}EventAttributes"]
    return found


def check_history(events: Sequence[Raw]) -> None:
    """Ids, times, references, one end for each beginning, and nothing after the end."""
    assert [event["eventId"] for event in events] == list(range(1, len(events) + 1))
    times = [event["eventTimestamp"] for event in events]
    assert times == sorted(times)
    types = [event["eventType"] for event in events]
    assert types[0] == "WorkflowExecutionStarted"
    assert not CLOSING.intersection(types[:-1]), "an event after the end"
    for event in events:
        _check_references(event, types)
    ended = [
        (ENDS[event["eventType"]], attributes(event)[ENDS[event["eventType"]]])
        for event in events
        if event["eventType"] in ENDS and attributes(event).get(ENDS[event["eventType"]])
    ]
    assert len(ended) == len(set(ended)), "something ended twice"
    _check_decision_tasks(types)


def _check_references(event: Raw, types: Sequence[str]) -> None:
    for name, targets in REFERENCES.items():
        target = attributes(event).get(name, 0)
        if target:
            assert target < event["eventId"], f"{name} of {event} points forward"
            assert types[target - 1] in targets, f"{name} of {event} points at {types[target - 1]}"


def _check_decision_tasks(types: Sequence[str]) -> None:
    """At most one decision task is out, and at most one waits behind it."""
    scheduled = started = 0
    for name in types:
        if name == "DecisionTaskScheduled":
            scheduled += 1
        elif name == "DecisionTaskStarted":
            scheduled, started = scheduled - 1, started + 1
        elif name == "DecisionTaskCompleted":
            started -= 1
        elif name == "DecisionTaskTimedOut":
            started, scheduled = (started - 1, scheduled) if started else (started, scheduled - 1)
        assert scheduled in (0, 1)
        assert started in (0, 1)
