"""Read the histories that a command names: runs, files and directories of files, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click
from rich.progress import track

from floto.core.errors import HistoryError, SpecError
from floto.core.replay.decision_diff import Difference
from floto.core.replay.replay import Divergence
from floto.core.swf.decisions import DECISION_TYPES
from floto.core.swf.history import History
from floto.core.swf.wire import decision_to_swf, write
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE, FAILED, USAGE
from floto.runtime.cli.options import domain_option, service_option
from floto.runtime.cli.output import progress_console, say
from floto.runtime.cli.source import ENDINGS, read_source
from floto.runtime.cli.target import AmbiguousRun, UnknownRun

_T = TypeVar("_T", bound=Callable[..., Any])


def histories_argument(function: _T) -> _T:
    """Add the argument and options of a command that reads histories of runs or saved ones."""
    argument = click.argument("histories", nargs=-1, required=True, metavar="RUN|HISTORY...")
    return argument(service_option(domain_option(function)))


json_lines_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on each line, for programs."
)


def read_each(names: Sequence[str], read: Callable[[str, History], bool], where: Mapping[str, Any]) -> int:
    """Call ``read``, which returns True for success, with each history; return the exit code of the command.

    A history that cannot be read is reported on stderr; the others are read all the same. ``where`` has the
    ``service`` and the ``domain`` of runs.
    """
    console = progress_console()
    files = list(each_file(names))
    worst = DONE
    bar = track(files, "histories", console=console, transient=True, disable=not console.is_terminal)
    for name in bar:
        try:
            history = read_source(name, **where, with_live=False).saved.history
            worst = max(worst, DONE if read(name, history) else FAILED)
        except (HistoryError, SpecError, UnknownRun, AmbiguousRun) as error:
            say(visible(f"floto: {_named(name, error)}"), err=True)
            worst = USAGE
    return worst


def _named(name: str, error: Exception) -> str:
    return str(error) if name in str(error) else f"{name}: {error}"


def each_file(names: Sequence[str]) -> Iterator[str]:
    """Yield the names of runs and files, and the files of directories."""
    for name in names:
        path = Path(name)
        # Unlike Path.is_dir, this is False for a name that is too long for a directory.
        if not os.path.isdir(name):  # noqa: PTH112
            yield name
            continue
        found = sorted(each for each in path.iterdir() if each.is_file() and each.name.endswith(ENDINGS))
        if not found:
            raise HistoryError(
                None, f"{path}: contains no history; names of histories end in {', '.join(ENDINGS)}"
            )
        yield from map(str, found)


def difference_as_json(found: Difference | None) -> dict[str, Any] | None:
    """Return a difference as JSON."""
    if found is None:
        return None
    values = {"recorded": _plain(found.recorded), "decided": _plain(found.decided)}
    return {"field": found.field, "decision": found.what, **values, "text": str(found)}


def divergence_as_json(found: Divergence | None) -> dict[str, Any] | None:
    """Return a divergence as JSON."""
    if found is None:
        return None
    return {"step": found.step, "event": found.event_id, **(difference_as_json(found.difference) or {})}


def _plain(value: Any) -> Any:
    """Return a value of a decision as JSON; a decision has SWF's own shape."""
    if type(value).__name__ in DECISION_TYPES:
        return decision_to_swf(value)
    return write(value) if attrs.has(type(value)) else value
