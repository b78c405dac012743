"""The command ``floto check``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import click

from floto.core.errors import SpecError
from floto.core.fire_times import clock_changes
from floto.core.spec.activity_timeouts import timeout_warnings
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.estimate import Estimate, estimates
from floto.core.spec.nested_specs import nested, nested_tasks
from floto.core.spec.rules.certainty import Certainty, prospects
from floto.core.spec.rules.condition_names import name_warnings
from floto.core.spec.schedule import Schedule
from floto.core.spec.tasks import Task
from floto.core.swf.limits import EVENT_LIMIT
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE, FAILED
from floto.runtime.cli.options import codec_option
from floto.runtime.cli.output import say
from floto.runtime.loading import load_schedule, load_spec, names_schedule

#: Number of fires, and of clock changes, that are shown.
_FIRES, _YEAR = 3, timedelta(days=366)


@click.command("check", short_help="Check a spec and estimate its events")
@click.argument("spec")
@codec_option
def check_command(spec: str, codec: Codec) -> int:
    """List all problems of SPEC, and estimate the number of events of a run.

    Of a schedule, say its times in words, the next fires, and the fires at times that its zone skips or
    repeats.
    """
    try:
        schedule = load_schedule(spec, codec) if names_schedule(spec) else None
        loaded = load_spec(spec, codec) if schedule is None else schedule.spec
    except SpecError as error:
        for problem in error.problems:
            say(visible(problem))
        say(f"{visible(spec)}: {_count(len(error.problems), 'problem')}", err=True)
        return FAILED
    if schedule is not None:
        _say_times(schedule)
    if loaded is None:
        return DONE
    whole, *children = estimates(loaded)
    expected = f"{whole.least:,}" if whole.least == whole.most else f"{whole.least:,} to {whole.most:,}"
    tasks = _count(len(loaded.all_tasks), "task")
    say(f"{tasks}, {expected} events expected; SWF ends a run at {EVENT_LIMIT:,}")
    _say_settings(loaded)
    for estimate in (whole, *children):
        _say_if_too_long(estimate)
    for name in ("activity_tasks", "on_failure", "on_cancel"):
        _say_certainties("" if name == "activity_tasks" else f"{name}: ", getattr(loaded, name))
    for warning in _warnings(loaded):
        say(visible(warning))
    return FAILED if any(estimate.least > EVENT_LIMIT for estimate in (whole, *children)) else DONE


def _warnings(spec: DeciderSpec) -> Iterator[str]:
    for each, _ in nested(spec, spec.task_list):
        yield from name_warnings(each)
    for task in nested_tasks(spec):
        yield from timeout_warnings(task)


def _say_settings(spec: DeciderSpec) -> None:
    """Print the settings of the runs of a spec, if it has some."""
    if spec.execution_timeout is not None:
        say(f"its runs time out after {_count(spec.execution_timeout, 'second')}")
    if spec.child_policy is not None:
        say(f"its runs have the child policy {spec.child_policy}")


def _say_certainties(what: str, tasks: Sequence[Task]) -> None:
    """Print which tasks always, sometimes or never run, if they have rules on which that depends."""
    found = prospects(tasks)
    if all(each.certainty is Certainty.ALWAYS for each in found.values()):
        return
    for certainty in (Certainty.ALWAYS, Certainty.SOMETIMES):
        ids = [id_ for id_, each in found.items() if each.certainty is certainty]
        if ids:
            say(visible(f"{what}{certainty} run, unless a task fails the run: {', '.join(ids)}"))
    for id_, each in found.items():
        if each.certainty is Certainty.NEVER:
            say(visible(f"{what}task {id_!r} never runs: {each.reason}"))


def _say_times(schedule: Schedule) -> None:
    zone, now = ZoneInfo(schedule.time_zone), datetime.now(UTC)
    say(visible(f"{schedule.id_}: {schedule.words}"))
    following = schedule.fires(now, _FIRES)
    for at in following:
        say(f"next {at.astimezone(zone).isoformat()}")
    if not following:
        say("it never fires: none of its times, from its start to its end, is in the future")
    if schedule.cron is None:
        return
    for change in islice(clock_changes(schedule.cron, schedule.time_zone, now, now + _YEAR), _FIRES):
        fires = " and ".join(at.astimezone(zone).isoformat() for at in change.fires) or "never"
        how = "does not exist" if change.is_skipped else "occurs twice"
        say(f"{change.local.isoformat(' ', 'minutes')} {how} in {schedule.time_zone}: it fires {fires}")


def _say_if_too_long(estimate: Estimate) -> None:
    of = f"the spec of child {' > '.join(estimate.path)!r}" if estimate.path else "this"
    if estimate.least > EVENT_LIMIT:
        say(
            f"a run of {of} writes {estimate.least:,} events at least and cannot end before SWF ends it: "
            "split it into child workflows"
        )
    elif estimate.most > EVENT_LIMIT:
        say(
            f"a run of {of} would write {estimate.most:,} events with a decision task for each completion "
            "and every retry used, which is past that: move some tasks into child workflows"
        )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s'[: number != 1]}"
