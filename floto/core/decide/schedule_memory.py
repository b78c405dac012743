"""The memory of a schedule, and how fires, signals and ends of runs change it: pure functions.

A schedule is decided from its history alone, so what it remembers is in the history: in a marker that it
records with the decisions that follow from it, and in the input of the run that continues it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

from attrs import evolve, frozen
from cattrs.preconf.json import make_converter

from floto.core.errors import HistoryError
from floto.core.spec.schedule import FIRE_FORM, Overlap, Schedule
from floto.core.state.failures import failure_of
from floto.core.state.state import Key, Kind, Status
from floto.core.swf.events import Event

#: Maximum number of runs, and of groups of fires that started none, that are remembered for people.
_SHOWN = 10
#: Maximum number of fires before each event that one decision handles; a timer of 0 seconds follows for the
#: rest, and what happened after them is left to the next decision.
MOST_FIRES = 10_000
#: Maximum number of open runs; further fires wait.
MOST_OPEN = 500
#: Maximum number of entries of ``Memory.waiting``.
MOST_WAITING = 500
#: Status of a run that SWF refused to start, and of one that was open when its schedule was continued as new.
NOT_STARTED, LEFT_OPEN = "not started", "open"
_FAILURES = (Status.FAILED.value, Status.TIMED_OUT.value, Status.TERMINATED.value, NOT_STARTED)
#: Maximum characters of the message of a failure, and of the reason of a pause.
_TEXT = 500
_SECOND = timedelta(seconds=1)


@frozen
class Waiting:
    """Fires that wait for their start: those after ``after``, up to ``until``."""

    after: datetime
    until: datetime
    #: True for fires of the schedule; False for a backfill and a manual start.
    is_regular: bool = False
    #: Number of the manual start; 0 for others.
    manual: int = 0


@frozen
class Launch:
    """A run that is to be started, or is open."""

    fire: datetime
    #: Counts the launches of a schedule.
    number: int
    workflow_id: str
    #: True if a later fire has requested its end.
    is_stopped: bool = False

    @property
    def id_(self) -> str:
        """The id of its child in the history."""
        return f"{self.fire:{FIRE_FORM}}.{self.number}"

    @property
    def key(self) -> Key:
        """The key of its child in the history."""
        return (Kind.CHILD, self.id_)

    def end(self, status: str, at: datetime, message: str = "") -> EndedRun:
        """Return the end of this run."""
        return EndedRun(self.fire, self.workflow_id, status, at, message[:_TEXT])

    def ended_by(self, event: Event, status: Status) -> EndedRun:
        """Return the end of this run, which an event of the history tells."""
        message = "" if status is Status.COMPLETED else failure_of(event).message
        return self.end(NOT_STARTED if status is Status.REFUSED else status.value, event.at, message)


@frozen
class EndedRun:
    """A run that has ended, or was not started."""

    fire: datetime
    workflow_id: str
    status: str
    at: datetime
    message: str = ""


@frozen
class Unstarted:
    """Successive fires that started no run for the same reason: overlap, missed, paused or updated."""

    why: str
    count: int
    first: datetime
    last: datetime


@frozen
class Memory:
    """The memory of a schedule."""

    #: All fires up to this time are handled.
    after: datetime
    #: Id of the last signal that was handled in this run.
    seen: int = 0
    #: Why the schedule is paused; None if it is not.
    paused: str | None = None
    waiting: tuple[Waiting, ...] = ()
    open: tuple[Launch, ...] = ()
    #: Number of launches, and of manual starts among them.
    launched: int = 0
    manual: int = 0
    #: Number of runs by status, and of fires without a run by reason.
    counts: Mapping[str, int] = {}
    recent: tuple[EndedRun, ...] = ()
    unstarted: tuple[Unstarted, ...] = ()

    def to_json(self) -> Any:
        """Return the JSON value that ``read_memory`` reads."""
        return _CONVERTER.unstructure(self)


_CONVERTER = make_converter()


def read_memory(value: Any) -> Memory:
    """Return the memory of a JSON value. Raises ``HistoryError``."""
    try:
        return _CONVERTER.structure(value, Memory)
    except Exception as error:
        raise HistoryError(None, "what the schedule remembers cannot be read") from error


def advance(memory: Memory, schedule: Schedule, until: datetime, now: datetime) -> Memory:
    """Handle the fires that are due at a time.

    Args:
        memory: The memory before.
        schedule: The schedule.
        until: The time.
        now: The time of the decision, which may be later: by it a fire is missed.
    """
    if memory.paused is not None:
        return memory
    fires = list(islice(_due(memory, schedule, until), MOST_FIRES + 1))
    for fire in fires[:MOST_FIRES]:
        memory = evolve(memory, after=fire)
        # A fire while a run was open is never missed, so that a lost decision changes nothing.
        if not _is_occupied(memory, schedule) and now - schedule.starts_at(fire) > timedelta(
            seconds=schedule.catch_up
        ):
            memory = _without_run(memory, "missed", fire)
        elif schedule.overlap in _STOPPING and fire != fires[-1]:
            memory = _without_run(memory, "overlap", fire)  # The next one would stop its run at once.
        else:
            memory = _request(memory, schedule, Waiting(fire - _SECOND, fire, is_regular=True))
    return memory


def is_behind(memory: Memory, schedule: Schedule, until: datetime) -> bool:
    """Return True if fires that are due at a time are not handled."""
    return memory.paused is None and next(_due(memory, schedule, until), None) is not None


def pause(memory: Memory, why: str) -> Memory:
    """Pause a schedule."""
    return evolve(memory, paused=why[:_TEXT])


def resume(memory: Memory, schedule: Schedule, at: datetime) -> Memory:
    """Resume a paused schedule; the fires of the pause start nothing."""
    return start_waiting(evolve(_left_out(memory, schedule, at), paused=None), schedule)


def _left_out(memory: Memory, schedule: Schedule, at: datetime) -> Memory:
    """Count the fires of a pause until a time."""
    if memory.paused is None:
        return memory
    found = list(islice(_due(memory, schedule, at), MOST_FIRES))
    for fire in found:
        memory = _without_run(evolve(memory, after=fire), "paused", fire)
    # Of a longer pause the rest is not counted.
    return evolve(memory, after=max(memory.after, at)) if len(found) == MOST_FIRES else memory


def trigger(memory: Memory, schedule: Schedule, at: datetime) -> Memory:
    """Request a run for the time of a signal, also if the schedule is paused."""
    fire = at.replace(microsecond=0)
    wanted = Waiting(fire - _SECOND, fire, manual=memory.manual + 1)
    return _request(evolve(memory, manual=wanted.manual), schedule, wanted)


def backfill(memory: Memory, schedule: Schedule, first: datetime, last: datetime, at: datetime) -> Memory:
    """Request runs for the past fires from ``first`` up to ``last``, also if the schedule is paused."""
    # A fire that waits for its jittered start is not past; at most the last one does.
    until = last if memory.paused is not None else min(last, memory.after)
    recent = _fires(Waiting(at - timedelta(seconds=schedule.jitter), until), schedule)
    late = next((fire for fire in recent if schedule.starts_at(fire) > at), None)
    if late is not None:
        until = late - timedelta(microseconds=1)
    wanted = Waiting(first - timedelta(microseconds=1), until)
    if next(_fires(wanted, schedule), None) is None:
        return memory
    return start_waiting(evolve(memory, waiting=(*memory.waiting, wanted)), schedule)


def updated(memory: Memory, old: Schedule, new: Schedule, at: datetime) -> Memory:
    """Follow another schedule from a time on."""
    if not new.is_like(old):
        memory = _follow_times(_left_out(memory, old, at), old, new, at)
    if old.paused and not new.paused:
        return resume(memory, new, at)
    memory = pause(memory, new.note or "created paused") if new.paused and not old.paused else memory
    return start_waiting(memory, new)


def _follow_times(memory: Memory, old: Schedule, new: Schedule, at: datetime) -> Memory:
    """Follow other times; a fire that waits for its jittered start starts now, if the new times have it."""
    waiting = next(_fires(Waiting(memory.after, at), old), None)
    memory = evolve(memory, after=max(memory.after, at))
    if waiting is None:
        return memory
    wanted = Waiting(waiting - _SECOND, waiting, is_regular=True)
    if memory.paused is None and waiting in _fires(wanted, new):
        return _request(memory, new, wanted)
    return _without_run(memory, "updated" if memory.paused is None else "paused", waiting)


def ended(memory: Memory, schedule: Schedule, launch: Launch, end: EndedRun) -> Memory:
    """Note the end of a run, or that nothing more will be learned of it, and start what waits for it."""
    memory = noted(memory, launch, end)
    is_failure = end.status in _FAILURES and not launch.is_stopped
    if schedule.pause_on_failure and is_failure and memory.paused is None:
        memory = pause(memory, f"{launch.workflow_id}: {end.message or end.status}")
    return start_waiting(memory, schedule)


def noted(memory: Memory, launch: Launch, end: EndedRun) -> Memory:
    """Note the end of a run."""
    left = tuple(each for each in memory.open if each.key != launch.key)
    memory = evolve(memory, open=left, recent=(*memory.recent, end)[-_SHOWN:])
    return _count(memory, end.status, 1)


def next_start(memory: Memory, schedule: Schedule) -> datetime | None:
    """Return when the next fire starts its run; None if there is no fire that a decision is needed for."""
    if memory.paused is not None or (_is_occupied(memory, schedule) and schedule.overlap in _WAITING):
        return None
    fire = next(schedule.fires_after(memory.after), None)
    return None if fire is None else schedule.starts_at(fire)


def start_waiting(memory: Memory, schedule: Schedule) -> Memory:
    """Start the runs that wait, as far as the overlap policy allows."""
    most = MOST_OPEN if schedule.overlap == Overlap.ALLOW_ALL else 1
    while len(memory.open) < most and (ready := _ready(memory)):
        memory = _launched(memory, schedule, ready[0])
    return memory


def _ready(memory: Memory) -> list[Waiting]:
    """Return what waits for the end of a run only; a pause holds back the fires of the schedule."""
    return [each for each in memory.waiting if memory.paused is None or not each.is_regular]


def _launched(memory: Memory, schedule: Schedule, waiting: Waiting) -> Memory:
    """Start the run of the first fire of an entry."""
    fires = iter((waiting.until,)) if waiting.manual else _fires(waiting, schedule)
    fire, following = next(fires, None), next(fires, None)
    rest = () if fire is None or following is None else (evolve(waiting, after=fire),)
    left = [each for entry in memory.waiting for each in (rest if entry is waiting else (entry,))]
    memory = evolve(memory, waiting=tuple(left))
    if fire is None:
        return memory  # An update has changed the times.
    suffix = f"-{waiting.manual}" if waiting.manual else ""
    name, number = f"{schedule.id_}-{fire:{FIRE_FORM}}{suffix}", memory.launched + 1
    return evolve(memory, open=(*memory.open, Launch(fire, number, name)), launched=number)


def _due(memory: Memory, schedule: Schedule, until: datetime) -> Iterator[datetime]:
    return takewhile(lambda fire: schedule.starts_at(fire) <= until, schedule.fires_after(memory.after))


def _fires(waiting: Waiting, schedule: Schedule) -> Iterator[datetime]:
    return takewhile(lambda fire: fire <= waiting.until, schedule.fires_after(waiting.after))


def _is_occupied(memory: Memory, schedule: Schedule) -> bool:
    """Return True if a run that is requested now has to wait, or does not start."""
    return schedule.overlap != Overlap.ALLOW_ALL and bool(memory.open or _ready(memory))


def _request(memory: Memory, schedule: Schedule, wanted: Waiting) -> Memory:
    is_occupied = _is_occupied(memory, schedule)
    follow = _OVERLAPPING[Overlap(schedule.overlap)] if is_occupied else _buffer_all
    return start_waiting(follow(memory, schedule, wanted), schedule)


def _skip(memory: Memory, _: Schedule, wanted: Waiting) -> Memory:
    return _without_run(memory, "overlap", wanted.until)


def _buffer_one(memory: Memory, schedule: Schedule, wanted: Waiting) -> Memory:
    is_full = any(each.is_regular or each.manual for each in _ready(memory))
    return _skip(memory, schedule, wanted) if is_full else _buffer_all(memory, schedule, wanted)


def _buffer_all(memory: Memory, schedule: Schedule, wanted: Waiting) -> Memory:
    last = memory.waiting[-1] if memory.waiting else None
    if wanted.is_regular and last is not None and last.is_regular:
        joined = evolve(last, until=wanted.until)
        # Not over fires that were missed, or that a pause left out.
        if list(islice(_fires(evolve(joined, after=last.until), schedule), 2)) == [wanted.until]:
            return evolve(memory, waiting=(*memory.waiting[:-1], joined))
    return evolve(memory, waiting=(*memory.waiting, wanted))


def _stop_other(memory: Memory, _: Schedule, wanted: Waiting) -> Memory:
    replaced = [each for each in memory.waiting if each.is_regular or each.manual]
    kept = tuple(each for each in memory.waiting if each not in replaced)
    for each in replaced:
        memory = _without_run(memory, "overlap", each.until)
    stopped = tuple(evolve(each, is_stopped=True) for each in memory.open)
    return evolve(memory, waiting=(wanted, *kept), open=stopped)


_OVERLAPPING: Mapping[Overlap, Callable[[Memory, Schedule, Waiting], Memory]] = {
    Overlap.SKIP: _skip,
    Overlap.BUFFER_ONE: _buffer_one,
    Overlap.BUFFER_ALL: _buffer_all,
    Overlap.CANCEL_OTHER: _stop_other,
    Overlap.TERMINATE_OTHER: _stop_other,
    Overlap.ALLOW_ALL: _buffer_all,
}
#: Policies that need no decision at a fire while a run is open.
_WAITING = (Overlap.SKIP, Overlap.BUFFER_ONE, Overlap.BUFFER_ALL)
#: Policies by which a fire stops the open run.
_STOPPING = (Overlap.CANCEL_OTHER, Overlap.TERMINATE_OTHER)


def _without_run(memory: Memory, why: str, fire: datetime) -> Memory:
    """Note that a fire starts no run."""
    *earlier, last = memory.unstarted or (None,)
    if last is not None and last.why == why:
        noted = [*earlier, evolve(last, count=last.count + 1, last=fire)]
    else:
        noted = [*memory.unstarted, Unstarted(why, 1, fire, fire)]
    return _count(evolve(memory, unstarted=tuple(noted[-_SHOWN:])), why, 1)


def _count(memory: Memory, name: str, number: int) -> Memory:
    return evolve(memory, counts={**memory.counts, name: memory.counts.get(name, 0) + number})
