"""Mutated histories of a run, in which rare things happened: refusals in a row, unreadable data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha512
from typing import Any

from attrs import evolve

from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CLOSE_DECISIONS,
    Decision,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.shapes import TaskList, WorkflowType
from floto.testing.invariants.variants import appended, left
from floto.testing.reading.oracle import FAILURES, MORE, RETRY, name, named

#: What a child keeps of its last run, which had nothing to keep.
_KEPT = '{"run":"r","number":1,"tasks":[],"signals":[],"checkpoints":[]}'
#: Numbers of refusals around those at which floto gives up.
_TIMES = (1, 2, 20, 1, 21, 2, 100, 101)
#: A transient and a permanent cause, by the decision that is refused.
_REFUSED: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "ScheduleActivityTask": (
        e.ScheduleActivityTaskFailed,
        ("ACTIVITY_CREATION_RATE_EXCEEDED", "ACTIVITY_TYPE_DOES_NOT_EXIST"),
    ),
    "StartTimer": (e.StartTimerFailed, ("TIMER_CREATION_RATE_EXCEEDED", "OPERATION_NOT_PERMITTED")),
    "StartChildWorkflowExecution": (
        e.StartChildWorkflowExecutionFailed,
        ("CHILD_CREATION_RATE_EXCEEDED", "WORKFLOW_TYPE_DOES_NOT_EXIST"),
    ),
    "ContinueAsNewWorkflowExecution": (
        e.ContinueAsNewWorkflowExecutionFailed,
        (
            "CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED",
            "WORKFLOW_TYPE_DEPRECATED",
            "UNHANDLED_DECISION",
        ),
    ),
}
_STOP_REFUSED = ("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_RATE_EXCEEDED", "OPERATION_NOT_PERMITTED")
#: Details of a marker of floto's name that floto did not write.
_FOREIGN = (None, '["a"]', '{"a":1,"b":"c"}', "floto:zlib:?", "text")
_UNREADABLE = "floto:zlib:?"
#: The same task, returned by every generator.
_TWIN = '{"type":"floto.specs.task.ActivityTask","name":"work","version":"v1","id_":"twin"}'


def _incompressible(size: int) -> str:
    """Return incompressible text of ``size`` characters."""
    blocks = (sha512(str(number).encode()).hexdigest() for number in range(size // 128 + 1))
    return "".join(blocks)[:size]


#: Two of these do not fit into one payload.
_LARGE = f'"{_incompressible(40_000)}"'


def mutated(history: History, decisions: Sequence[Decision], number: int) -> History | None:
    """Return the history with one rare mutation, chosen by a number; None where it does not apply."""
    if not history.events:
        return None
    mutations = _that_apply(decisions)
    return mutations[number % len(mutations)](history, decisions, number // len(mutations))


def _that_apply(decisions: Sequence[Decision]) -> tuple[_Mutation, ...]:
    """Return the mutations that apply where these decisions are made, the rarest first."""
    if any(isinstance(each, RequestCancelExternalWorkflowExecution) for each in decisions):
        return _WHILE_STOPPING
    if any(map(_waits, decisions)):
        return _BEFORE_A_RETRY
    return _AT_THE_END if any(type(each) in CLOSE_DECISIONS for each in decisions) else _MUTATIONS


def _waits(decision: Decision) -> bool:
    """Return True if a decision starts the timer of a retry."""
    return isinstance(decision, StartTimer) and decision.timer_id.startswith(RETRY)


def _refused(history: History, decisions: Sequence[Decision], number: int) -> History | None:
    """Let SWF refuse a decision, several times, the last time for another cause."""
    refusable = [each for each in decisions if name(each) in _REFUSED]
    if not refusable:
        return None
    waits = list(filter(_waits, refusable))
    # A timer of a retry can only be refused where the retry is due.
    among = waits or refusable
    decision = among[number % len(among)]
    cls, causes = _REFUSED[name(decision)]
    times = _TIMES[number // 8 % len(_TIMES)]
    last = causes[number % len(causes)]
    row = [causes[0]] * (times - 1) + [last]
    return appended(history, (left(cls, decision, 1, cause=cause, initiated_event_id=0) for cause in row))


def _wait_canceled(history: History, decisions: Sequence[Decision], number: int) -> History | None:
    """Let another decider cancel the timer of a retry; SWF may refuse the next one."""
    decision = next(filter(_waits, decisions), None)
    if not isinstance(decision, StartTimer):
        return None
    timer_id = decision.timer_id
    data: list[Any] = [
        left(e.TimerStarted, decision, 1),
        e.TimerCanceled(
            timer_id=timer_id, started_event_id=len(history) + 1, decision_task_completed_event_id=1
        ),
    ]
    cls, causes = _REFUSED["StartTimer"]
    data += [left(cls, decision, 1, cause=cause) for cause in (*causes, None)[number % 3 :][:1] if cause]
    return appended(history, data)


def _stop_refused(history: History, decisions: Sequence[Decision], number: int) -> History | None:
    """Let SWF refuse the cancel request for a child, several times."""
    requests = [each for each in decisions if name(each) == "RequestCancelExternalWorkflowExecution"]
    if not requests:
        return None
    decision = requests[number % len(requests)]
    row = [_STOP_REFUSED[0]] * (_TIMES[number // 2 % 5] - 1) + [_STOP_REFUSED[number % 2]]
    return appended(history, _refused_stops(decision, row, len(history)))


def _refused_stops(decision: Any, causes: Sequence[str], last: int) -> Iterator[Any]:
    for place, cause in enumerate(causes):
        yield left(e.RequestCancelExternalWorkflowExecutionInitiated, decision, 1)
        yield left(
            e.RequestCancelExternalWorkflowExecutionFailed,
            decision,
            1,
            cause=cause,
            initiated_event_id=last + 2 * place + 1,
        )


def _foreign_marker(history: History, _: Sequence[Decision], number: int) -> History | None:
    """Add a marker of floto's name that floto did not write."""
    details = _FOREIGN[number % len(_FOREIGN)]
    marker = e.MarkerRecorded(marker_name=FAILURES, details=details, decision_task_completed_event_id=1)
    return appended(history, [marker])


