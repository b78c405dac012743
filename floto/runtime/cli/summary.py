"""A summary of a run, from its history by the same fold that decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.spec.fingerprint import recorded
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.view.run_input import run_input

Summary = dict[str, Any]

#: Items that take time, unlike signals and cancel requests to other runs.
_WORK = (Kind.ACTIVITY, Kind.TIMER, Kind.CHILD, Kind.LAMBDA)
#: The ends of a failed attempt. One that SWF refuses never began, and one that is canceled has not failed.
_FAILED = (Status.FAILED, Status.TIMED_OUT, Status.TERMINATED)


def timed_out_deciders(events: Iterable[Event]) -> list[str | None]:
    """Return the owners of the decision tasks that timed out since the last response, the latest last."""
    found: list[str | None] = []
    owner: str | None = None
    for event in events:
        if isinstance(event.data, e.DecisionTaskStarted):
            owner = event.data.identity
        elif isinstance(event.data, e.DecisionTaskTimedOut):
            found.append(owner)
        elif isinstance(event.data, e.DecisionTaskCompleted):
            found.clear()
    return found


def summary(described: dict[str, Any], state: State, timed_out: Sequence[str | None]) -> Summary:
    """Return the summary of a run; ``timed_out`` are its ``timed_out_deciders``."""
    info = described["executionInfo"]
    started = state.start
    parts = {
        "execution": info["execution"],
        "workflowType": info["workflowType"],
        "status": info.get("closeStatus", info["executionStatus"]),
        "started": info["startTimestamp"],
        "closed": info.get("closeTimestamp"),
        "taskList": started.task_list.name,
        "tags": list(started.tag_list or ()),
        "parent": info.get("parent"),
        "input": run_input(started),
        **({} if state.closed is None else _end(state.closed)),
        "cancelRequested": None if state.cancel_requested is None else state.cancel_requested.at,
        "spec": recorded(state),
        "open": [*_decision(state, timed_out), *_open(state)],
        "counts": _counts(state),
    }
    return {name: value for name, value in parts.items() if value not in (None, [], {})}


def value_of(text: str | None) -> Any:
    """Return the value of a payload; one that cannot be parsed is returned as it is."""
    try:
        return payload.loads(text)
    except PayloadError:
        return text


def _end(closed: Event) -> Summary:
    data = closed.data
    found = _ENDS.get(type(data), lambda _data: {})(data)
    return {name: value for name, value in found.items() if value is not None}


_ENDS: dict[type, Callable[[Any], Summary]] = {
    e.WorkflowExecutionCompleted: lambda data: {"result": value_of(data.result)},
    e.WorkflowExecutionFailed: lambda data: {"reason": data.reason, "details": value_of(data.details)},
    e.WorkflowExecutionCanceled: lambda data: {"details": value_of(data.details)},
    e.WorkflowExecutionTerminated: lambda data: {
        "cause": data.cause,
        "reason": data.reason,
        "details": value_of(data.details),
    },
    e.WorkflowExecutionTimedOut: lambda data: {"reason": data.timeout_type},
    e.WorkflowExecutionContinuedAsNew: lambda data: {"continuedAs": data.new_execution_run_id},
}


def _decision(state: State, timed_out: Sequence[str | None]) -> Iterator[Summary]:
    """Yield the open decision task: a run without a decider waits for nothing else."""
    tasks = state.decision_tasks
    event = tasks.started or tasks.scheduled
    if event is not None and state.closed is None:
        status = "scheduled" if tasks.started is None else "started"
        found: Summary = {"kind": "decision", "id": "", "status": status, "since": event.at}
        identity = getattr(event.data, "identity", None)
        if identity:
            found["problem"] = f"with {identity}"
        if timed_out:
            times = f"{len(timed_out)} {'time' if len(timed_out) == 1 else 'times'}"
            deciders = ", ".join(dict.fromkeys(each or "a decider" for each in timed_out))
            found["problem"] = f"left {times} by {deciders}; see its log"
        yield found


def _open(state: State) -> Iterator[Summary]:
    # Items that were open when the run closed do not matter any more.
    for _, key in sorted(state.opened.items()) if state.closed is None else ():
        item = state.items[key]
        event = item.started or item.opened
        if key[0] in _WORK and event is not None:
            yield _item(item, event)


def _item(item: Item, event: Event) -> Summary:
    kind, id_ = item.key
    found = {"kind": str(kind), "id": id_, "status": str(item.status), "since": event.at}
    if kind is Kind.TIMER and id_.startswith(RESERVED_PREFIX) and item.opened is not None:
        return {**found, "retries": item.opened.data.control}
    if kind is not Kind.TIMER:
        found["attempt"] = len(item.failures) + 1
    if item.failures:
        found["problem"] = failure_of(item.failures[-1]).message
    return found


def _counts(state: State) -> Summary:
    items = [
        item
        for key, item in state.items.items()
        if key[0] in _WORK and not key[1].startswith(RESERVED_PREFIX)
    ]
    counts = Counter((str(item.key[0]), str(item.status)) for item in items)
    found: Summary = {"events": state.last_event_id}
    for (kind, status), count in sorted(counts.items()):
        found.setdefault(kind, {})[status] = count
    failures = sum(failure_of(event).status in _FAILED for item in items for event in item.failures)
    extra = {
        "failed attempts": failures,
        "signals": sum(map(len, state.signals.values())),
        "markers": len(state.markers),
    }
    return {**found, **{name: count for name, count in extra.items() if count}}
