"""What everybody in a simulation shares: one world, what time it is there, and luck."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field, frozen

from floto.core.engine.world import World
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.testing.simulation.fault_injector import FaultInjector

#: When every simulation begins.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
#: How long it takes what takes no time.
MOMENT = timedelta(milliseconds=10)
WORKFLOW = WorkflowType("simulated", "v1")
WORKFLOW_ID = "simulated"


@frozen(eq=False)
class Move:
    """Something that can happen now."""

    name: str
    #: What it happens to: a task list, an attempt, an answer, a signal, a moment.
    of: Any
    act: Callable[[Any], None] = field(repr=False)


@define(eq=False)
class SimulationContext:
    """One world and its time."""

    world: World
    injector: FaultInjector
    now: datetime = BEGINNING
    _types: set[ActivityType | WorkflowType] = field(factory=set)

    def prepare(self, type_: ActivityType | WorkflowType) -> None:
        """Register a type with floto's usual defaults."""
        if type_ in self._types:
            return
        self._types.add(type_)
        if isinstance(type_, WorkflowType):
            self.world.prepare([type_])
        else:
            self.world.prepare((), [type_])

    def open_executions(self) -> list[WorkflowExecution]:
        """The runs that are open, in the order they began."""
        return [info.execution for info in self.world.executions() if info.close_status is None]
