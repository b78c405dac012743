"""The commands ``floto timeline`` and ``floto graph``: what a person looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from floto.core.payloads.reference import Store
from floto.core.replay.timeline import Timeline, timeline
from floto.core.spec.decider_spec import CODEC
from floto.core.state.fold import fold
from floto.core.swf.history import History
from floto.core.visible import visible
from floto.pictures import dag, dot, gantt, listing, terminal
from floto.pictures.graph import Graph, graph
from floto.pictures.svg import Drawing
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import domain_option, payloads_option, service_option
from floto.runtime.cli.output import say, writing
from floto.runtime.cli.source import Where, read_history
from floto.runtime.loading import load_spec

Shown = TypeVar("Shown")


def _svg(drawing: Drawing, width: float, height: float) -> str:
    return drawing.svg(width, height)


def _html(drawing: Drawing, width: float, height: float) -> str:
    return drawing.html(width, height)


#: How a picture is written into a file, by how its name ends.
_TIMELINES: Mapping[str, Callable[[Timeline, str], str]] = {
    ".svg": lambda shown, title: _svg(*gantt.draw(shown, title)),
    ".html": lambda shown, title: _html(*gantt.draw(shown, title)),
}
_GRAPHS: Mapping[str, Callable[[Graph, str], str]] = {
    ".svg": lambda shown, title: _svg(*dag.draw(shown, title)),
    ".html": lambda shown, title: _html(*dag.draw(shown, title)),
    ".mmd": lambda shown, _title: dot.mermaid(shown),
    ".dot": lambda shown, _title: dot.dot(shown),
}


@click.command("timeline")
@click.argument("history", nargs=-1, required=True, metavar="RUN|HISTORY...")
@service_option
@domain_option
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="FILE.svg or FILE.html."
)
def timeline_command(history: tuple[str, ...], output: Path | None, **where: Any) -> int:
    """Show when everything in a RUN or a HISTORY happened, a lane for each task.

    HISTORY is a file, or the files of its pages; - is standard input.
    """
    saved = _history(history, Where(**where))
    shown, title = timeline(saved), _title(saved, history[0])
    if output is None:
        terminal.show(shown, title, Console())
    else:
        _write(output, _TIMELINES, shown, title)
    return DONE


@click.command("graph")
@click.argument("spec")
@click.option(
    "--history", multiple=True, metavar="RUN|FILE", help="A run to take states and generated tasks from."
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="FILE.svg, .html, .mmd or .dot."
)
@payloads_option
@service_option
@domain_option
def graph_command(
    spec: str, history: tuple[str, ...], output: Path | None, payloads: Store | None, **where: Any
) -> int:
    """Show the tasks of SPEC (FILE.json, FILE.py:name or module:name), and what requires what."""
    loaded = load_spec(spec)
    saved = _history(history, Where(**where)) if history else None
    shown = graph(loaded, None if saved is None else fold(saved), CODEC.with_payloads(payloads))
    if output is None:
        listing.show(shown, Console())
    else:
        _write(output, _GRAPHS, shown, spec if saved is None else _title(saved, spec))
    return DONE


def _history(names: Sequence[str], where: Where) -> History:
    """Return the history of one run or file, or of several files that hold its pages."""
    return read_history(names[0], where) if len(names) == 1 else History.load(*names)


def _title(history: History, source: str) -> str:
    return source if history.execution is None else history.execution.workflow_id


def _write(output: Path, forms: Mapping[str, Callable[[Shown, str], str]], shown: Shown, title: str) -> None:
    form = forms.get(output.suffix)
    if form is None:
        msg = f"{output}: the name of a picture ends in {', '.join(forms)}"
        raise click.UsageError(msg)
    with writing(output) as file:
        file.write(form(shown, title))
    say(visible(f"wrote {output}"), err=True)
