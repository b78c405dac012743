"""The command ``floto run``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console

from floto.core.kinds import ActivityTask
from floto.core.reference import Store
from floto.core.specs import CODEC, DeciderSpec
from floto.core.state import State
from floto.core.visible import shell_command
from floto.runtime.activities import DEFAULT
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import (
    activities_option,
    domain_option,
    payloads_option,
    service_option,
    verbose_option,
)
from floto.runtime.cli.output import log_to, readable, say, say_on, stdout_for_the_result
from floto.runtime.job import Listener
from floto.runtime.loading import load_json, load_module, load_spec
from floto.runtime.progress import shown
from floto.runtime.run import new_workflow_id, run


@click.command("run")
@click.argument("spec")
@activities_option
@click.option("--input", "input_text", metavar="JSON|@FILE", help="The workflow's input.")
@service_option
@click.option("--workflow-id", help="Go on with this run, or start one of this name.")
@click.option(
    "--concurrency", type=click.IntRange(min=1), default=4, show_default=True, help="Activities at once."
)
@click.option("--take-over", is_flag=True, help="Resume an open run of another spec with this one.")
@domain_option
@payloads_option
@verbose_option
def run_command(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    spec: str,
    activities: tuple[str, ...],
    input_text: str | None,
    service: str,
    workflow_id: str | None,
    concurrency: int,
    domain: str | None,
    payloads: Store | None,
    *,
    take_over: bool,
    verbose: bool,
) -> int:
    """Run SPEC (FILE.json, FILE.py:name or module:name) to its end and print its result as JSON.

    Interrupted or killed, it goes on where it was with the same --workflow-id.
    """
    console = Console(stderr=True)
    log_to(console, verbose=verbose)
    with stdout_for_the_result():
        loaded = _load(spec, activities)
        workflow_input = None if input_text is None else load_json("--input", input_text)
        settings = {
            "service": service,
            "domain": domain,
            "concurrency": concurrency,
            "payloads": payloads,
            "take_over": take_over,
        }
        name = new_workflow_id() if workflow_id is None else workflow_id
        result = _run(console, loaded, workflow_input, name, settings)
    say(readable(result))
    return DONE


def _run(
    console: Console, spec: DeciderSpec, workflow_input: Any, workflow_id: str, settings: dict[str, Any]
) -> Any:
    service = settings["service"]
    say_on(console, f"workflow {workflow_id} on {service}")
    try:
        with shown(spec, console, CODEC.with_payloads(settings["payloads"])) as show:
            listener = _telling(console, show)
            return run(spec, workflow_input, workflow_id=workflow_id, listener=listener, **settings)
    except KeyboardInterrupt:
        _say_how_to_go_on(service, workflow_id)
        raise


def _load(spec: str, activities: tuple[str, ...]) -> DeciderSpec:
    loaded = load_spec(spec)
    for source in activities:
        load_module(source)
    if not DEFAULT.types and any(isinstance(task, ActivityTask) for task in loaded.all_tasks):
        msg = "no activity is registered; name the file or module that defines them with --activities"
        raise click.UsageError(msg)
    return loaded


def _telling(console: Console, show: Listener) -> Listener:
    began = datetime.now(UTC)

    def listener(state: State) -> None:
        if state.closed is not None and state.closed.at < began:
            say_on(console, "it had ended before, so nothing was run; another --workflow-id starts anew")
        else:
            show(state)

    return listener


def _say_how_to_go_on(service: str, workflow_id: str) -> None:
    if service == "memory:":
        say("interrupted; a run in memory: cannot be gone on with", err=True)
        return
    arguments = sys.argv[1:]
    if not any(argument.split("=")[0] == "--workflow-id" for argument in arguments):
        arguments = [*arguments, "--workflow-id", workflow_id]
    say(f"interrupted; to go on:\n  {shell_command('floto', *arguments)}", err=True)
