"""Status of each task, and the conditions it waits for, after any event of a saved history.

A condition that refers to another task leads to that task's own conditions, so the conditions
of a task form a small tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from attrs import Factory, evolve, field, frozen

from floto.core.decide.closing import noted_failures
from floto.core.decide.progress import Progress, begin
from floto.core.decide.retrying import Exhausted, Rest, look_at
from floto.core.errors import HistoryError
from floto.core.replay.why_waiting import OF_TASKS, Cause, Condition, due, queued, retry, working
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import NO_RESULT, Task, TaskCodec
from floto.core.state.attempts import Attempt, attempts
from floto.core.state.failures import failure_of
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, Item, Kind, State, Status
from floto.core.swf.history import History
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import OPEN_LIMIT
from floto.core.swf.reserved_names import RESERVED_PREFIX
from floto.core.swf.wire import type_name
from floto.core.visible import visible


class Standing(StrEnum):
    """Status of a task."""

    DONE = "done"
    RUNNING = "running"
    #: Scheduled in SWF, not started.
    QUEUED = "queued"
    RETRYING = "waiting for its retry"
    WAITING = "waiting"
    #: The next decision starts it.
    DUE = "due"
    FAILED = "failed"
    #: Runs only if the run fails or is canceled.
    RESERVED = "reserved for cleanup"
    #: The run closes, or has closed, without it.
    SKIPPED = "skipped"


@frozen
class Explained:
    """Status of one task after one event."""

    task: str
    standing: Standing
    attempts: tuple[Attempt, ...]
    #: All must hold before the status changes; empty if the task is done or failed.
    conditions: tuple[Condition, ...] = ()
    #: Result of a task that is done, or the message of one that failed.
    result: Any = None

    def __str__(self) -> str:
        """Return one line, without the conditions."""
        tries = f", attempt {len(self.attempts)}" if len(self.attempts) > 1 else ""
        told = self.standing in (Standing.DONE, Standing.FAILED) and self.result is not NO_RESULT
        return f"{visible(self.task)}: {self.standing}{tries}{f': {shown(self.result)}' if told else ''}"


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
    event_id = len(history) if at is None else at
    if not 1 <= event_id <= len(history):
        raise HistoryError(None, f"no event {event_id}: the history has events 1 to {len(history)}")
    state = fold(history.events[:event_id], evolve(EMPTY, execution=history.execution))
    found = [
        graph.explained(position, task)
        for graph in _graphs(begin(spec, state, codec), history)
        for position, task in enumerate(graph.progress.plan.tasks)
    ]
    tasks: dict[str, Explained] = {}
    for each in found:
        tasks[each.task] = _either(tasks[each.task], each) if each.task in tasks else each
    return Explanation(event_id, tasks)


def _either(one: Explained, other: Explained) -> Explained:
    """Return how a task stands that cleans up after a failure and a cancel request, whichever comes."""
    if one.standing is other.standing is Standing.RESERVED:
        return evolve(one, conditions=(*one.conditions, *other.conditions))
    return one if other.standing is Standing.RESERVED else other


def explain_begun(history: History) -> Explanation:
    """Explain the status of everything that a run has started, without its spec.

    Args:
        history: The history of the run, open or closed.

    Returns:
        The status of each activity, child workflow, Lambda function and timer of the history.

    Raises:
        HistoryError: The history cannot have happened.
    """
    state = fold(history.events, evolve(EMPTY, execution=history.execution))
    kinds = (*_STOPPED, Kind.TIMER)
    items = [item for key, item in state.items.items() if key[0] in kinds and not _is_over(item, state)]
    found = (_begun(item, state, history) for item in items)
    # A retry timer has the id of its task and replaces it: it says more than the last failure.
    return Explanation(len(history), {each.task: each for each in sorted(found, key=_is_retrying)})


def _is_over(item: Item, state: State) -> bool:
    """Return True for a wait of floto's own, such as the one before a retry, that is over."""
    return item.key[1].startswith(RESERVED_PREFIX) and not (item.is_open and state.closed is None)


