"""The decisions of a schedule, which starts one child for each fire.

Level-triggered, as ``decide`` is, and of one shape with the daemon: ``child_requests``. The time of a
decision is that of the last event, so the same history gives the same decisions. While a run is open and the
overlap policy lets fires wait or skips them, no timer is needed: what has become of them is computed when the
run has closed. SWF does not tell a run about the children of the run that it continues, so a schedule
continues as new while no run is open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from attrs import evolve, frozen

from floto.core.decide import schedule_memory as m
from floto.core.decide.child_requests import (
    CHILD_TYPE,
    FULL_EVENTS,
    continue_as_new,
    decisions_for,
    next_step_of_child,
    problem_marker,
    start_child,
    timeout_share,
)
from floto.core.decide.closing import CANCEL_REQUESTS, as_new, fail_at_once
from floto.core.decide.decide import awaits_more, fit_response
from floto.core.decide.next_step import Exhausted, wait_for
from floto.core.decide.schedule_memory import Launch, Memory, read_memory
from floto.core.decide.update import unreadable
from floto.core.errors import HistoryError, PayloadError, SpecError
from floto.core.fire_times import moment
from floto.core.payloads import payload
from floto.core.payloads.stored import dumps_plain, read
from floto.core.spec.decider_spec import ChildWorkflow, run_settings
from floto.core.spec.schedule import FIRE_FORM, SCHEDULE_CODEC, Overlap, Schedule, as_schedule
from floto.core.spec.tasks import TaskCodec
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    Decision,
    RecordMarker,
    StartChildWorkflowExecution,
    closes,
)
from floto.core.swf.events import Event
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import MEMORY_MARKER, SCHEDULED_TAG, WAKE_PREFIX
from floto.core.swf.shapes import ChildPolicy, WorkflowType

SCHEDULE_TYPE = WorkflowType("floto_schedule_type", "v1")
#: Default task list of schedules.
SCHEDULE_LIST = "floto_schedules"
#: Number of events from which a schedule without open runs continues as new.
RENEW_EVENTS = 4_000
PAUSE, RESUME, TRIGGER, BACKFILL, UPDATE = SIGNALS = ("pause", "resume", "trigger", "backfill", "update")
#: Keys of the input of a schedule's run.
SCHEDULE_KEY, MEMORY_KEY = "schedule", "memory"
#: Maximum seconds between two decisions of a schedule without a time-out.
_MOST_IDLE = 30 * 86_400
#: The fire of this workflow id has a run, so its start is not retried.
_RUNS_ALREADY = "WORKFLOW_ALREADY_RUNNING"


@frozen
class ScheduleView:
    """A schedule, as its history says it is, and what is to be done."""

    state: State
    schedule: Schedule
    #: The memory as the decisions will leave it.
    memory: Memory
    #: The memory as of the last decision: the runs that were started, and those that have ended.
    recorded: Memory
    decisions: tuple[Decision, ...]
    #: Workflow ids of the runs to terminate before the response; SWF has no decision for it.
    terminate: tuple[str, ...] = ()


def decide_schedule(state: State, *, codec: TaskCodec = SCHEDULE_CODEC) -> list[Decision]:
    """Return the decisions that the history of a schedule calls for; an empty list if there are none.

    Args:
        state: The state of the schedule's run.
        codec: Reads the schedule.

    Raises:
        HistoryError: if the state does not name its execution, or what the schedule remembers is unreadable.
        SpecError: if the schedule cannot be read.
    """
    return [] if state.started is None else list(view_schedule(state, codec=codec).decisions)


def schedule_input(
    schedule: Schedule, codec: TaskCodec = SCHEDULE_CODEC, memory: Memory | None = None
) -> str:
    """Return the input of a schedule's run. Raises ``PayloadError`` if it is too long for SWF."""
    value = {SCHEDULE_KEY: codec.unstructure(schedule)}
    if memory is not None:
        value[MEMORY_KEY] = memory.to_json()
    return dumps_plain(value, "the input of the schedule", codec.payloads)


