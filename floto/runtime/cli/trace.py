"""The command ``floto trace``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from floto.core.swf import wire
from floto.core.swf.shapes import WorkflowExecution
from floto.core.view.trace import trace
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.extras import module_of_extra
from floto.runtime.cli.histories import each_file
from floto.runtime.cli.options import (
    domain_option,
    log_format_option,
    output_option,
    service_option,
    time_or_age,
    verbose_option,
)
from floto.runtime.cli.output import json_line, log_loop, say, writing
from floto.runtime.cli.source import read_source
from floto.runtime.cli.target import Target, run_until_signal, target
from floto.runtime.shutdown import StopFlag

_PATH = "/v1/traces"


def _endpoint(text: str) -> str:
    """Return the address to which traces are sent, from that of a collector."""
    if not text.startswith(("http://", "https://")):
        msg = f"{text!r} is not http://HOST:PORT or https://HOST:PORT"
        raise click.BadParameter(msg)
    return text.rstrip("/").removesuffix(_PATH) + _PATH


@click.command("trace", short_help="Send runs as traces to a collector")
@click.argument("histories", nargs=-1, metavar="[RUN|HISTORY]...")
@click.option("--follow", is_flag=True, help="Send every run that closes from now on, until stopped.")
@click.option(
    "--since",
    type=time_or_age,
    metavar="TIME",
    help="With --follow, runs that closed since: 30s, 15m, 2h, 7d ago, or an ISO 8601 time.",
)
@click.option(
    "--to",
    type=_endpoint,
    metavar="URL",
    help="Collector that reads OTLP over HTTP.  [env var: OTEL_EXPORTER_OTLP_ENDPOINT; "
    "default: http://localhost:4318]",
)
@output_option("File to write instead: FILE.json, with OTLP's JSON.")
@service_option
@domain_option
@log_format_option
@verbose_option
def trace_command(  # noqa: PLR0913 - click passes each option as an argument
    histories: tuple[str, ...],
    to: str | None,
    log_format: str,
    *,
    follow: bool,
    since: datetime | None,
    output: Path | None,
    verbose: bool,
    **where: Any,
) -> int:
    """Send each RUN or HISTORY as a trace to a collector of OpenTelemetry, or write them to a file.

    A trace shows how long each attempt waited and ran. HISTORY is a file, or a directory of files; - is
    standard input. OpenTelemetry's own environment variables set headers, time-outs and the service's name.
    """
    if follow:
        if histories or output is not None:
            msg = "--follow sends the runs that close; leave out runs, histories and --output"
            raise click.UsageError(msg)
        log_loop(log_format, verbose=verbose)
        return _follow(to, since or datetime.now(UTC), **where)
    if not histories or since is not None:
        msg = "give runs or histories, or --follow with --since"
        raise click.UsageError(msg)
    sending = _sending()
    found = [
        span
        for name in each_file(histories)
        for span in trace(read_source(name, **where, with_live=False).saved.history)
    ]
    spans = sending.otel_spans(found)
    if output is None:
        sending.send(sending.exporter_to(to), spans)
        say(f"sent {len(spans)} spans", err=True)
    else:
        with writing(output) as file:
            file.write(json_line(sending.otlp_json(spans)) + "\n")
        say(visible(f"wrote {output}"), err=True)
    return DONE


def _follow(to: str | None, since: datetime, service: str, domain: str | None) -> int:
    """Send the runs that close on a service, until a signal."""
    sending = _sending()
    exporter = sending.exporter_to(to)

    def run(stop: StopFlag) -> None:
        with target(service, domain) as there:
            closed = partial(_closed_since, there)
            sending.TraceSender(exporter, closed, there.history, since, stop=stop).run()

    run_until_signal(service, domain, run)
    return DONE


def _closed_since(there: Target, since: datetime) -> Iterator[tuple[WorkflowExecution, datetime]]:
    infos = there.closed_since(since)
    return ((wire.read(WorkflowExecution, info["execution"]), info["closeTimestamp"]) for info in infos)


def _sending() -> Any:
    return module_of_extra("floto.runtime.traces.sending", "opentelemetry")
