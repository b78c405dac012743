"""What a simulation leaves: each question with its answer, every history, and how it all ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from attrs import field, frozen

from floto.core.payloads import payload
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.decisions import Decision
from floto.core.swf.events import WorkflowExecutionCompleted, WorkflowExecutionFailed
from floto.core.swf.history import History
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.outcomes import Ending
from floto.testing.simulation.shown import ShownHistory


@frozen
class AttemptKey:
    """One attempt at a task of a run: the first of each is 1, of the runs of a workflow id too."""

    workflow_id: str
    run: int
    task_id: str
    attempt: int


@frozen(kw_only=True)
class Failure:
    """Why a run failed; ``details`` are decoded: what failed, by the ids of the tasks."""

    reason: str
    details: Any


@frozen(eq=False)
class SimulatedStep:
    """One question and its answer."""

    spec: DeciderSpec
    decisions: tuple[Decision, ...]
    _shown: ShownHistory = field(repr=False)
    #: How many events the decider saw, and how many there were when its answer had taken effect.
    _asked: int
    _left: int

    @property
    def execution(self) -> WorkflowExecution:
        """Which run it was about."""
        return self._shown.execution

    @cached_property
    def history(self) -> History:
        """What the decider saw: everything up to the start of its decision task."""
        return self._shown.history(self._asked)

    @cached_property
    def after(self) -> History:
        """The history just after the answer took effect."""
        return self._shown.history(self._left)


@frozen(kw_only=True, repr=False, eq=False)
class Simulation:
    """A run that was driven until nothing moved any more."""

    spec: DeciderSpec
    input: Any
    steps: tuple[SimulatedStep, ...]
    #: Every execution, in the order they began; the first is the main run.
    histories: tuple[History, ...]
    infos: tuple[ExecutionInfo, ...]
    #: The numbers that play the same simulation again.
    script: tuple[int, ...]
    #: How each attempt ended that was made.
    outcomes: Mapping[AttemptKey, Ending]
    #: How often each task of the main run was attempted, by its id; what SWF refused was not.
    attempts: Mapping[str, int]
    #: How often each fault befell it, by the names of the fields of ``Faults``.
    befell: Mapping[str, int]
    #: A run is open, and nothing is under way that could ever end it but its own time-out.
    is_stuck: bool
    #: It was given up: it moved more often than any run would that comes to an end.
    is_endless: bool
    #: What ``simulate`` was given, what is as usual left out.
    arguments: Mapping[str, Any]

    def __repr__(self) -> str:
        given = {**self.arguments, "script": self.script}
        return f"simulate({self.spec!r}, {', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @property
    def main(self) -> History:
        """The history of the main run."""
        return self.histories[0]

    @property
    def status(self) -> str | None:
        """How the main run was closed, in SWF's words; None while it is open."""
        return self.infos[0].close_status

    @property
    def result(self) -> Any:
        """What the main run completed with, decoded; None where it did not."""
        data = self.main.events[-1].data
        return payload.loads(data.result) if isinstance(data, WorkflowExecutionCompleted) else None

    @property
    def failure(self) -> Failure | None:
        """Why the main run failed; None where it did not."""
        data = self.main.events[-1].data
        if not isinstance(data, WorkflowExecutionFailed):
            return None
        return Failure(reason=data.reason or "", details=payload.loads(data.details))

    @property
    def duration(self) -> timedelta:
        """How long the main run took in virtual time; to its last event, if it is open."""
        return self.main.events[-1].at - self.main.events[0].at

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions of the main run, in order."""
        main = self.infos[0].execution
        steps = (step for step in self.steps if step.execution == main)
        return tuple(decision for step in steps for decision in step.decisions)