def _checkpoint(history: History, decisions: Sequence[Decision], number: int) -> History | None:
    """Add the marker with what a redriven run keeps for an activity, or for a child."""
    ids = [each.activity_id for each in decisions if isinstance(each, ScheduleActivityTask)]
    begun = [each for each in decisions if isinstance(each, StartChildWorkflowExecution)]
    children = [named(each, each.workflow_id) for each in begun]
    if not ids and not children:
        return None
    texts = (None, '"half"', "text") if ids else (_KEPT, '{"run":"r"}', "text")
    marker_name, details = f"floto.checkpoint:{[*ids, *children][0]}", texts[number % 3]
    marker = e.MarkerRecorded(marker_name=marker_name, details=details, decision_task_completed_event_id=1)
    return appended(history, [marker])


def _awaits_parts(history: History, _: Sequence[Decision], number: int) -> History | None:
    """Let the run be a redriven one of whose kept results a part is missing; cancel it sometimes."""
    text = '{"floto.redrive":{"run":"r","number":1,"parts":2}}'
    first = history.events[0]
    began = evolve(first, data=evolve(history.start, input=text))
    waits = evolve(history, events=(began, *history.events[1:]))
    return waits if number % 2 else appended(waits, [e.WorkflowExecutionCancelRequested()])


def _child_begins(history: History, _: Sequence[Decision], __: int) -> History | None:
    """Add a child that has not started yet, so it cannot be canceled."""
    child = e.StartChildWorkflowExecutionInitiated(
        workflow_id="strange",
        workflow_type=WorkflowType("strange", "v1"),
        task_list=TaskList("strange"),
        child_policy="TERMINATE",
        decision_task_completed_event_id=1,
    )
    return appended(history, [child])


def _more_was_asked_for(history: History, _: Sequence[Decision], number: int) -> History | None:
    """Add the timer of a split response, running or fired."""
    begun = e.TimerStarted(timer_id=MORE, start_to_fire_timeout="0", decision_task_completed_event_id=1)
    fired = e.TimerFired(timer_id=MORE, started_event_id=len(history) + 1)
    return appended(history, (begun, fired)[: 1 + number % 2])


def _function_runs(history: History, _: Sequence[Decision], __: int) -> History | None:
    """Request cancellation while a Lambda function runs, which cannot be canceled."""
    function = e.LambdaFunctionScheduled(id="strange", name="strange", decision_task_completed_event_id=1)
    return appended(history, [function, e.WorkflowExecutionCancelRequested()])


def _canceled(history: History, _: Sequence[Decision], __: int) -> History | None:
    """Request cancellation of the run."""
    return appended(history, [e.WorkflowExecutionCancelRequested()])


def _input(history: History, _: Sequence[Decision], number: int) -> History | None:
    """Make the workflow's input unreadable, large or empty."""
    text = (_UNREADABLE, _LARGE, _UNREADABLE + "=", None)[number % 4]
    first = history.events[0]
    began = evolve(first, data=evolve(history.start, input=text))
    return evolve(history, events=(began, *history.events[1:]))


def _results(history: History, _: Sequence[Decision], number: int) -> History | None:
    """Make the results of attempts unreadable, large or empty."""
    texts = (_UNREADABLE, _LARGE, None, f"[{_TWIN}]", "text", f"[{_TWIN},{_TWIN}]")
    return _each_result(history, texts[number % len(texts)])


def _each_result(history: History, text: str | None) -> History | None:
    events = [_returned(event, text) for event in history]
    return None if events == list(history.events) else evolve(history, events=events)


def _returned(event: Event, text: str | None) -> Event:
    if isinstance(event.data, e.ActivityTaskCompleted | e.ChildWorkflowExecutionCompleted):
        return evolve(event, data=evolve(event.data, result=text))
    return event


def _failed(history: History, _: Sequence[Decision], number: int) -> History | None:
    """Turn every completion into a failure, with long details."""
    details = (None, "because", _LARGE)[number % 3]
    reason = ("Final", None, "Passing" * 60)[number // 3 % 3]
    changed = False
    events = list(history.events)
    for place, event in enumerate(events):
        data = event.data
        if isinstance(data, e.ActivityTaskCompleted):
            failed = e.ActivityTaskFailed(
                scheduled_event_id=data.scheduled_event_id,
                started_event_id=data.started_event_id,
                reason=reason,
                details=details,
            )
            events[place], changed = evolve(event, data=failed), True
    return evolve(history, events=events) if changed else None


_Mutation = Callable[[History, Sequence[Decision], int], History | None]
_MUTATIONS: tuple[_Mutation, ...] = (
    _refused,
    _results,
    _failed,
    _refused,
    _stop_refused,
    _foreign_marker,
    _more_was_asked_for,
    _refused,
    _canceled,
    _function_runs,
    _input,
    _refused,
    _checkpoint,
    _awaits_parts,
)
_WHILE_STOPPING: tuple[_Mutation, ...] = (_stop_refused, _stop_refused, _failed, _canceled)
_BEFORE_A_RETRY: tuple[_Mutation, ...] = (
    _refused,
    _refused,
    _results,
    _canceled,
    _foreign_marker,
    _wait_canceled,
)
#: Where the run is about to close, most mutations do not apply.
_AT_THE_END: tuple[_Mutation, ...] = (_results, _child_begins, _refused, _failed, _results, _canceled, _input)