def view_schedule(state: State, *, codec: TaskCodec = SCHEDULE_CODEC) -> ScheduleView:
    """Return the schedule of a run with its decisions. Raises the errors of ``decide_schedule``."""
    schedule, before = _recalled(state, codec)
    if state.closed is not None:
        # The decision that closes a schedule records no memory: the last ends are in the history alone.
        last = _with_ends(before, state)
        return ScheduleView(state, schedule, last, last, ())
    at = state.now
    problems: list[Decision] = []
    memory = before
    for event in sorted(_occurrences(state, memory), key=lambda event: event.id):
        memory = m.advance(memory, schedule, event.at, at)
        if m.is_behind(memory, schedule, event.at):
            break
        try:
            schedule, memory = _after_occurrence(event, schedule, memory, state, codec)
        except (PayloadError, SpecError) as error:
            problems.append(problem_marker(event, unreadable(error)))
        memory = evolve(memory, seen=max(memory.seen, event.id if _is_signal(event) else 0))
    else:
        memory = m.advance(memory, schedule, at, at)
    memory = _startable(memory, schedule, state, codec)
    if awaits_more(state):
        return ScheduleView(state, schedule, memory, before, ())
    found = [*problems, *_decisions(schedule, memory, before, state, codec)]
    ends = _to_terminate(schedule, memory, state)
    return ScheduleView(state, schedule, memory, before, tuple(fit_response(found, state)), ends)


def _recalled(state: State, codec: TaskCodec) -> tuple[Schedule, Memory]:
    """Return the schedule and what it remembers, as of the last decision."""
    input = _input(state, codec)
    schedule = _read_schedule(input.get(SCHEDULE_KEY), codec)
    marker = state.markers.get(MEMORY_MARKER)
    if marker is not None:
        memory = read_memory(payload.loads(marker.data.details))
    elif MEMORY_KEY in input:
        memory = read_memory(input[MEMORY_KEY])
    else:
        memory = Memory(
            after=state.begun_at, paused=(schedule.note or "created paused") if schedule.paused else None
        )
    for event in reversed(state.signals.get(UPDATE, ())):
        if event.id <= memory.seen:
            try:
                return _update(event, schedule, codec), memory
            except (PayloadError, SpecError):
                continue
    return schedule, memory


def _read_schedule(value: Any, codec: TaskCodec) -> Schedule:
    """Return a schedule; those of floto's own kinds are cached, because every decision reads one."""
    if codec == SCHEDULE_CODEC:
        return _known_schedule(payload.plain_text(value, "the schedule"))
    return as_schedule(codec.structure(value))


@lru_cache(maxsize=64)
def _known_schedule(text: str) -> Schedule:
    return as_schedule(SCHEDULE_CODEC.loads(text))


def _input(state: State, codec: TaskCodec) -> Mapping[str, Any]:
    """Return the input of a schedule's run. Raises ``SpecError``."""
    try:
        value = read(payload.loads(state.start.input), "the input of the schedule", codec.payloads)
    except PayloadError as error:
        raise SpecError((str(error),)) from error
    if not isinstance(value, dict):
        raise SpecError((f"the input must be an object with a {SCHEDULE_KEY}, not {shown(value)}",))
    return value


def _occurrences(state: State, memory: Memory) -> list[Event]:
    """Return what has happened since the last decision: signals, and the ends of runs."""
    signals = [event for name in SIGNALS for event in state.signals.get(name, ()) if event.id > memory.seen]
    ends = [end for launch in memory.open if (end := _end(launch, state)) is not None]
    return [*signals, *ends]


def _end(launch: Launch, state: State) -> Event | None:
    """Return the event that ended a run, or finally refused its start; None while it may go on."""
    item = state.items.get(launch.key)
    if item is None or item.is_open:
        return None
    if item.status is not Status.REFUSED or failure_of(item.failures[-1]).reason == _RUNS_ALREADY:
        return item.closed
    return item.closed if isinstance(next_step_of_child(launch.id_, state), Exhausted) else None


def _with_ends(memory: Memory, state: State) -> Memory:
    """Note the runs that have ended, and start nothing."""
    for launch in memory.open:
        if (event := _end(launch, state)) is not None:
            memory = m.noted(memory, launch, launch.ended_by(event, state.items[launch.key].status))
    return memory


def _is_signal(event: Event) -> bool:
    return hasattr(event.data, "signal_name")


