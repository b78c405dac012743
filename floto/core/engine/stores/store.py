"""Protocol of the engine's store: plain data access, no rule of SWF."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from floto.core.engine import faults
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import Changes
from floto.core.engine.stores.records import ListingQuery, Position, Record, TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.quick_init import quick_init
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType


@quick_init
@frozen(weakref_slot=False)
class Ready:
    """A task that can be claimed; ``started`` is not 0 if its owner crashed and it is redelivered."""

    run_id: str
    event_id: int
    started: int = 0
    #: Number of owners that crashed, and what follows from them (``crashes.py``).
    redeliveries: int = 0


@quick_init
@frozen(weakref_slot=False)
class Deadline:
    """A deadline to fire; ``event_id`` 0 is the end of the retention of a closed run."""

    at: datetime
    run_id: str
    event_id: int


class RunStore(Protocol):
    """Keeps domains, types, runs and histories, and the tasks and deadlines of open runs."""

    def domain(self, name: str) -> Domain | None:
        """Return a registered domain; None if it is not registered."""
        ...

    def put_domain(self, domain: Domain) -> None:
        """Insert or replace a domain."""
        ...

    def domains(self) -> Sequence[Domain]:
        """Return all domains, sorted by name."""
        ...

    def registered(self, domain: str, type_: ActivityType | WorkflowType) -> RegisteredType | None:
        """Return a registered type; None if it is not registered."""
        ...

    def put_type(self, domain: str, registered: RegisteredType) -> None:
        """Insert or replace a type."""
        ...

    def drop_type(self, domain: str, type_: ActivityType | WorkflowType) -> None:
        """Delete a type."""
        ...

    def types(
        self, domain: str, kind: type[ActivityType | WorkflowType], name: str | None = None
    ) -> Sequence[RegisteredType]:
        """Return the types of a kind, or those of one name, sorted by name and version."""
        ...

    def load(self, run_id: str) -> EngineRun | None:
        """Return an open run; None if it is closed or unknown."""
        ...

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """Return the run id of the open run of a workflow id; None if there is none."""
        ...

    def open_children(self, run_id: str) -> Sequence[str]:
        """Return the ids of the open children of a run, in the order in which they started."""
        ...

    def count_open(self, domain: str) -> int:
        """Return the number of open runs of a domain."""
        ...

    def latest(self, domain: str, workflow_id: str) -> Record | None:
        """Return the latest run of a workflow id; None if there is none."""
        ...

    def record(self, run_id: str) -> Record | None:
        """Return the record of a run, open or closed; None if it is unknown."""
        ...

    def listed(self, listing: ListingQuery, most: int, after: Position | None = None) -> Sequence[Record]:
        """Return up to ``most`` runs of a listing, in its order, those behind ``after``."""
        ...

    def count_listed(self, listing: ListingQuery) -> int:
        """Return the number of runs of a listing."""
        ...

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """Return up to ``most`` events of a run, with ids above ``after``; empty if it is unknown."""
        ...

    def last_event_id(self, run_id: str) -> int:
        """Return the id of the last event of a run, open or closed; 0 if it is not known."""
        ...

    def save(self, changes: Changes) -> None:
        """Write the changes of a step."""
        ...

    def expire(self, run_id: str, at: datetime) -> None:
        """Set the end of the retention of a closed run."""
        ...

    def forget(self, run_id: str) -> None:
        """Delete a closed run and its history."""
        ...

    def next_task(self, task_queue: TaskQueue) -> Ready | None:
        """Return the next task to claim: highest priority first, then oldest; None if there is none."""
        ...

    def count_tasks(self, task_queue: TaskQueue) -> int:
        """Return the number of tasks that can be claimed."""
        ...

    def reclaim(self, ready: Ready, kind: TaskKind) -> None:
        """Record the new owner of a redelivered task."""
        ...

    def next_deadline(self) -> Deadline | None:
        """Return the earliest deadline of all runs; None if there is none."""
        ...


def known_run(store: RunStore, domain: str, execution: WorkflowExecution) -> Record:
    """Return the run with these ids; raise ``UnknownResource`` if the domain has none."""
    record = store.record(execution.run_id)
    if record is None or (record.domain, record.info.execution) != (domain, execution):
        raise faults.unknown_run(execution)
    return record
