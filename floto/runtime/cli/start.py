"""The command ``floto start``."""

from __future__ import annotations

from typing import Any

import click
from attrs import evolve

from floto.core.errors import OutcomeUnknown, ServiceFault, UnknownResource
from floto.core.payloads import payload
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec, run_settings
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.visible import shell_command, visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import (
    child_policy_option,
    codec_option,
    domain_option,
    json_option,
    service_option,
    timeout_option,
)
from floto.runtime.cli.output import json_text, say
from floto.runtime.cli.target import Target, still_open, target, where_options
from floto.runtime.connect import connect_loop
from floto.runtime.loading import load_json, load_spec
from floto.runtime.retrying import retry_read
from floto.runtime.runs.needs import needs
from floto.runtime.runs.redriving import ALREADY_STARTED
from floto.runtime.runs.run_request import WORKFLOW_TYPE, new_workflow_id


@click.command("start", short_help="Start a run and print its run id")
@click.option(
    "--spec", metavar="SPEC", help="Spec for the run's input: FILE.json, FILE.py:name or module:name."
)
@click.option("--type", "kind", nargs=2, metavar="NAME VERSION", help="Workflow type; default: floto.run 1.")
@click.option("--workflow-id", help="Workflow id; default: a new id.")
@click.option("--input", "input_text", metavar="JSON|@FILE", help="The workflow's input.")
@click.option("--task-list", help="Task list of its decider; default: that of the spec, else of its type.")
@click.option("--tag", "tags", multiple=True, help="Tag of the run; may be repeated, up to five.")
@timeout_option("--execution-timeout", "Time-out of the run; default: that of the spec, else of its type.")
@timeout_option("--decision-timeout", "Time-out of a decision task.")
@child_policy_option
@click.option("--priority", type=int, help="Priority of its decision tasks.")
@codec_option
@service_option
@domain_option
@json_option
def start_command(spec: str | None, kind: tuple[str, str] | None, **options: Any) -> int:
    """Start a run, for deciders and workers elsewhere, and print its run id.

    With --spec, the types that the spec names are registered and the spec is put into the run's input, so
    that any floto decider can decide for it. Without, --type names a workflow type that a decider has a spec
    for.
    """
    if spec is None and not kind:
        msg = "give --spec SPEC or --type NAME VERSION"
        raise click.UsageError(msg)
    loaded = None if spec is None else load_spec(spec, options["codec"])
    workflow_id = new_workflow_id() if options["workflow_id"] is None else options["workflow_id"]
    domain = options["domain"] or (loaded and loaded.domain) or None
    request = _request(workflow_id, loaded, kind or (WORKFLOW_TYPE.name, WORKFLOW_TYPE.version), options)
    with target(options["service"], domain, new=True) as there:
        if loaded is not None:
            _prepare(options["service"], domain, loaded)
        try:
            run_id = there.write("start_workflow_execution", **request)["runId"]
        except OutcomeUnknown as error:
            again = f"; while it is open, the command with --workflow-id {workflow_id!r} starts no second run"
            raise evolve(error, remedy=error.remedy + again) from error
        except UnknownResource as fault:
            raise _explained(fault, request, there) from fault
        except ServiceFault as fault:
            if fault.code != ALREADY_STARTED:
                raise
            raise click.UsageError(still_open(workflow_id, there.url, there.domain)) from fault
    say(visible(f"started {workflow_id}"), err=True)
    say(json_text({"workflowId": workflow_id, "runId": run_id}) if options["as_json"] else run_id)
    return DONE


def _request(
    workflow_id: str, spec: DeciderSpec | None, kind: tuple[str, str], options: dict[str, Any]
) -> dict[str, Any]:
    task_list = options["task_list"] or (spec and spec.task_list)
    timeout, policy = run_settings(spec, options["execution_timeout"], options["child_policy"])
    return {
        "workflowId": workflow_id,
        "workflowType": {"name": kind[0], "version": kind[1]},
        "taskList": task_list and {"name": task_list},
        "input": _input(spec, options["input_text"], options["codec"]),
        "tagList": list(options["tags"]) or None,
        "executionStartToCloseTimeout": timeout,
        "taskStartToCloseTimeout": options["decision_timeout"],
        "childPolicy": policy,
        "taskPriority": None if options["priority"] is None else str(options["priority"]),
    }


def _input(spec: DeciderSpec | None, text: str | None, codec: Codec) -> str | None:
    value = None if text is None else load_json("--input", text)
    if spec is None:
        return None if text is None else payload.dumps(value, "--input")
    if value is not None and not isinstance(value, dict):
        msg = "with --spec, --input must be an object: the spec travels in it beside what is yours"
        raise click.UsageError(msg)
    return payload.dumps({**(value or {}), SPEC_KEY: codec.unstructure(spec)}, "the input with the spec")


def _prepare(url: str, domain: str | None, spec: DeciderSpec) -> None:
    needed = needs(spec)
    service = connect_loop(url, domain)
    try:
        retry_read(service.prepare, (WORKFLOW_TYPE, *needed.workflow_types), needed.activity_types)
    finally:
        service.close()


def _explained(fault: UnknownResource, request: dict[str, Any], there: Target) -> click.UsageError:
    kind = request["workflowType"]
    words = ("floto", "register", "workflow", *where_options(there.url, there.domain))
    hint = shell_command(*words, arguments=[kind["name"], kind["version"]])
    return click.UsageError(f"{fault}; if the type is missing: {hint}")
