"""The command ``floto report``."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from floto.core.errors import PayloadsNeeded, SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.view.run_view import view
from floto.core.visible import visible
from floto.pages.comparison import compared
from floto.pages.document.prepare import prepare
from floto.pages.document.run_document import run_document
from floto.pages.report import Document, report
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.histories import each_file
from floto.runtime.cli.options import codec_options, domain_option, output_option, service_option
from floto.runtime.cli.output import say, writing
from floto.runtime.cli.source import LoadedRun, read_source, spec_of_run
from floto.runtime.loading import load_apart


@click.command("report", short_help="Write the page of runs as one file")
@click.argument("histories", nargs=-1, required=True, metavar="RUN|HISTORY...")
@output_option("File to write: FILE.html.", required=True)
@click.option("--spec", help="The spec that decided the runs; default: the one that each carries.")
@click.option("--compare", help="Another spec: what it decides otherwise, and the plan of a redrive with it.")
@codec_options
@service_option
@domain_option
def report_command(
    histories: tuple[str, ...],
    output: Path,
    *,
    spec: str | None,
    compare: str | None,
    codec: Codec,
    **where: Any,
) -> int:
    """Write the page of each RUN or HISTORY into one file that opens in a browser without a server.

    HISTORY is a file, or a directory of files; - is standard input. Without a spec, the page shows what was
    started. With --compare, its checks have what 'floto compare' prints and what 'floto redrive' would keep.
    """
    other = None if compare is None else load_apart(compare, spec, codec)
    found = [
        _document(read_source(name, **where, with_live=False), spec, other, codec)
        for name in each_file(histories)
    ]
    with writing(output) as file:
        file.write(report(found))
    say(visible(f"wrote {output}"), err=True)
    return DONE


def _document(found: LoadedRun, named: str | None, other: DeciderSpec | None, codec: Codec) -> Document:
    history, spec = found.saved.history, _spec(found, named, codec)
    document = run_document(view(history, spec, codec))
    if other is not None:
        document["check"]["compared"] = compared(history, spec, other, codec)
    document["run"]["domain"] = found.domain
    return prepare(document)


def _spec(found: LoadedRun, named: str | None, codec: Codec) -> DeciderSpec | None:
    if named is not None:
        return spec_of_run(named, found, codec)
    # A spec that cannot be read here is left out: the page then shows what was started.
    with contextlib.suppress(PayloadsNeeded, SpecError):
        return spec_of_run(None, found, codec)
    return None
