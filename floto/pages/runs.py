"""Runs as the list shows them, and the conditions of open runs that SWF has no status for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from attrs import frozen

from floto.core.replay.task_status import retry_timers
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf.closing_events import CloseStatus
from floto.core.swf.pollers import Live, Poller, PollKind
from floto.core.swf.shapes import ActivityType
from floto.core.swf.wire import to_ms
from floto.core.visible import visible

RUNNING, RETRYING, STUCK = "RUNNING", "retrying", "stuck"
#: Every status of the list: those of open runs, then SWF's close statuses.
STATUSES: tuple[str, ...] = (RUNNING, RETRYING, STUCK, *CloseStatus)

#: Pollers by the kind of tasks and the task list that they poll.
Polled = Mapping[tuple[PollKind, str], tuple[Poller, ...]]


@frozen(kw_only=True, slots=False)
class RunRow:
    """A run in the list. Times are in milliseconds since the epoch."""

    workflow_id: str
    run_id: str
    type_name: str
    type_version: str
    status: str
    started: int
    closed: int | None = None
    tags: tuple[str, ...] = ()
    #: Why an open run is retrying or stuck, else empty.
    note: str = ""

    @cached_property
    def searched(self) -> str:
        """The text that a filter's plain words are looked for in."""
        parts = (self.workflow_id, self.type_name, self.type_version, *self.tags)
        return "\n".join(parts).casefold()

    def took(self, now: int) -> int:
        """Return the milliseconds from the start to the end, or until now."""
        return (now if self.closed is None else self.closed) - self.started


def row(info: Mapping[str, Any]) -> RunRow:
    """Return the row of a run in a listing of boto3."""
    closed = info.get("closeTimestamp")
    return RunRow(
        workflow_id=info["execution"]["workflowId"],
        run_id=info["execution"]["runId"],
        type_name=info["workflowType"]["name"],
        type_version=info["workflowType"]["version"],
        status=str(info.get("closeStatus") or RUNNING),
        started=to_ms(info["startTimestamp"]),
        closed=None if closed is None else to_ms(closed),
        # SWF was seen to send a null among them.
        tags=tuple(filter(None, info.get("tagList", ()))),
    )


def polled(live: Live | None, domain: str) -> Polled | None:
    """Return the pollers of a domain by queue; None if the service does not report them."""
    if live is None or live.pollers is None:
        return None
    found: dict[tuple[PollKind, str], tuple[Poller, ...]] = {}
    for poller in live.pollers:
        if poller.domain == domain:
            queue = poller.kind, poller.task_list
            found[queue] = (*found.get(queue, ()), poller)
    return found


def condition(state: State, pollers: Polled | None) -> tuple[str, str]:
    """Return the status of an open run, ``RUNNING``, ``RETRYING`` or ``STUCK``, and the reason for it.

    Args:
        state: The state of the run.
        pollers: The pollers of its domain; None if they are unknown: then no run is stuck.
    """
    if state.closed is not None:
        return RUNNING, ""
    problem = None if pollers is None else next(_unpolled(state, pollers), None)
    if problem is not None:
        return STUCK, problem
    retried = next(_retried(state), None)
    return (RUNNING, "") if retried is None else (RETRYING, retried)


def _unpolled(state: State, pollers: Polled) -> Iterator[str]:
    """Yield a sentence for each task of a run that no live process polls for."""
    waiting = state.decision_tasks.scheduled
    if waiting is not None and state.decision_tasks.started is None:
        name = waiting.data.task_list.name
        if not pollers.get((PollKind.DECISIONS, name)):
            yield f"nobody polls task list {visible(name)!r} for decisions"
    for item in _open_items(state):
        if item.key[0] is Kind.ACTIVITY and item.status is Status.SCHEDULED and item.opened is not None:
            data = item.opened.data
            yield from _without_worker(data.task_list.name, data.activity_type, pollers)


def _without_worker(task_list: str, kind: ActivityType, pollers: Polled) -> Iterator[str]:
    found = pollers.get((PollKind.ACTIVITIES, task_list), ())
    if not found:
        yield f"nobody polls task list {visible(task_list)!r} for activities"
    elif not any(each.serves is None or kind in each.serves for each in found):
        what = visible(f"{kind.name} {kind.version}")
        yield f"no worker on task list {visible(task_list)!r} has a function for {what}"


def _retried(state: State) -> Iterator[str]:
    """Yield a sentence for each task of a run that failed and is tried again."""
    for id_ in retry_timers(state):
        yield f"{visible(id_)} waits for its retry"
    for item in _open_items(state):
        if item.failures:
            yield f"{visible(item.key[1])} runs again, attempt {len(item.failures) + 1}"


def _open_items(state: State) -> Iterator[Item]:
    return (state.items[key] for key in state.opened.values())
