"""The command ``floto redrive``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import click

from floto.core.errors import ServiceFault
from floto.core.payloads.reference import Store
from floto.core.replay.redrive.redrive import redrive
from floto.core.replay.redrive.redrive_plan import PlannedTask, Redrive
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.task_lists import own_list
from floto.core.swf import wire
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution
from floto.core.visible import shell_command, visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import json_option, payloads_option
from floto.runtime.cli.output import print_rows, readable, say
from floto.runtime.cli.source import LoadedRun, read_source, source_argument, spec_of_run
from floto.runtime.cli.target import check, target, where_options
from floto.runtime.connect import connect_loop
from floto.runtime.retrying import retry_read, retry_write
from floto.runtime.runs.needs import needs
from floto.runtime.runs.redriving import ALREADY_STARTED, start_redriven, with_children


@click.command("redrive", short_help="Run again what failed in a run, and keep the rest")
@source_argument
@click.option(
    "--spec", metavar="SPEC", help="Spec of the new run; default: the one that the old run carries."
)
@click.option("--rerun", multiple=True, metavar="TASK", help="Task to run again; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Print the plan and start nothing.")
@click.option("--workflow-id", help="Workflow id of the new run; default: that of the old run.")
@json_option
@payloads_option
def redrive_command(  # noqa: PLR0913 - click passes each option as an argument
    source: str,
    *,
    spec: str | None,
    rerun: tuple[str, ...],
    dry_run: bool,
    workflow_id: str | None,
    as_json: bool,
    payloads: Store | None,
    **where: Any,
) -> int:
    """Start a new run of RUN that keeps what completed in it, and print the plan first.

    RUN is WORKFLOW_ID or WORKFLOW_ID@RUN_ID, and must have ended; FILE is a saved history, - standard input.
    A task runs again if it did not complete, if --rerun names it, if --spec changed it, or if it requires
    one that runs again. A child that runs again goes on from what completed in it; for that, its history is
    read from the service.
    """
    found = read_source(source, asks_live=False, **where)
    codec = CODEC.with_payloads(payloads)
    known = spec_of_run(spec, found, codec)
    if known is None:
        msg = "the run carries no spec; name that of the new run with --spec"
        raise click.UsageError(msg)
    plan = partial(redrive, known, found.saved.history, rerun=rerun, workflow_id=workflow_id, codec=codec)
    planned = plan() if found.service is None else _planned(plan, found.service, found.domain)
    if not as_json:
        print_rows(("task", "plan", "why"), planned.rows())
    run_id = None if dry_run else _start(planned, found, known, payloads, where)
    if as_json:
        say(readable(_plain(planned, run_id)))
    elif run_id is not None:
        say(run_id)
    return DONE


def _planned(plan: Callable[..., Redrive], url: str, domain: str) -> Redrive:
    """Return a plan with the histories of children on a service."""
    with target(url, domain) as there:

        def read(execution: WorkflowExecution) -> History:
            named = {"workflowId": execution.workflow_id, "runId": execution.run_id}
            return History(tuple(map(wire.event_from_swf, there.events(named))), execution)

        return with_children(lambda children: plan(children=children), read)


def _plain(planned: Redrive, run_id: str | None) -> dict[str, Any]:
    plan = _plain_tasks(planned.plan)
    return {"workflowId": planned.start.workflow_id, "runId": run_id, "plan": plan}


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


def _start(
    planned: Redrive, found: LoadedRun, spec: DeciderSpec, store: Store | None, where: dict[str, Any]
) -> str:
    url, start = where["service"], planned.start
    domain = where["domain"] or spec.domain or found.domain
    check(url, new=True)
    service = connect_loop(url, domain)
    try:
        needed = needs(spec)
        kinds = (start.workflow_type, *needed.workflow_types)
        retry_read(service.prepare, kinds, needed.activity_types)
        execution = start_redriven(planned, service, store, retry_read, retry_write)
    except ServiceFault as fault:
        if fault.code != ALREADY_STARTED:
            raise
        options = where_options(url, domain)
        end = shell_command("floto", "terminate", *options, arguments=[start.workflow_id])
        msg = f"workflow {start.workflow_id!r} has an open run; end that one first: {end}"
        raise click.UsageError(msg) from fault
    finally:
        service.close()
    kept = f"{len(planned.kept)} of {len(planned.plan)} tasks kept"
    say(visible(f"started {start.workflow_id}: {kept}"), err=True)
    if start.task_list == own_list(start.workflow_id):
        words = ("--workflow-id", start.workflow_id, *where_options(url, domain or DEFAULT_DOMAIN))
        say(visible(f"to run it: {shell_command('floto', 'run', 'SPEC', *words)}"), err=True)
    return execution.run_id
