"""Warnings about a run and its spec: one function each, in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from attrs import field, frozen

from floto.core.replay.why_report import unused_signals
from floto.core.replay.why_waiting import Text
from floto.core.spec.activity_timeouts import timeout_warnings
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.estimate import expected_events
from floto.core.spec.fingerprint import fingerprint
from floto.core.spec.fingerprint import recorded as recorded_digest
from floto.core.spec.retry import Retry, RetryStrategy
from floto.core.spec.tasks import Task
from floto.core.state.failures import Failure
from floto.core.state.state import Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.history import History
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import DATA_LIMIT, EVENT_LIMIT, LATE_EVENTS, NUMBER_DIGITS
from floto.core.swf.reserved_names import NOT_SERVED
from floto.core.swf.wire import type_name
from floto.core.visible import span_text

#: Share of a limit from which a value is near it.
_NEAR = 0.9
#: Most warnings of one kind, and most retries of a task that are added up.
_MOST, _MOST_RETRIES = 10, 300


@frozen
class Lint:
    """One warning."""

    text: Text
    #: Whether it needs a change; otherwise it is only worth knowing.
    is_warning: bool = True
    task: str | None = None
    event_id: int | None = None


@frozen
class Linted:
    """A run and its spec."""

    history: History = field(repr=False)
    state: State = field(repr=False)
    spec: DeciderSpec | None
    #: All tasks of the run, with those that generators returned; empty without a spec.
    tasks: tuple[Task, ...] = ()

    @property
    def run_seconds(self) -> int | None:
        """The time-out of the run in seconds; None if it has none, or it is not known."""
        return _seconds(self.state.start.execution_start_to_close_timeout)


def lints(linted: Linted) -> Iterator[Lint]:
    """Yield every warning, of each kind the first ones."""
    for lint in LINTS:
        found = list(lint(linted))
        yield from found[:_MOST]
        if len(found) > _MOST:
            yield Lint((f"and {len(found) - _MOST:,} more like the last one",), found[_MOST - 1].is_warning)


def _timeouts(linted: Linted) -> Iterator[Lint]:
    """A heartbeat time-out that has no effect, or that the worker may not know."""
    for task in linted.tasks:
        yield from (Lint((text,), task=task.id_) for text in timeout_warnings(task))


def _recorded_timeouts(linted: Linted) -> Iterator[Lint]:
    """Activities whose heartbeat time-out has no effect, or whose crashed worker is never noticed."""
    seen: set[tuple[object, bool]] = set()
    for event in linted.history.events:
        data: Any = event.data
        if not isinstance(data, e.ActivityTaskScheduled):
            continue
        heartbeat, limit = _seconds(data.heartbeat_timeout), _seconds(data.start_to_close_timeout)
        whole, kind = _seconds(data.schedule_to_close_timeout), data.activity_type
        is_endless = heartbeat is None and limit is None and whole is None
        is_late = heartbeat is not None and limit is not None and heartbeat >= limit
        if (kind, is_endless) in seen or not (is_endless or (is_late and linted.spec is None)):
            continue
        seen.add((kind, is_endless))
        what = f"activity {shown(kind.name)} of event {event.id}"
        problem = (
            "has no time-out: if its worker crashes, the run waits for it until the run times out"
            if is_endless
            else f"has a heartbeat time-out of {heartbeat} s, and ends after {limit} s in any case"
        )
        yield Lint((f"{what} {problem}",), task=data.activity_id, event_id=event.id)


def _long_retries(linted: Linted) -> Iterator[Lint]:
    """Retries that take longer than the run may."""
    limit = linted.run_seconds
    if limit is None:
        return
    # Many tasks have one strategy, and equal strategies have equal forms.
    known: dict[str, float] = {}
    for task in linted.tasks:
        strategy = task.retry_strategy
        if strategy is None:
            continue
        form = repr(strategy)
        if form not in known:
            known[form] = _delays(strategy, linted.state.begun_at)
        if known[form] > limit:
            waits = f"task {shown(task.id_)}: the delays before its retries add up to {known[form]:,.0f} s"
            yield Lint((f"{waits}, and the run times out after {limit:,} s",), task=task.id_)


def _delays(strategy: RetryStrategy, at: datetime) -> float:
    """Return the seconds of all delays of a task of which every attempt fails; 0 if they are not known."""
    total, failures = 0.0, list[Failure]()
    try:
        while len(failures) < _MOST_RETRIES:
            failures.append(Failure(status=Status.FAILED, at=at, event_id=0))
            delay = strategy.delay(Retry(task_id="", seed="", failures=tuple(failures)))
            if delay is None:
                return total
            total += delay
    except Exception:  # noqa: BLE001 - a strategy of the user may raise on failures that it does not expect
        return 0
    return total


def _long_tasks(linted: Linted) -> Iterator[Lint]:
    """Timers that fire after the run has timed out."""
    limit = linted.run_seconds
    for task in linted.tasks if limit is not None else ():
        delay = getattr(task, "delay_in_seconds", None)
        if isinstance(delay, int) and delay >= (limit or 0):
            text = f"timer {shown(task.id_)} takes {delay:,} s, and the run times out after {limit:,} s"
            yield Lint((text,), task=task.id_)


def _many_expected(linted: Linted) -> Iterator[Lint]:
    """A spec with more tasks than a run may have events."""
    least = 0 if linted.spec is None else expected_events(linted.spec)[0]
    if least > EVENT_LIMIT:
        yield Lint((f"a run of this spec has {least:,} events at least; SWF ends a run at {EVENT_LIMIT:,}",))


def _another_spec(linted: Linted) -> Iterator[Lint]:
    """Another spec than the one that the run recorded."""
    if linted.spec is None:
        return
    was, now = recorded_digest(linted.state), fingerprint(linted.spec)
    if was is not None and now is not None and was != now:
        yield Lint((f"this run recorded the spec {shown(was)}, and the one given is {now!r}",))


def _many_events(linted: Linted) -> Iterator[Lint]:
    """A history near SWF's limit."""
    count = len(linted.history)
    if count >= LATE_EVENTS:
        yield Lint((f"this history has {count:,} events; SWF ends a run at {EVENT_LIMIT:,}",))