def _after_occurrence(
    event: Event, schedule: Schedule, memory: Memory, state: State, codec: TaskCodec
) -> tuple[Schedule, Memory]:
    """Return the schedule and its memory after one occurrence. Raises ``SpecError`` or ``PayloadError``."""
    if not _is_signal(event):
        launch = next(each for each in memory.open if _end(each, state) is event)
        end = launch.ended_by(event, state.items[launch.key].status)
        return schedule, m.ended(memory, schedule, launch, end)
    match event.data.signal_name:
        case "pause":
            return schedule, m.pause(memory, str(_signal_input(event, codec) or "paused"))
        case "resume":
            return schedule, m.resume(memory, schedule, event.at)
        case "update":
            new = _update(event, schedule, codec)
            return new, m.updated(memory, schedule, new, event.at)
    if len(memory.waiting) >= m.MOST_WAITING:
        raise SpecError((f"{len(memory.waiting)} starts and backfills wait already",))
    if event.data.signal_name == TRIGGER:
        return schedule, m.trigger(memory, schedule, event.at)
    return schedule, m.backfill(memory, schedule, *_backfilled_span(event, schedule, codec), event.at)


def _signal_input(event: Event, codec: TaskCodec) -> Any:
    return read(payload.loads(event.data.input), "the input of the signal", codec.payloads)


def _update(event: Event, schedule: Schedule, codec: TaskCodec) -> Schedule:
    new = _read_schedule(_signal_input(event, codec), codec)
    if new.id_ != schedule.id_:
        raise SpecError((f"a schedule keeps its id {schedule.id_!r}; {new.id_!r} is another schedule",))
    return new


def _backfilled_span(event: Event, schedule: Schedule, codec: TaskCodec) -> tuple[datetime, datetime]:
    value = _signal_input(event, codec)
    try:
        first, last = (moment(value[name], schedule.time_zone) for name in ("from", "to"))
    except (KeyError, OverflowError, TypeError, ValueError):
        raise SpecError(
            (f"its input must be an object with times 'from' and 'to', not {shown(value)}",)
        ) from None
    if last > event.at:
        raise SpecError((f"'to' is {last.isoformat()}, in the future; a backfill is for past fires",))
    return first, last


def _startable(memory: Memory, schedule: Schedule, state: State, codec: TaskCodec) -> Memory:
    """Note the runs whose start cannot be written, for example because the input is too long."""
    while unstarted := [each for each in memory.open if each.key not in state.items]:
        first = unstarted[0]
        try:
            _child(first, schedule, state, codec)
        except (PayloadError, SpecError) as error:
            end = first.end(m.NOT_STARTED, state.now, unreadable(error))
            memory = m.ended(memory, schedule, first, end)
        else:
            break
    return memory


def _child(launch: Launch, schedule: Schedule, state: State, codec: TaskCodec) -> StartChildWorkflowExecution:
    kind = WorkflowType(*schedule.workflow_type) if schedule.workflow_type else CHILD_TYPE
    _, policy = run_settings(schedule.spec)
    task = ChildWorkflow(
        id_=launch.id_,
        workflow_type_name=kind.name,
        workflow_type_version=kind.version,
        workflow_id=launch.workflow_id,
        child_policy=policy or ChildPolicy.ABANDON.value,
        spec=schedule.spec,
    )
    tag = f"{SCHEDULED_TAG}{launch.fire.isoformat()}"
    given = schedule.input
    context = given if isinstance(given, dict) else {}
    found = start_child(task, context, state, codec, (tag,))
    if schedule.spec is not None:
        return found
    text = None if given is None else dumps_plain(given, "the input of the schedule", codec.payloads)
    # Another program decides for a child without a spec, on the task list of its type.
    return evolve(found, task_list=None, input=text)


def _decisions(
    schedule: Schedule, memory: Memory, before: Memory, state: State, codec: TaskCodec
) -> list[Decision]:
    is_starting = any(item.status is Status.SCHEDULED for _, item in _started(memory, state))
    if state.cancel_requested is not None:
        return [] if is_starting else [CancelWorkflowExecution(details=_counts(memory))]
    if (Kind.MARKER, MEMORY_MARKER) in state.items:
        failures = {MEMORY_MARKER: "RecordMarker was refused"}
        return [fail_at_once("SWF refuses the marker of the schedule", failures)]
    renewal = [] if is_starting or _occurrences(state, memory) else _renewal(schedule, memory, state, codec)
    if closes(renewal):
        return renewal
    starts = decisions_for(
        [(each, next_step_of_child(each.id_, state)) for each in memory.open],
        lambda launch, _: _child(launch, schedule, state, codec),
        state,
    )
    is_over = not schedule.fires(memory.after) and memory.paused is None
    if is_over and not memory.open and not memory.waiting:
        return [CompleteWorkflowExecution(result=_counts(memory))]
    marker: list[Decision] = [] if memory == before else [_marker(memory)]
    stops = _cancels(schedule, memory, state)
    return [*marker, *starts, *stops, *renewal, *_wake(schedule, memory, state)]


