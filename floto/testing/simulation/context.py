"""The state that all parts of a simulation share: the engine, the virtual time and the fault injector."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field, frozen

from floto.core.engine.world import World
from floto.core.quick_init import maker, quick_init
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.testing.simulation.fault_injector import FaultInjector

#: Virtual time at which every simulation begins.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
#: Virtual duration of an otherwise instantaneous action.
MOMENT = timedelta(milliseconds=10)
WORKFLOW = WorkflowType("simulated", "v1")
WORKFLOW_ID = "simulated"


@quick_init
@frozen(eq=False, weakref_slot=False)
class Move:
    """Something that can happen next, such as a worker that claims a task."""

    name: str
    #: The argument of ``act``: a task list, an attempt, a response, a signal or a point in time.
    of: Any
    act: Callable[[Any], None] = field(repr=False)


new_move = maker(Move)


@define(eq=False)
class SimulationContext:
    """One engine, its virtual time and its fault injector."""

    world: World
    injector: FaultInjector
    now: datetime = BEGINNING
    _types: set[ActivityType | WorkflowType] = field(factory=set)

    def prepare(self, type_: ActivityType | WorkflowType) -> None:
        """Register a type with floto's defaults, unless it is registered."""
        if type_ in self._types:
            return
        self._types.add(type_)
        if isinstance(type_, WorkflowType):
            self.world.prepare([type_])
        else:
            self.world.prepare((), [type_])

    def open_executions(self) -> list[WorkflowExecution]:
        """Return the open runs in order of their start."""
        return [info.execution for info in self.world.executions() if info.close_status is None]
