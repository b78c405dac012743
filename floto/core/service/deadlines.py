"""When something open will end by itself: a function of the run, so nothing is lost on a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from attrs import frozen

from floto.core.service.run import Run
from floto.core.service.turn import opening
from floto.core.state import Item, Kind, State, Status

#: No run of SWF outlives a year, whatever its time-out says; NONE is read as a year too.
_LONGEST_RUN = timedelta(seconds=31_536_000)


@frozen
class Due:
    """A moment and what happens then; of equal moments the lower rank comes first."""

    at: datetime
    rank: int
    what: str


RUN_RANK, DECISION_RANK, ITEM_RANK = range(3)

FIRE = "FIRE"


def of_run(state: State) -> Due | None:
    """When the run as a whole times out."""
    if state.started is None:
        return None
    lasts = _duration(state.started.data.execution_start_to_close_timeout)
    span = _LONGEST_RUN if lasts is None else min(lasts, _LONGEST_RUN)
    return Due(state.started.at + span, RUN_RANK, "START_TO_CLOSE")


def of_decision_task(state: State) -> Due | None:
    """When the started decision task times out."""
    started = state.decision_tasks.started
    if started is None or state.started is None:
        return None
    span = _duration(state.started.data.task_start_to_close_timeout)
    return None if span is None else Due(started.at + span, DECISION_RANK, "START_TO_CLOSE")


def of_item(run: Run, item: Item) -> Due | None:
    """When an open timer fires or an open activity times out."""
    if item.key[0] is Kind.TIMER:
        start = opening(item)
        return Due(start.at + _seconds(start.data.start_to_fire_timeout), ITEM_RANK, FIRE)
    if item.key[0] is Kind.ACTIVITY:
        # min keeps the first of equal moments, so the order of the clocks decides ties.
        return min(_clocks(run, item), key=lambda due: due.at, default=None)
    return None


def _clocks(run: Run, item: Item) -> Iterator[Due]:
    scheduled = opening(item)
    timeouts = scheduled.data
    clocks = [("SCHEDULE_TO_CLOSE", scheduled.at, timeouts.schedule_to_close_timeout)]
    if item.status is Status.SCHEDULED or item.started is None:
        clocks.insert(0, ("SCHEDULE_TO_START", scheduled.at, timeouts.schedule_to_start_timeout))
    else:
        started = item.started.at
        beat = run.heartbeats.get(scheduled.id)
        clocks.append(("START_TO_CLOSE", started, timeouts.start_to_close_timeout))
        clocks.append(("HEARTBEAT", beat.at if beat else started, timeouts.heartbeat_timeout))
    for what, since, text in clocks:
        span = _duration(text)
        if span is not None:
            yield Due(since + span, ITEM_RANK, what)


def _duration(text: str | None) -> timedelta | None:
    return None if text is None or text == "NONE" else _seconds(text)


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=int(text))
