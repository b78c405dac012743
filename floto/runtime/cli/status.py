"""The command ``floto status``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from floto.core.replay.why_report import LIST_DECIDERS
from floto.core.spec.task_lists import is_own_list, workflow_of
from floto.core.swf.pollers import Backlog, Live, Poller, PollKind, as_json
from floto.core.visible import first_few, shell_command, span_text, visible
from floto.runtime.cli.codes import DONE
from floto.runtime.cli.options import domain_option, json_option, service_option
from floto.runtime.cli.output import json_text, print_rows, say
from floto.runtime.cli.target import Target, target, where_options
from floto.runtime.connect import live_of, shown_service

#: Types and open runs whose task lists are counted if the service does not list its backlogs itself.
_MOST = 20
#: Activities that a line names; the rest is counted.
_NAMED = 3
_COUNTS = {
    PollKind.DECISIONS: "count_pending_decision_tasks",
    PollKind.ACTIVITIES: "count_pending_activity_tasks",
}
_WHO = {PollKind.DECISIONS: "decider", PollKind.ACTIVITIES: "worker"}
_WHAT = {PollKind.DECISIONS: "decisions", PollKind.ACTIVITIES: "activities"}


@click.command("status", short_help="Show live deciders and workers, and waiting tasks")
@click.option(
    "--task-list", "lists", multiple=True, help="A task list to count on Amazon SWF, too; may be repeated."
)
@service_option
@domain_option
@json_option
def status_command(lists: tuple[str, ...], service: str, domain: str | None, *, as_json: bool) -> int:
    """Show the live deciders and workers, and the number of waiting tasks of each task list.

    Amazon SWF does not report pollers: there, only the tasks are counted, on the task lists of the newest
    open runs and of the registered activity types.
    """
    with target(service, domain) as there:
        # Raises UnknownDomain if there is no such domain.
        _count(there, PollKind.DECISIONS, "floto")
        live = live_of(there.client)
        if live is None:
            live = Live(backlogs=tuple(_counted(there, lists)))
        found = live.of_domain(there.domain)
    if as_json:
        say(json_text(_plain(found)))
        return DONE
    say(visible(f"{shown_service(service)}, domain {there.domain}"))
    _print(found, datetime.now(UTC))
    for line in _problems(found, where_options(service, there.domain)):
        say(line)
    return DONE


def _plain(found: Live) -> dict[str, Any]:
    names = ("pollers", "backlogs", "problem")
    values = as_json(found)
    return {name: values.get(name, [] if name == "backlogs" else None) for name in names}


def _counted(there: Target, lists: Iterable[str]) -> Iterator[Backlog]:
    for kind, names in (
        (PollKind.DECISIONS, dict.fromkeys([*lists, *_decision_lists(there)])),
        (PollKind.ACTIVITIES, dict.fromkeys([*lists, *_activity_lists(there)])),
    ):
        yield from (_count(there, kind, name) for name in names)


def _count(there: Target, kind: PollKind, task_list: str) -> Backlog:
    found = there.read(_COUNTS[kind], taskList={"name": task_list})
    return Backlog(
        domain=there.domain,
        kind=kind,
        task_list=task_list,
        waiting=found["count"],
        is_truncated=bool(found.get("truncated")),
    )


def _decision_lists(there: Target) -> Iterator[str]:
    for info in islice(there.open_runs(maximumPageSize=_MOST), _MOST):
        found = there.read("describe_workflow_execution", execution=info["execution"])
        yield found["executionConfiguration"]["taskList"]["name"]


def _activity_lists(there: Target) -> Iterator[str]:
    types = there.pages(
        "list_activity_types", "typeInfos", registrationStatus="REGISTERED", maximumPageSize=_MOST
    )
    for info in islice(types, _MOST):
        found = there.read("describe_activity_type", activityType=info["activityType"])
        default = found["configuration"].get("defaultTaskList")
        if default:
            yield default["name"]


def _print(found: Live, now: datetime) -> None:
    if found.pollers is not None:
        rows = [_poller_row(each, now) for each in sorted(found.pollers, key=_order)]
        if rows:
            print_rows(("", "who", "task list", "last poll", "activities"), rows)
        else:
            say("no decider and no worker is alive")
    if found.backlogs:
        print_rows(
            ("", "for", "task list", "waiting", "oldest", "taken", "polled by"),
            (_backlog_row(each, found, now) for each in found.backlogs),
        )
    else:
        say("no task waits, and none is taken")


def _order(poller: Poller) -> tuple[str, str, str]:
    return poller.kind, poller.task_list, poller.identity


def _poller_row(poller: Poller, now: datetime) -> tuple[str, ...]:
    last = "" if poller.seen is None else f"{span_text(poller.seen, now)} ago"
    return (_WHO[poller.kind], poller.identity, poller.task_list, last, _served(poller))


def _served(poller: Poller) -> str:
    return first_few([f"{each.name} {each.version}" for each in poller.serves or ()], _NAMED)


def _backlog_row(backlog: Backlog, found: Live, now: datetime) -> tuple[str, ...]:
    pollers = found.polling(backlog.kind, backlog.task_list)
    return (
        "tasks",
        _WHAT[backlog.kind],
        backlog.task_list,
        f"{backlog.waiting}{'+' if backlog.is_truncated else ''}",
        "" if backlog.oldest is None else span_text(backlog.oldest, now),
        "" if backlog.taken is None else str(backlog.taken),
        "" if found.pollers is None else f"{len(pollers)}" if pollers else "nobody",
    )


def _problems(found: Live, where: tuple[str, ...]) -> Iterator[str]:
    if found.problem:
        yield visible(found.problem)
    for each in found.backlogs if found.pollers is not None else ():
        if each.waiting and not found.polling(each.kind, each.task_list):
            what = f"nobody polls task list {each.task_list!r} for {_WHAT[each.kind]}"
            yield visible(": ".join((what, *_remedy(each.kind, each.task_list, where))))


def _remedy(kind: PollKind, task_list: str, where: tuple[str, ...]) -> Iterator[str]:
    """Yield the command that starts a poller of a task list, or explains the run that has it alone."""
    owner = workflow_of(task_list)
    if owner is not None:
        yield shell_command("floto", "why", *where, arguments=(owner,))
    elif not is_own_list(task_list):
        own = LIST_DECIDERS.get(task_list) if kind is PollKind.DECISIONS else None
        yield shell_command("floto", own or _WHO[kind], "--task-list", task_list, *where)
