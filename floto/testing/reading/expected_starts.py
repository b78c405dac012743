"""The decisions that start the tasks of a graph: a second reading, within the limits of SWF and of specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from floto.core.errors import PayloadError, SpecError
from floto.core.state.state import Kind
from floto.core.swf.decisions import CancelTimer, Decision, StartTimer
from floto.core.swf.limits import DATA_LIMIT, OPEN_LIMIT
from floto.testing.reading.added import added
from floto.testing.reading.expected_siblings import ReturnedGroup
from floto.testing.reading.expected_status import Due, ExpectedGraph
from floto.testing.reading.failure_texts import one_line
from floto.testing.reading.oracle import opens

if TYPE_CHECKING:
    from floto.testing.reading.expected_decisions import Reading


def expected_starts(
    reading: Reading, graph: ExpectedGraph, given: Mapping[str, Any]
) -> tuple[list[Decision], dict[str, str]]:
    """Return the decisions that start what is due in a graph, and the tasks that cannot be started."""
    found: list[Decision] = []
    failures: dict[str, str] = {}
    counted = [attempt.key[0] for attempt in reading.summary.under_way()]
    for id_ in graph.tasks:
        if id_ in graph.ends_wait:
            found.append(CancelTimer(timer_id=graph.ends_wait[id_]))
        due = graph.due.get(id_)
        if due is None:
            continue
        group = None if due.timer_id else graph.group_of(id_)
        if group is not None and _is_full(group, graph, found):
            continue
        kind = Kind.TIMER if due.timer_id else graph.tasks[id_].key[0]
        # SWF limits the open items of each kind; the rest start when some of them have closed.
        if counted.count(kind) >= OPEN_LIMIT:
            continue
        counted.append(kind)
        try:
            decision = _start_of(reading, graph, id_, due, given)
        except (PayloadError, SpecError) as error:
            failures[id_] = one_line(error)
        else:
            found += [] if decision is None else [decision]
    return found, failures


def _is_full(group: ReturnedGroup, graph: ExpectedGraph, decisions: Sequence[Decision]) -> bool:
    """Return True if as many tasks of a group are in flight as may be, with those that are about to start."""
    most, keys = group.limits.max_in_flight, {graph.tasks[id_].key for id_ in group.members}
    in_flight = [key for key in keys if graph.summary.in_flight(key)]
    return most is not None and len(in_flight) + len(keys.intersection(map(opens, decisions))) >= most


def _start_of(
    reading: Reading, graph: ExpectedGraph, id_: str, due: Due, given: Mapping[str, Any]
) -> Decision | None:
    if due.timer_id:
        return StartTimer(timer_id=due.timer_id, start_to_fire_timeout=str(due.seconds), control=id_)
    task = graph.tasks[id_]
    started = task.start(reading.given_to(graph, id_, given))
    decision = added(started, task, reading.summary, has_store=reading.codec.payloads is not None)
    for name in ("input", "control"):
        length = len(getattr(decision, name, None) or "")
        if length > DATA_LIMIT:
            what = f"the {name} of task {id_!r}"
            problem = f"is {length:,} characters long; SWF takes {DATA_LIMIT:,}"
            raise PayloadError(what, problem)
    return decision
