"""The conditions that a task waits for, and its result, by its status."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from floto.core.decide.next_step import timed_out, wait_timer_id
from floto.core.decide.phase import RunPhase, phase, run_failures
from floto.core.decide.progress import Progress
from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.replay.task_status import (
    FAILURES,
    TaskGraph,
    TaskStatus,
    item_name,
)
from floto.core.replay.why_waiting import Cause, Condition, due, queued, retry, working
from floto.core.spec.rules.joins import counts_results
from floto.core.spec.rules.wait_limits import WaitLimit
from floto.core.spec.tasks import NO_RESULT, Task
from floto.core.state.failures import failure_of
from floto.core.state.redriven import awaits_parts
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import RESERVED_PREFIX, WAKE_PREFIX
from floto.core.swf.wire import type_name
from floto.core.visible import shortened

#: Maximum characters of the data that a condition saw.
_DATA_SHOWN = 500


def started_name(key: Key, first: Key) -> str:
    """Return the id of an item, with its kind unless it is the ``first`` one of this id."""
    return item_name(key) if key == first else f"{key[1]} ({key[0]})"


def is_over(item: Item, state: State) -> bool:
    """Return True for a wait of floto's own, such as the one before a retry, that is over.

    True too for the timer of a schedule, which is no task: ``floto why`` says when the schedule decides next.
    """
    is_open = item.is_open and state.closed is None and not item.key[1].startswith(WAKE_PREFIX)
    return item.key[1].startswith(RESERVED_PREFIX) and not is_open


def started_conditions(
    item: Item, status: TaskStatus, state: State, timer: Item | None
) -> tuple[Condition, ...]:
    """Return the conditions of an item without its task; ``timer`` is its open retry timer."""
    if status is TaskStatus.DONE or status in FAILURES:
        return ()
    if status is TaskStatus.SKIPPED:
        return tuple(_closed(state))
    if status is TaskStatus.RETRYING and timer is not None:
        cause = f", after {failure_of(item.failures[-1]).message}," if item.failures else ""
        return (Condition(Cause.RETRY, at=due(timer), detail=f"the next attempt{cause}"),)
    return (_of_open(item),)


def started_result(item: Item, status: TaskStatus) -> Any:
    """Return the result of an item without its task, or the message of its failure."""
    if status is TaskStatus.DONE:
        return _result(item)
    return failure_of(item.failures[-1]).message if status in FAILURES else None


def task_result(task: Task, item: Item) -> Any:
    """Return the result of a completed task; ``NO_RESULT`` if it has none that can be read."""
    try:
        return task.result(item)
    except PayloadError:
        return NO_RESULT


def _result(item: Item) -> Any:
    """Return the result of a completed item as its event has it, without a task that reads it."""
    data: Any = item.closed.data if item.closed is not None else None
    try:
        return payload.loads(data.result) if hasattr(data, "result") else NO_RESULT
    except PayloadError:
        return NO_RESULT


def _of_open(item: Item) -> Condition:
    if item.key[0] is Kind.TIMER:
        return Condition(Cause.TIMER, at=due(item))
    return queued(item) if item.status is Status.SCHEDULED else working(item)


def shared_conditions(
    graph: TaskGraph, status: TaskStatus, kind: Kind, ending: Sequence[Condition]
) -> Sequence[Condition]:
    """Return the conditions that all tasks of a kind and a status in a graph have; ``ending`` if it ends."""
    if status is TaskStatus.WAITING:
        return [Condition(Cause.STOPPING, id_) for _, id_ in graph.stopping]
    if status is TaskStatus.DUE:
        return tuple(due_conditions(graph.progress.state, kind))
    return ending if status is TaskStatus.SKIPPED and graph.is_ending else ()


def merged(own: Iterable[Condition], shared: Iterable[Condition]) -> tuple[Condition, ...]:
    """Return the conditions of a task: its own, and of the shared ones those that say something new."""
    found = dict.fromkeys(own)
    named = {condition.task for condition in found if condition.task}
    return tuple(dict.fromkeys((*found, *(each for each in shared if each.task not in named))))


def ending_conditions(main: Progress) -> Iterator[Condition]:
    """Yield why a run starts no task but its cleanup."""
    now, requested = phase(main), main.state.cancel_requested
    if now is RunPhase.CLOSED:
        yield from _closed(main.state)
    elif now is RunPhase.CANCELING and requested is not None:
        yield Condition(Cause.CANCEL_REQUESTED, at=requested.at)
    else:
        for id_, message in run_failures(main).items():
            yield Condition(Cause.FAILING, id_, detail=message)


def _closed(state: State) -> Iterator[Condition]:
    if state.closed is not None:
        yield Condition(Cause.CLOSED, at=state.closed.at, detail=type_name(state.closed.data))


@frozen
class TaskReasons:
    """The result of one task of a graph, and the conditions that it does not share with others."""

    graph: TaskGraph
    position: int
    #: Its open retry timer.
    timer: Item | None

    @property
    def task(self) -> Task:
        """The task."""
        return self.graph.progress.plan.tasks[self.position]

    @property
    def item(self) -> Item | None:
        """Its item in the state of the run; None if it has none."""
        return self.graph.progress.state.items.get(self.task.key)

    def result(self, status: TaskStatus) -> Any:
        """Return the result of a completed task, or the message of a failed one; else None."""
        if status in FAILURES:
            progress = self.graph.progress
            return progress.exhausted.get(self.position) or progress.continued[self.position]
        if status is TaskStatus.DONE and self.timed_out_limit is not None:
            return self.timed_out_limit.result
        return task_result(self.task, self.item) if status is TaskStatus.DONE and self.item else None

    @property
    def timed_out_limit(self) -> WaitLimit | None:
        """The limit of the wait of a task whose time was up."""
        progress = self.graph.progress
        limit = progress.plan.wait_limits.get(self.position)
        return limit if limit is not None and timed_out(self.task, limit, progress.state) else None

    def own(self, status: TaskStatus) -> Iterable[Condition]:
        """Return the conditions of the task by its status."""
        return _CONDITIONS[status](self) if status in _CONDITIONS else ()

    def in_flight(self) -> Iterator[Condition]:
        """Yield who has the open attempt."""
        if self.item is not None:
            yield _of_open(self.item)

    def retried(self) -> Iterator[Condition]:
        """Yield when the next attempt follows."""
        if self.item is not None and self.item.failures and self.timer is not None:
            yield retry(self.task, self.item, self.timer)

    def failed(self) -> Iterator[Condition]:
        """Yield that the run continues without the task, if it does by the rule of the task."""
        progress = self.graph.progress
        group = progress.groups.of(self.position)
        if self.position in progress.continued and not (group is not None and group.limits.tolerates):
            yield Condition(Cause.CONTINUES)

    def ruled_out(self) -> Condition:
        """Return the condition of a task that its rules skip."""
        progress, rules = self.graph.progress, self.graph.progress.plan.rules_at(self.position)
        if self.timed_out_limit is not None:
            return Condition(Cause.TIMED_OUT, detail=self.timed_out_limit.message)
        group = progress.groups.of(self.position)
        if group is not None and self.position in progress.count_of(group).surplus:
            return Condition(Cause.SURPLUS, group.id, detail=str(group.limits.min_successful))
        if self.position in progress.undone and self.position not in progress.inputs:
            main, source = progress.undone[self.position]
            return Condition(Cause.UNDONE, main.plan.tasks[source].id_)
        if self.position in progress.inputs:
            seen = shortened(json.dumps(progress.seen_by(self.position), sort_keys=True), _DATA_SHOWN)
            return Condition(Cause.CONDITION, detail=f"{rules.when} on {seen}")
        required = progress.plan.requires[self.position]
        outcomes = Counter(progress.outcomes[other] for other in required if other in progress.outcomes)
        found = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        return Condition(Cause.JOIN, detail=f"{rules.join} of {len(required)} ({found})")

    def skipped(self) -> Iterator[Condition]:
        """Yield the failed tasks without which this one does not start."""
        progress = self.graph.progress
        if self.graph.is_ruled_out(self.position):
            yield self.ruled_out()
            return
        if progress.state.closed is None:
            yield from self.retried()
        needed = () if self.item and self.item.is_open else self.graph.needed(self.position)
        blocked = dict.fromkeys(self.graph.blocked[other] for other in needed if other in self.graph.blocked)
        told = {progress.plan.tasks[position].id_: progress.exhausted[position] for position in blocked}
        yield from (Condition(Cause.BLOCKED, id_, detail=message) for id_, message in told.items())

    def counted(self) -> Iterator[Condition]:
        """Yield how many of the required tasks have to complete, if that is not all of them."""
        join = self.graph.progress.plan.rules_at(self.position).join
        if counts_results(join):
            yield Condition(Cause.COUNTED, detail=str(join))

    def reserved(self) -> Iterator[Condition]:
        """Yield what the run does before its cleanup begins."""
        yield Condition(Cause.CLEANS_UP, detail=self.graph.reserved)

    def waiting(self) -> Iterator[Condition]:
        """Yield the required tasks that have not completed, or else the signal."""
        plan, needed = self.graph.progress.plan, self.graph.needed(self.position)
        for position in needed:
            cause = Cause.GENERATOR if position in plan.generators else Cause.REQUIRES
            yield Condition(cause, plan.tasks[position].id_)
        if needed:
            yield from self.counted()
        if self.task.key[0] is Kind.SIGNAL and not needed and not self.graph.stopping:
            timer = self.graph.progress.state.items.get((Kind.TIMER, wait_timer_id(self.task.id_)))
            until = None if timer is None else due(timer)
            yield Condition(Cause.SIGNAL, detail=self.task.key[1], until=until)


def due_conditions(state: State, kind: Kind) -> Iterator[Condition]:
    """Yield what all tasks of a kind that the next decision starts wait for."""
    if awaits_parts(state):
        yield Condition(Cause.KEPT)
        return
    if state.open_count.get(kind, 0) >= OPEN_LIMIT:
        yield Condition(Cause.ROOM, detail=f"{OPEN_LIMIT:,} of its kind ({kind})")
    event = state.decision_tasks.started or state.decision_tasks.scheduled
    if event is not None:
        yield Condition(Cause.DECIDER, detail=str(event.id))


#: The conditions of a task by its status, without those that it shares with others.
_CONDITIONS: Mapping[TaskStatus, Callable[[TaskReasons], Iterable[Condition]]] = {
    TaskStatus.FAILED: TaskReasons.failed,
    TaskStatus.CANCELED: TaskReasons.failed,
    TaskStatus.RUNNING: TaskReasons.in_flight,
    TaskStatus.QUEUED: TaskReasons.in_flight,
    TaskStatus.RETRYING: TaskReasons.retried,
    TaskStatus.WAITING: TaskReasons.waiting,
    TaskStatus.RESERVED: TaskReasons.reserved,
    TaskStatus.SKIPPED: TaskReasons.skipped,
}
