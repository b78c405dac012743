"""Status of each task, and the conditions it waits for, after any event of a saved history.

A condition that refers to another task leads to that task's own conditions, so the conditions
of a task form a small tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from floto.core.decide.progress import Progress
from floto.core.errors import HistoryError
from floto.core.replay.recorded_progress import recorded_progress
from floto.core.replay.task_conditions import (
    TaskReasons,
    ending_conditions,
    is_over,
    merged,
    shared_conditions,
    started_conditions,
    started_name,
    started_result,
)
from floto.core.replay.task_status import (
    FAILURES,
    STARTED_KINDS,
    TaskStatus,
    retry_timers,
    started_statuses,
    task_graphs,
    task_statuses,
)
from floto.core.replay.why_waiting import OF_TASKS, Condition, sibling_conditions, sibling_of
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import NO_RESULT, TaskCodec
from floto.core.state.attempts import Attempt, attempt_events, attempts
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, Item, Key, State
from floto.core.swf.events import Event
from floto.core.swf.history import History, as_history
from floto.core.swf.identifiers import shown
from floto.core.visible import visible


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
        # The line of the task has only a part of a long message, and no attempt has it.
        if task.status in FAILURES and not task.attempts and shown(task.result) != visible(repr(task.result)):
            yield f"  {visible(str(task.result))}"
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
        SpecError: ``spec`` is not a spec, or ``codec`` cannot read generated tasks that have begun.
    """
    progress = recorded_progress(spec, state_at(history, at), codec)
    return explain_progress(progress, history.events)


def state_at(history: History, at: int | None) -> State:
    """Return the state after an event; None: after the last one. Raises ``HistoryError`` if there is none."""
    as_history(history)
    event_id = len(history) if at is None else at
    if not 1 <= event_id <= len(history):
        raise HistoryError(None, f"no event {event_id}: the history has events 1 to {len(history)}")
    return fold(history.events[:event_id], evolve(EMPTY, execution=history.execution))


def explain_progress(main: Progress, events: Sequence[Event]) -> Explanation:
    """Explain the status of every task of a run; ``events`` is its history."""
    found = {task.id_: status for task, status in task_statuses(main)}
    ending, timers = tuple(ending_conditions(main)), retry_timers(main.state)
    own: dict[str, list[Condition]] = {}
    shared: dict[str, list[Condition]] = {}
    last: dict[str, TaskReasons] = {}
    for graph in task_graphs(main):
        for position, task in enumerate(graph.progress.plan.tasks):
            id_, status = task.id_, found[task.id_]
            if graph.status(position) is status:
                last[id_] = each = TaskReasons(graph, position, timers.get(id_))
                own.setdefault(id_, []).extend(each.own(status))
                alike = () if graph.is_ruled_out(position) else ending
                shared.setdefault(id_, []).extend(shared_conditions(graph, status, task.key[0], alike))
                shared[id_].extend(sibling_conditions(graph, sibling_of(graph, position, status)))
    tasks = {
        id_: Explained(
            id_,
            found[id_],
            attempts(each.item, events),
            merged(own[id_], shared[id_]),
            each.result(found[id_]),
        )
        for id_, each in last.items()
    }
    return Explanation(main.state.last_event_id, tasks)


def explain_started(state: State, events: Sequence[Event]) -> Explanation:
    """Explain the status of everything that a run has started, without its spec.

    Args:
        state: The state of the run.
        events: Its history.

    Returns:
        The status of each activity, child workflow, Lambda function, timer and signal to another run of the
        history, in the order in which they began, by id, or by id and kind if something of another kind had
        the id before.
    """
    timers = retry_timers(state)
    known = {id_ for kind, id_ in state.items if kind in STARTED_KINDS}
    hidden = {timer.key for id_, timer in timers.items() if id_ in known}
    first = _first_of_ids(state, events)
    tasks: dict[str, Explained] = {}
    statuses = started_statuses(state)
    for key in sorted(statuses, key=lambda each: (_began(state.items[each], events), each)):
        item, status = state.items[key], statuses[key]
        if key[0] in STARTED_KINDS and key not in hidden and not is_over(item, state):
            conditions = started_conditions(item, status, state, timers.get(key[1]))
            result = started_result(item, status)
            name = started_name(key, first[key[1]])
            tasks[name] = Explained(name, status, attempts(item, events), conditions, result)
    return Explanation(state.last_event_id, tasks)


def _first_of_ids(state: State, events: Sequence[Event]) -> dict[str, Key]:
    """Return the item that began first of each id: deciders other than floto use one for several kinds."""
    found: dict[str, Key] = {}
    for key in (key for key in state.items if key[0] in STARTED_KINDS):
        other = found.setdefault(key[1], key)
        if other != key:
            found[key[1]] = min(key, other, key=lambda each: (_began(state.items[each], events), each))
    return found


def _began(item: Item, events: Sequence[Event]) -> int:
    """Return the id of the first event of an item."""
    found = ((each.opened, each.ended) for each in attempt_events(item, events))
    return min((event.id for pair in found for event in pair if event is not None), default=0)
