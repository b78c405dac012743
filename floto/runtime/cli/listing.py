"""The command ``floto list``."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import click

from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import domain_option, json_option, moment, service_option
from floto.runtime.cli.output import local, print_rows, readable, say
from floto.runtime.cli.target import BEGINNING, Target, target

STATUSES = ("COMPLETED", "FAILED", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW", "TIMED_OUT")
_PAGE = 100

Info = dict[str, Any]


@click.command("list", short_help="List runs, those started last first")
@click.option("--open", "states", flag_value="open", help="Open runs only.")
@click.option("--closed", "states", flag_value="closed", help="Closed runs only.")
@click.option("--workflow-id", help="Runs of this workflow id.")
@click.option("--type", "kind", metavar="NAME", help="Runs of this workflow type, in every version.")
@click.option("--tag", help="Runs with this tag.")
@click.option(
    "--status", type=click.Choice(STATUSES, case_sensitive=False), help="Closed runs that ended so."
)
@click.option(
    "--since", type=moment, metavar="TIME", help="Started since: 30s, 15m, 2h, 7d ago, or an ISO 8601 time."
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="So many at most.")
@service_option
@domain_option
@json_option
def list_command(  # noqa: PLR0913 - click passes each option as an argument
    *,
    states: str | None,
    since: datetime | None,
    limit: int,
    service: str,
    domain: str | None,
    as_json: bool,
    **filters: str | None,
) -> int:
    """List runs, those started last first."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    if "status" in wanted and states == "open":
        msg = "--status is about closed runs; leave out --open"
        raise click.UsageError(msg)
    sides = ("closed",) if "status" in wanted else ("open", "closed") if states is None else (states,)
    with target(service, domain) as there:
        found = _newest(there, sides, wanted, since or BEGINNING)
        infos = list(itertools.islice(found, limit + 1))
    _print(infos[:limit], as_json=as_json)
    if len(infos) > limit:
        say(f"and more; --limit shows more than {limit}, the other options less", err=True)
    return DONE


def _newest(
    there: Target, sides: tuple[str, ...], wanted: Mapping[str, str], since: datetime
) -> Iterator[Info]:
    sources: dict[str, Callable[..., Iterator[Info]]] = {"open": there.open_runs, "closed": there.closed_runs}
    request = {"startTimeFilter": {"oldestDate": since}, "maximumPageSize": _PAGE, **_request(wanted)}
    merged = heapq.merge(
        *(sources[side](**request) for side in sides), key=lambda info: info["startTimestamp"], reverse=True
    )
    return (info for info in merged if all(_HAS[name](info, value) for name, value in wanted.items()))


#: The request for each filter. SWF applies only one, the most selective; the others are applied here.
_FILTERS: dict[str, Callable[[str], dict[str, Any]]] = {
    "workflow_id": lambda value: {"executionFilter": {"workflowId": value}},
    "tag": lambda value: {"tagFilter": {"tag": value}},
    "kind": lambda value: {"typeFilter": {"name": value}},
    "status": lambda value: {"closeStatusFilter": {"status": value}},
}
_HAS: dict[str, Callable[[Info, str], bool]] = {
    "workflow_id": lambda info, value: bool(info["execution"]["workflowId"] == value),
    "tag": lambda info, value: value in info.get("tagList", ()),
    "kind": lambda info, value: bool(info["workflowType"]["name"] == value),
    "status": lambda info, value: bool(info.get("closeStatus") == value),
}


def _request(wanted: Mapping[str, str]) -> dict[str, Any]:
    return next((ask(wanted[name]) for name, ask in _FILTERS.items() if name in wanted), {})


def _print(infos: list[Info], *, as_json: bool) -> None:
    if as_json:
        say(readable(infos))
        return
    print_rows(
        ("workflow", "run", "type", "version", "status", "started", "closed", "tags"), map(_row, infos)
    )


def _row(info: Info) -> tuple[Any, ...]:
    execution, kind = info["execution"], info["workflowType"]
    return (
        execution["workflowId"],
        execution["runId"],
        kind["name"],
        kind["version"],
        info.get("closeStatus") or info["executionStatus"],
        local(info["startTimestamp"]),
        local(info.get("closeTimestamp")),
        # SWF was seen to send a null among them.
        ", ".join(filter(None, info.get("tagList", ()))),
    )
