"""Status of each task, and the conditions it waits for, after any event of a saved history.

A condition that refers to another task leads to that task's own conditions, so the conditions
of a task form a small tree.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from floto.core.decide.phase import RunPhase, phase, run_failures
from floto.core.decide.progress import Progress, begin
from floto.core.decide.retrying import Wait, timed_out, wait_timer_id
from floto.core.errors import HistoryError, PayloadError
from floto.core.payloads import payload
from floto.core.replay.task_status import (
    FAILURES,
    STARTED_KINDS,
    TaskGraph,
    TaskStatus,
    retry_timers,
    started_statuses,
    task_graphs,
    task_statuses,
)
from floto.core.replay.why_waiting import OF_TASKS, Cause, Condition, due, queued, retry, working
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.rules import TaskOutcome, counts_results
from floto.core.spec.tasks import NO_RESULT, Task, TaskCodec
from floto.core.state.attempts import Attempt, attempts
from floto.core.state.failures import failure_of
from floto.core.state.fold import fold
from floto.core.state.redriven import awaits_parts
from floto.core.state.state import EMPTY, Item, Kind, State, Status
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import RESERVED_PREFIX, WAKE_PREFIX
from floto.core.swf.wire import type_name
from floto.core.visible import shortened, visible


@frozen
class Explained:
    """Status of one task after one event."""

    task: str
    status: TaskStatus
    attempts: tuple[Attempt, ...]
    #: All must hold before the status changes, or say why it does not; empty if the task is done.
    conditions: tuple[Condition, ...] = ()
    #: Result of a task that is done, or the message of one that failed or was canceled.
    result: Any = None

    def __str__(self) -> str:
        """Return one line, without the conditions."""
        tries = f", attempt {len(self.attempts)}" if len(self.attempts) > 1 else ""
        told = self.status in (TaskStatus.DONE, *FAILURES) and self.result is not NO_RESULT
        return f"{visible(self.task)}: {self.status}{tries}{f': {shown(self.result)}' if told else ''}"


@frozen
class Explanation:
    """Status of every task of a run after one event, with the tasks that generators had returned."""

    #: Id of the last event that was considered.
    event_id: int
    tasks: Mapping[str, Explained]

    def __getitem__(self, id_: str) -> Explained:
        """Return one task; raise ``HistoryError`` for an unknown id."""
        if id_ in self.tasks:
            return self.tasks[id_]
        known = shown(", ".join(self.tasks))
        raise HistoryError(None, f"at event {self.event_id}: no task {id_!r}; the tasks are {known}")

    def roots(self, id_: str) -> tuple[Explained, ...]:
        """Return the tasks that a task waits for, directly or not, and that wait for no other task."""
        found: dict[str, Explained] = {}
        seen = {id_}
        todo = [id_]
        while todo:
            task = self[todo.pop()]
            others = [condition.task for condition in task.conditions if condition.cause in OF_TASKS]
            if not others and task.task != id_:
                found[task.task] = task
            todo += [other for other in reversed(others) if other not in seen]
            seen.update(others)
        return tuple(found.values())

    def why(self, id_: str) -> str:
        """Return the lines of one task: its attempts and conditions, each with the tasks at its root."""
        return "\n".join(self._lines(self[id_]))

    def __str__(self) -> str:
        """Return a line for each task, and one for each of its conditions."""
        lines = [f"after event {self.event_id}, times in UTC:"]
        for task in self.tasks.values():
            lines += [str(task), *(f"  {condition}" for condition in task.conditions)]
        return "\n".join(lines)

    def _lines(self, task: Explained) -> Iterator[str]:
        yield str(task)
        yield from (f"  {attempt}" for attempt in task.attempts)
        for condition in task.conditions:
            yield f"  {condition}"
            if condition.cause in OF_TASKS:
                yield from (f"    {line}" for line in self._behind(condition.task))

    def _behind(self, id_: str) -> Iterator[str]:
        task = self[id_]
        yield str(task)
        roots = self.roots(id_)
        yield from (f"  {line}" for line in map(str, () if roots else task.conditions))
        for root in roots[:_SHOWN]:
            yield f"  because of {root}"
            yield from (f"    {condition}" for condition in root.conditions)
        if len(roots) > _SHOWN:
            yield f"  and {len(roots) - _SHOWN} more"


_SHOWN = 5
#: Maximum characters of the data that a condition saw.
_DATA_SHOWN = 500


def explain(
    spec: DeciderSpec, history: History, at: int | None = None, codec: TaskCodec = CODEC
) -> Explanation:
    """Explain the status of every task of a saved history.

    Args:
        spec: The spec that decided the run.
        history: The history of the run, open or closed.
        at: Id of the last event to consider; by default the last of the history.
        codec: Codec of task results; with the payload store of the run if it has one.

    Returns:
        The status and the conditions of each task after the event ``at``.

    Raises:
        HistoryError: The history cannot have happened, or has no event ``at``.
        SpecError: A retry strategy returned something that is not a delay.
    """
    progress = begin(spec, state_at(history, at), codec)
    return explain_progress(progress, history.events)


def state_at(history: History, at: int | None) -> State:
    """Return the state after an event; None: after the last one. Raises ``HistoryError`` if there is none."""
    event_id = len(history) if at is None else at
    if not 1 <= event_id <= len(history):
        raise HistoryError(None, f"no event {event_id}: the history has events 1 to {len(history)}")
    return fold(history.events[:event_id], evolve(EMPTY, execution=history.execution))


def explain_progress(main: Progress, events: Sequence[Event]) -> Explanation:
    """Explain the status of every task of a run; ``events`` is its history."""
    found = {task.id_: status for task, status in task_statuses(main)}
    ending, timers = tuple(_ending(main)), retry_timers(main.state)
    tasks: dict[str, Explained] = {}
    for graph in task_graphs(main):
        for position, task in enumerate(graph.progress.plan.tasks):
            if graph.status(position) is not found[task.id_]:
                continue
            each = _Task(graph, position, ending if graph.is_ending else (), timers.get(task.id_))
            known = tasks[task.id_].conditions if task.id_ in tasks else ()
            tasks[task.id_] = Explained(
                task.id_,
                found[task.id_],
                attempts(each.item, events),
                tuple(dict.fromkeys((*known, *each.conditions(found[task.id_])))),
                each.result(found[task.id_]),
            )
    return Explanation(main.state.last_event_id, tasks)


def explain_started(state: State, events: Sequence[Event]) -> Explanation:
    """Explain the status of everything that a run has started, without its spec.

    Args:
        state: The state of the run.
        events: Its history.

    Returns:
        The status of each activity, child workflow, Lambda function and timer of the history.
    """
    timers = retry_timers(state)
    known = {id_ for kind, id_ in state.items if kind in STARTED_KINDS}
    hidden = {timer.key for id_, timer in timers.items() if id_ in known}
    found = (
        _started(state.items[key], status, state, timers, events)
        for key, status in started_statuses(state).items()
        if key[0] in STARTED_KINDS and key not in hidden and not _is_over(state.items[key], state)
    )
    return Explanation(state.last_event_id, {each.task: each for each in found})


def _is_over(item: Item, state: State) -> bool:
    """Return True for a wait of floto's own, such as the one before a retry, that is over.

    True too for the timer of a schedule, which is no task: ``floto why`` says when the schedule decides next.
    """
    is_open = item.is_open and state.closed is None and not item.key[1].startswith(WAKE_PREFIX)
    return item.key[1].startswith(RESERVED_PREFIX) and not is_open


def _started(
    item: Item, status: TaskStatus, state: State, timers: Mapping[str, Item], events: Sequence[Event]
) -> Explained:
    conditions: tuple[Condition, ...] = ()
    result: Any = None
    if status is TaskStatus.DONE:
        result = _result(item)
    elif status in FAILURES:
        result = failure_of(item.failures[-1]).message
    elif status is TaskStatus.SKIPPED:
        conditions = tuple(_closed(state))
    elif status is TaskStatus.RETRYING:
        conditions = (Condition(Cause.RETRY, at=due(timers[item.key[1]]), detail="the next attempt"),)
    else:
        conditions = (_of_open(item),)
    return Explained(item.key[1], status, attempts(item, events), conditions, result)


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


def _ending(main: Progress) -> Iterator[Condition]:
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
class _Task:
    """One task of a graph."""

    graph: TaskGraph
    position: int
    #: Why the run starts no more tasks of the graph.
    ending: tuple[Condition, ...]
    #: Its open retry timer.
    timer: Item | None

    @property
    def task(self) -> Task:
        return self.graph.progress.plan.tasks[self.position]

    @property
    def item(self) -> Item | None:
        return self.graph.progress.state.items.get(self.task.key)

    def result(self, status: TaskStatus) -> Any:
        if status in FAILURES:
            progress = self.graph.progress
            return progress.exhausted.get(self.position) or progress.continued[self.position]
        return self.graph.progress.own_result(self.position) if status is TaskStatus.DONE else None

    def conditions(self, status: TaskStatus) -> Iterable[Condition]:
        return _CONDITIONS[status](self)

    def in_flight(self) -> Iterator[Condition]:
        if self.item is not None:
            yield _of_open(self.item)

    def retried(self) -> Iterator[Condition]:
        if self.item is not None and self.item.failures and self.timer is not None:
            yield retry(self.task, self.item, self.timer)

    def failed(self) -> Iterator[Condition]:
        if self.position in self.graph.progress.continued:
            yield Condition(Cause.CONTINUES)

    def ruled_out(self) -> Condition:
        """Return the condition of a task that its rules skip."""
        progress, rules = self.graph.progress, self.graph.progress.plan.rules_at(self.position)
        limit = progress.plan.wait_limits.get(self.position)
        if limit is not None and timed_out(self.task, limit, progress.state) is not None:
            return Condition(Cause.TIMED_OUT, detail=limit.message)
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
        progress = self.graph.progress
        if progress.outcomes.get(self.position) is TaskOutcome.SKIPPED and not self.graph.reserved:
            yield self.ruled_out()
            return
        if progress.state.closed is None:
            yield from self.retried()
        needed = () if self.item and self.item.is_open else self.graph.needed(self.position)
        blocked = dict.fromkeys(self.graph.blocked[other] for other in needed if other in self.graph.blocked)
        told = {progress.plan.tasks[position].id_: progress.exhausted[position] for position in blocked}
        yield from (Condition(Cause.BLOCKED, id_, detail=message) for id_, message in told.items())
        yield from (each for each in self.ending if each.task not in told)

    def reserved(self) -> Iterator[Condition]:
        yield Condition(Cause.CLEANS_UP, detail=self.graph.reserved)

    def waiting(self) -> Iterator[Condition]:
        plan, needed = self.graph.progress.plan, self.graph.needed(self.position)
        yield from (Condition(Cause.STOPPING, id_) for _, id_ in self.graph.stopping)
        for position in needed:
            cause = Cause.GENERATOR if position in plan.generators else Cause.REQUIRES
            yield Condition(cause, plan.tasks[position].id_)
        if needed and counts_results(self.graph.progress.plan.rules_at(self.position).join):
            yield Condition(Cause.COUNTED, detail=str(self.graph.progress.plan.rules_at(self.position).join))
        if self.task.key[0] is Kind.SIGNAL and not needed and not self.graph.stopping:
            timer = self.graph.progress.state.items.get((Kind.TIMER, wait_timer_id(self.task.id_)))
            until = None if timer is None else due(timer)
            yield Condition(Cause.SIGNAL, detail=self.task.key[1], until=until)

    def due(self) -> Iterator[Condition]:
        state, kind = self.graph.progress.state, self.task.key[0]
        if isinstance(self.graph.progress.steps.get(self.position), Wait):
            kind = Kind.TIMER
        if awaits_parts(state):
            yield Condition(Cause.KEPT)
            return
        if state.open_count.get(kind, 0) >= OPEN_LIMIT:
            yield Condition(Cause.ROOM, detail=f"{OPEN_LIMIT:,} of its kind ({kind})")
        event = state.decision_tasks.started or state.decision_tasks.scheduled
        if event is not None:
            yield Condition(Cause.DECIDER, detail=str(event.id))


#: The conditions of a task by its status.
_CONDITIONS: Mapping[TaskStatus, Callable[[_Task], Iterable[Condition]]] = {
    TaskStatus.DONE: lambda _: (),
    TaskStatus.FAILED: _Task.failed,
    TaskStatus.CANCELED: _Task.failed,
    TaskStatus.RUNNING: _Task.in_flight,
    TaskStatus.QUEUED: _Task.in_flight,
    TaskStatus.RETRYING: _Task.retried,
    TaskStatus.WAITING: _Task.waiting,
    TaskStatus.DUE: _Task.due,
    TaskStatus.RESERVED: _Task.reserved,
    TaskStatus.SKIPPED: _Task.skipped,
}
