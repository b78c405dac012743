"""What the engine keeps between commands: plain data access, no rule of SWF."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from floto.core.events import Event
from floto.core.ports import ExecutionInfo
from floto.core.service.changes import Changes
from floto.core.service.defaults import ActivityDefaults, WorkflowDefaults
from floto.core.service.run import Run
from floto.core.service.tokens import TaskKind
from floto.core.shapes import ActivityType, WorkflowType


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
    """The next thing that ends by itself."""

    at: datetime
    run_id: str
    event_id: int


class Store(Protocol):
    """Keeps registered types, open runs, histories, and what waits for a poll or for its time."""

    def has_domain(self, domain: str) -> bool:
        """Whether a domain is registered."""

    def add_domain(self, domain: str) -> None:
        """Register a domain."""

    def activity_defaults(self, domain: str, type_: ActivityType) -> ActivityDefaults | None:
        """The defaults of a registered activity type."""

    def workflow_defaults(self, domain: str, type_: WorkflowType) -> WorkflowDefaults | None:
        """The defaults of a registered workflow type."""

    def add_activity_type(self, domain: str, type_: ActivityType, defaults: ActivityDefaults) -> None:
        """Register an activity type."""

    def add_workflow_type(self, domain: str, type_: WorkflowType, defaults: WorkflowDefaults) -> None:
        """Register a workflow type."""

    def load(self, run_id: str) -> Run | None:
        """An open run."""

    def open_run(self, domain: str, workflow_id: str) -> str | None:
        """The id of the open run of a workflow id."""

    def open_children(self, run_id: str) -> Sequence[str]:
        """The ids of the open runs whose parent is this run, in the order they began."""

    def latest(self, domain: str, workflow_id: str) -> ExecutionInfo | None:
        """The run of a workflow id that began last."""

    def info(self, run_id: str) -> ExecutionInfo | None:
        """One run, open or closed."""

    def history(self, run_id: str, after: int = 0) -> tuple[Event, ...]:
        """The events of a run with an id above ``after``."""

    def save(self, changes: Changes) -> None:
        """Write down what a step did."""

    def next_task(self, domain: str, kind: TaskKind, task_list: str) -> Ready | None:
        """The task to hand out next: highest priority first, then oldest."""

    def take_over(self, ready: Ready) -> None:
        """Note that a task whose holder died has a new one."""

    def next_deadline(self) -> Deadline | None:
        """The earliest deadline of all runs."""
