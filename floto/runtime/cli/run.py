"""The command ``floto run``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import click
from rich.console import Console

from floto import logs
from floto.core.errors import WorkflowError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.kinds import ActivityTask
from floto.core.spec.task_lists import own_list
from floto.core.state.state import State
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.visible import shell_command, visible
from floto.runtime.cli.codes import DONE, FAILED, TIMED_OUT
from floto.runtime.cli.options import (
    Seconds,
    activities_option,
    codec_options,
    domain_option,
    log_format_option,
    no_activity,
    service_option,
    verbose_option,
)
from floto.runtime.cli.output import (
    error_text,
    json_text,
    log_to,
    progress_console,
    say,
    say_on,
    stdout_for_the_result,
)
from floto.runtime.connect import absolute_service
from floto.runtime.loading import load_json, load_module, load_schedule, load_spec, names_schedule
from floto.runtime.runs.live_table import log as progress_log
from floto.runtime.runs.live_table import shown
from floto.runtime.runs.run import run
from floto.runtime.runs.run_request import Listener, new_workflow_id
from floto.runtime.runs.run_schedule import run_schedule
from floto.runtime.runs.time_limit import NotStarted, Unreached
from floto.runtime.start_lines import describe_types
from floto.runtime.workers.activities import DEFAULT

T = TypeVar("T")


@click.command("run", short_help="Run a spec and print its result")
@click.argument("spec")
@activities_option
@click.option("--input", "input_text", metavar="JSON|@FILE", help="The workflow's input.")
@service_option
@click.option("--workflow-id", help="Workflow id of the run to resume or start; default: a new id.")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Maximum of activities that run at the same time.",
)
@click.option(
    "--timeout",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    help="Time to wait for the result; afterwards the run stays open.",
)
@click.option("--redrive", is_flag=True, help="Keep what completed in the last, failed run of --workflow-id.")
@click.option("--take-over", is_flag=True, help="Resume an open run of another spec by SPEC.")
@domain_option
@codec_options
@log_format_option
@verbose_option
def run_command(  # noqa: PLR0913, PLR0917 - click passes each option as an argument
    spec: str,
    activities: tuple[str, ...],
    input_text: str | None,
    service: str,
    workflow_id: str | None,
    concurrency: int,
    domain: str | None,
    codec: Codec,
    timeout: float | None,
    log_format: str,
    *,
    redrive: bool,
    take_over: bool,
    verbose: bool,
) -> int:
    """Run SPEC (FILE.json, FILE.py:name or module:name) and print its result as JSON.

    After an interrupt, a time-out or a crash, the same --workflow-id resumes the run. After a failure it
    starts anew; with --redrive, the new run keeps what completed before.

    A SPEC may be a schedule too, which is run with a scheduler and a worker of its own until it completes.

    Exit code: 0 completed, 1 failed, 2 wrong usage, 124 --timeout exceeded, 130 interrupted.
    """
    console = progress_console()
    log_to(console, log_format, verbose=verbose)
    print_line = _printer(console, log_format)
    settings: dict[str, Any] = {
        "service": service,
        "domain": domain,
        "concurrency": concurrency,
        "codec": codec,
        "timeout": timeout,
    }
    name: str | None
    with stdout_for_the_result():
        if names_schedule(spec):
            _refuse_for_schedules(workflow_id, input_text, options=redrive or take_over)
            name, schedule = None, _with_activities(load_schedule(spec, codec), activities)
            call = partial(run_schedule, schedule, print_line, **settings)
        else:
            loaded = _load(spec, activities, codec)
            value = None if input_text is None else load_json("--input", input_text)
            name = new_workflow_id() if workflow_id is None else workflow_id
            own = {**settings, "redrive": redrive, "take_over": take_over}
            call = partial(_run, print_line, console, loaded, value, name, own)
        try:
            result = call()
        except KeyboardInterrupt:
            _say_how_to_resume("interrupted", service, name)
            raise
        except TimeoutError as error:
            _say_how_to_resume(f"timed out after {timeout:g} s{state_after(error, name)}", service, name)
            return TIMED_OUT
        except WorkflowError as error:
            say(f"floto: {error_text(error)}", err=True)
            _say_how_to_redrive(service, name)
            return FAILED
    say(json_text(result))
    return DONE


def _refuse_for_schedules(workflow_id: str | None, input_text: str | None, *, options: bool) -> None:
    if workflow_id is not None or input_text is not None or options:
        msg = "--workflow-id, --input, --redrive and --take-over are not for schedules"
        raise click.UsageError(msg)


def _printer(console: Console, log_format: str) -> Callable[[str], None]:
    """Return a function that prints a line about the run on the console, or logs it if the log is JSON."""
    return partial(say_on, console) if log_format == "text" else partial(progress_log.info, "%s")


def _run(  # noqa: PLR0913, PLR0917 - the arguments of the command
    print_line: Callable[[str], None],
    console: Console,
    spec: DeciderSpec,
    workflow_input: Any,
    workflow_id: str,
    settings: dict[str, Any],
) -> Any:
    with logs.context(workflow_id):
        print_line(_first_line(spec, workflow_id, settings))
    with shown(spec, console, settings["codec"], log=logs.current_format() == "json") as show:
        listener = _listener(print_line, show)
        return run(spec, workflow_input, workflow_id=workflow_id, listener=listener, **settings)


def _first_line(spec: DeciderSpec, workflow_id: str, settings: dict[str, Any]) -> str:
    domain = settings["domain"] or spec.domain or DEFAULT_DOMAIN
    return (
        f"workflow {workflow_id} on {absolute_service(settings['service'])}, domain {domain!r}, "
        f"task list {own_list(workflow_id)!r}; activities: {describe_types(DEFAULT.types)}"
    )


def _with_activities(loaded: T, activities: tuple[str, ...]) -> T:
    for source in activities:
        load_module(source)
    return loaded


def _load(spec: str, activities: tuple[str, ...], codec: Codec) -> DeciderSpec:
    loaded = _with_activities(load_spec(spec, codec), activities)
    if not DEFAULT.types and any(isinstance(task, ActivityTask) for task in loaded.all_tasks):
        raise click.UsageError(no_activity(activities))
    return loaded


def _listener(print_line: Callable[[str], None], show: Listener) -> Listener:
    seen = False

    def listener(state: State) -> None:
        nonlocal seen
        # The first state is without effects of this process.
        if state.closed is not None and not seen:
            print_line("already completed, nothing to run; use another --workflow-id to start a new run")
        else:
            show(state)
        seen = True

    return listener


def state_after(error: TimeoutError, workflow_id: str | None) -> str:
    """Return what follows "timed out" in a message: what is known of the run, or of a schedule (no id)."""
    if isinstance(error, Unreached):
        return ": the service did not respond"
    if isinstance(error, NotStarted):
        return f"{visible(str(error).removeprefix('timed out'))}; no run was started"
    return f", and the {'schedule' if workflow_id is None else 'run'} is still open"


def _say_how_to_resume(why: str, service: str, workflow_id: str | None) -> None:
    if service == "memory:":
        say(f"{why}; an in-memory run cannot be resumed", err=True)
        return
    say(f"{why}; to resume:\n  {_same_command(workflow_id)}", err=True)


def _say_how_to_redrive(service: str, workflow_id: str | None) -> None:
    """Print the command that redrives a failed run; a schedule and a run in memory have none."""
    if workflow_id is not None and service != "memory:":
        command = _same_command(workflow_id, "--redrive")
        say(f"after a fix, to keep what completed:\n  {command}", err=True)


def _same_command(workflow_id: str | None, *more: str) -> str:
    """Return the command line of this process with its workflow id, and more options."""
    arguments = sys.argv[1:]
    if workflow_id and not any(argument.split("=")[0] == "--workflow-id" for argument in arguments):
        arguments = [*arguments, "--workflow-id", workflow_id]
    return shell_command("floto", *arguments, *(each for each in more if each not in arguments))
