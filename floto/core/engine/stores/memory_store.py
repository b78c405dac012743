"""In-memory store, for simulators and tests."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import count

from attrs import define, evolve, field

from floto.core.engine.deadlines import PendingTimeout
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import Changes, PollableTask
from floto.core.engine.stores.records import Listing, Place, Position, Record, last_scheduled
from floto.core.engine.stores.store import EXPIRY_RANK, Deadline, Ready
from floto.core.engine.tokens import TaskKind
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import Event
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import ActivityType, WorkflowType


@define
class _Entry:
    """All data of one run; tasks and deadlines are cleared when it closes."""

    run: EngineRun
    record: Record
    events: list[Event] = field(factory=list)
    tasks: dict[int, PollableTask] = field(factory=dict)
    dues: dict[int, PendingTimeout] = field(factory=dict)


class MemoryStore:
    """A ``RunStore`` in plain dicts."""

    def __init__(self) -> None:
        self._domains: dict[str, Domain] = {}
        self._types: dict[tuple[str, ActivityType | WorkflowType], RegisteredType] = {}
        self._entries: dict[str, _Entry] = {}
        self._open: dict[tuple[str, str], str] = {}
        self._latest: dict[tuple[str, str], str] = {}
        self._children: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._queues: defaultdict[Place, list[tuple[int, int, str, int]]] = defaultdict(list)
        self._deadlines: list[tuple[datetime, int, int, int, str]] = []
        self._arrivals = count()
        self._numbers = count(1)

    def domain(self, name: str) -> Domain | None:
        """Return a registered domain; None if it is not registered."""
        return self._domains.get(name)

    def put_domain(self, domain: Domain) -> None:
        """Insert or replace a domain."""
        self._domains[domain.name] = domain

    def domains(self) -> Sequence[Domain]:
        """Return all domains, sorted by name."""
        return sorted(self._domains.values(), key=lambda domain: domain.name)

    def registered(self, domain: str, type_: ActivityType | WorkflowType) -> RegisteredType | None:
        """Return a registered type; None if it is not registered."""
        return self._types.get((domain, type_))

    def put_type(self, domain: str, registered: RegisteredType) -> None:
        """Insert or replace a type."""
        self._types[domain, registered.type] = registered

    def drop_type(self, domain: str, type_: ActivityType | WorkflowType) -> None:
        """Delete a type."""
        self._types.pop((domain, type_), None)

    def types(
        self, domain: str, kind: type[ActivityType | WorkflowType], name: str | None = None
    ) -> Sequence[RegisteredType]:
        """Return the types of a kind, or those of one name, sorted by name and version."""
        found = [
            registered
            for (where, type_), registered in self._types.items()
            if where == domain and type(type_) is kind and name in (None, type_.name)
        ]
        return sorted(found, key=lambda registered: (registered.type.name, registered.type.version))

    def load(self, run_id: str) -> EngineRun | None:
        """Return an open run; None if it is closed or unknown."""
        entry = self._entries.get(run_id)
        return None if entry is None or entry.run.state.closed is not None else entry.run

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """Return the run id of the open run of a workflow id; None if there is none."""
        return self._open.get((domain, workflow_id))

    def open_children(self, run_id: str) -> Sequence[str]:
        """Return the ids of the open children of a run, in the order in which they started."""
        return tuple(self._children.get(run_id, ()))

    def count_open(self, domain: str) -> int:
        """Return the number of open runs of a domain."""
        return sum(1 for where, _ in self._open if where == domain)

    def latest(self, domain: str, workflow_id: str) -> Record | None:
        """Return the latest run of a workflow id; None if there is none."""
        return self.record(self._latest.get((domain, workflow_id), ""))

    def record(self, run_id: str) -> Record | None:
        """Return the record of a run, open or closed; None if it is unknown."""
        entry = self._entries.get(run_id)
        return None if entry is None else entry.record

    def records(self) -> list[Record]:
        """Return all runs, in the order in which they started."""
        return [entry.record for entry in self._entries.values()]

    def listed(self, listing: Listing, most: int, after: Position | None = None) -> Sequence[Record]:
        """Return up to ``most`` runs of a listing, in its order, those behind ``after``."""
        found = sorted(
            ((listing.moment(record), record.number, record) for record in self._listed(listing)),
            key=lambda entry: entry[:2],
            reverse=listing.newest_first,
        )
        if after is not None:
            last = (after.at, after.number)
            found = [row for row in found if (row[:2] < last if listing.newest_first else row[:2] > last)]
        return [record for _, _, record in found[:most]]

    def count_listed(self, listing: Listing) -> int:
        """Return the number of runs of a listing."""
        return len(self._listed(listing))

    def _listed(self, listing: Listing) -> list[Record]:
        return [record for record in self.records() if listing.has(record)]

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """Return up to ``most`` events of a run, with ids above ``after``; empty if it is unknown."""
        entry = self._entries.get(run_id)
        return () if entry is None else tuple(entry.events[after : None if most is None else after + most])

    def last_event_id(self, run_id: str) -> int:
        """Return the id of the last event of a run, open or closed; 0 if it is not known."""
        entry = self._entries.get(run_id)
        return 0 if entry is None else len(entry.events)

    def pollable(self) -> list[tuple[Ready, PollableTask]]:
        """Return every task that can be claimed."""
        return [
            (Ready(run_id, event_id), task)
            for run_id, entry in self._entries.items()
            for event_id, task in entry.tasks.items()
            if not task.started
        ]

    def save(self, changes: Changes) -> None:
        """Write the changes of a step."""
        entry = self._begin(changes) if changes.is_new else self._entries[_id(changes.run)]
        entry.run = changes.run
        entry.record = _updated(entry.record, changes)
        entry.events.extend(changes.events)
        if changes.is_closed:
            self._close(entry, changes.run)
        else:
            self._refresh(entry, changes)

    def _begin(self, changes: Changes) -> _Entry:
        run, first = changes.run, changes.events[0]
        parent = first.data.parent_workflow_execution
        info = ExecutionInfo(
            execution=run.execution, workflow_type=first.data.workflow_type, started_at=first.at
        )
        record = Record(
            number=next(self._numbers),
            domain=run.domain,
            info=info,
            parent=parent,
            tags=first.data.tag_list or (),
        )
        entry = self._entries[_id(run)] = _Entry(run, record)
        name = (run.domain, run.execution.workflow_id)
        self._open[name] = self._latest[name] = _id(run)
        if parent is not None:
            self._children[parent.run_id][_id(run)] = None
        return entry

    def _close(self, entry: _Entry, run: EngineRun) -> None:
        entry.tasks, entry.dues = {}, {}
        del self._open[run.domain, run.execution.workflow_id]
        if entry.record.parent is not None:
            del self._children[entry.record.parent.run_id][_id(run)]

    def _refresh(self, entry: _Entry, changes: Changes) -> None:
        run_id = _id(changes.run)
        for event_id in changes.dropped:
            entry.tasks.pop(event_id, None)
            entry.dues.pop(event_id, None)
        for event_id, task in changes.tasks:
            entry.tasks[event_id] = task
            if not task.started:
                place = Place(changes.run.domain, task.kind, task.task_list)
                heapq.heappush(self._queues[place], (-task.priority, next(self._arrivals), run_id, event_id))
        for event_id, due in changes.dues:
            if due is None:
                entry.dues.pop(event_id, None)
            else:
                self._set_due(entry, event_id, due)

    def _set_due(self, entry: _Entry, event_id: int, due: PendingTimeout) -> None:
        entry.dues[event_id] = due
        row = (due.at, due.rank, entry.record.number, event_id, _id(entry.run))
        heapq.heappush(self._deadlines, row)

    def expire(self, run_id: str, at: datetime) -> None:
        """Set the end of the retention of a closed run."""
        self._set_due(self._entries[run_id], 0, PendingTimeout(at, EXPIRY_RANK, ""))

    def forget(self, run_id: str) -> None:
        """Delete a closed run and its history."""
        entry = self._entries.pop(run_id, None)
        if entry is not None:
            name = (entry.run.domain, entry.run.execution.workflow_id)
            if self._latest.get(name) == run_id:
                del self._latest[name]

    def next_task(self, place: Place) -> Ready | None:
        """Return the next task to claim: highest priority first, then oldest; None if there is none."""
        queue = self._queues.get(place)
        while queue:
            _, _, run_id, event_id = queue[0]
            ready = Ready(run_id, event_id)
            if self.is_waiting(ready):
                return ready
            heapq.heappop(queue)
        return None

    def is_waiting(self, ready: Ready) -> bool:
        """Return True if the task can be claimed."""
        entry = self._entries.get(ready.run_id)
        task = None if entry is None else entry.tasks.get(ready.event_id)
        return task is not None and not task.started

    def count_tasks(self, place: Place) -> int:
        """Return the number of tasks that can be claimed."""
        return sum(
            not task.started and Place(entry.run.domain, task.kind, task.task_list) == place
            for entry in self._entries.values()
            for task in entry.tasks.values()
        )

    def reclaim(self, ready: Ready, kind: TaskKind) -> None:
        """Do nothing: an owner of a task cannot crash without the in-memory store."""

    def deadlines(self) -> list[Deadline]:
        """Return the deadlines of all runs, the earliest first."""
        rows = [
            (due.at, due.rank, entry.record.number, event_id, run_id)
            for run_id, entry in self._entries.items()
            for event_id, due in entry.dues.items()
        ]
        return [Deadline(at, run_id, event_id) for at, _, _, event_id, run_id in sorted(rows)]

    def next_deadline(self) -> Deadline | None:
        """Return the earliest deadline of all runs; None if there is none."""
        while self._deadlines:
            at, _, _, event_id, run_id = self._deadlines[0]
            entry = self._entries.get(run_id)
            due = None if entry is None else entry.dues.get(event_id)
            if due is not None and due.at == at:
                return Deadline(at, run_id, event_id)
            heapq.heappop(self._deadlines)
        return None


def _updated(record: Record, changes: Changes) -> Record:
    """Return the record of a run after a step."""
    state, closed = changes.run.state, changes.run.state.closed
    info = record.info
    if closed is not None:
        info = evolve(info, closed_at=closed.at, close_status=CLOSING_EVENTS[type(closed.data)].status)
    return evolve(
        record,
        info=info,
        cancel_requested=state.cancel_requested is not None,
        execution_context=changes.run.execution_context,
        activity_at=last_scheduled(changes.events) or record.activity_at,
    )


def _id(run: EngineRun) -> str:
    return run.execution.run_id
