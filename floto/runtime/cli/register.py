"""The commands ``floto register ...``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from floto.core.errors import ServiceFault
from floto.core.spec import registrations
from floto.core.swf import wire
from floto.core.swf.floto_defaults import DEFAULT_DOMAIN, RETENTION_DAYS
from floto.core.swf.limits import RETENTION_LIMIT
from floto.core.swf.shapes import ActivityType, WorkflowType
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import (
    child_policy_option,
    domain_option,
    json_option,
    service_option,
    timeout_option,
)
from floto.runtime.cli.output import json_text, print_rows, say
from floto.runtime.cli.target import Target, target
from floto.runtime.loading import load_spec
from floto.runtime.runs.needs import needs
from floto.runtime.runs.run_request import WORKFLOW_TYPE

_EXISTS = frozenset({"DomainAlreadyExistsFault", "TypeAlreadyExistsFault"})

Registration = registrations.WorkflowType | registrations.ActivityType
Row = dict[str, Any]


@click.group("register", short_help="Register a domain, types, or all that a spec names")
def register_group() -> None:
    """Register domains and types. Those that exist are left unchanged and reported as such."""


@register_group.command("domain", short_help="Register a domain")
@click.argument("name")
@click.option(
    "--retention",
    type=click.IntRange(0, RETENTION_LIMIT),
    default=RETENTION_DAYS,
    show_default=True,
    metavar="DAYS",
    help="Days for which closed runs are kept.",
)
@click.option("--description", help="Description of the domain.")
@service_option
@json_option
def register_domain(
    name: str, retention: int, description: str | None, service: str, *, as_json: bool
) -> int:
    """Register the domain NAME."""
    with target(service, name, new=True) as there:
        return _print([_domain(there, retention, description)], as_json=as_json)


def _type_command(function: Callable[..., int]) -> Callable[..., int]:
    """Add the arguments and options of a command that registers a type."""
    for option in (
        json_option,
        domain_option,
        service_option,
        click.option("--description", help="Description of the type."),
        click.option("--priority", type=int, help="Default priority of its tasks."),
        click.option("--task-list", help="Default task list.  [default: floto]"),
        click.argument("version"),
        click.argument("name"),
    ):
        function = option(function)
    return function


@register_group.command("workflow", short_help="Register a workflow type")
@_type_command
@timeout_option("--execution-timeout", "Time-out of a run.  [default: a year]")
@timeout_option("--decision-timeout", "Time-out of a decision task.  [default: 60]")
@child_policy_option
def register_workflow(name: str, version: str, **options: Any) -> int:
    """Register the workflow type NAME VERSION; the options are defaults of its runs."""
    given = {
        "default_execution_start_to_close_timeout": options["execution_timeout"],
        "default_task_start_to_close_timeout": options["decision_timeout"],
        "default_child_policy": options["child_policy"],
    }
    return _register_one(registrations.WorkflowType, name, version, given, options)


@register_group.command("activity", short_help="Register an activity type")
@_type_command
@timeout_option("--schedule-to-start", "Time-out of waiting.  [default: NONE]")
@timeout_option("--schedule-to-close", "Time-out of waiting and running.  [default: NONE]")
@timeout_option("--start-to-close", "Time-out of running.  [default: NONE]")
@timeout_option("--heartbeat", "Time-out between heartbeats.  [default: 600]")
def register_activity(name: str, version: str, **options: Any) -> int:
    """Register the activity type NAME VERSION; the options are defaults of its tasks."""
    given = {
        "default_task_schedule_to_start_timeout": options["schedule_to_start"],
        "default_task_schedule_to_close_timeout": options["schedule_to_close"],
        "default_task_start_to_close_timeout": options["start_to_close"],
        "default_task_heartbeat_timeout": options["heartbeat"],
    }
    return _register_one(registrations.ActivityType, name, version, given, options)


@register_group.command("spec", short_help="Register all that a spec names")
@click.argument("spec")
@service_option
@domain_option
@json_option
def register_spec(spec: str, service: str, domain: str | None, *, as_json: bool) -> int:
    """Register the domain and all types that SPEC (FILE.json, FILE.py:name or module:name) names."""
    loaded = load_spec(spec)
    needed = needs(loaded)
    with target(service, domain or loaded.domain or DEFAULT_DOMAIN, new=True) as there:
        rows = [
            _domain(there, RETENTION_DAYS, None),
            *_types(there, registrations.WorkflowType, (WORKFLOW_TYPE, *needed.workflow_types)),
            *_types(there, registrations.ActivityType, needed.activity_types),
        ]
    return _print(rows, as_json=as_json)


def _register_one(
    registration: type[Registration], name: str, version: str, given: dict[str, Any], options: dict[str, Any]
) -> int:
    own = {
        "default_task_list": options["task_list"],
        "default_task_priority": options["priority"],
        "description": options["description"],
        **given,
    }
    fields = {name: value for name, value in own.items() if value is not None}
    with target(options["service"], options["domain"], new=True) as there:
        full = registration(domain=there.domain, name=name, version=version, **fields)
        return _print([_type(there, full)], as_json=options["as_json"])


def _types(
    there: Target, registration: type[Registration], kinds: Iterable[WorkflowType | ActivityType]
) -> Iterator[Row]:
    for kind in kinds:
        yield _type(there, registration(domain=there.domain, name=kind.name, version=kind.version))


def _domain(there: Target, retention: int, description: str | None) -> Row:
    request = {
        "name": there.domain,
        "workflowExecutionRetentionPeriodInDays": str(retention),
        "description": description,
    }
    new = _is_new(lambda: there.service_wide("register_domain", **request))
    return {"kind": "domain", "name": there.domain, "registered": new}


def _type(there: Target, full: Registration) -> Row:
    what = "workflow" if isinstance(full, registrations.WorkflowType) else "activity"
    new = _is_new(lambda: there.write(f"register_{what}_type", **wire.write(full)))
    return {"kind": what, "name": full.name, "version": full.version, "registered": new}


def _is_new(register: Callable[[], Any]) -> bool:
    try:
        register()
    except ServiceFault as fault:
        if fault.code not in _EXISTS:
            raise
        return False
    return True


def _print(rows: Iterable[Row], *, as_json: bool) -> int:
    rows = list(rows)
    if as_json:
        say(json_text(rows))
        return DONE
    words = {True: "registered", False: "existed"}
    print_rows(
        ("kind", "name", "version", ""),
        ((row["kind"], row["name"], row.get("version", ""), words[row["registered"]]) for row in rows),
    )
    return DONE
