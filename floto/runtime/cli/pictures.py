"""The commands ``floto timeline`` and ``floto graph``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from floto.core.errors import PayloadsNeeded, SpecError
from floto.core.replay.saved_history import Saved
from floto.core.replay.timeline import Timeline, timeline
from floto.core.spec.codec import Codec
from floto.core.state.fold import state_of
from floto.core.swf.history import History
from floto.core.visible import visible
from floto.pictures import dag, dot, gantt, listing, terminal
from floto.pictures.graph import Graph, graph
from floto.pictures.svg import Drawing
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import codec_options, domain_option, output_option, service_option
from floto.runtime.cli.output import say, writing
from floto.runtime.cli.source import read_source, warn_of_another_spec
from floto.runtime.loading import load_spec, spec_with

Shown = TypeVar("Shown")


def _svg(drawing: Drawing, width: float, height: float) -> str:
    return drawing.svg(width, height)


def _html(drawing: Drawing, width: float, height: float) -> str:
    return drawing.html(width, height)


#: Functions that write a picture, by the suffix of the file.
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


@click.command("timeline", short_help="Show the timeline of a run")
@click.argument("history", nargs=-1, required=True, metavar="RUN|HISTORY...")
@service_option
@domain_option
@output_option("File to write: FILE.svg or FILE.html.")
def timeline_command(history: tuple[str, ...], output: Path | None, **where: Any) -> int:
    """Show when the tasks of a RUN or a HISTORY waited, ran and ended, in one lane for each task.

    HISTORY is a file, or several files with its pages; - is standard input.
    """
    saved = _saved(history, where)
    shown, title = _timeline(saved), _title(saved.history, history[0])
    if output is None:
        terminal.show(shown, title, Console())
    else:
        _write(output, _TIMELINES, shown, title)
    return DONE


@click.command("graph", short_help="Show the tasks of a spec and their dependencies")
@click.argument("spec")
@click.option(
    "--history",
    multiple=True,
    metavar="RUN|FILE",
    help="Run whose task states and generated tasks are shown; may be repeated for pages.",
)
@output_option("File to write: FILE.svg, .html, .mmd or .dot.")
@codec_options
@service_option
@domain_option
def graph_command(
    spec: str, history: tuple[str, ...], output: Path | None, codec: Codec, **where: Any
) -> int:
    """Show the tasks of SPEC (FILE.json, FILE.py:name or module:name) and their dependencies."""
    loaded = load_spec(spec, codec)
    saved = _saved(history, where) if history else None
    state = None if saved is None else state_of(saved.history)
    if saved is not None and state is not None:
        warn_of_another_spec(spec, loaded, saved, state, codec)
    shown = graph(loaded, state, codec)
    if output is None:
        listing.show(shown, Console())
    else:
        _write(output, _GRAPHS, shown, spec if saved is None else _title(saved.history, spec))
    return DONE


def _saved(names: Sequence[str], where: Mapping[str, Any]) -> Saved:
    """Return the history of one run or file, or of several files with its pages."""
    if len(names) > 1:
        return Saved(history=History.load(*names))
    return read_source(names[0], **where, with_live=False).saved


def _timeline(saved: Saved) -> Timeline:
    # Without a spec that can be read here, the status of each task is that of its item.
    with contextlib.suppress(PayloadsNeeded, SpecError):
        return timeline(saved.history, spec_with(saved))
    return timeline(saved.history)


def _title(history: History, source: str) -> str:
    return source if history.execution is None else history.execution.workflow_id


def _write(output: Path, forms: Mapping[str, Callable[[Shown, str], str]], shown: Shown, title: str) -> None:
    form = forms.get(output.suffix)
    if form is None:
        msg = f"{output}: the name must end in one of {', '.join(forms)}"
        raise click.UsageError(msg)
    with writing(output) as file:
        file.write(form(shown, title))
    say(visible(f"wrote {output}"), err=True)
