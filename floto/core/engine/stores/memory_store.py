"""In-memory store, for simulators and tests."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from operator import attrgetter

from attrs import define, evolve, field

from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import Changes, PollableTask
from floto.core.engine.stores.open_runs import OpenRun, OpenRuns
from floto.core.engine.stores.records import ListingQuery, Position, Record, TaskQueue, last_scheduled
from floto.core.engine.stores.store import Deadline, Ready
from floto.core.engine.tokens import TaskKind
from floto.core.quick_init import maker
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.events import Event
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import ActivityType, WorkflowType

#: The owner of every started task: no process but this one has the store.
_OWNER = "memory"


@define
class _Entry:
    """All data of one run, open or closed."""

    run: EngineRun
    record: Record
    events: list[Event] = field(factory=list)


_new_record = maker(Record)


class MemoryStore:
    """A ``RunStore`` in plain dicts."""

    def __init__(self) -> None:
        self._domains: dict[str, Domain] = {}
        self._types: dict[tuple[str, ActivityType | WorkflowType], RegisteredType] = {}
        self._entries: dict[str, _Entry] = {}
        self.open_runs = OpenRuns(dict.fromkeys(TaskKind, _OWNER))
        self._latest: dict[tuple[str, str], str] = {}
        #: When the retention of each closed run ends: time, number and id of the run.
        self._expiries: list[tuple[datetime, int, str]] = []
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
        return self.open_runs.run_id(domain, workflow_id)

    def open_children(self, run_id: str) -> Sequence[str]:
        """Return the ids of the open children of a run, in the order in which they started."""
        return self.open_runs.children(run_id)

    def count_open(self, domain: str) -> int:
        """Return the number of open runs of a domain."""
        return self.open_runs.count(domain)

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

    def listed(self, listing: ListingQuery, most: int, after: Position | None = None) -> Sequence[Record]:
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

    def count_listed(self, listing: ListingQuery) -> int:
        """Return the number of runs of a listing."""
        return len(self._listed(listing))

    def _listed(self, listing: ListingQuery) -> list[Record]:
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
            (Ready(run.execution.run_id, event_id), task)
            for run, event_id, task in self.open_runs.tasks()
            if task.lease is None
        ]

    def save(self, changes: Changes) -> None:
        """Write the changes of a step."""
        run, run_id = changes.run, changes.run.execution.run_id
        entry = self._begin(changes) if changes.is_new else self._entries[run_id]
        entry.run = run
        entry.record = _updated(entry.record, changes)
        entry.events.extend(changes.events)
        if changes.is_closed:
            self.open_runs.drop(run_id)
        else:
            before = self.open_runs.get(run_id) or OpenRun.started(entry.record.number, run)
            self.open_runs.apply(changes, before)

    def _begin(self, changes: Changes) -> _Entry:
        run, first = changes.run, changes.events[0]
        info = ExecutionInfo(
            execution=run.execution, workflow_type=first.data.workflow_type, started_at=first.at
        )
        record = Record(
            number=next(self._numbers),
            domain=run.domain,
            info=info,
            parent=first.data.parent_workflow_execution,
            tags=first.data.tag_list or (),
        )
        self._latest[run.domain, run.execution.workflow_id] = run.execution.run_id
        entry = self._entries[run.execution.run_id] = _Entry(run, record)
        return entry

    def expire(self, run_id: str, at: datetime) -> None:
        """Set the end of the retention of a closed run."""
        heapq.heappush(self._expiries, (at, self._entries[run_id].record.number, run_id))

    def forget(self, run_id: str) -> None:
        """Delete a closed run and its history."""
        if self._expiries and self._expiries[0][-1] == run_id:
            heapq.heappop(self._expiries)
        entry = self._entries.pop(run_id, None)
        if entry is not None:
            name = (entry.run.domain, entry.run.execution.workflow_id)
            if self._latest.get(name) == run_id:
                del self._latest[name]

    def next_task(self, task_queue: TaskQueue) -> Ready | None:
        """Return the next task to claim: highest priority first, then oldest; None if there is none."""
        return self.open_runs.next_task(task_queue)

    def is_claimable(self, ready: Ready) -> bool:
        """Return True if the task can be claimed."""
        return self.open_runs.is_claimable(ready)

    def count_tasks(self, task_queue: TaskQueue) -> int:
        """Return the number of tasks that can be claimed."""
        return self.open_runs.count_tasks(task_queue)

    def reclaim(self, ready: Ready, kind: TaskKind) -> None:
        """Do nothing: an owner of a task cannot crash without the in-memory store."""

    def deadlines(self) -> list[Deadline]:
        """Return the deadlines of all runs, the earliest first."""
        expiries = [Deadline(at, run_id, 0) for at, _, run_id in self._expiries]
        return sorted([*self.open_runs.deadlines(), *expiries], key=lambda due: due.at)

    def next_deadline(self) -> Deadline | None:
        """Return the earliest deadline of all runs; None if there is none."""
        found = self.open_runs.next_deadline()
        if self._expiries and (found is None or self._expiries[0][0] < found.at):
            at, _, run_id = self._expiries[0]
            return Deadline(at, run_id, 0)
        return found


def _updated(record: Record, changes: Changes) -> Record:
    """Return the record of a run after a step."""
    run, closed, info = changes.run, changes.run.state.closed, record.info
    cancel_requested = run.state.cancel_requested is not None
    activity_at = last_scheduled(changes.events) or record.activity_at
    if closed is not None:
        info = evolve(info, closed_at=closed.at, close_status=CLOSING_EVENTS[type(closed.data)].status)
    elif (cancel_requested, run.execution_context, activity_at) == _changeable(record):
        return record
    return _new_record(
        number=record.number,
        domain=record.domain,
        info=info,
        parent=record.parent,
        tags=record.tags,
        cancel_requested=cancel_requested,
        execution_context=run.execution_context,
        activity_at=activity_at,
    )


_changeable = attrgetter("cancel_requested", "execution_context", "activity_at")
