"""Reads a history the slow and obvious way, sharing no code with floto's fold.

Invariants must not rest on the code that they test: this is a second, plain reading of what happened,
event by event, with no state to update.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from attrs import define, evolve, field

from floto.core.state.state import Item, KeptItem, Key, Kind, Origin, Status
from floto.core.swf import wire
from floto.core.swf.decisions import CLOSE_DECISIONS, Decision
from floto.core.swf.events import EVENT_TYPES, Event, MarkerRecorded, WorkflowExecutionSignaled
from floto.core.swf.reserved_names import TASK_CONTROL
from floto.testing.reading import carried

#: Markers that record the failures before the cleanup, and the result before the run continues as new.
FAILURES, RESULT = "floto.failures", "floto.result"
#: Prefix of the timer id of a retry; the task id and the number of failed attempts follow.
RETRY = "floto.retry:"
WAIT = "floto.wait:"
#: The timer that asks for another decision task, where one response cannot hold everything.
MORE = "floto.more"

_Name = Callable[[Any, int], str]


def _by(name: str) -> _Name:
    return lambda data, _: str(getattr(data, name))


def named(data: Any, otherwise: str) -> str:
    """Return the task id that floto wrote into ``control``, or ``otherwise``."""
    control = data.control or ""
    return control.removeprefix(TASK_CONTROL) if control.startswith(TASK_CONTROL) else otherwise


#: The kind of item that each event opens, and its id.
_OPENS: dict[str, tuple[Kind, _Name]] = {
    "ActivityTaskScheduled": (Kind.ACTIVITY, _by("activity_id")),
    "TimerStarted": (Kind.TIMER, _by("timer_id")),
    "StartChildWorkflowExecutionInitiated": (Kind.CHILD, lambda data, _: named(data, data.workflow_id)),
    "LambdaFunctionScheduled": (Kind.LAMBDA, _by("id")),
    "SignalExternalWorkflowExecutionInitiated": (
        Kind.EXTERNAL_SIGNAL,
        lambda data, event_id: named(data, str(event_id)),
    ),
    "RequestCancelExternalWorkflowExecutionInitiated": (Kind.EXTERNAL_CANCEL, _by("workflow_id")),
}
#: The kind of item that SWF refused to open, and its id.
_REFUSES: dict[str, tuple[Kind, _Name]] = {
    "ScheduleActivityTaskFailed": _OPENS["ActivityTaskScheduled"],
    "StartTimerFailed": _OPENS["TimerStarted"],
    "StartChildWorkflowExecutionFailed": _OPENS["StartChildWorkflowExecutionInitiated"],
    "ScheduleLambdaFunctionFailed": _OPENS["LambdaFunctionScheduled"],
    "ContinueAsNewWorkflowExecutionFailed": (Kind.CONTINUE_AS_NEW, lambda *_: ""),
}
#: The field in which an event that starts an attempt names what opened it.
_BEGINS = {
    "ActivityTaskStarted": "scheduled_event_id",
    "LambdaFunctionStarted": "scheduled_event_id",
    "ChildWorkflowExecutionStarted": "initiated_event_id",
}
#: The same of an event that ends one.
ENDS = {
    **{f"ActivityTask{how}": "scheduled_event_id" for how in ("Completed", "Failed", "TimedOut", "Canceled")},
    **{f"LambdaFunction{how}": "scheduled_event_id" for how in ("Completed", "Failed", "TimedOut")},
    "StartLambdaFunctionFailed": "scheduled_event_id",
    "TimerFired": "started_event_id",
    "TimerCanceled": "started_event_id",
    **{
        f"ChildWorkflowExecution{how}": "initiated_event_id"
        for how in ("Completed", "Failed", "TimedOut", "Canceled", "Terminated")
    },
    "StartChildWorkflowExecutionFailed": "initiated_event_id",
    "ExternalWorkflowExecutionSignaled": "initiated_event_id",
    "SignalExternalWorkflowExecutionFailed": "initiated_event_id",
    "ExternalWorkflowExecutionCancelRequested": "initiated_event_id",
    "RequestCancelExternalWorkflowExecutionFailed": "initiated_event_id",
}
#: Events that end an attempt well.
GOOD = frozenset(
    {
        "ActivityTaskCompleted",
        "LambdaFunctionCompleted",
        "TimerFired",
        "ChildWorkflowExecutionCompleted",
        "ExternalWorkflowExecutionSignaled",
        "ExternalWorkflowExecutionCancelRequested",
        "WorkflowExecutionSignaled",
    }
)
#: Events that end an attempt with a refusal by SWF, and not with a failure.
REFUSALS = frozenset(
    {
        *_REFUSES,
        "StartLambdaFunctionFailed",
        "SignalExternalWorkflowExecutionFailed",
        "RequestCancelExternalWorkflowExecutionFailed",
    }
)
_STOPS = ("ActivityTaskCancelRequested", "RequestCancelActivityTaskFailed")
_CLOSES = tuple(
    f"WorkflowExecution{how}"
    for how in ("Completed", "Failed", "Canceled", "ContinuedAsNew", "TimedOut", "Terminated")
)


def name(thing: Any) -> str:
    """Return SWF's name for an event's data, a decision or a class of task."""
    return type(thing).__name__


@define
class RecordedAttempt:
    """An attempt that SWF accepted, or the first signal of a name."""

    key: Key
    opened: Event
    started: Event | None = None
    end: Event | None = None
    #: The first request to cancel it.
    cancel_requested: Event | None = None
    #: Where it completed, if it is of an earlier run.
    origin: Origin | None = None

    @property
    def completed(self) -> bool:
        """True if it ended well."""
        return self.end is not None and name(self.end.data) in GOOD


@define
class HistorySummary:
    """The attempts and failures of each activity, timer, child, signal, ... in a history."""

    attempts: dict[Key, list[RecordedAttempt]] = field(factory=lambda: defaultdict(list))
    #: Failures and refusals, the latest last.
    failures: dict[Key, list[Event]] = field(factory=lambda: defaultdict(list))
    #: The latest marker of each name.
    markers: dict[str, Event] = field(factory=dict)
    #: Name and input of every signal; those carried over from the previous run come first.
    signals: list[tuple[str, str | None]] = field(factory=list)
    #: Number of parts of what a redriven run keeps, while not all of them have arrived.
    awaited_parts: int = 0
    #: The inputs of the signals with parts that have arrived.
    parts: list[str | None] = field(factory=list)
    began: Event | None = None
    closed: Event | None = None
    cancel_requested: Event | None = None
    #: The time of each event.
    times: list[datetime] = field(factory=list)

    @property
    def start(self) -> Any:
        """The data of the WorkflowExecutionStarted event."""
        return None if self.began is None else self.began.data

    def completed(self, key: Key) -> bool:
        """Return True if an attempt has ended well."""
        return any(attempt.completed for attempt in self.attempts.get(key, ()))

    def in_flight(self, key: Key) -> bool:
        """Return True if an attempt has not ended."""
        return any(attempt.end is None for attempt in self.attempts.get(key, ()))

    def was_attempted(self, key: Key) -> bool:
        """Return True if there was an attempt or a refusal."""
        return bool(self.attempts.get(key)) or bool(self.failures.get(key))

    def cancel_requests(self, child: RecordedAttempt) -> tuple[list[RecordedAttempt], list[Event]]:
        """Return the requests to cancel a child, and those that were refused, since it was started."""
        # Its workflow id may be that of an earlier child.
        key, start = (Kind.EXTERNAL_CANCEL, child.opened.data.workflow_id), child.opened.id
        requests = [each for each in self.attempts.get(key, ()) if each.opened.id > start]
        refused = [each for each in self.failures.get(key, ()) if each.data.initiated_event_id > start]
        return requests, refused

    def under_way(self) -> list[RecordedAttempt]:
        """Return all open attempts in order of their opening."""
        found = [each for attempts in self.attempts.values() for each in attempts if each.end is None]
        return sorted(found, key=lambda attempt: attempt.opened.id)

    def item(self, key: Key) -> Item:
        """Return a completed item as its task gets it."""
        attempt = next(each for each in self.attempts[key] if each.completed)
        opened = None if attempt.opened is attempt.end else attempt.opened
        failures = tuple(self.failures.get(key, ()))
        stop = attempt.cancel_requested
        found = (key, Status.COMPLETED, opened, attempt.started, attempt.end, failures, stop)
        if attempt.origin is not None:
            return KeptItem(key=key, status=found[1], opened=None, closed=attempt.end, origin=attempt.origin)
        return Item(*found)


def summarize(history: Iterable[Event]) -> HistorySummary:
    """Summarize a history."""
    summary = HistorySummary()
    by_event: dict[int, RecordedAttempt] = {}
    for event in history:
        summary.times.append(event.at)
        what = name(event.data)
        if what in ENDS and getattr(event.data, ENDS[what]):
            _end(summary, by_event[getattr(event.data, ENDS[what])], event)
        elif what in _REFUSES:
            _refuse(summary, event)
        elif what in _OPENS:
            kind, id_of = _OPENS[what]
            attempt = by_event[event.id] = RecordedAttempt((kind, id_of(event.data, event.id)), event)
            summary.attempts[attempt.key].append(attempt)
        elif what in _BEGINS:
            by_event[getattr(event.data, _BEGINS[what])].started = event
        else:
            _note(summary, event)
    return summary


def _end(summary: HistorySummary, attempt: RecordedAttempt, event: Event) -> None:
    attempt.end = event
    if not attempt.completed:
        summary.failures[attempt.key].append(event)
    if name(event.data) in REFUSALS:
        # Initiated and then refused: that is not an attempt.
        summary.attempts[attempt.key].remove(attempt)


def _refuse(summary: HistorySummary, event: Event) -> None:
    kind, id_of = _REFUSES[name(event.data)]
    key = (kind, id_of(event.data, event.id))
    # A close refused for unhandled events only leads to another decision task.
    if event.data.cause != "UNHANDLED_DECISION" and not summary.in_flight(key):
        summary.failures[key].append(event)


def _note(summary: HistorySummary, event: Event) -> None:
    what = name(event.data)
    if what == "WorkflowExecutionStarted":
        summary.began = event
        _begin(summary, event)
    elif what == "WorkflowExecutionCancelRequested":
        summary.cancel_requested = event
    elif what == "MarkerRecorded":
        summary.markers[event.data.marker_name] = event
    elif what == "WorkflowExecutionSignaled":
        _receive(summary, event)
    elif what in _STOPS:
        for attempt in summary.attempts.get((Kind.ACTIVITY, event.data.activity_id), ()):
            if attempt.end is None:
                attempt.cancel_requested = attempt.cancel_requested or event
    elif what in _CLOSES:
        summary.closed = event


def _begin(summary: HistorySummary, start: Event) -> None:
    for name_, given in carried.signals_of(start.data):
        _receive(summary, evolve(start, data=WorkflowExecutionSignaled(signal_name=name_, input=given)))
    kept = carried.redrive_of(start.data)
    summary.awaited_parts = kept.get("parts", 0)
    _add_kept(summary, start, kept)


def _receive(summary: HistorySummary, event: Event) -> None:
    if event.data.signal_name == carried.REDRIVE:
        _receive_part(summary, event)
        return
    key = (Kind.SIGNAL, event.data.signal_name)
    summary.signals.append((event.data.signal_name, event.data.input))
    # Only the first signal of a name counts.
    summary.attempts[key] = summary.attempts.get(key) or [RecordedAttempt(key, event, end=event)]


def _receive_part(summary: HistorySummary, event: Event) -> None:
    if summary.awaited_parts and summary.began is not None:
        summary.parts.append(event.data.input)
        kept = carried.put_together(summary.awaited_parts, summary.parts)
        if kept:
            summary.awaited_parts = 0
            _add_kept(summary, summary.began, kept)


def _add_kept(summary: HistorySummary, start: Event, kept: dict[str, Any]) -> None:
    """Note the tasks and signals that a redriven run keeps, as if they had completed with its start."""
    for each in kept.get("tasks", ()):
        key = (Kind(each["kind"]), each["id"])
        end = evolve(start, data=wire.read(EVENT_TYPES[each["type"]], each["data"]))
        origin = Origin(each["run"], each["event"], each["digest"], wire.from_ms(each["at"]))
        summary.attempts[key] = [RecordedAttempt(key, end, end=end, origin=origin)]
    for each in kept.get("checkpoints", ()):
        data = MarkerRecorded(
            marker_name=f"floto.checkpoint:{each['id']}",
            details=each["text"],
            decision_task_completed_event_id=0,
        )
        summary.markers[data.marker_name] = evolve(start, data=data)
    signals = [(each["name"], each["input"]) for each in kept.get("signals", ())]
    summary.signals[:0] = signals
    for name_, given in reversed(signals):
        key = (Kind.SIGNAL, name_)
        event = evolve(start, data=WorkflowExecutionSignaled(signal_name=name_, input=given))
        summary.attempts[key] = [RecordedAttempt(key, event, end=event)]


#: The kind of item that each decision opens, and its id; others open nothing a task could wait for.
_STARTS: dict[str, tuple[Kind, _Name]] = {
    "ScheduleActivityTask": _OPENS["ActivityTaskScheduled"],
    "StartTimer": _OPENS["TimerStarted"],
    "StartChildWorkflowExecution": _OPENS["StartChildWorkflowExecutionInitiated"],
    "ScheduleLambdaFunction": _OPENS["LambdaFunctionScheduled"],
    "SignalExternalWorkflowExecution": _OPENS["SignalExternalWorkflowExecutionInitiated"],
    "RequestCancelExternalWorkflowExecution": _OPENS["RequestCancelExternalWorkflowExecutionInitiated"],
}
#: The decisions that start work, and not a mere cancel request.
_WORK = frozenset(_STARTS) - {"RequestCancelExternalWorkflowExecution"}


def opens(decision: Decision) -> Key | None:
    """Return the key of the item that a decision opens, or None."""
    kind, id_of = _STARTS.get(name(decision), (None, None))
    return None if kind is None or id_of is None else (kind, id_of(decision, 0))


def is_work(decision: Decision) -> bool:
    """Return True if a decision starts work."""
    return name(decision) in _WORK


def closing(decisions: Iterable[Decision]) -> list[Decision]:
    """Return the decisions that close the run."""
    return [decision for decision in decisions if type(decision) in CLOSE_DECISIONS]
