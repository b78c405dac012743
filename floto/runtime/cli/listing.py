"""The command ``floto list``."""

from __future__ import annotations

import heapq
import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from floto.core.swf.closing_events import CloseStatus
from floto.core.visible import moment_text, shell_command, span_text, visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import domain_option, json_option, service_option, time_or_age
from floto.runtime.cli.output import json_text, print_rows, say
from floto.runtime.cli.target import BEGINNING, SHORT, Target, target
from floto.runtime.connect import shown_service

STATUSES = tuple(CloseStatus)
_PAGE = 100

Info = dict[str, Any]


@click.command("list", short_help="List runs, those started last first")
@click.option("--open", "opens", is_flag=True, help="Open runs only; with --closed, all.")
@click.option("--closed", "closes", is_flag=True, help="Closed runs only; with --open, all.")
@click.option("--workflow-id", help="Runs of this workflow id.")
@click.option("--type", "kind", metavar="NAME", help="Runs of this workflow type, in every version.")
@click.option("--tag", help="Runs with this tag.")
@click.option(
    "--status", type=click.Choice(STATUSES, case_sensitive=False), help="Closed runs with this close status."
)
@click.option(
    "--since",
    type=time_or_age,
    metavar="TIME",
    help="Started since: 30s, 15m, 2h, 7d ago, or an ISO 8601 time, local unless it has a zone.",
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=50, show_default=True, help="Maximum number of runs."
)
@click.option("--long", "is_long", is_flag=True, help="Whole run ids, versions, ends and tags.")
@service_option
@domain_option
@json_option
def list_command(  # noqa: PLR0913 - click passes each option as an argument
    *,
    opens: bool,
    closes: bool,
    since: datetime | None,
    limit: int,
    is_long: bool,
    service: str,
    domain: str | None,
    as_json: bool,
    **filters: str | None,
) -> int:
    """List runs, those started last first.

    On a terminal, run ids are shortened to their first characters, which every command accepts, as in
    WORKFLOW_ID@FIRST. Otherwise, lines have the columns of --long, separated by tabs.
    """
    wanted = {name: value for name, value in filters.items() if value is not None}
    if "status" in wanted and opens:
        msg = "--status is about closed runs; leave out --open"
        raise click.UsageError(msg)
    sides = _sides(opens=opens, closes=closes or "status" in wanted)
    with target(service, domain) as there:
        found = _newest(there, sides, wanted, since or BEGINNING)
        infos = list(itertools.islice(found, min(limit, sys.maxsize - 1) + 1))
    if as_json:
        say(json_text(infos[:limit]))
    elif is_long or not sys.stdout.isatty():
        print_rows(_LONG, map(_long_row, infos[:limit]), wraps=False)
    else:
        now = datetime.now(UTC)
        print_rows(_SHORT, (_short_row(info, now) for info in infos[:limit]), whole=_WHOLE)
    if len(infos) > limit:
        say(f"and more; --limit shows more than {limit}, the other options less", err=True)
    if not infos:
        _say_where(there, sides, wanted, since)
    return DONE


def _sides(*, opens: bool, closes: bool) -> tuple[str, ...]:
    return tuple(side for side, wanted in (("open", opens), ("closed", closes)) if wanted or opens == closes)


def _say_where(
    there: Target, sides: tuple[str, ...], wanted: Mapping[str, str], since: datetime | None
) -> None:
    """Say where no run was found: in which file, and with which filters."""
    options = [each for name, value in wanted.items() for each in (_OPTIONS[name], value)]
    options += [] if since is None else ["--since", moment_text(since).replace(" ", "T")]
    kind = f"{sides[0]} run" if len(sides) == 1 else "run"
    with_these = f" with {shell_command(*options)}" if options else ""
    place = f"in domain {there.domain!r} on {shown_service(there.url)}"
    say(visible(f"there is no {kind} {place}{with_these}"), err=True)


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
_OPTIONS = {"workflow_id": "--workflow-id", "tag": "--tag", "kind": "--type", "status": "--status"}
_HAS: dict[str, Callable[[Info, str], bool]] = {
    "workflow_id": lambda info, value: bool(info["execution"]["workflowId"] == value),
    "tag": lambda info, value: value in info.get("tagList", ()),
    "kind": lambda info, value: bool(info["workflowType"]["name"] == value),
    "status": lambda info, value: bool(info.get("closeStatus") == value),
}


def _request(wanted: Mapping[str, str]) -> dict[str, Any]:
    return next((ask(wanted[name]) for name, ask in _FILTERS.items() if name in wanted), {})


_LONG = ("workflow", "run", "type", "version", "status", "started", "closed", "tags")
_SHORT = ("workflow", "run", "type", "status", "started", "took")
#: Columns of the short table whose values are known to be short.
_WHOLE = ("run", "status", "started", "took")


def _long_row(info: Info) -> tuple[Any, ...]:
    execution, kind = info["execution"], info["workflowType"]
    return (
        execution["workflowId"],
        execution["runId"],
        kind["name"],
        kind["version"],
        _status(info),
        info["startTimestamp"],
        info.get("closeTimestamp", ""),
        # SWF was seen to send a null among them.
        ", ".join(filter(None, info.get("tagList", ()))),
    )


def _short_row(info: Info, now: datetime) -> tuple[Any, ...]:
    execution, kind, start = info["execution"], info["workflowType"], info["startTimestamp"]
    return (
        execution["workflowId"],
        execution["runId"][:SHORT],
        f"{kind['name']} {kind['version']}",
        _status(info),
        start,
        span_text(start, info.get("closeTimestamp", now)),
    )


def _status(info: Info) -> str:
    return str(info.get("closeStatus") or info["executionStatus"])
