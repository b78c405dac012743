"""A store in memory: dicts, and heaps whose stale entries are skipped when they come up."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import count

from attrs import define, evolve, field

from floto.core.events import Event
from floto.core.ports import ExecutionInfo
from floto.core.service.changes import Changes, Task
from floto.core.service.closing import CLOSE_STATUS
from floto.core.service.deadlines import Due
from floto.core.service.defaults import ActivityDefaults, WorkflowDefaults
from floto.core.service.run import Run
from floto.core.service.store import Deadline, Ready
from floto.core.service.tokens import TaskKind
from floto.core.shapes import ActivityType, WorkflowType

_Place = tuple[str, TaskKind, str]


@define
class _Record:
    """Everything of one run; what is open goes when it closes."""

    number: int
    run: Run
    info: ExecutionInfo
    events: list[Event] = field(factory=list)
    tasks: dict[int, Task] = field(factory=dict)
    dues: dict[int, Due] = field(factory=dict)


class MemoryStore:
    """Keeps everything for as long as it lives, and is cheap to make."""

    def __init__(self) -> None:
        self._domains: set[str] = set()
        self._activities: dict[tuple[str, ActivityType], ActivityDefaults] = {}
        self._workflows: dict[tuple[str, WorkflowType], WorkflowDefaults] = {}
        self._records: dict[str, _Record] = {}
        self._open: dict[tuple[str, str], str] = {}
        self._latest: dict[tuple[str, str], str] = {}
        self._children: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._queues: defaultdict[_Place, list[tuple[int, int, str, int]]] = defaultdict(list)
        self._deadlines: list[tuple[datetime, int, int, int, str]] = []
        self._arrivals = count()

    def has_domain(self, domain: str) -> bool:
        """Whether a domain is registered."""
        return domain in self._domains

    def add_domain(self, domain: str) -> None:
        """Register a domain."""
        self._domains.add(domain)

    def activity_defaults(self, domain: str, type_: ActivityType) -> ActivityDefaults | None:
        """The defaults of a registered activity type."""
        return self._activities.get((domain, type_))

    def workflow_defaults(self, domain: str, type_: WorkflowType) -> WorkflowDefaults | None:
        """The defaults of a registered workflow type."""
        return self._workflows.get((domain, type_))

    def add_activity_type(self, domain: str, type_: ActivityType, defaults: ActivityDefaults) -> None:
        """Register an activity type."""
        self._activities[domain, type_] = defaults

    def add_workflow_type(self, domain: str, type_: WorkflowType, defaults: WorkflowDefaults) -> None:
        """Register a workflow type."""
        self._workflows[domain, type_] = defaults

    def load(self, run_id: str) -> Run | None:
        """An open run."""
        record = self._records.get(run_id)
        return None if record is None or record.run.state.closed is not None else record.run

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """The id of the open run of a workflow id."""
        return self._open.get((domain, workflow_id))

    def open_children(self, run_id: str) -> Sequence[str]:
        """The ids of the open runs whose parent is this run, in the order they began."""
        return tuple(self._children.get(run_id, ()))

    def latest(self, domain: str, workflow_id: str) -> ExecutionInfo | None:
        """The run of a workflow id that began last."""
        run_id = self._latest.get((domain, workflow_id))
        return None if run_id is None else self.info(run_id)

    def info(self, run_id: str) -> ExecutionInfo | None:
        """One run, open or closed."""
        record = self._records.get(run_id)
        return None if record is None else record.info

    def infos(self) -> list[ExecutionInfo]:
        """Every run, in the order they began."""
        return [record.info for record in self._records.values()]

    def history(self, run_id: str, after: int = 0) -> tuple[Event, ...]:
        """The events of a run with an id above ``after``."""
        record = self._records.get(run_id)
        return () if record is None else tuple(record.events[after:] if after else record.events)

    def pollable(self) -> list[tuple[Ready, Task]]:
        """Every task that waits for a poll."""
        return [
            (Ready(run_id, event_id), task)
            for run_id, record in self._records.items()
            for event_id, task in record.tasks.items()
            if not task.started
        ]

    def save(self, changes: Changes) -> None:
        """Write down what a step did."""
        record = self._open_record(changes) if changes.is_new else self._records[_id(changes.run)]
        record.run = changes.run
        record.events.extend(changes.events)
        if changes.is_closed:
            self._close(record, changes.run)
        else:
            self._refresh(record, changes)

    def _open_record(self, changes: Changes) -> _Record:
        run, first = changes.run, changes.events[0]
        info = ExecutionInfo(
            execution=run.execution, workflow_type=first.data.workflow_type, started_at=first.at
        )
        record = self._records[_id(run)] = _Record(len(self._records), run, info)
        name = (run.domain, run.execution.workflow_id)
        self._open[name] = self._latest[name] = _id(run)
        parent = first.data.parent_workflow_execution
        if parent is not None:
            self._children[parent.run_id][_id(run)] = None
        return record

    def _close(self, record: _Record, run: Run) -> None:
        closed, started = run.state.closed, run.state.started
        if closed is None or started is None:
            return
        record.info = evolve(record.info, closed_at=closed.at, close_status=CLOSE_STATUS[type(closed.data)])
        record.tasks, record.dues = {}, {}
        del self._open[run.domain, run.execution.workflow_id]
        parent = started.data.parent_workflow_execution
        if parent is not None:
            del self._children[parent.run_id][_id(run)]

    def _refresh(self, record: _Record, changes: Changes) -> None:
        run_id = _id(changes.run)
        for event_id in changes.dropped:
            record.tasks.pop(event_id, None)
            record.dues.pop(event_id, None)
        for event_id, task in changes.tasks:
            record.tasks[event_id] = task
            if not task.started:
                place = (changes.run.domain, task.kind, task.task_list)
                entry = (-task.priority, next(self._arrivals), run_id, event_id)
                heapq.heappush(self._queues[place], entry)
        for event_id, due in changes.dues:
            if due is None:
                record.dues.pop(event_id, None)
            else:
                record.dues[event_id] = due
                heapq.heappush(self._deadlines, (due.at, due.rank, record.number, event_id, run_id))

    def next_task(self, domain: str, kind: TaskKind, task_list: str) -> Ready | None:
        """The task to hand out next: highest priority first, then oldest."""
        queue = self._queues.get((domain, kind, task_list))
        while queue:
            _, _, run_id, event_id = queue[0]
            task = self._records[run_id].tasks.get(event_id)
            if task is not None and not task.started:
                return Ready(run_id, event_id)
            heapq.heappop(queue)
        return None

    def take_over(self, ready: Ready) -> None:
        """Nobody who holds a task of a store in memory can die without it."""

    def next_deadline(self) -> Deadline | None:
        """The earliest deadline of all runs."""
        while self._deadlines:
            at, _, _, event_id, run_id = self._deadlines[0]
            due = self._records[run_id].dues.get(event_id)
            if due is not None and due.at == at:
                return Deadline(at, run_id, event_id)
            heapq.heappop(self._deadlines)
        return None


def _id(run: Run) -> str:
    return run.execution.run_id