def _is_retrying(task: Explained) -> bool:
    return task.standing is Standing.RETRYING


def _begun(item: Item, state: State, history: History) -> Explained:
    id_, tried = item.key[1], attempts(item, history.events)
    if not item.is_open:
        if item.status is Status.COMPLETED:
            return Explained(id_, Standing.DONE, tried, result=NO_RESULT)
        return Explained(id_, Standing.FAILED, tried, result=failure_of(item.failures[-1]).message)
    if state.closed is not None:
        return Explained(id_, Standing.SKIPPED, tried, _closed(state))
    # Only the timer of a retry has a control: the task that it is for.
    retried = item.key[0] is Kind.TIMER and item.opened and item.opened.data.control
    if retried:
        wait = Condition(Cause.RETRY, at=due(item), detail="the next attempt")
        return Explained(retried, Standing.RETRYING, tried, (wait,))
    standing, condition = _open_item(item)
    return Explained(id_, standing, tried, (condition,))


def _open_item(item: Item) -> tuple[Standing, Condition]:
    if item.key[0] is Kind.TIMER:
        return Standing.RUNNING, Condition(Cause.TIMER, at=due(item))
    if item.status is Status.SCHEDULED:
        return Standing.QUEUED, queued(item)
    return Standing.RUNNING, working(item)


def _graphs(main: Progress, history: History) -> Iterator[_Graph]:
    """Yield the graph of the run, and those of its cleanup after a failure and after a cancel request."""
    state, spec = main.state, main.spec
    noted = noted_failures(state)
    failures = main.failures if noted is None else noted
    # A cleanup that has started runs to its end, also if cancellation is requested meanwhile.
    cancels = noted is None and state.cancel_requested is not None
    timers = _retry_timers(state)
    yield _Graph(main, history, timers, _ending(state, {} if cancels else failures))
    after = (
        (spec.after_failure, failures and not cancels, "fails"),
        (spec.after_cancel, cancels, "is canceled"),
    )
    for clean_up, is_due, what in after:
        own = begin(clean_up, state, main.codec)
        kept = [] if is_due else [Condition(Cause.CLEANS_UP, detail=what)]
        yield _Graph(own, history, timers, _closed(state), tuple(kept or _stopping(own)))


def _closed(state: State) -> tuple[Condition, ...]:
    if state.closed is None:
        return ()
    return (Condition(Cause.CLOSED, at=state.closed.at, detail=type_name(state.closed.data)),)


def _ending(state: State, failures: Mapping[str, str]) -> tuple[Condition, ...]:
    """Return why a run starts no task but its cleanup; empty if it still does."""
    if state.closed is None and state.cancel_requested is not None and not failures:
        return (Condition(Cause.CANCEL_REQUESTED, at=state.cancel_requested.at),)
    failing = (Condition(Cause.FAILING, id_, detail=message) for id_, message in failures.items())
    return _closed(state) or tuple(failing)


def _stopping(clean_up: Progress) -> Iterator[Condition]:
    """Yield a condition for each task that must close before the cleanup starts."""
    for key in clean_up.state.opened.values():
        if key[0] in _STOPPED and key not in clean_up.plan.by_key:
            yield Condition(Cause.STOPPING, key[1])


#: Kinds that a cleanup waits for; timers end with the run.
_STOPPED = (Kind.ACTIVITY, Kind.CHILD, Kind.LAMBDA)


def _retry_timers(state: State) -> dict[str, Item]:
    """Return the open retry timers by task id."""
    timers = [state.items[key] for key in state.opened.values() if key[0] is Kind.TIMER]
    # A task's own timer carries no control.
    return {item.opened.data.control: item for item in timers if item.opened and item.opened.data.control}


