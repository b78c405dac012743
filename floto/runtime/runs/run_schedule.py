"""Run a schedule for a first try: a scheduler and a worker in this process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from floto.core.decide.schedule import ScheduleView, view_schedule
from floto.core.errors import ServiceUnavailable
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.schedule import Schedule, with_schedules
from floto.core.spec.task_lists import own_list
from floto.core.swf.service import Service
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import moment_text
from floto.runtime.connect import IN_MEMORY, closing, service_for
from floto.runtime.deciders.scheduler import Scheduler
from floto.runtime.runs.run_follower import RunFollower
from floto.runtime.runs.run_loops import WAKE_SECONDS
from floto.runtime.runs.time_limit import TimeLimit
from floto.runtime.schedules import ScheduleError, changes, create, find
from floto.runtime.supervisor import Supervisor
from floto.runtime.workers.worker import ActivityWorker

#: Seconds to wait for running activities at the end.
_STOP_SECONDS = 10.0


def run_schedule(  # noqa: PLR0913 - the arguments of the command
    schedule: Schedule,
    tell: Callable[[str], None],
    *,
    service: Service | str | None = None,
    domain: str | None = None,
    concurrency: int = 4,
    codec: Codec = CODEC,
    timeout: float | None = None,
) -> Any:
    """Start or resume a schedule, and serve it alone until it completes; return its counts.

    Only this process serves the schedule and its runs: they have a task list of their own.

    Args:
        schedule: The schedule.
        tell: Called with a line about the schedule, and one for each run that has ended.
        service: A ``Service``, or a URL for ``floto.connect``; default: ``FLOTO_SERVICE``, else in memory.
        domain: SWF's domain; default: ``floto``.
        concurrency: Maximum of activities that run at the same time.
        codec: Reads and writes task kinds and retry strategies of your own; it may have a store for values
            that are too long for SWF.
        timeout: Seconds after which the schedule is left open; None for no limit.

    Raises:
        ScheduleError: if the id is in use, or has other settings.
        TimeoutError: after ``timeout`` seconds.
        KeyboardInterrupt: after SIGINT or SIGTERM in the main thread.
    """
    deadline = TimeLimit.after(timeout)
    opened = service_for(service, domain, IN_MEMORY)
    with closing(opened, service), deadline.armed():
        execution = _begin(opened, schedule, codec)
        fires = ", ".join(map(moment_text, schedule.fires(datetime.now(UTC), 3))) or "none"
        tell(f"{schedule.id_}: {schedule.words}; next fires: {fires}")
        supervisor = Supervisor()
        task_list = own_list(schedule.id_)
        common: dict[str, Any] = {
            "service": opened,
            "codec": codec,
            "payloads": codec.store,
            "poll_seconds": WAKE_SECONDS,
        }
        supervisor.start(Scheduler(domain, task_list, **common))
        supervisor.start(ActivityWorker(task_list=task_list, concurrency=concurrency, **common))
        try:
            follower = RunFollower(opened, execution, deadline.stop)
            found = _follow(follower, tell, deadline, supervisor, with_schedules(codec))
        finally:
            supervisor.stop()
            supervisor.join(_STOP_SECONDS)
    if found is None:
        msg = (
            f"schedule {schedule.id_!r} is still open: "
            "run it again to go on, or end it with 'floto terminate'"
        )
        raise deadline.error(msg)
    return dict(found.memory.counts)


def _begin(service: Service, schedule: Schedule, codec: Codec) -> WorkflowExecution:
    """Start the schedule, unless it is open as it is given; return its run."""
    known = _open(service, schedule.id_, codec)
    if known is None:
        return WorkflowExecution(schedule.id_, create(service, schedule, own_list(schedule.id_), codec))
    execution, found = known
    if changes(found.schedule, schedule, codec):
        msg = f"schedule {schedule.id_!r} is open with other settings; 'floto schedule update' changes them"
        raise ScheduleError(msg)
    return execution


def _open(service: Service, id_: str, codec: Codec) -> tuple[WorkflowExecution, ScheduleView] | None:
    try:
        info, found = find(service, id_, codec)
    except ScheduleError:
        return None
    return (info.execution, found) if info.close_status is None else None


def _follow(
    follower: RunFollower,
    tell: Callable[[str], None],
    deadline: TimeLimit,
    supervisor: Supervisor,
    codec: Codec,
) -> ScheduleView | None:
    """Tell of each run until the schedule has closed; return None if stopped before."""
    told: set[tuple[str, str]] = set()
    while not deadline.stop.is_set():
        supervisor.check()
        try:
            is_new = follower.update()
        except ServiceUnavailable:
            break  # only when stopped
        found = view_schedule(follower.state, codec=codec) if is_new else None
        for end in found.memory.recent if found else ():
            if (end.workflow_id, str(end.at)) not in told:
                told.add((end.workflow_id, str(end.at)))
                tell(f"{end.workflow_id} {end.status}{f': {end.message}' if end.message else ''}")
        if follower.end is not None:
            return found
        if follower.state.closed is None:
            deadline.stop.wait(WAKE_SECONDS)
    return None
