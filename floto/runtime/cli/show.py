"""The commands that read a run's history: ``floto show`` and ``floto history``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import click
from attrs import asdict

from floto.core.decide.decide import spec_of
from floto.core.errors import PayloadsNeeded, SpecError
from floto.core.replay.explain import Explained
from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.why_report import stalls
from floto.core.replay.why_waiting import OF_RULES
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.tasks import NO_RESULT
from floto.core.visible import shortened
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import codec_options, json_option, output_option
from floto.runtime.cli.output import json_line, json_text, one_line, print_rows, say, writing
from floto.runtime.cli.signal_cancel import run_argument
from floto.runtime.cli.source import read_run, spec_to_show
from floto.runtime.cli.summary import Summary, summary, timed_out_deciders
from floto.runtime.cli.target import Target, target
from floto.runtime.cli.why import say_line, say_unknown_tasks, waits
from floto.runtime.loading import load_spec

#: Tasks of a closed run that are printed.
_MOST_TASKS = 50
#: Characters of a value that a person is shown.
_LONGEST = 1000


@click.command("show", short_help="Show the status, result and tasks of a run")
@run_argument
@click.option("--spec", help="The spec that decided the run; default: the one that it carries.")
@json_option
@codec_options
def show_command(run: str, *, spec: str | None, as_json: bool, codec: Codec, **where: Any) -> int:
    """Show the status and result of RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID).

    For an open run, also the conditions that its unfinished tasks wait for; for a closed run, the status
    of its tasks.
    """
    found = read_run(run, **where)
    known = spec_to_show(spec, found, codec)
    progress = found.progress(known, codec)
    explained = found.explained(progress)
    found_summary = summary(
        found.described or {}, found.state, timed_out_deciders(found.saved.history.events)
    )
    if as_json:
        say(json_text({**found_summary, "tasks": [_plain(each) for each in explained.tasks.values()]}))
        return DONE
    _print(found_summary)
    if found.state.closed is None:
        say()
        for line in waits(stalls(explained, found.context(progress)), found):
            say_line(line)
    else:
        _print_tasks(list(explained.tasks.values()))
    if known is None:
        say_unknown_tasks(found)
    return DONE


@click.command("history", short_help="Write the history of a run as JSON")
@run_argument
@output_option("A file to write, instead of stdout.")
@click.option("--spec", help="A spec to write beside it; default: the one that the run carries, if any.")
@codec_options
def history_command(run: str, output: Path | None, spec: str | None, codec: Codec, **where: Any) -> int:
    """Write the history of RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID) as JSON; events have SWF's own shape."""
    given = None if spec is None else load_spec(spec, codec)
    with target(where["service"], where["domain"]) as there:
        execution = there.find(run, where["run_id"])["executionInfo"]["execution"]
        with contextlib.nullcontext(sys.stdout) if output is None else writing(output) as file:
            count = _write(there, execution, file, codec, given)
    say(f"{count:,} events", err=True)
    return DONE


def _write(
    there: Target, execution: dict[str, str], file: TextIO, codec: Codec, spec: DeciderSpec | None
) -> int:
    """Write a history event by event, with at most one page in memory; return the number of events."""
    events = there.events(execution)
    first = next(events)
    head = {"domain": there.domain, "execution": execution}
    carried = spec or _carried(first, codec)
    if carried is not None:
        head["spec"] = codec.unstructure(carried)
    file.write(f'{json_line(head)[:-1]}, "events": [')
    count = 0
    for count, event in enumerate(chain([first], events), start=1):
        file.write(f"{',' if count > 1 else ''}\n{json_line(event)}")
    file.write("\n]}\n")
    file.flush()
    return count


def _carried(first: dict[str, Any], codec: Codec) -> DeciderSpec | None:
    # One that floto cannot read here is in the history all the same.
    with contextlib.suppress(PayloadsNeeded, SpecError):
        return spec_of(first.get("workflowExecutionStartedEventAttributes", {}).get("input"), codec)
    return None


def _print(found: Summary) -> None:
    execution, kind = found["execution"], found["workflowType"]
    lines = {
        "workflow": execution["workflowId"],
        "run": execution["runId"],
        "type": f"{kind['name']} {kind['version']}",
        **{name: found[name] for name in _LINES if name in found},
        "counts": _counted(found["counts"]),
    }
    print_rows(("", ""), ((name, _shown(value)) for name, value in lines.items()))


def _print_tasks(tasks: Sequence[Explained]) -> None:
    """Print the tasks of a closed run, failed ones first."""
    rows = sorted(tasks, key=lambda each: each.status not in FAILURES)
    if rows:
        say()
        print_rows(
            ("task", "status", "attempts", "took", "problem or result"), map(_task_row, rows[:_MOST_TASKS])
        )
    if len(rows) > _MOST_TASKS:
        say(f"and {len(rows) - _MOST_TASKS:,} more tasks: --json")


def _task_row(task: Explained) -> tuple[str, ...]:
    last = task.attempts[-1] if task.attempts else None
    took = last and last.started and last.ended and (last.ended - last.started).total_seconds()
    problem = next((each.message for each in reversed(task.attempts) if each.message), "")
    rules = (str(each) for each in task.conditions if each.cause in OF_RULES)
    problem = "; ".join(filter(None, (problem, *rules)))
    if _has_result(task):
        problem = " ".join(part for part in (problem, _shown(task.result)) if part)
    attempts = str(len(task.attempts)) if task.attempts else ""
    return task.task, str(task.status), attempts, "" if took is None else f"{took:.3f} s", problem


def _has_result(task: Explained) -> bool:
    return task.status is TaskStatus.DONE and task.result is not NO_RESULT


def _plain(task: Explained) -> Summary:
    """Return a task as JSON."""
    return {
        "task": task.task,
        "status": task.status,
        "attempts": [asdict(each) for each in task.attempts],
        **({"result": task.result} if _has_result(task) else {}),
        "waits": [str(each) for each in task.conditions],
    }


_LINES = (
    *("status", "started", "closed", "parent", "taskList", "tags", "input", "result", "cause", "reason"),
    *("details", "continuedAs", "cancelRequested", "spec"),
)


def _shown(value: Any) -> str:
    return shortened(one_line(value), _LONGEST, "... (--json shows all)")


def _counted(counts: Summary) -> str:
    """Return the counts as text: ``9 events; activities: 2 completed, 1 started``."""
    parts = [
        f"{kind}: {', '.join(f'{count} {status}' for status, count in value.items())}"
        if isinstance(value, dict)
        else f"{value} {kind}"
        for kind, value in counts.items()
    ]
    return "; ".join(parts)
