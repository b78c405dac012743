"""The commands that read a run's history: ``floto show`` and ``floto history``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import click
from attrs import evolve

from floto.core import wire
from floto.core.decide import spec_of
from floto.core.errors import PayloadsNeeded, SpecError
from floto.core.fold import fold
from floto.core.shapes import WorkflowExecution
from floto.core.specs import CODEC, DeciderSpec
from floto.core.state import EMPTY
from floto.files import whole_file
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.executions import run_command
from floto.runtime.cli.options import json_option
from floto.runtime.cli.output import json_line, local, one_line, print_rows, readable, say
from floto.runtime.cli.summary import Summary, left_decisions, summary
from floto.runtime.cli.target import Target, target
from floto.runtime.loading import LoadError, load_spec

_PAGE = 1000
#: Characters of a value that a person is shown.
_LONGEST = 1000


@click.command("show", short_help="Say what a run is doing, and how it ended.")
@run_command
@json_option
def show_command(run: str, *, as_json: bool, **where: Any) -> int:
    """Say what RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID) is doing, and how it ended."""
    with target(where["service"], where["domain"]) as there:
        described = there.find(run, where["run_id"])
        execution = described["executionInfo"]["execution"]
        events = tuple(map(wire.event_from_swf, _events(there, execution)))
        state = fold(events, evolve(EMPTY, execution=wire.read(WorkflowExecution, execution)))
    found = summary(described, state, left_decisions(events))
    if as_json:
        say(readable(found))
    else:
        _print(found)
    return DONE


@click.command("history", short_help="Write the history of a run as JSON.")
@run_command
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file to write, instead of stdout.",
)
@click.option("--spec", help="A spec to write beside it; default: the one that the run carries, if any.")
def history_command(run: str, output: Path | None, spec: str | None, **where: Any) -> int:
    """Write the history of RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID) as JSON, its events in SWF's own shape."""
    given = None if spec is None else load_spec(spec)
    with target(where["service"], where["domain"]) as there:
        execution = there.find(run, where["run_id"])["executionInfo"]["execution"]
        with contextlib.nullcontext(sys.stdout) if output is None else _whole(output) as file:
            count = _write(there, execution, file, given)
    say(f"{count:,} events", err=True)
    return DONE


def _events(there: Target, execution: dict[str, str]) -> Iterator[dict[str, Any]]:
    return there.pages("get_workflow_execution_history", "events", execution=execution, maximumPageSize=_PAGE)


def _write(there: Target, execution: dict[str, str], file: TextIO, spec: DeciderSpec | None) -> int:
    """Event by event: no more than a page of a history is in memory."""
    events = _events(there, execution)
    first = next(events)
    head = {"domain": there.domain, "execution": execution}
    carried = spec or _carried(first)
    if carried is not None:
        head["spec"] = CODEC.unstructure(carried)
    file.write(f'{json_line(head)[:-1]}, "events": [')
    count = 0
    for count, event in enumerate(chain([first], events), start=1):
        file.write(f"{',' if count > 1 else ''}\n{json_line(event)}")
    file.write("\n]}\n")
    file.flush()
    return count


def _carried(first: dict[str, Any]) -> DeciderSpec | None:
    # One that floto cannot read here is in the history all the same.
    with contextlib.suppress(PayloadsNeeded, SpecError):
        return spec_of(first.get("workflowExecutionStartedEventAttributes", {}).get("input"))
    return None


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """Open a text file that gets its name when it is written to its end."""
    try:
        with whole_file(path) as file:
            text = TextIOWrapper(file, "utf-8")
            yield text
            text.detach()  # writes what is left, and leaves the file open
    except OSError as error:
        raise LoadError(str(path), str(error.strerror or error)) from None


def _print(found: Summary) -> None:
    execution, kind, now = found["execution"], found["workflowType"], datetime.now(UTC)
    lines = {
        "workflow": execution["workflowId"],
        "run": execution["runId"],
        "type": f"{kind['name']} {kind['version']}",
        **{name: found[name] for name in _LINES if name in found},
        "counts": _counted(found["counts"]),
    }
    print_rows(("", ""), ((name, _shown(value)) for name, value in lines.items()))
    if items := found.get("open"):
        say()
        print_rows(
            ("open", "id", "status", "attempt", "since", "for", ""), (_row(item, now) for item in items)
        )


_LINES = (
    *("status", "started", "closed", "parent", "taskList", "tags", "input", "result", "cause", "reason"),
    *("details", "continuedAs", "cancelRequested", "spec"),
)


def _shown(value: Any) -> str:
    text = local(value) if isinstance(value, datetime) else one_line(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... (--json shows all)"


def _row(item: Summary, now: datetime) -> tuple[str, ...]:
    note = f"retries {item['retries']}" if item.get("retries") else item.get("problem", "")
    return (
        item["kind"],
        item["id"],
        item["status"],
        str(item.get("attempt", "")),
        local(item["since"]),
        f"{max((now - item['since']).total_seconds(), 0):.0f}s",
        note,
    )


def _counted(counts: Summary) -> str:
    """``9 events, activities: 2 completed, 1 started``."""
    parts = [
        f"{kind}: {', '.join(f'{count} {status}' for status, count in value.items())}"
        if isinstance(value, dict)
        else f"{value} {kind}"
        for kind, value in counts.items()
    ]
    return "; ".join(parts)