def _counts(memory: Memory) -> str:
    return payload.dumps_plain(dict(memory.counts), "the counts of the schedule")


def _marker(memory: Memory) -> RecordMarker:
    details = payload.dumps_plain(memory.to_json(), "what the schedule remembers")
    return RecordMarker(marker_name=MEMORY_MARKER, details=details)


def _renewal(schedule: Schedule, memory: Memory, state: State, codec: TaskCodec) -> list[Decision]:
    """Continue as new when the history is long or the run old, if possible while no run is open."""
    is_free = schedule.overlap == Overlap.ALLOW_ALL or not _started(memory, state)
    must = state.last_event_id >= FULL_EVENTS or timeout_share(state) >= 9 / 10
    may = is_free and (state.last_event_id >= RENEW_EVENTS or timeout_share(state) >= 1 / 2)
    return continue_as_new(state, lambda: _continued(schedule, memory, state, codec)) if must or may else []


def _continued(schedule: Schedule, memory: Memory, state: State, codec: TaskCodec) -> Decision:
    """Continue as new; of the runs that are open the schedule will learn nothing more."""
    for launch, item in _started(memory, state):
        if item.is_open:
            memory = m.ended(memory, schedule, launch, launch.end(m.LEFT_OPEN, state.now))
    memory = evolve(memory, seen=0)
    for kept in (memory, evolve(memory, recent=(), unstarted=())):
        try:
            return as_new(state, schedule_input(schedule, codec, kept))
        except PayloadError as error:
            problem = unreadable(error)
    return fail_at_once("the schedule does not fit into the input of its next run", {SCHEDULE_KEY: problem})


def _started(memory: Memory, state: State) -> list[tuple[Launch, Item]]:
    """Return the launches that the history knows, each with its child."""
    return [(each, state.items[each.key]) for each in memory.open if each.key in state.items]


def _cancels(schedule: Schedule, memory: Memory, state: State) -> list[Decision]:
    if schedule.overlap == Overlap.TERMINATE_OTHER:
        return []
    stopped = [item for launch, item in _started(memory, state) if launch.is_stopped]
    return [decision for item in stopped for decision in CANCEL_REQUESTS[Kind.CHILD](item, state)]


def _to_terminate(schedule: Schedule, memory: Memory, state: State) -> tuple[str, ...]:
    if schedule.overlap != Overlap.TERMINATE_OTHER:
        return ()
    open_ = [each for each, item in _started(memory, state) if item.status is Status.STARTED]
    return tuple(each.workflow_id for each in open_ if each.is_stopped)


def _wake(schedule: Schedule, memory: Memory, state: State) -> list[Decision]:
    """Start a timer for the next fire, unless one that is open fires before; a fire may be far away."""
    at = state.now
    limit = state.start.execution_start_to_close_timeout or ""
    most = min(_MOST_IDLE, max(1, int(limit) // 10)) if limit.isdecimal() else _MOST_IDLE
    latest = at + timedelta(seconds=most)
    following = at if _occurrences(state, memory) else m.next_start(memory, schedule)
    wanted = max(at, min(following or latest, latest))
    wake = wanted.replace(microsecond=0) + timedelta(seconds=bool(wanted.microsecond))
    if any(_wakes_at(item.key) <= wake for item in open_wakes(state)):
        return []
    seconds = math.ceil((wanted - at).total_seconds())
    step = wait_for(f"{WAKE_PREFIX}{wake:{FIRE_FORM}}", seconds, state)
    if isinstance(step, Exhausted):
        return [fail_at_once("SWF refuses the timer of the schedule", {WAKE_PREFIX: step.message})]
    return [step.timer()]


def open_wakes(state: State) -> list[Item]:
    """Return the open timers by which a schedule decides again; none for other runs."""
    timers = (state.items[key] for key in state.opened.values() if key[0] is Kind.TIMER)
    return [timer for timer in timers if timer.key[1].startswith(WAKE_PREFIX)]


def _wakes_at(key: Key) -> datetime:
    try:
        return datetime.strptime(key[1].removeprefix(WAKE_PREFIX), FIRE_FORM).replace(tzinfo=UTC)
    except ValueError as error:
        raise HistoryError(None, f"timer {key[1]!r} is not of this schedule") from error
