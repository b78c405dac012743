"""What the engine keeps between commands: plain data access, no rule of SWF."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.run import EngineRun
from floto.core.engine.stores.changes import Changes
from floto.core.engine.stores.records import Listing, Place, Position, Record
from floto.core.engine.tokens import TaskKind
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, WorkflowType


@frozen
class Ready:
    """A task to hand out; ``started`` is not 0 if its holder died and it goes out once more as it was."""

    run_id: str
    event_id: int
    started: int = 0
    #: How many holders died with it.
    releases: int = 0


@frozen
class Deadline:
    """The next thing that ends by itself; event 0 is the end of a closed run's time in the store."""

    at: datetime
    run_id: str
    event_id: int


#: Of equal moments, the end of a closed run's time comes last.
EXPIRY_RANK = 9


class RunStore(Protocol):
    """Keeps domains and types, runs and histories, and what waits for a poll or for its time."""

    def domain(self, name: str) -> Domain | None:
        """A registered domain."""
        ...

    def put_domain(self, domain: Domain) -> None:
        """Register a domain, or change what is known of it."""
        ...

    def domains(self) -> Sequence[Domain]:
        """All domains, by name."""
        ...

    def registered(self, domain: str, type_: ActivityType | WorkflowType) -> RegisteredType | None:
        """A registered type."""
        ...

    def put_type(self, domain: str, registered: RegisteredType) -> None:
        """Register a type, or change what is known of it."""
        ...

    def drop_type(self, domain: str, type_: ActivityType | WorkflowType) -> None:
        """Forget a type."""
        ...

    def types(
        self, domain: str, kind: type[ActivityType | WorkflowType], name: str | None = None
    ) -> Sequence[RegisteredType]:
        """The types of a kind, or those of one name, by name and version."""
        ...

    def load(self, run_id: str) -> EngineRun | None:
        """An open run."""
        ...

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """The id of the open run of a workflow id."""
        ...

    def open_children(self, run_id: str) -> Sequence[str]:
        """The ids of the open runs whose parent is this run, in the order they began."""
        ...

    def count_open(self, domain: str) -> int:
        """How many runs of a domain are open."""
        ...

    def latest(self, domain: str, workflow_id: str) -> Record | None:
        """The run of a workflow id that began last."""
        ...

    def record(self, run_id: str) -> Record | None:
        """One run, open or closed."""
        ...

    def listed(self, listing: Listing, most: int, after: Position | None = None) -> Sequence[Record]:
        """The runs of a listing, in its order, behind a position."""
        ...

    def count_listed(self, listing: Listing) -> int:
        """How many runs a listing has."""
        ...

    def history(self, run_id: str, after: int = 0, most: int | None = None) -> tuple[Event, ...]:
        """The events of a run with an id above ``after``, and no more than ``most``."""
        ...

    def last_event_id(self, run_id: str) -> int:
        """Return the id of the last event of a run, open or closed; 0 if it is not known."""
        ...

    def save(self, changes: Changes) -> None:
        """Write down what a step did."""
        ...

    def expire(self, run_id: str, at: datetime) -> None:
        """Note when a closed run is to be forgotten."""
        ...

    def forget(self, run_id: str) -> None:
        """Remove a closed run and its history."""
        ...

    def next_task(self, place: Place) -> Ready | None:
        """The task to hand out next: highest priority first, then oldest."""
        ...

    def count_tasks(self, place: Place) -> int:
        """How many tasks wait to be handed out."""
        ...

    def take_over(self, ready: Ready, kind: TaskKind) -> None:
        """Note that a task whose holder died has a new one."""
        ...

    def next_deadline(self) -> Deadline | None:
        """The earliest deadline of all runs."""
        ...
