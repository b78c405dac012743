"""The command ``floto why``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
from attrs import evolve

from floto.core.replay.explain import Explanation
from floto.core.replay.task_status import TaskStatus
from floto.core.replay.why_report import OWN_DECIDERS, Stall, stall_of, stalls
from floto.core.spec.codec import Codec
from floto.core.swf.closing_events import reason_of
from floto.core.swf.events import Event
from floto.core.swf.wire import type_name
from floto.core.visible import moment_text, visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import codec_options, json_option
from floto.runtime.cli.output import json_text, say, say_wrapped
from floto.runtime.cli.source import LoadedRun, read_source, source_argument, spec_of_run, spec_to_show

#: Lines that are printed without --all.
_LINES = 10
#: Prefix of a line that is a command.
_COMMAND = "    "


@click.command("why", short_help="Explain why a task is waiting or failed")
@source_argument
@click.argument("task", required=False)
@click.option("--spec", help="The spec that decided the run; default: the one that it carries.")
@click.option("--at", type=click.IntRange(min=1), metavar="EVENT", help="Status after this event.")
@click.option("--all", "shows_all", is_flag=True, help="Print every line, not the ten most urgent.")
@json_option
@codec_options
def why_command(  # noqa: PLR0913 - click passes each option as an argument
    source: str,
    task: str | None,
    *,
    spec: str | None,
    at: int | None,
    shows_all: bool,
    as_json: bool,
    codec: Codec,
    **where: Any,
) -> int:
    """Explain why RUN, or a TASK of it, is waiting or failed, and print the commands that help.

    RUN is WORKFLOW_ID or WORKFLOW_ID@RUN_ID; FILE is a saved history, - standard input. With --at, explain
    the state after that event.
    """
    found = evolve(read_source(source, **where), at=at)
    known = (spec_of_run if task or at else spec_to_show)(spec, found, codec)
    if known is None and (task or at):
        msg = "the run carries no spec; name the one that decided it with --spec"
        raise click.UsageError(msg)
    progress = found.progress(known, codec)
    explained, context = found.explained(progress), found.context(progress)
    groups = [stall_of(explained, task, context)] if task else stalls(explained, context)
    if as_json:
        say(json_text({"event": explained.event_id, "waits": [_plain(each, found) for each in groups]}))
        return DONE
    say_wrapped(_head(found, explained))
    if task:
        for line in explained.why(task).split("\n"):
            say_wrapped(line)
        lines = _of_task(groups[0], found)
    else:
        lines = waits(groups, found)
    _print(lines, most=None if shows_all or task else _LINES - 1)
    if known is None:
        say_unknown_tasks(found)
    return DONE


def say_unknown_tasks(found: LoadedRun) -> None:
    """Print that a run may have more tasks, unless it is one of floto's own, which have no spec."""
    if found.state.start.workflow_type not in OWN_DECIDERS:
        say("tasks that have not begun are not known: name the spec with --spec", err=True)


def _head(found: LoadedRun, explained: Explanation) -> str:
    """Return one line with the run, its status, and its number of finished tasks."""
    events = found.saved.history.events
    last = events[explained.event_id - 1]
    name = visible(found.state.execution.workflow_id) if found.state.execution else "the run"
    closed = found.state.closed
    if explained.event_id < len(events):
        how = f"after event {explained.event_id} ({moment_text(last.at)})"
    elif closed is not None:
        how = f"closed at {moment_text(closed.at)} ({_end(explained, closed)})"
    else:
        how = f"open since {moment_text(events[0].at)}, last event {last.id} at {moment_text(last.at)}"
    done = sum(each.status is TaskStatus.DONE for each in explained.tasks.values())
    return f"{name}: {how}; {done} of {len(explained.tasks)} tasks done"


def _end(explained: Explanation, closed: Event) -> str:
    """Return the type of the event that closed a run, with its reason if no task has failed."""
    name, reason = type_name(closed.data), reason_of(closed.data)
    is_told = not reason or any(each.status is TaskStatus.FAILED for each in explained.tasks.values())
    return name if is_told else f"{name}: {visible(reason)}"


def waits(groups: Sequence[Stall], found: LoadedRun) -> Iterator[str]:
    """Yield a line for each group of tasks that wait for the same, and one for each command that helps."""
    for each in groups:
        yield str(each)
        yield from _commands(each, found)


def _of_task(stall: Stall, found: LoadedRun) -> Iterator[str]:
    """Yield what is not in the history: notes on the pollers, and the commands that help."""
    yield from (f"  {visible(each)}" for each in stall.notes)
    yield from _commands(stall, found)


def _commands(stall: Stall, found: LoadedRun) -> Iterator[str]:
    return (f"{_COMMAND}{found.command(words)}" for words in stall.commands)


def _print(lines: Iterator[str], most: int | None) -> None:
    shown = list(lines)
    if most is not None and len(shown) > most:
        shown[most - 1 :] = [f"and {len(shown) - most + 1} more lines: --all"]
    for line in shown:
        say_line(line)


def say_line(line: str) -> None:
    """Print a line of ``waits``: a command as it is, to be copied, and words as wide as the terminal."""
    if line.startswith(_COMMAND):
        say(line)
    else:
        say_wrapped(line)


def _plain(stall: Stall, found: LoadedRun) -> dict[str, Any]:
    """Return a group of tasks as JSON."""
    return {
        "tasks": stall.tasks,
        "status": stall.status,
        "reasons": (*stall.reasons, *stall.notes),
        "commands": [found.command(words) for words in stall.commands],
    }
