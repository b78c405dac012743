"""The time-outs that an activity can run into, and the behavior of workers that causes each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from attrs import define

from floto.core.errors import FlotoError
from floto.core.state.state import Kind
from floto.core.swf.events import ActivityTaskScheduled
from floto.testing.simulation.outcomes import Ending, How


@define
class NoSuchTimeout(FlotoError):
    """A task was to time out in a way that it cannot; ``possible`` are the time-outs that it has."""

    task_id: str
    timeout_type: str | None
    possible: tuple[str, ...]
    #: The kind of task: the time-out of a child is that of its execution.
    kind: Kind = Kind.ACTIVITY

    def __str__(self) -> str:
        """Name the task, and the field to set."""
        what = f"by {self.timeout_type}" if self.timeout_type else "at all"
        of = "execution_" if self.kind is Kind.CHILD else ""
        field = f"{of}{(self.timeout_type or 'START_TO_CLOSE').lower()}_timeout"
        ways = f"it can by {' or '.join(self.possible)}" if self.possible else "it has no time-out"
        return f"task {self.task_id!r} cannot time out {what}, for {ways}; set its {field}"


class WorkerBehavior(Enum):
    """The behavior of a worker during an attempt."""

    RESPOND = auto()
    #: A worker claims the task, its heartbeats are lost, and it responds after the time-out.
    RESPOND_LATE = auto()
    #: No worker claims the task.
    NEVER_CLAIM = auto()
    #: A worker claims the task, sends heartbeats, and never responds.
    HANG = auto()
    #: A worker claims the task and crashes.
    CRASH = auto()


def seconds(text: str | None) -> int | None:
    """Return a time-out in seconds; None for no time-out."""
    return None if text is None or text == "NONE" else int(text)


_FOREVER = float("inf")


def possible_timeouts(data: ActivityTaskScheduled) -> dict[str, WorkerBehavior]:
    """Return the possible time-outs of an activity, the shortest first, with the behavior that causes each.

    Of equal times, SWF names the earlier of: SCHEDULE_TO_START, SCHEDULE_TO_CLOSE, START_TO_CLOSE, HEARTBEAT.
    """
    to_start, to_close, work, beat = (
        _FOREVER if span is None else span
        for span in map(
            seconds,
            (
                data.schedule_to_start_timeout,
                data.schedule_to_close_timeout,
                data.start_to_close_timeout,
                data.heartbeat_timeout,
            ),
        )
    )
    found: dict[str, tuple[float, WorkerBehavior]] = {}
    if to_start <= to_close and to_start < _FOREVER:
        found["SCHEDULE_TO_START"] = to_start, WorkerBehavior.NEVER_CLAIM
    if to_close < _FOREVER and (to_close <= work or to_close < to_start):
        found["SCHEDULE_TO_CLOSE"] = (
            to_close,
            WorkerBehavior.HANG if to_close <= work else WorkerBehavior.NEVER_CLAIM,
        )
    if work < to_close:
        found["START_TO_CLOSE"] = work, WorkerBehavior.HANG
    if beat < min(work, to_close):
        found["HEARTBEAT"] = beat, WorkerBehavior.CRASH
    return {name: behavior for name, (_, behavior) in sorted(found.items(), key=_span)}


def _span(way: tuple[str, tuple[float, WorkerBehavior]]) -> float:
    return way[1][0]


def behavior_for(ending: Ending, data: ActivityTaskScheduled) -> WorkerBehavior:
    """Return the behavior that makes an attempt end so; raises ``NoSuchTimeout`` where none does."""
    if ending.how is not How.TIMES_OUT:
        return WorkerBehavior.RESPOND
    possible = possible_timeouts(data)
    wanted = ending.timeout_type or next(iter(possible), None)
    if wanted not in possible:
        raise NoSuchTimeout(data.activity_id, ending.timeout_type, tuple(possible))
    return WorkerBehavior.RESPOND_LATE if ending.is_late else possible[wanted]


def timeout_after_crash(possible: Mapping[str, WorkerBehavior]) -> str | None:
    """Return the first time-out that ends an attempt whose worker crashed, or None."""
    taken = (name for name, behavior in possible.items() if behavior is not WorkerBehavior.NEVER_CLAIM)
    return next(taken, None)
