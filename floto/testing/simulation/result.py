"""The result of a simulation: each decision task with its response, every history, and how the runs ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any

from attrs import field, frozen

from floto.core.payloads import payload
from floto.core.quick_init import quick_init
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.decisions import Decision
from floto.core.swf.events import WorkflowExecutionCompleted, WorkflowExecutionFailed
from floto.core.swf.history import History
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.outcomes import Ending
from floto.testing.simulation.shown import ShownHistory


@quick_init
@frozen
class AttemptKey:
    """The key of an attempt at a task; runs of a workflow id and attempts are counted from 1."""

    workflow_id: str
    run: int
    task_id: str
    attempt: int


@frozen(kw_only=True)
class Failure:
    """The failure of a run; ``details`` are decoded: failure messages by task id.

    Not ``floto.Failure``, which is one failed attempt. Both names are public, and users print this one.
    """

    reason: str
    details: Any


@quick_init
@frozen(eq=False)
class SimulatedStep:
    """One decision task and its response; public as ``floto.testing.Step``."""

    spec: DeciderSpec
    decisions: tuple[Decision, ...]
    _shown: ShownHistory = field(repr=False)
    #: Lengths of the history: as the decider saw it, and when its response had taken effect.
    _asked: int
    _left: int

    @property
    def execution(self) -> WorkflowExecution:
        """The run that the decision task belongs to."""
        return self._shown.execution

    @cached_property
    def history(self) -> History:
        """The history that the decider saw: up to the start of its decision task."""
        return self._shown.history(self._asked)

    @cached_property
    def after(self) -> History:
        """The history just after the response took effect."""
        return self._shown.history(self._left)


@frozen(kw_only=True, repr=False, eq=False)
class Simulation:
    """A simulation that ran until nothing more could happen."""

    spec: DeciderSpec
    input: Any
    steps: tuple[SimulatedStep, ...]
    #: The history of every run in order of start; the first is the main run.
    histories: tuple[History, ...]
    infos: tuple[ExecutionInfo, ...]
    #: The script of numbers that repeats the simulation.
    script: tuple[int, ...]
    #: How each attempt ended.
    outcomes: Mapping[AttemptKey, Ending]
    #: Number of attempts at each task of the main run, by task id; refused ones do not count.
    attempts: Mapping[str, int]
    #: How often each fault occurred, by the names of the fields of ``Faults``.
    befell: Mapping[str, int]
    #: True if a run is open and nothing but its own time-out could end it.
    is_stuck: bool
    #: True if the simulation was stopped after ``patience`` moves.
    is_endless: bool
    #: The arguments of ``simulate``, without defaults.
    arguments: Mapping[str, Any]

    def __repr__(self) -> str:
        given = {**self.arguments, "script": self.script}
        return f"simulate({self.spec!r}, {', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @property
    def main(self) -> History:
        """The history of the main run."""
        return self.histories[0]

    @property
    def last_specs(self) -> Mapping[WorkflowExecution | None, DeciderSpec]:
        """The spec of each run: that of its last decision."""
        return {self.main.execution: self.spec} | {step.execution: step.spec for step in self.steps}

    @property
    def status(self) -> str | None:
        """The close status of the main run, in SWF's words; None while it is open."""
        return self.infos[0].close_status

    @property
    def result(self) -> Any:
        """The decoded result of the main run; None where it did not complete."""
        data = self.main.events[-1].data
        return payload.loads(data.result) if isinstance(data, WorkflowExecutionCompleted) else None

    @property
    def failure(self) -> Failure | None:
        """The failure of the main run; None where it did not fail."""
        data = self.main.events[-1].data
        if not isinstance(data, WorkflowExecutionFailed):
            return None
        return Failure(reason=data.reason or "", details=payload.loads(data.details))

    @property
    def duration(self) -> timedelta:
        """Virtual duration of the main run; up to its last event if it is open."""
        return self.main.events[-1].at - self.main.events[0].at

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All decisions of the main run, in order."""
        main = self.infos[0].execution
        steps = (step for step in self.steps if step.execution == main)
        return tuple(decision for step in steps for decision in step.decisions)
