"""The command ``floto redrive``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import click
from attrs import evolve

from floto.core.errors import ServiceFault
from floto.core.payloads.reference import Store
from floto.core.replay.redrive.redrive import redrive
from floto.core.replay.redrive.redrive_plan import PlannedTask, Redrive
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.task_lists import own_list
from floto.core.state.state import State
from floto.core.swf.events import WorkflowExecutionCompleted
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.visible import shell_command, visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import codec_options, json_option
from floto.runtime.cli.output import json_text, print_rows, say
from floto.runtime.cli.source import LoadedRun, read_source, source_argument, spec_of_run
from floto.runtime.cli.target import (
    check_service,
    look_at,
    naming_unknown_outcome,
    still_open,
    target,
    where_options,
)
from floto.runtime.connect import connect_loop
from floto.runtime.loading import load_spec
from floto.runtime.retrying import retry_read, retry_write
from floto.runtime.runs.needs import needs
from floto.runtime.runs.redriving import (
    ALREADY_STARTED,
    last_complete,
    start_redriven,
    why_not_redriven,
    with_children,
)


@click.command("redrive", short_help="Run again what failed in a run, and keep the rest")
@source_argument
@click.option(
    "--spec", metavar="SPEC", help="Spec of the new run; default: the one that the old run carries."
)
@click.option("--rerun", multiple=True, metavar="TASK", help="Task to run again; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the plan and start nothing.")
@click.option("--workflow-id", help="Workflow id of the new run; default: that of the old run.")
@json_option
@codec_options
def redrive_command(  # noqa: PLR0913 - click passes each option as an argument
    source: str,
    *,
    spec: str | None,
    rerun: tuple[str, ...],
    dry_run: bool,
    workflow_id: str | None,
    as_json: bool,
    codec: Codec,
    **where: Any,
) -> int:
    """Start a new run of RUN that keeps what completed in it, and print the plan first.

    RUN is WORKFLOW_ID or WORKFLOW_ID@RUN_ID, and must have ended; FILE is a saved history, - standard input.
    A task runs again if it did not complete, if --rerun names it, if --spec changed it, or if it requires
    one that runs again. A child that runs again goes on from what completed in it; for that, its history is
    read from the service.
    """
    found = read_source(source, with_live=False, **where)
    if (problem := why_not_redriven(found.state)) is not None:
        raise click.UsageError(visible(problem))
    known = load_spec(spec, codec) if spec else spec_of_run(None, found, codec)
    if known is None:
        msg = "the run carries no spec; name that of the new run with --spec"
        raise click.UsageError(msg)
    plan = partial(redrive, known, rerun=rerun, workflow_id=workflow_id, codec=codec)
    found, planned = _planned(plan, found)
    if not as_json:
        print_rows(("task", "plan", "why"), planned.rows())
    obstacle = why_not_started(planned, found.state, found.service, found.domain)
    if obstacle is not None and not dry_run:
        raise click.UsageError(obstacle)
    if obstacle is not None:
        say(visible(f"floto: {obstacle}"), err=True)
    run_id = None if dry_run else _start(planned, found, known, codec.store, where, spec or "SPEC")
    if as_json:
        say(json_text(_plain(planned, run_id)))
    elif run_id is not None:
        say(run_id)
    return DONE


def _planned(plan: Callable[..., Redrive], found: LoadedRun) -> tuple[LoadedRun, Redrive]:
    """Return the run to redrive, with the history that has all that it keeps, and the plan for it."""
    if found.service is None:
        return found, plan(found.saved.history)
    with target(found.service, found.domain) as there:
        history = last_complete(found.saved.history, there.history)
        planned = with_children(lambda children: plan(history, children=children), there.history)
    return evolve(found, saved=evolve(found.saved, history=history)), planned


def why_not_started(planned: Redrive, state: State, url: str | None, domain: str) -> str | None:
    """Return why a planned run cannot start, or would do nothing; None if it can.

    Args:
        planned: The plan.
        state: The state of the earlier run.
        url: The service that has the earlier run; None for one that was read from a file.
        domain: The domain of that run.
    """
    closed = state.closed
    if closed is None and url is not None and state.execution is not None:
        return still_open(state.execution.workflow_id, url, domain)
    if closed is not None and isinstance(closed.data, WorkflowExecutionCompleted) and not planned.again:
        return "the run completed, and no task would run again; name tasks to run again with --rerun TASK"
    return None


def _plain(planned: Redrive, run_id: str | None) -> dict[str, Any]:
    plan = _plain_tasks(planned.plan)
    dropped = list(planned.dropped)
    return {"workflowId": planned.start.workflow_id, "runId": run_id, "plan": plan, "dropped": dropped}


def _plain_tasks(plan: Iterable[PlannedTask]) -> list[dict[str, Any]]:
    return [
        {
            "task": task.task_id,
            "action": task.action,
            "event": task.event_id,
            "reason": task.reason,
            "children": _plain_tasks(task.children),
        }
        for task in plan
    ]


def _start(  # noqa: PLR0913, PLR0917 - what the command was given
    planned: Redrive,
    found: LoadedRun,
    spec: DeciderSpec,
    store: Store | None,
    where: dict[str, Any],
    named: str,
) -> str:
    url, start = where["service"], planned.start
    domain = where["domain"] or spec.domain or found.domain
    check_service(url, new=True)
    service = connect_loop(url, domain)
    try:
        needed = needs(spec)
        kinds = (start.workflow_type, *needed.workflow_types)
        retry_read(service.prepare, kinds, needed.activity_types)
        with naming_unknown_outcome(url, look_at(start.workflow_id, url, domain or DEFAULT_DOMAIN)):
            execution = start_redriven(planned, service, store, retry_read, retry_write)
    except ServiceFault as fault:
        if fault.code != ALREADY_STARTED:
            raise
        raise click.UsageError(still_open(start.workflow_id, url, domain)) from fault
    finally:
        service.close()
    kept = f"{len(planned.kept)} of {len(planned.plan)} tasks kept"
    say(visible(f"started {start.workflow_id}: {kept}"), err=True)
    if start.task_list == own_list(start.workflow_id):
        words = ("--activities", "FILE.py", "--workflow-id", start.workflow_id)
        where_to = where_options(url, domain or DEFAULT_DOMAIN)
        say(visible(f"to run it: {shell_command('floto', 'run', named, *words, *where_to)}"), err=True)
    return execution.run_id
