"""Status of each task of a run, from the progress of the run or, without a spec, from its state.

``floto why``, ``show``, ``graph``, ``timeline`` and the table of ``floto run`` all show this status.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Any

from attrs import Factory, field, frozen

from floto.core.decide.cleanup import begin_cleanup
from floto.core.decide.closing import CANCEL_REQUESTS, after_failure, open_work
from floto.core.decide.next_step import Start, Wait
from floto.core.decide.phase import RunPhase, phase, run_failures
from floto.core.decide.progress import Progress
from floto.core.decide.starting import room_in_groups
from floto.core.spec.rules.siblings import SiblingGroup
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import Task
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf.reserved_names import RETRY_PREFIX

#: Kinds of what a run starts and waits for.
STARTED_KINDS = (*CANCEL_REQUESTS, Kind.TIMER, Kind.EXTERNAL_SIGNAL)


def item_name(key: Key) -> str:
    """Return the id of an item; of a signal that other deciders than floto sent, with what the number is."""
    is_number = key[0] is Kind.EXTERNAL_SIGNAL and key[1].isdecimal()
    return f"{key[0]} {key[1]}" if is_number else key[1]


class TaskStatus(StrEnum):
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
    #: The last attempt was canceled, and no other follows.
    CANCELED = "canceled"
    #: Runs only if the run fails or is canceled.
    RESERVED = "reserved for cleanup"
    #: The run closes, or has closed, without it.
    SKIPPED = "skipped"


#: Statuses of a task that has ended without a result.
FAILURES = (TaskStatus.FAILED, TaskStatus.CANCELED)


@frozen
class TaskGraph:
    """The tasks of a run, or those of its cleanup after a failure or after a cancel request."""

    progress: Progress
    #: The run starts no more of them.
    is_ending: bool
    #: What the run does before a cleanup begins ("fails"); empty once it does, and for the run itself.
    reserved: str = ""
    #: Open work that must close before a cleanup begins.
    stopping: Collection[Key] = ()
    #: By position of each task that is exhausted or depends on such a task: the position of that task.
    blocked: Mapping[int, int] = field(default=Factory(lambda self: _blocked(self.progress), takes_self=True))

    def status(self, position: int) -> TaskStatus:
        """Return the status of the task at a position of the plan."""
        progress = self.progress
        item = progress.state.items.get(progress.plan.tasks[position].key)
        outcome = progress.outcomes.get(position)
        if outcome is TaskOutcome.COMPLETED:
            return TaskStatus.DONE
        if self.reserved and (item is None or outcome is TaskOutcome.SKIPPED):
            # The rules of a cleanup count only once it begins.
            return TaskStatus.SKIPPED if self.is_ending else TaskStatus.RESERVED
        if outcome is not None:
            return TaskStatus.SKIPPED if outcome is TaskOutcome.SKIPPED else _failed_status(item)
        if item is not None and item.is_open:
            return _open_status(item, progress.state)
        return self._not_in_flight(position, item)

    def _not_in_flight(self, position: int, item: Item | None) -> TaskStatus:
        progress = self.progress
        needed = progress.requirements_left(position)
        if self.is_ending or position in self.blocked:
            return TaskStatus.SKIPPED
        if item is not None and item.failures and not needed and position not in progress.steps:
            return TaskStatus.RETRYING
        if self.reserved:
            return TaskStatus.RESERVED
        if self.turn(position) is not None:
            return TaskStatus.WAITING
        is_signal = progress.plan.tasks[position].key[0] is Kind.SIGNAL
        # The timer of a signal's time-out is not started yet.
        is_signal = is_signal and not isinstance(progress.steps.get(position), Wait)
        return TaskStatus.WAITING if needed or self.stopping or is_signal else TaskStatus.DUE

    @cached_property
    def room(self) -> Mapping[int | None, int]:
        """How many more tasks may be in flight, by the generator that returned them, where it limits that."""
        return room_in_groups(self.progress)

    @cached_property
    def admitted(self) -> frozenset[int]:
        """The tasks that the next decision starts of those that a generator limits, by their positions."""
        groups, steps = self.progress.groups.by_generator, self.progress.steps
        return frozenset(
            position
            for generator, room in self.room.items()
            if room > 0 and generator is not None
            # Most members of a large group have ended: only those with a step are looked at one by one.
            for position in islice(
                filter(self._is_to_start, filter(steps.__contains__, sorted(groups[generator].members))), room
            )
        )

    def _is_to_start(self, position: int) -> bool:
        is_signal = self.progress.plan.tasks[position].key[0] is Kind.SIGNAL
        return isinstance(self.progress.steps.get(position), Start) and not is_signal

    def turn(self, position: int) -> SiblingGroup | None:
        """Return the siblings for which a task waits because so many are in flight; None if it does not."""
        group = self.progress.groups.of(position)
        if group is None or group.limits.max_in_flight is None or position in self.admitted:
            return None
        return group if self._is_to_start(position) else None

    def is_ruled_out(self, position: int) -> bool:
        """Return True if the rules of the task skip it."""
        return self.progress.outcomes.get(position) is TaskOutcome.SKIPPED and not self.reserved

    def needed(self, position: int) -> list[int]:
        """Return the positions of the required tasks that a task waits for."""
        progress = self.progress
        if not progress.requirements_left(position):
            return []
        return [
            other
            for other in progress.plan.requires[position]
            if progress.outcomes.get(other, TaskOutcome.FAILED) is TaskOutcome.FAILED
            and not progress.groups.is_decided(other, position, progress.count_of)
        ]


def _blocked(progress: Progress) -> dict[int, int]:
    """Return the first failed task of the plan that each task waits for, directly or not."""
    plan = progress.plan
    found: dict[int, int] = dict.fromkeys(progress.exhausted, -1)
    for failed in sorted(progress.exhausted):
        found[failed] = failed
        todo = [failed]
        while todo:
            dependents = (other for other in plan.dependents[todo.pop()] if other not in found)
            new = [other for other in dependents if plan.rules_at(other).join == "all"]
            found.update(dict.fromkeys(new, failed))
            todo += new
    return found


#: For each cleanup: the phases in which it runs, and what the run does before.
_CLEANUPS: tuple[tuple[Collection[RunPhase], str], ...] = (
    ({RunPhase.FAILING, RunPhase.CLEANING_UP}, "fails"),
    ({RunPhase.CANCELING}, "is canceled"),
)


def cleanups(main: Progress) -> tuple[Progress, ...]:
    """Return the progress of the cleanup after a failure and of that after a cancel request."""
    return after_failure(main, run_failures(main)), begin_cleanup(main, main.spec.after_cancel, {})


def task_graphs(
    main: Progress, cleaning: Sequence[Progress] | None = None, before: Sequence[TaskGraph] = ()
) -> tuple[TaskGraph, ...]:
    """Return the graph of a run, and those of its cleanup after a failure and after a cancel request.

    Args:
        main: The progress of the run.
        cleaning: Its ``cleanups``; by default they are computed.
        before: The graphs after an earlier event, from which is taken what has not changed.
    """
    now, state = phase(main), main.state
    own = cleanups(main) if cleaning is None else cleaning
    known = [*before, *(None for _ in range(1 + len(own)))]
    is_ending = now not in {RunPhase.RUNNING, RunPhase.COMPLETING}
    graphs = [TaskGraph(main, is_ending, **_blocked_before(known[0], main))]
    for each, old, (phases, what) in zip(own, known[1:], _CLEANUPS, strict=False):
        stopping: Collection[Key] = ()
        if now in phases and each.plan.tasks:
            is_same = old is not None and not old.reserved and old.progress.state.opened is state.opened
            stopping = old.stopping if old and is_same else open_work(state, each.plan.by_key)
        reserved, blocked = "" if now in phases else what, _blocked_before(old, each)
        graphs.append(TaskGraph(each, now is RunPhase.CLOSED, reserved, stopping, **blocked))
    return tuple(graphs)


def _blocked_before(before: TaskGraph | None, progress: Progress) -> dict[str, Any]:
    if before is None or before.progress.plan is not progress.plan:
        return {}
    return {"blocked": before.blocked} if before.progress.exhausted is progress.exhausted else {}


def task_statuses(main: Progress) -> Collection[tuple[Task, TaskStatus]]:
    """Return every task of a run with its status, cleanup tasks last."""
    found: dict[str, tuple[Task, TaskStatus]] = {}
    for graph in task_graphs(main):
        for position, task in enumerate(graph.progress.plan.tasks):
            status = graph.status(position)
            # A task may clean up after a failure and after a cancel request, whichever occurs.
            if status is not TaskStatus.RESERVED or task.id_ not in found:
                found[task.id_] = task, status
    return found.values()


def started_statuses(state: State) -> dict[Key, TaskStatus]:
    """Return the status of everything that a run has started, as far as it is known without a spec."""
    retries = retry_timers(state)
    return {
        key: started_status(item, state, is_retrying=key[1] in retries)
        for key, item in state.items.items()
        if key[0] in (*STARTED_KINDS, Kind.SIGNAL)
    }


def started_status(item: Item, state: State, *, is_retrying: bool = False) -> TaskStatus:
    """Return the status of an item, as far as it is known without a spec."""
    if item.is_open:
        return _open_status(item, state)
    if item.status is Status.COMPLETED:
        return TaskStatus.DONE
    if not is_retrying:
        return _failed_status(item)
    return TaskStatus.RETRYING if state.closed is None else TaskStatus.SKIPPED


def _failed_status(item: Item | None) -> TaskStatus:
    is_canceled = item is not None and item.status is Status.CANCELED
    return TaskStatus.CANCELED if is_canceled else TaskStatus.FAILED


def _open_status(item: Item, state: State) -> TaskStatus:
    if state.closed is not None:
        return TaskStatus.SKIPPED
    is_queued = item.status is Status.SCHEDULED and item.key[0] is not Kind.TIMER
    return TaskStatus.QUEUED if is_queued else TaskStatus.RUNNING


def retry_timers(state: State) -> dict[str, Item]:
    """Return the open retry timers by task id."""
    timers = (state.items[key] for key in state.opened.values())
    return {id_: timer for timer in timers if (id_ := retried_task(timer)) is not None}


def retried_task(item: Item) -> str | None:
    """Return the id of the task before whose retry an item waits; None if it is not a retry timer."""
    if item.key[0] is not Kind.TIMER or not item.key[1].startswith(RETRY_PREFIX) or item.opened is None:
        return None
    # Only the timer before a retry of a task has its id in ``control``.
    return item.opened.data.control or None
