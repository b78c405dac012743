"""The command ``floto``: run a spec, check one, or be SWF for others."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console

import floto
from floto.core.errors import FlotoError, SpecError, WorkflowError
from floto.core.estimate import expected_events
from floto.core.limits import EVENT_LIMIT
from floto.core.specs import ActivityTask, DeciderSpec
from floto.core.state import State
from floto.runtime.activities import DEFAULT
from floto.runtime.cli_server import server_command
from floto.runtime.loading import load_json, load_module, load_spec
from floto.runtime.progress import shown
from floto.runtime.run import Listener, new_workflow_id, run

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

log = logging.getLogger("floto")


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 usage, 130 interrupted."""
    sys.exit(_exit_code())


def _exit_code() -> int:
    try:
        return cli.main(prog_name="floto", standalone_mode=False) or DONE
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except FlotoError as error:
        click.echo(f"floto: {error}", err=True)
        return FAILED if isinstance(error, WorkflowError) else USAGE
    except Exception as error:
        log.info("unexpected", exc_info=True)
        click.echo(f"floto: {type(error).__name__}: {error} (--verbose shows more)", err=True)
        return FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(floto.__version__, prog_name="floto")
def cli() -> None:
    """Run workflows for Amazon SWF, on SWF itself or on one file."""


cli.add_command(server_command)


@cli.command("run")
@click.argument("spec")
@click.option(
    "--activities", multiple=True, metavar="FILE.py|MODULE", help="Where the activities are defined."
)
@click.option("--input", "input_text", metavar="JSON|@FILE", help="The workflow's input.")
@click.option("--service", default="sqlite:///floto.db", show_default=True, help="Where the run is recorded.")
@click.option("--workflow-id", help="Go on with this run, or start one of this name.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=4, show_default=True, help="Activities at once."
)
@click.option("--domain", help="The SWF domain; default: the spec's, else floto.")
@click.option("--verbose", is_flag=True, help="Log more, with tracebacks.")
def run_command(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    spec: str,
    activities: tuple[str, ...],
    input_text: str | None,
    service: str,
    workflow_id: str | None,
    concurrency: int,
    domain: str | None,
    *,
    verbose: bool,
) -> int:
    """Run SPEC (FILE.json, FILE.py:name or module:name) to its end and print its result as JSON.

    Interrupted or killed, it goes on where it was with the same --workflow-id.
    """
    console = Console(stderr=True)
    _log_to(console, verbose=verbose)
    with _stdout_for_the_result():
        loaded = _load(spec, activities)
        workflow_input = None if input_text is None else load_json("--input", input_text)
        settings = {"service": service, "domain": domain, "concurrency": concurrency}
        result = _run(
            console,
            loaded,
            workflow_input,
            new_workflow_id() if workflow_id is None else workflow_id,
            settings,
        )
    click.echo(_readable(result))
    return DONE


def _readable(result: Any) -> str:
    text = json.dumps(result, indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, or a terminal that shows no such character
        return json.dumps(result, indent=2)
    return text


def _run(
    console: Console, spec: DeciderSpec, workflow_input: Any, workflow_id: str, settings: dict[str, Any]
) -> Any:
    service = settings["service"]
    console.print(f"workflow {workflow_id} on {service}", markup=False, highlight=False, soft_wrap=True)
    try:
        with shown(spec, console) as show:
            listener = _telling(console, show)
            return run(spec, workflow_input, workflow_id=workflow_id, listener=listener, **settings)
    except KeyboardInterrupt:
        _say_how_to_go_on(service, workflow_id)
        raise


def _load(spec: str, activities: tuple[str, ...]) -> DeciderSpec:
    loaded = load_spec(spec)
    for source in activities:
        load_module(source)
    if not DEFAULT.types and any(isinstance(task, ActivityTask) for task in loaded.activity_tasks):
        msg = "no activity is registered; name the file or module that defines them with --activities"
        raise click.UsageError(msg)
    return loaded


def _telling(console: Console, show: Listener) -> Listener:
    began = datetime.now(UTC)

    def listener(state: State) -> None:
        if state.closed is not None and state.closed.at < began:
            console.print("it had ended before, so nothing was run; another --workflow-id starts anew")
        else:
            show(state)

    return listener


def _say_how_to_go_on(service: str, workflow_id: str) -> None:
    if service == "memory:":
        click.echo("interrupted; a run in memory: cannot be gone on with", err=True)
        return
    arguments = sys.argv[1:]
    if not any(argument.split("=")[0] == "--workflow-id" for argument in arguments):
        arguments = [*arguments, "--workflow-id", workflow_id]
    click.echo(f"interrupted; to go on:\n  {shlex.join(['floto', *arguments])}", err=True)


@cli.command("check")
@click.argument("spec")
def check_command(spec: str) -> int:
    """Say everything that is wrong with SPEC, and how many events a run of it should take."""
    try:
        loaded = load_spec(spec)
    except SpecError as error:
        for problem in error.problems:
            click.echo(problem)
        click.echo(f"{spec}: {len(error.problems)} problem{'s'[: len(error.problems) != 1]}", err=True)
        return FAILED
    least, most = expected_events(loaded)
    expected = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    click.echo(
        f"{len(loaded.activity_tasks)} tasks, {expected} events expected; SWF ends a run at {EVENT_LIMIT:,}"
    )
    if least > EVENT_LIMIT:
        click.echo("a run of this cannot end before SWF ends it: split it into child workflows")
        return FAILED
    if most > EVENT_LIMIT:
        click.echo("retries could take it past that: move some tasks into child workflows")
    return DONE


class _LogHandler(logging.Handler):
    """Prints records where the progress is shown, so that neither spoils the other."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)


def _log_to(console: Console, *, verbose: bool) -> None:
    log.addHandler(_LogHandler(console))
    log.setLevel(logging.INFO if verbose else logging.WARNING)
    # The failure of an activity is shown with its task; its traceback is for who asks.
    logging.getLogger("floto.activity").setLevel(logging.INFO if verbose else logging.ERROR)


@contextlib.contextmanager
def _stdout_for_the_result() -> Iterator[None]:
    """Send what activities and their child processes print to stderr: stdout is for the result alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