@frozen
class _Graph:
    """The tasks of one graph (main or cleanup) after one event."""

    progress: Progress
    history: History
    timers: dict[str, Item]
    #: Why no more of them is started; empty if they still are.
    ending: tuple[Condition, ...]
    #: Conditions of the first of them.
    before: tuple[Condition, ...] = ()
    #: By position of each task that requires a failed one, directly or not: the failure.
    blocked: dict[int, Condition] = field(
        init=False, default=Factory(lambda self: self._blocked(), takes_self=True)
    )

    def _blocked(self) -> dict[int, Condition]:
        plan, failed = self.progress.plan, self.progress.exhausted
        found = {
            position: Condition(Cause.BLOCKED, plan.tasks[position].id_, detail=message)
            for position, message in failed.items()
        }
        todo = list(found)
        while todo:
            position = todo.pop()
            new = [other for other in plan.dependents[position] if other not in found]
            found.update(dict.fromkeys(new, found[position]))
            todo += new
        return found

    def explained(self, position: int, task: Task) -> Explained:
        """Return the status of one task."""
        state = self.progress.state
        item = state.items.get(task.key)
        told = attempts(item, self.history.events)
        look = look_at(task, state, self.progress.seed)
        if isinstance(look, Exhausted) or position in self.progress.exhausted:
            # A generator may have completed with an unusable result.
            message = look.message if isinstance(look, Exhausted) else self.progress.exhausted[position]
            return Explained(task.id_, Standing.FAILED, told, result=message)
        if item is not None and position in self.progress.done:
            return Explained(task.id_, Standing.DONE, told, result=task.result(item))
        if look is Rest.IN_FLIGHT and item is not None:
            standing, conditions = self._in_flight(task, item)
        else:
            standing, conditions = self._not_started(position, task)
        return Explained(task.id_, standing, told, tuple(conditions))

    def _in_flight(self, task: Task, item: Item) -> _Why:
        if self.progress.state.closed is not None:
            return Standing.SKIPPED, self.ending
        if not item.is_open:
            timer = self.timers.get(task.id_)
            waits = [] if timer is None else [retry(task, item, timer)]
            return (Standing.SKIPPED if self.ending else Standing.RETRYING), [*waits, *self.ending]
        standing, condition = _open_item(item)
        return standing, [condition]

    def _not_started(self, position: int, task: Task) -> _Why:
        plan = self.progress.plan
        needed = [other for other in plan.requires[position] if other not in self.progress.done]
        blocked = list(dict.fromkeys(self.blocked[other] for other in needed if other in self.blocked))
        if blocked or self.ending:
            told = {condition.task for condition in blocked}
            return Standing.SKIPPED, [*blocked, *(each for each in self.ending if each.task not in told)]
        if any(condition.cause is Cause.CLEANS_UP for condition in self.before):
            return Standing.RESERVED, self.before
        conditions = [*self.before, *map(self._required, needed)]
        if not conditions and task.key[0] is Kind.SIGNAL:
            conditions = [Condition(Cause.SIGNAL, detail=task.key[1])]
        if conditions:
            return Standing.WAITING, conditions
        return Standing.DUE, [*self._room(task), *self._decider()]

    def _required(self, position: int) -> Condition:
        plan = self.progress.plan
        cause = Cause.GENERATOR if position in plan.generators else Cause.REQUIRES
        return Condition(cause, plan.tasks[position].id_)

    def _room(self, task: Task) -> Iterator[Condition]:
        kind = task.key[0]
        if self.progress.state.open_count.get(kind, 0) >= OPEN_LIMIT:
            yield Condition(Cause.ROOM, detail=f"{OPEN_LIMIT:,} of its kind ({kind})")

    def _decider(self) -> Iterator[Condition]:
        asked = self.progress.state.decision_tasks
        event = asked.started or asked.scheduled
        if event is not None:
            yield Condition(Cause.DECIDER, detail=str(event.id))


_Why = tuple[Standing, Sequence[Condition]]