def _late_run(linted: Linted) -> Iterator[Lint]:
    """An open run near its time-out."""
    limit, state = linted.run_seconds, linted.state
    if limit is None or state.closed is not None:
        return
    if (state.now - state.begun_at).total_seconds() > _NEAR * limit:
        took = span_text(state.begun_at, state.now)
        yield Lint((f"this run has taken {took} of the {limit:,} s after which it times out",))


def _long_payloads(linted: Linted) -> Iterator[Lint]:
    """Payloads near SWF's limit."""
    for event in linted.history.events:
        for name in ("input", "result", "details", "control"):
            text = getattr(event.data, name, None)
            if isinstance(text, str) and len(text) > _NEAR * DATA_LIMIT:
                told = (
                    f"the {name} of event {event.id} has {len(text):,} characters; SWF takes {DATA_LIMIT:,}"
                )
                yield Lint((told,), event_id=event.id)


def _unused_signals(linted: Linted) -> Iterator[Lint]:
    """Signals that arrived and that no task waits for."""
    if linted.spec is None:
        return
    waited = [task.key[1] for task in linted.tasks if task.key[0] is Kind.SIGNAL]
    for name in unused_signals(linted.state, waited):
        event = linted.state.signals[name][0]
        text = f"signal {shown(name)} arrived at "
        yield Lint((text, event.at, ", and no task waits for it"), event_id=event.id)


def _lost_decisions(linted: Linted) -> Iterator[Lint]:
    """Decision tasks that a decider claimed and did not respond to."""
    events = linted.history.events
    for event in events:
        data: Any = event.data
        if isinstance(data, e.DecisionTaskTimedOut) and 0 < data.started_event_id <= len(events):
            who = getattr(events[data.started_event_id - 1].data, "identity", None) or "a decider"
            text = (
                f"{shown(who)} claimed the decision task of event {data.started_event_id} and did not respond"
            )
            yield Lint((text,), event_id=event.id)


def _refusals(linted: Linted) -> Iterator[Lint]:
    """Decisions that SWF refused, and activities that workers gave back, by cause."""
    found: Counter[str] = Counter()
    last: dict[str, int] = {}
    for event in linted.history.events:
        cause = _cause(event.data)
        if cause is not None:
            found[cause] += 1
            last[cause] = event.id
    for cause, count in found.items():
        times = "once" if count == 1 else f"{count:,} times"
        who = (
            "a worker gave an activity back"
            if cause == NOT_SERVED
            else f"SWF refused a decision: {shown(cause)}"
        )
        yield Lint((f"{who}, {times}",), event_id=last[cause])


def _cause(data: Any) -> str | None:
    if isinstance(data, e.ActivityTaskFailed):
        return NOT_SERVED if data.reason == NOT_SERVED else None
    return getattr(data, "cause", None) if type_name(data).endswith("Failed") else None


def _seconds(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() and len(value) <= NUMBER_DIGITS else None


#: Each kind of warning.
LINTS: tuple[Callable[[Linted], Iterable[Lint]], ...] = (
    _another_spec,
    _many_expected,
    _many_events,
    _late_run,
    _timeouts,
    _recorded_timeouts,
    _long_retries,
    _long_tasks,
    _long_payloads,
    _unused_signals,
    _lost_decisions,
    _refusals,
)
