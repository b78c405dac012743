"""The commands on open runs: ``floto signal``, ``floto cancel`` and ``floto terminate``."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click
from attrs import frozen

from floto.core.decide.decide import spec_of
from floto.core.errors import UnknownResource
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC
from floto.core.state.state import Kind
from floto.core.swf.wire import events_from_swf
from floto.core.visible import visible
from floto.runtime.cli.codes import DONE, USAGE
from floto.runtime.cli.completion import complete_run
from floto.runtime.cli.options import child_policy_option, domain_option, run_id_option, service_option
from floto.runtime.cli.output import say
from floto.runtime.cli.target import AmbiguousRun, Target, UnknownRun, target
from floto.runtime.loading import load_json


def run_argument(function: Callable[..., int]) -> Callable[..., int]:
    """Add the argument and options of a command on one run."""
    return _where_options(click.argument("run", shell_complete=complete_run)(function))


def _runs_argument(function: Callable[..., int]) -> Callable[..., int]:
    """Add the argument and options of a command on any number of runs."""
    runs = click.argument("runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete_run)
    return _where_options(runs(function))


def _where_options(function: Callable[..., int]) -> Callable[..., int]:
    for option in (domain_option, service_option, run_id_option):
        function = option(function)
    return function


@click.command("signal", short_help="Send a signal to an open run")
@run_argument
@click.argument("name")
@click.option("--input", "input_text", metavar="JSON|@FILE", help="Input of the signal.")
def signal_command(run: str, name: str, input_text: str | None, **where: Any) -> int:
    """Send the signal NAME to the open RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID).

    If the run's input contains its spec and no task waits for NAME, a warning is printed: the name may be
    misspelt, unless a task that is generated later waits for it.
    """
    value = None if input_text is None else payload.dumps(load_json("--input", input_text), "--input")
    request = {"signalName": name, "input": value}
    call = _Call("signal_workflow_execution", request, f"sent {name} to", partial(_warn, name))
    return _make(call, (run,), **where)


@click.command("cancel", short_help="Request cancellation of open runs")
@_runs_argument
def cancel_command(runs: tuple[str, ...], **where: Any) -> int:
    """Request cancellation of each open RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID); its decider closes it."""
    return _make(_Call("request_cancel_workflow_execution", {}, "requested cancellation of"), runs, **where)


@click.command("terminate", short_help="Terminate open runs")
@_runs_argument
@click.option("--reason", help="Reason, at most 256 characters.")
@click.option("--details", help="Details of the reason.")
@child_policy_option
def terminate_command(
    runs: tuple[str, ...], reason: str | None, details: str | None, child_policy: str | None, **where: Any
) -> int:
    """Terminate each open RUN (WORKFLOW_ID or WORKFLOW_ID@RUN_ID), without its decider."""
    request = {"reason": reason, "details": details, "childPolicy": child_policy}
    return _make(_Call("terminate_workflow_execution", request, "terminated"), runs, **where)


@frozen
class _Call:
    """A call on an open run."""

    method: str
    #: Its parameters without those that name the run.
    request: Mapping[str, Any]
    #: Says that it was made, before the workflow id.
    done: str
    #: What is to be done after it, with the workflow id and run id.
    then: Callable[[Target, str, str | None], None] = lambda _there, _workflow_id, _run_id: None

    def make(self, there: Target, run: str, run_id: str | None) -> None:
        """Make the call on the run that a name means. Raises ``UsageError`` if the run is closed."""
        for workflow_id, exact in there.readings(run, run_id):
            try:
                # No lookup before: listings are eventually consistent, and SWF knows which run is open.
                there.write(self.method, workflowId=workflow_id, runId=exact, **self.request)
            except UnknownResource:
                continue
            say(visible(f"{self.done} {workflow_id}"), err=True)
            self.then(there, workflow_id, exact)
            return
        raise click.UsageError(why_not_open(there, run, run_id))


def _make(call: _Call, runs: Sequence[str], *, run_id: str | None, service: str, domain: str | None) -> int:
    """Make a call on each run; report those on which it cannot be made, and go on with the others."""
    if run_id is not None and len(runs) > 1:
        msg = "--run-id belongs to one RUN; name several as WORKFLOW_ID@RUN_ID"
        raise click.UsageError(msg)
    code = DONE
    with target(service, domain) as there:
        for run in runs:
            try:
                call.make(there, run, run_id)
            except (click.UsageError, UnknownRun, AmbiguousRun) as error:
                if len(runs) == 1:
                    raise
                text = error.message if isinstance(error, click.UsageError) else str(error)
                say(visible(f"floto: {text}"), err=True)
                code = USAGE
    return code


def why_not_open(there: Target, run: str, run_id: str | None) -> str:
    """Return how a run that is not open has ended. Raises ``UnknownRun`` if there is no such run."""
    info = there.find(run, run_id)["executionInfo"]
    return f"run {run!r} is closed: {info.get('closeStatus', 'closed')}"


def _warn(name: str, there: Target, workflow_id: str, run_id: str | None) -> None:
    """Warn of a signal that no task waits for, if the run's input contains its spec."""
    # The signal was sent, so an error of this check must not look like a failure.
    with contextlib.suppress(Exception):
        names = _awaited(there, there.find(workflow_id, run_id)["executionInfo"]["execution"])
        if names is None or name in names:
            return
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        meant = (
            f"did you mean {near[0]!r}?" if near else f"it waits for {', '.join(map(repr, names)) or 'none'}"
        )
        text = f"warning: no task of its spec waits for the signal {name!r}; {meant}"
        say(visible(text), err=True)


def _awaited(there: Target, execution: dict[str, str]) -> list[str] | None:
    """Return the names of the signals that a run waits for; None if its input contains no spec."""
    page = there.read("get_workflow_execution_history", execution=execution, maximumPageSize=1)
    start = events_from_swf(page["events"][:1])[0].data
    spec = spec_of(start.input, CODEC)
    if spec is None:
        return None
    return [task.key[1] for task in spec.all_tasks if task.key[0] is Kind.SIGNAL]
