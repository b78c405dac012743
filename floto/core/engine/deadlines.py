"""Deadlines of timers, timeouts of tasks and runs: a function of the run, so a restart loses none.

The times of a history never go back, so after the clock was set back, new events of a run have the time of
its last event, ahead of the clock. A timeout still counts real seconds: each function takes the time of the
clock as ``now``, and counts from that where an event is ahead of it. Without ``now`` it counts from the
events alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from attrs import frozen

from floto.core.engine.run import EngineRun
from floto.core.engine.step_context import opening
from floto.core.quick_init import maker, quick_init
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf.limits import LAMBDA_LIMIT, RUN_SECONDS_LIMIT

#: A longer timeout of a run, and NONE, count as this.
LONGEST_RUN = timedelta(seconds=RUN_SECONDS_LIMIT)


@quick_init
@frozen(weakref_slot=False)
class PendingTimeout:
    """A pending timeout, or firing of a timer; of equal times the lower rank fires first."""

    at: datetime
    rank: int
    #: SWF's timeout type, or ``FIRE`` for a timer.
    timeout_type: str
    #: True if its time does not follow from the events: it counts from the clock, or was postponed.
    is_moved: bool = False


_new_timeout = maker(PendingTimeout)

RUN_RANK, DECISION_RANK, ITEM_RANK = range(3)

#: Id of the event to which the timeout of the run belongs.
RUN_EVENT = 1

FIRE = "FIRE"


def of_run(state: State, now: datetime | None = None) -> PendingTimeout | None:
    """Return the timeout of the run; None before its first event."""
    if state.started is None:
        return None
    lasts = _duration(state.started.data.execution_start_to_close_timeout)
    span = LONGEST_RUN if lasts is None else min(lasts, LONGEST_RUN)
    return _new_timeout(_since(state.started.at, now) + span, RUN_RANK, "START_TO_CLOSE")


def of_decision_task(state: State, now: datetime | None = None) -> PendingTimeout | None:
    """Return the timeout of the started decision task, or else of the scheduled one."""
    tasks = state.decision_tasks
    if tasks.started is not None:
        timeout = state.start.task_start_to_close_timeout
        return _decision_due(timeout, "START_TO_CLOSE", _since(tasks.started.at, now))
    if tasks.scheduled is not None:
        timeout = tasks.scheduled.data.schedule_to_start_timeout
        # Undocumented for one scheduled while another is started: it counts from when it can be dispatched.
        return _decision_due(timeout, "SCHEDULE_TO_START", _since(tasks.waits_since(tasks.scheduled), now))
    return None


def _decision_due(timeout: str | None, timeout_type: str, since: datetime) -> PendingTimeout | None:
    span = _duration(timeout)
    return None if span is None else _new_timeout(since + span, DECISION_RANK, timeout_type)


def of_item(run: EngineRun, item: Item, now: datetime | None = None) -> PendingTimeout | None:
    """Return the deadline of an open timer, or the next timeout of an open activity or Lambda function."""
    clock = _ITEM_DUES.get(item.key[0])
    return None if clock is None else clock(run, item, now)


def _timer(_run: EngineRun, item: Item, now: datetime | None) -> PendingTimeout:
    start = opening(item)
    return _new_timeout(_since(start.at, now) + _seconds(start.data.start_to_fire_timeout), ITEM_RANK, FIRE)


def _activity(run: EngineRun, item: Item, now: datetime | None) -> PendingTimeout | None:
    earliest: datetime | None = None
    earliest_type = ""
    for timeout_type, since, text in _clocks(run, item):
        span = _duration(text)
        if span is None:
            continue
        at = _since(since, now) + span
        # Of equal times, the first one counts, so the order of the timeouts decides ties.
        if earliest is None or at < earliest:
            earliest, earliest_type = at, timeout_type
    return None if earliest is None else _new_timeout(earliest, ITEM_RANK, earliest_type)


def _lambda(_run: EngineRun, item: Item, now: datetime | None) -> PendingTimeout | None:
    if item.started is None:
        return None
    lasts = opening(item).data.start_to_close_timeout or str(LAMBDA_LIMIT)
    return _new_timeout(_since(item.started.at, now) + _seconds(lasts), ITEM_RANK, "START_TO_CLOSE")


_ITEM_DUES: Mapping[Kind, Callable[[EngineRun, Item, datetime | None], PendingTimeout | None]] = {
    Kind.TIMER: _timer,
    Kind.ACTIVITY: _activity,
    Kind.LAMBDA: _lambda,
}


def _clocks(run: EngineRun, item: Item) -> tuple[tuple[str, datetime, str | None], ...]:
    """Return the timeouts of an open activity that count now: type, beginning and seconds."""
    scheduled = opening(item)
    timeouts = scheduled.data
    whole = ("SCHEDULE_TO_CLOSE", scheduled.at, timeouts.schedule_to_close_timeout)
    if item.status is Status.SCHEDULED or item.started is None:
        return ("SCHEDULE_TO_START", scheduled.at, timeouts.schedule_to_start_timeout), whole
    started = item.started.at
    beat = run.heartbeats.get(scheduled.id)
    return (
        whole,
        ("START_TO_CLOSE", started, timeouts.start_to_close_timeout),
        ("HEARTBEAT", beat.at if beat else started, timeouts.heartbeat_timeout),
    )


def _since(at: datetime, now: datetime | None) -> datetime:
    return at if now is None or at <= now else now


def _duration(text: str | None) -> timedelta | None:
    return None if text is None or text == "NONE" else _seconds(text)


@lru_cache(maxsize=256)
def _seconds(text: str) -> timedelta:
    return timedelta(seconds=int(text))
