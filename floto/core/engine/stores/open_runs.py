"""The open runs of a store, in memory: task queues and deadlines of all of them.

Task queues and deadlines are heaps whose entries are checked when they reach the top: a task that was
claimed, or a deadline that moved, leaves its entry behind. The heaps are rebuilt when most of their entries
are out of date. Runs are immutable and replaced as a whole, so that a change is undone by putting back the
run before it.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from attrs import evolve, frozen

from floto.core.engine.crashes import is_suspect
from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import ChangeEntry, Changes, PollableTask
from floto.core.engine.stores.records import TaskQueue, task_queue_of
from floto.core.engine.stores.store import Deadline, Ready
from floto.core.engine.tokens import TaskKind
from floto.core.quick_init import maker, quick_init
from floto.core.swf.shapes import WorkflowExecution

#: Entries that are out of date, beside as many as are up to date, before the heaps are rebuilt.
_OUT_OF_DATE = 10_000

_NO_TASKS: Mapping[int, PollableTask] = MappingProxyType({})
_NO_DUES: Mapping[int, PendingTimeout] = MappingProxyType({})


@quick_init
@frozen(weakref_slot=False)
class OpenRun:
    """An open run: its place among the others, its tasks and its deadlines."""

    number: int
    domain: str
    execution: WorkflowExecution
    #: Run id of the parent, if it has one.
    parent: str | None = None
    #: Number of the commit whose events the run has.
    revision: int = 0
    #: By the id of the event that scheduled it.
    tasks: Mapping[int, PollableTask] = _NO_TASKS
    #: By the id of the event to which it belongs.
    dues: Mapping[int, PendingTimeout] = _NO_DUES

    @classmethod
    def started(cls, number: int, run: EngineRun) -> OpenRun:
        """Return a run that has just started, without its tasks and deadlines."""
        parent = run.state.start.parent_workflow_execution
        return cls(number, run.domain, run.execution, None if parent is None else parent.run_id)


_new_open_run, _new_task = maker(OpenRun), maker(PollableTask)
_new_ready, _new_deadline = maker(Ready), maker(Deadline)


class OpenRuns:
    """The open runs by run id, with what can be claimed and what is due next.

    Args:
        leases: The lease that becomes the owner of a claimed task, by the kind of task.
        lease: The lease whose end is the crash of this process; None if no crash is known.
    """

    def __init__(self, leases: Mapping[TaskKind, str], lease: str | None = None) -> None:
        self._leases, self._lease = leases, lease
        #: Task queues that may have new tasks.
        self.offered: set[TaskQueue] = set()
        #: Runs whose tasks are hidden from polls, because they cannot be read.
        self.hidden: set[str] = set()
        #: The suspect (``crashes.py``) that this process has claimed last, by its run and its event.
        self._suspect: tuple[str, int] | None = None
        self.clear()

    def clear(self) -> None:
        """Remove all runs."""
        self._runs: dict[str, OpenRun] = {}
        self._ids: dict[tuple[str, str], str] = {}
        self._children: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._counts: Counter[str] = Counter()
        self._queues: defaultdict[TaskQueue, list[tuple[int, datetime, int, int, str]]] = defaultdict(list)
        #: Suspects that wait until the one that was claimed has ended.
        self._held: dict[tuple[str, int], None] = {}
        self._deadlines: list[tuple[datetime, int, int, int, str]] = []
        #: Entries that were added to the heaps, and their number at which most may be out of date.
        self._added, self._most_added = 0, _OUT_OF_DATE

    def __iter__(self) -> Iterator[OpenRun]:
        """Yield every run."""
        return iter(self._runs.values())

    def get(self, run_id: str) -> OpenRun | None:
        """Return a run, or None."""
        return self._runs.get(run_id)

    def run_id(self, domain: str, workflow_id: str) -> str | None:
        """Return the run id of the open run of a workflow id, or None."""
        return self._ids.get((domain, workflow_id))

    def children(self, run_id: str) -> tuple[str, ...]:
        """Return the run ids of the open children of a run, in the order of their start."""
        return tuple(sorted(self._children.get(run_id, ()), key=lambda run_id: self._runs[run_id].number))

    def count(self, domain: str) -> int:
        """Return the number of open runs of a domain."""
        return self._counts[domain]

    def put(self, run: OpenRun) -> None:
        """Add a run, or replace it."""
        self._put(run, run.tasks, run.dues)

    def apply(self, changes: Changes, run: OpenRun, revision: int = 0) -> None:
        """Replace a run by the one after a step.

        Args:
            changes: The changes of the step.
            run: The run before it.
            revision: The number of the commit.
        """
        tasks, dues = dict(run.tasks), dict(run.dues)
        for event_id in changes.dropped:
            tasks.pop(event_id, None)
            dues.pop(event_id, None)
        new_tasks, new_dues = [], []
        for entry in changes.entries:
            id, task, old = entry.event_id, entry.task, run.tasks.get(entry.event_id)
            # A deadline counts from the clock where a run is ahead of it, so it is not set again by every
            # step: only when the item opens, when its task starts, and when a heartbeat postpones it.
            is_new = id not in run.dues if task is None else old is None or old.started != task.started
            if task is not None and is_new:
                new_tasks.append(id)
                tasks[id] = self._owned(task, old) if task.started else task
            if _is_set_by_heartbeat(entry, run) if id in changes.beats else is_new:
                new_dues.append(id)
                if entry.due is None:
                    dues.pop(id, None)
                else:
                    dues[id] = entry.due
        after = _new_open_run(run.number, run.domain, run.execution, run.parent, revision, tasks, dues)
        self._put(after, new_tasks, new_dues)

    def _owned(self, task: PollableTask, old: PollableTask | None) -> PollableTask:
        """Return a started task with its owner; it keeps the task list by which it was scheduled."""
        first = old or task
        lease = self._leases[task.kind]
        return _new_task(task.kind, first.task_list, first.priority, first.scheduled_at, task.started, lease)

    def _put(self, run: OpenRun, new_tasks: Iterable[int], new_dues: Iterable[int]) -> None:
        run_id = run.execution.run_id
        old = self._runs.get(run_id)
        if old is None:
            self._ids[run.domain, run.execution.workflow_id] = run_id
            self._counts[run.domain] += 1
            if run.parent is not None:
                self._children[run.parent][run_id] = None
        self._runs[run_id] = run
        for event_id in new_tasks:
            task = run.tasks.get(event_id)
            if task is not None and task.lease is None:
                self._queue(run, event_id, task)
        if self._held:
            self._release()
        for event_id in new_dues:
            due = run.dues.get(event_id)
            if due is not None:
                self._added += 1
                heapq.heappush(self._deadlines, (due.at, due.rank, run.number, event_id, run_id))
        if self._added > self._most_added:
            self._most_added = 2 * sum(len(run.tasks) + len(run.dues) for run in self) + _OUT_OF_DATE
            if self._added > self._most_added:
                self._rebuild()

    def _queue(self, run: OpenRun, event_id: int, task: PollableTask) -> None:
        task_queue = task_queue_of(run.domain, task.kind, task.task_list)
        self.offered.add(task_queue)
        self._added += 1
        row = (-task.priority, task.scheduled_at, run.number, event_id, run.execution.run_id)
        heapq.heappush(self._queues[task_queue], row)

    def _rebuild(self) -> None:
        runs = sorted(self._runs.values(), key=lambda run: run.number)
        self.clear()
        for run in runs:
            self.put(run)

    def drop(self, run_id: str) -> None:
        """Remove a run, if it is there."""
        run = self._runs.pop(run_id, None)
        if run is None:
            return
        self._counts[run.domain] -= 1
        name = (run.domain, run.execution.workflow_id)
        if self._ids.get(name) == run_id:
            del self._ids[name]
        if run.parent is not None:
            siblings = self._children[run.parent]
            siblings.pop(run_id, None)
            if not siblings:
                del self._children[run.parent]
        if self._held:
            self._release()

    def restore(self, run_id: str, before: OpenRun | None) -> None:
        """Undo a change: put back the run before it, or remove the run if there was none."""
        if before is None:
            self.drop(run_id)
        else:
            self.put(before)

    def next_task(self, task_queue: TaskQueue) -> Ready | None:
        """Return the next task of a task queue: highest priority first, then oldest; None if it has none.

        Of one moment, the order is that of runs and events: the same after the runs are read again.
        """
        queue = self._queues.get(task_queue)
        while queue:
            *_, event_id, run_id = queue[0]
            task = self._claimable(run_id, event_id)
            if task is not None:
                if not (_waits_for_suspects(task) and self._has_suspect()):
                    return _new_ready(run_id, event_id, task.started, task.redeliveries)
                self._held[run_id, event_id] = None
            heapq.heappop(queue)
        return None

    def goes_first(self, task_queue: TaskQueue, priority: int, since: datetime) -> bool:
        """Return True if a task goes before a new one: of a higher priority, or scheduled until a time.

        Args:
            task_queue: The queue of both.
            priority: The priority of the new one.
            since: The time.
        """
        if self.next_task(task_queue) is None:
            return False
        rank, scheduled_at, *_ = self._queues[task_queue][0]
        return -rank > priority or scheduled_at <= since

    def is_claimable(self, ready: Ready) -> bool:
        """Return True if a task can be claimed."""
        return self._claimable(ready.run_id, ready.event_id) is not None

    def _claimable(self, run_id: str, event_id: int) -> PollableTask | None:
        run = self._runs.get(run_id)
        task = None if run is None or run_id in self.hidden else run.tasks.get(event_id)
        return task if task is not None and task.lease is None else None

    def tasks(self) -> Iterator[tuple[OpenRun, int, PollableTask]]:
        """Yield every task of every run, with the event that scheduled it."""
        for run in self._runs.values():
            for event_id, task in run.tasks.items():
                yield run, event_id, task

    def count_tasks(self, task_queue: TaskQueue) -> int:
        """Return the number of tasks of a task queue that were never claimed."""
        return sum(
            not task.started and (run.domain, task.kind, task.task_list) == task_queue
            for run, _, task in self.tasks()
        )

    def owned(self, lease: str) -> dict[tuple[str, int], int]:
        """Return the redeliveries of each task of a lease, by run and the event that scheduled it."""
        return {
            (run.execution.run_id, event_id): task.redeliveries
            for run, event_id, task in self.tasks()
            if task.lease == lease
        }

    def own(self, run_id: str, event_id: int, lease: str | None, redeliveries: int) -> None:
        """Give a task to a lease, or to none so that it can be claimed.

        Args:
            run_id: The run.
            event_id: The event that scheduled the task.
            lease: The new owner.
            redeliveries: Those of the task from now on.
        """
        run = self._runs[run_id]
        task = evolve(run.tasks[event_id], lease=lease, redeliveries=redeliveries)
        if lease is not None and lease == self._lease and _waits_for_suspects(task):
            self._suspect = (run_id, event_id)
        self._put(evolve(run, tasks={**run.tasks, event_id: task}), (event_id,), ())

    def _has_suspect(self) -> bool:
        """Return True if this process has a suspect that has not ended."""
        if self._suspect is None:
            return False
        run_id, event_id = self._suspect
        task = self._runs[run_id].tasks.get(event_id) if run_id in self._runs else None
        return task is not None and task.lease == self._lease

    @property
    def is_holding(self) -> bool:
        """True while suspects wait for another one."""
        return bool(self._held)

    def admit_suspect(self) -> None:
        """Let one of the suspects that wait run beside those that run."""
        self._suspect = None
        self._release()

    def _release(self) -> None:
        """Queue the suspects that waited, if they may run now."""
        if self._has_suspect():
            return
        held, self._held = self._held, {}
        for run_id, event_id in held:
            task = self._claimable(run_id, event_id)
            if task is not None:
                self._queue(self._runs[run_id], event_id, task)

    def deadlines(self) -> list[Deadline]:
        """Return the deadlines of all runs, the earliest first."""
        rows = [
            (due.at, due.rank, run.number, event_id, run.execution.run_id)
            for run in self._runs.values()
            for event_id, due in run.dues.items()
        ]
        return [Deadline(at, run_id, event_id) for at, _, _, event_id, run_id in sorted(rows)]

    def next_deadline(self) -> Deadline | None:
        """Return the earliest deadline of all runs; None if there is none."""
        while self._deadlines:
            at, _, _, event_id, run_id = self._deadlines[0]
            run = self._runs.get(run_id)
            due = None if run is None else run.dues.get(event_id)
            if due is not None and due.at == at:
                return _new_deadline(at, run_id, event_id)
            heapq.heappop(self._deadlines)
        return None

    def first_due(self) -> datetime | None:
        """Return a time before which nothing is due; None if nothing is; may be called in any thread."""
        first = self._deadlines[:1]
        return first[0][0] if first else None

    def set_dues(self, run_id: str, dues: Mapping[int, PendingTimeout]) -> None:
        """Move deadlines of a run."""
        run = self._runs[run_id]
        moved = {id: evolve(due, is_moved=True) for id, due in dues.items()}
        self._put(evolve(run, dues={**run.dues, **moved}), (), moved)


def _waits_for_suspects(task: PollableTask) -> bool:
    """Return True for a suspect, unless it is a decision task: that is short, and others wait for it."""
    return is_suspect(task.redeliveries) and task.kind is not TaskKind.DECISION


def _is_set_by_heartbeat(entry: ChangeEntry, run: OpenRun) -> bool:
    """Return True if the heartbeat timeout is, or was, the deadline of an activity."""
    dues = (run.dues.get(entry.event_id), entry.due)
    return any(due is not None and due.timeout_type in _SET_BY_HEARTBEAT for due in dues)


#: Timeout types that a heartbeat may postpone; a deadline that was read from a file has none.
_SET_BY_HEARTBEAT = ("HEARTBEAT", "")
