"""The commands ``floto schedule`` and ``floto scheduler``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from floto.core.decide.schedule import (
    BACKFILL,
    PAUSE,
    RESUME,
    SCHEDULE_LIST,
    SCHEDULE_TYPE,
    TRIGGER,
    UPDATE,
    ScheduleView,
)
from floto.core.decide.schedule_memory import updated
from floto.core.errors import ServiceError, UnknownResource
from floto.core.fire_times import moment, moment_problems
from floto.core.payloads import payload
from floto.core.spec.codec import Codec
from floto.core.spec.schedule import Schedule, with_schedules
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.pollers import Live, PollKind
from floto.core.swf.service import ExecutionInfo, Service
from floto.core.visible import shell_command, visible
from floto.runtime.cli.codes import DONE, FAILED
from floto.runtime.cli.loops import daemon_options, run_daemon
from floto.runtime.cli.options import codec_options, domain_option, json_option, service_option
from floto.runtime.cli.output import json_text, one_line, print_rows, say, utc
from floto.runtime.cli.target import (
    Target,
    check_service,
    command_to_terminate,
    look_at,
    naming_domain,
    naming_unknown_outcome,
    target,
    where_options,
)
from floto.runtime.connect import connect_loop, domain_of, live_of, shown_service
from floto.runtime.loading import load_schedule
from floto.runtime.retrying import retry_write
from floto.runtime.schedules import (
    ScheduleError,
    UnreadableSchedule,
    all_schedules,
    changes,
    create,
    latest,
    local_time,
    next_fires,
    prepare,
    read,
    state_text,
    task_list_of,
    update_input,
)


@click.group("schedule", short_help="Start, show and change schedules")
def schedule_group() -> None:
    """Start, show and change schedules; 'floto scheduler' decides for them.

    A SOURCE is FILE.json, FILE.py:name or module:name. Times are ISO 8601, of the schedule's time zone unless
    they have an offset.
    """


def _command(name: str, help: str) -> Callable[[Callable[..., int]], click.Command]:
    """Add a command on schedules with the options of a service."""

    def add(function: Callable[..., int]) -> click.Command:
        return schedule_group.command(name, short_help=help)(domain_option(service_option(function)))

    return add


@contextmanager
def _there(where: dict[str, Any]) -> Iterator[Target]:
    """Open the domain of a command on existing schedules, which registers no domain, as ``connect`` would."""
    with target(where["service"], where["domain"]) as there, naming_domain(there.domain, there.url):
        yield there


def _service(there: Target) -> Service:
    return domain_of(there.client, there.domain)


@_command("create", "Start a schedule")
@click.argument("source")
@click.option("--task-list", default=SCHEDULE_LIST, show_default=True, help="Task list of its scheduler.")
@codec_options
def create_command(source: str, task_list: str, codec: Codec, **where: Any) -> int:
    """Start the schedule of SOURCE, and print its run id."""
    schedule = load_schedule(source, codec)
    url, domain = where["service"], where["domain"] or DEFAULT_DOMAIN
    check_service(url, new=True)
    with closing(connect_loop(url, domain)) as service:
        try:
            with naming_unknown_outcome(url, look_at(schedule.id_, url, domain)):
                run_id = create(service, schedule, task_list, codec)
        except ScheduleError as error:
            msg = f"{error}: {command_to_terminate(schedule.id_, url, domain)}"
            raise click.UsageError(msg) from None
    say(visible(f"created schedule {schedule.id_}: {schedule.words}"), err=True)
    say(run_id)
    return DONE


@_command("list", "List the open schedules")
@json_option
@codec_options
def list_command(*, as_json: bool, codec: Codec, **where: Any) -> int:
    """List the open schedules: their times, the next three fires and the last run.

    Fires are in the time zone of the schedule.
    """
    with _there(where) as there:
        found = list(all_schedules(_service(there), codec))
        if not as_json:
            print_rows(("schedule", "times", "state", "next", "last run"), [_row(*each) for each in found])
            views = [each for _, each in found if isinstance(each, ScheduleView)]
            _say_not_decided([each.state.start.task_list.name for each in views], there)
    if as_json:
        say(json_text([_as_json(info, each, codec) for info, each in found]))
    elif not found:
        place = f"in domain {there.domain!r} on {shown_service(there.url)}"
        say(visible(f"there is no open schedule {place}"), err=True)
    return DONE


def _say_not_decided(task_lists: Sequence[str], there: Target) -> None:
    """Print a line for each task list of open schedules that no scheduler polls, where that is known."""
    with suppress(ServiceError):  # the command itself has done its work
        for line in _not_decided(task_lists, there, live_of(there.client)):
            say(line, err=True)


def _not_decided(task_lists: Sequence[str], there: Target, live: Live | None) -> Iterator[str]:
    if live is None or live.pollers is None:
        return
    pollers = live.of_domain(there.domain).pollers or ()
    options = where_options(there.url, there.domain)
    polled = {each.task_list for each in pollers if each.kind is PollKind.DECISIONS}
    for name in sorted(set(task_lists) - polled):
        command = shell_command("floto", "scheduler", "--task-list", name, *options)
        yield visible(f"nobody decides for the schedules on task list {name!r}: {command}")


def _row(info: ExecutionInfo, found: ScheduleView | UnreadableSchedule) -> tuple[str, ...]:
    if isinstance(found, UnreadableSchedule):
        return info.execution.workflow_id, "", f"cannot be read: {found.problem}", "", ""
    fires = ", ".join(local_time(found.schedule, at) for at in next_fires(found, datetime.now(UTC)))
    last = found.recorded.recent[-1] if found.recorded.recent else None
    ended = "" if last is None else f"{local_time(found.schedule, last.fire)} {last.status}"
    return found.schedule.id_, found.schedule.words, state_text(found), fires, ended


def _as_json(info: ExecutionInfo, found: ScheduleView | UnreadableSchedule, codec: Codec) -> dict[str, Any]:
    run = {
        "workflowId": info.execution.workflow_id,
        "runId": info.execution.run_id,
        "status": info.close_status or "OPEN",
    }
    if isinstance(found, UnreadableSchedule):
        return {**run, "error": found.problem}
    return {
        **run,
        "schedule": with_schedules(codec).unstructure(found.schedule),
        "words": found.schedule.words,
        "next": [utc(at) for at in next_fires(found, datetime.now(UTC))],
        "memory": _memory(info, found),
    }


def _memory(info: ExecutionInfo, found: ScheduleView) -> dict[str, Any]:
    """Return the memory as JSON; a closed schedule does not know which of its runs are open now."""
    if info.close_status is None:
        return dict(found.memory.to_json())
    # What was still to be decided is not.
    memory: dict[str, Any] = found.recorded.to_json()
    memory["open_when_closed"] = memory.pop("open")
    return memory


@_command("show", "Show a schedule, its runs and its missed fires")
@click.argument("id_", metavar="ID")
@json_option
@codec_options
def show_command(id_: str, *, as_json: bool, codec: Codec, **where: Any) -> int:
    """Show the schedule ID: its times, next fires, last runs, and the fires that started none."""
    with _there(where) as there:
        info, found = _found(there, id_, codec)
        if as_json:
            say(json_text(_as_json(info, found, codec)))
            return DONE
        _say_times_and_runs(info, found)
        if info.close_status is None:
            _say_not_decided([found.state.start.task_list.name], there)
    return DONE


def _say_times_and_runs(info: ExecutionInfo, found: ScheduleView) -> None:
    schedule, memory = found.schedule, found.recorded
    state = state_text(found) if info.close_status is None else info.close_status
    say(visible(f"{schedule.id_}: {schedule.words}; overlap {schedule.overlap}; {state}"))
    for at in next_fires(found, datetime.now(UTC)):
        say(f"next     {local_time(schedule, at)}")
    name, later = ("open", "") if info.close_status is None else ("run", "  open when the schedule closed")
    for launch in memory.open:
        say(visible(f"{name:<8} {local_time(schedule, launch.fire)}  {launch.workflow_id}{later}"))
    for end in reversed(memory.recent):
        message = f": {end.message}" if end.message else ""
        say(visible(f"run      {local_time(schedule, end.fire)}  {end.workflow_id}  {end.status}{message}"))
    for none in reversed(memory.unstarted):
        span = f"{local_time(schedule, none.first)} to {local_time(schedule, none.last)}"
        say(f"no run   {none.count} for {span}: {_WHY[none.why]}")
    say(f"totals   {', '.join(f'{count} {name}' for name, count in sorted(memory.counts.items())) or 'none'}")


_WHY = {
    "overlap": "a run was open",
    "missed": "nobody decided within catch_up",
    "paused": "the schedule was paused",
    "updated": "an update left it out",
}


def _found(there: Target, id_: str, codec: Codec) -> tuple[ExecutionInfo, ScheduleView]:
    info = _latest(there, id_)
    return info, read(_service(there), info, codec)


def _latest(there: Target, id_: str) -> ExecutionInfo:
    try:
        return latest(_service(there), id_)
    except ScheduleError as error:
        infos = there.open_runs(typeFilter={"name": SCHEDULE_TYPE.name})
        near = difflib.get_close_matches(id_, [info["execution"]["workflowId"] for info in infos], cutoff=0.5)
        listed = shell_command("floto", "schedule", "list", *where_options(there.url, there.domain))
        hint = f"there is {', '.join(map(repr, near))}" if near else f"{listed} shows the open ones"
        msg = f"{error} in domain {there.domain!r} on {shown_service(there.url)}; {hint}"
        raise click.UsageError(msg) from None


@_command("pause", "Pause a schedule")
@click.argument("id_", metavar="ID")
@click.option("--note", help="Reason, which is shown with the schedule.")
def pause_command(id_: str, note: str | None, **where: Any) -> int:
    """Pause the schedule ID; its open runs go on."""
    return _signal(where, id_, PAUSE, note, "paused")


@_command("resume", "Resume a paused schedule")
@click.argument("id_", metavar="ID")
def resume_command(id_: str, **where: Any) -> int:
    """Resume the schedule ID; the fires of the pause start nothing."""
    return _signal(where, id_, RESUME, None, "resumed")


@_command("trigger", "Start a run of a schedule now")
@click.argument("id_", metavar="ID")
def trigger_command(id_: str, **where: Any) -> int:
    """Start a run of the schedule ID now, as its overlap policy allows, also if it is paused."""
    return _signal(where, id_, TRIGGER, None, "triggered")


@_command("backfill", "Start the runs of past fires")
@click.argument("id_", metavar="ID")
@click.option("--from", "first", required=True, metavar="TIME", help="Time of the first fire.")
@click.option("--to", "last", required=True, metavar="TIME", help="Time of the last fire.")
@codec_options
def backfill_command(id_: str, first: str, last: str, codec: Codec, **where: Any) -> int:
    """Start the runs of all fires of the schedule ID between two past times, one after the other.

    With the overlap policy allow_all, they start all at once. Only 'floto schedule delete' ends a backfill
    early.
    """
    for name, text in (("--from", first), ("--to", last)):
        for problem in moment_problems(name, text):
            raise click.BadParameter(problem)
    with _there(where) as there:
        schedule = _found(there, id_, codec)[1].schedule
        begin, end = (moment(text, schedule.time_zone) for text in (first, last))
        if begin > end:
            msg = f"--from {first} is after --to {last}"
            raise click.UsageError(msg)
        if end > datetime.now(UTC):
            msg = f"--to {last} is in the future; a backfill is for past fires"
            raise click.UsageError(msg)
        fires = schedule.fires(begin - timedelta(microseconds=1))
    if not fires or fires[0] > end:
        msg = f"there is no fire from {local_time(schedule, begin)} to {local_time(schedule, end)}"
        raise click.UsageError(msg)
    return _signal(where, id_, BACKFILL, {"from": begin.isoformat(), "to": end.isoformat()}, "backfilling")


@_command("update", "Change a schedule")
@click.argument("source")
@click.option("--yes", is_flag=True, help="Apply the changes; without it, they are shown only.")
@codec_options
def update_command(source: str, *, yes: bool, codec: Codec, **where: Any) -> int:
    """Show what SOURCE changes in the schedule of its id, and from which fire on; apply it with --yes.

    Exit code: 0 applied or no change, 1 changes are shown only, 2 wrong usage.
    """
    new = load_schedule(source, codec)
    with _there(where) as there:
        _, found = _found(there, new.id_, codec)
        plan = changes(found.schedule, new, codec)
        for each in plan:
            say(visible(f"{each.name}: {one_line(each.before)} -> {one_line(each.after)}"))
        if not plan:
            say(visible(f"schedule {new.id_} is as in {source}"), err=True)
            return DONE
        say(visible(f"first fire after the update: {_first_fire(found, new)}"))
        if not yes:
            say("nothing is changed; apply it with --yes", err=True)
            return FAILED
        prepare(_service(there), new)
    return _send(where, new.id_, UPDATE, update_input(new, codec), "updated")


def _first_fire(found: ScheduleView, new: Schedule) -> str:
    now = datetime.now(UTC)
    paused = updated(found.memory, found.schedule, new, now).paused
    if paused is not None:
        return f"none while the schedule is paused: {paused}"
    first = new.fires(now)
    return local_time(new, first[0]) if first else "none"


@_command("delete", "Stop a schedule")
@click.argument("id_", metavar="ID")
def delete_command(id_: str, **where: Any) -> int:
    """Request cancellation of the schedule ID; its open runs go on."""
    with _there(where) as there:
        _call(there, id_, _service(there).request_cancel_workflow_execution, (), "requested cancellation of")
    return DONE


def _signal(where: dict[str, Any], id_: str, name: str, value: Any, done: str) -> int:
    text = None if value is None else payload.dumps(value, "the input of the signal")
    return _send(where, id_, name, text, done)


def _send(where: dict[str, Any], id_: str, name: str, text: str | None, done: str) -> int:
    with _there(where) as there:
        _call(there, id_, _service(there).signal_workflow_execution, (name, text), done)
    return DONE


def _call(there: Target, id_: str, call: Callable[..., Any], arguments: tuple[Any, ...], done: str) -> None:
    """Call a method with the schedule; print that it is done, and if no scheduler will act on it."""
    info = _latest(there, id_)
    task_list = task_list_of(_service(there), info)
    try:
        with naming_unknown_outcome(there.url, look_at(id_, there.url, there.domain)):
            retry_write(call, id_, *arguments)
    except UnknownResource:
        msg = f"schedule {id_!r} is closed: {info.close_status}"
        raise click.UsageError(msg) from None
    say(visible(f"{done} {id_}"), err=True)
    _say_not_decided([task_list], there)


@click.command("scheduler", short_help="Decide for schedules and their runs, until stopped")
@daemon_options(SCHEDULE_LIST)
def scheduler_command(**options: Any) -> int:
    """Decide for all schedules of a domain, and for the runs with specs that they start, until stopped.

    Any number of schedulers may run. SIGTERM or Ctrl-C: finish the current decision tasks, exit code 0; a
    second one: exit at once.
    """
    from floto.runtime.deciders.scheduler import Scheduler  # noqa: PLC0415 - only this command needs it

    return run_daemon(Scheduler, **options)
