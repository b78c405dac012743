"""Schedules on a service: start one, read one, and what an update would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import define, evolve, fields, frozen

from floto.core.decide.child_requests import CHILD_TYPE
from floto.core.decide.schedule import (
    SCHEDULE_LIST,
    SCHEDULE_TYPE,
    ScheduleView,
    schedule_input,
    view_schedule,
)
from floto.core.errors import (
    FlotoError,
    HistoryError,
    PayloadError,
    PayloadsNeeded,
    ServiceFault,
    SpecError,
)
from floto.core.payloads.stored import dumps_plain
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.schedule import Schedule, with_schedules
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.identifiers import may_exist
from floto.core.swf.service import ExecutionInfo, Service, StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.core.visible import visible
from floto.runtime.retrying import retry_read, retry_write
from floto.runtime.runs.needs import needs
from floto.runtime.workers.storing import store_text

_ALREADY_STARTED = "WorkflowExecutionAlreadyStartedFault"


class ScheduleError(FlotoError, ValueError):
    """A schedule that does not exist, or exists already."""


@define
class UnreadableSchedule(FlotoError):
    """A schedule that this process cannot read, for example for a retry strategy of its own."""

    id_: str
    problem: str

    def __str__(self) -> str:
        """Return the id and the problem."""
        return visible(f"schedule {self.id_!r} cannot be read: {self.problem}")


def prepare(service: Service, schedule: Schedule, call: Callable[..., Any] = retry_read) -> None:
    """Register the types that a schedule and its runs need, if they are missing.

    The workflow type of runs without a spec is another program's, and is registered with floto's defaults.
    """
    kinds = [SCHEDULE_TYPE, WorkflowType(*schedule.workflow_type) if schedule.workflow_type else CHILD_TYPE]
    needed = None if schedule.spec is None else needs(schedule.spec)
    call(
        service.prepare,
        (*kinds, *(needed.workflow_types if needed else ())),
        needed.activity_types if needed else (),
    )


def create(
    service: Service,
    schedule: Schedule,
    task_list: str = SCHEDULE_LIST,
    codec: Codec = CODEC,
) -> str:
    """Start a schedule and return its run id.

    Args:
        service: The service.
        schedule: The schedule.
        task_list: The task list of its scheduler.
        codec: Writes the task kinds and retry strategies of its spec, and may have a store for long values.

    Raises:
        ScheduleError: if there is an open run of its id.
        PayloadError: if it is too long for SWF, or for the store.
        PayloadsUnavailable: if the store is unavailable.
    """
    request = StartRequest(
        workflow_id=schedule.id_,
        workflow_type=SCHEDULE_TYPE,
        task_list=task_list,
        input=_stored(schedule_input(schedule, with_schedules(codec)), codec),
    )
    prepare(service, schedule)
    try:
        return retry_write(service.start_workflow_execution, request)
    except ServiceFault as fault:
        if fault.code != _ALREADY_STARTED:
            raise
        msg = (
            f"workflow {schedule.id_!r} is open already; change it with 'floto schedule update', or end it "
            "with 'floto terminate' if 'floto run' has left it open"
        )
        raise ScheduleError(msg) from None


def update_input(schedule: Schedule, codec: Codec) -> str:
    """Return the input of the signal that updates a schedule; raise as ``create`` does."""
    value = with_schedules(codec).unstructure(schedule)
    return _stored(dumps_plain(value, "the input of the signal", codec.payloads), codec)


def _stored(text: str, codec: Codec) -> str:
    """Store the values that a text refers to; return the text."""
    return text if codec.store is None else str(store_text(text, codec.store))


def all_schedules(
    service: Service, codec: Codec = CODEC
) -> Iterator[tuple[ExecutionInfo, ScheduleView | UnreadableSchedule]]:
    """Yield the open schedules of a domain by id, each with what its history says, or an error."""
    found = retry_read(service.open_executions, SCHEDULE_TYPE)
    for info in sorted(found, key=lambda info: info.execution.workflow_id):
        try:
            yield info, read(service, info, codec)
        except UnreadableSchedule as error:
            yield info, error


def find(service: Service, id_: str, codec: Codec = CODEC) -> tuple[ExecutionInfo, ScheduleView]:
    """Return the last run of a schedule, and what its history says.

    Raises:
        ScheduleError: if there is no schedule of this id.
        UnreadableSchedule: if it cannot be read.
    """
    info = latest(service, id_)
    return info, read(service, info, codec)


def latest(service: Service, id_: str) -> ExecutionInfo:
    """Return the last run of a schedule, which is not read. Raises ``ScheduleError``."""
    info = retry_read(service.latest_execution, id_) if may_exist(id_) else None
    if info is None or info.workflow_type != SCHEDULE_TYPE:
        msg = f"there is no schedule {id_!r}" if info is None else f"workflow {id_!r} is not a schedule"
        raise ScheduleError(msg)
    return info


def task_list_of(service: Service, info: ExecutionInfo) -> str:
    """Return the name of the task list of a schedule's scheduler."""
    start: WorkflowExecutionStarted = retry_read(service.history, info.execution)[0].data
    return start.task_list.name


def read(service: Service, info: ExecutionInfo, codec: Codec = CODEC) -> ScheduleView:
    """Return what the history of a schedule says. Raises ``UnreadableSchedule``."""
    events = retry_read(service.history, info.execution)
    try:
        state = fold(events, evolve(EMPTY, execution=info.execution))
        return view_schedule(state, codec=with_schedules(codec))
    except (HistoryError, PayloadError, PayloadsNeeded, SpecError) as error:
        raise UnreadableSchedule(info.execution.workflow_id, str(error).replace("\n", "; ")) from error


@frozen
class Change:
    """One field that an update changes."""

    name: str
    before: Any
    after: Any


def changes(old: Schedule, new: Schedule, codec: Codec = CODEC) -> list[Change]:
    """Return the fields in which two schedules differ, in JSON."""
    before, after = (with_schedules(codec).unstructure(each) for each in (old, new))
    names = [field.name for field in fields(Schedule)]
    pairs = [Change(name, before.get(name), after.get(name)) for name in names]
    return [each for each in pairs if each.before != each.after]


def next_fires(found: ScheduleView, now: datetime, count: int = 3) -> tuple[datetime, ...]:
    """Return the next fires that are not handled; none once cancellation is requested, or the run closed."""
    if found.state.cancel_requested is not None or found.state.closed is not None:
        return ()
    return found.schedule.fires(max(found.memory.after, now), count)


def state_text(found: ScheduleView) -> str:
    """Return what an open schedule does, in a few words."""
    if found.state.cancel_requested is not None:
        return "cancellation requested"
    if found.memory.paused is not None:
        return f"paused: {found.memory.paused}"
    return f"{len(found.recorded.open)} open" if found.recorded.open else "waiting"


def local_time(schedule: Schedule, at: datetime) -> str:
    """Return a time in the time zone of a schedule."""
    return at.astimezone(ZoneInfo(schedule.time_zone)).strftime("%Y-%m-%d %H:%M:%S %Z")
