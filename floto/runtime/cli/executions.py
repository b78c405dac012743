"""The commands on one open run: ``floto signal``, ``floto cancel`` and ``floto terminate``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from floto.core import payload
from floto.core.errors import UnknownResource
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.completion import complete_run
from floto.runtime.cli.options import child_policy_option, domain_option, service_option
from floto.runtime.cli.output import say
from floto.runtime.cli.target import Target, readings, target
from floto.runtime.loading import load_json


def run_command(function: Callable[..., int]) -> Callable[..., int]:
    """The argument and options of a command on one run."""
    for option in (
        domain_option,
        service_option,
        click.option("--run-id", help="Which run of the workflow id; default: the latest."),
        click.argument("run", shell_complete=complete_run),
    ):
        function = option(function)
    return function


@click.command("signal", short_help="Send a signal to an open run.")
@run_command
@click.argument("name")
@click.option("--input", "input_text", metavar="JSON|@FILE", help="What the signal carries.")
def signal_command(run: str, name: str, input_text: str | None, **where: Any) -> int:
    """Send the signal NAME to the open RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID)."""
    value = None if input_text is None else payload.dumps(load_json("--input", input_text), "--input")
    request = {"signalName": name, "input": value}
    return _tell("signal_workflow_execution", run, request, where, f"sent {name} to")


@click.command("cancel", short_help="Ask the decider of an open run to stop it.")
@run_command
def cancel_command(run: str, **where: Any) -> int:
    """Ask the decider of the open RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID) to stop it."""
    return _tell("request_cancel_workflow_execution", run, {}, where, "asked for the end of")


@click.command("terminate", short_help="Close an open run by force.")
@run_command
@click.option("--reason", help="Why, in a few words.")
@click.option("--details", help="Why, in more.")
@child_policy_option
def terminate_command(
    run: str, reason: str | None, details: str | None, child_policy: str | None, **where: Any
) -> int:
    """Close the open RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID) by force."""
    request = {"reason": reason, "details": details, "childPolicy": child_policy}
    return _tell("terminate_workflow_execution", run, request, where, "terminated")


def _tell(method: str, run: str, request: dict[str, Any], where: dict[str, Any], done: str) -> int:
    with target(where["service"], where["domain"]) as there:
        for workflow_id, run_id in readings(run, where["run_id"]):
            try:
                # Not looked up before: listings lag behind, and SWF knows which run is open.
                there.write(method, workflowId=workflow_id, runId=run_id, **request)
            except UnknownResource:
                continue
            say(visible(f"{done} {workflow_id}"), err=True)
            return DONE
        raise _not_open(there, run, where["run_id"])


def _not_open(there: Target, run: str, run_id: str | None) -> click.UsageError:
    """Why no run took it; raises ``UnknownRun`` if there is none of that name."""
    info = there.find(run, run_id)["executionInfo"]
    how = info.get("closeStatus", "closed")
    return click.UsageError(f"run {run!r} is not open any more: {how}")
