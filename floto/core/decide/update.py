"""An update of a progress: examine tasks, settle those that are over, and find the decisions they need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from floto.core.decide.next_step import DONE, EndWait, Exhausted, NextStep, Start, Step, Wait, next_step
from floto.core.errors import PayloadError, SpecError
from floto.core.spec.rules.siblings import SiblingCount
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.state.state import State
from floto.core.swf.events import Event

if TYPE_CHECKING:
    from floto.core.decide.progress import Progress

#: ``isinstance`` is faster with a tuple than with the union.
_STEPS = (Start, Wait, EndWait)
_COMPLETED = TaskOutcome.COMPLETED


class Update:
    """An update of a progress; changes are collected in dicts, so that maps are copied once.

    This one is of a spec without rules: all joins are ``all``, a task is completed or fails the run, and the
    order of the events that settle tasks makes no difference. ``RuledUpdate`` is the one for rules.
    """

    __slots__ = ("before", "failed", "next_steps", "outcomes", "state", "waiting")

    #: See ``Progress``; without rules they are empty.
    continued: Mapping[int, str] = MappingProxyType({})
    inputs: Mapping[int, tuple[int, ...]] = MappingProxyType({})
    ends: Mapping[int, datetime] = MappingProxyType({})
    counts: Mapping[int, SiblingCount] = MappingProxyType({})

    def __init__(self, before: Progress, state: State) -> None:
        self.before, self.state = before, state
        self.waiting: dict[int, int] = {}
        self.outcomes: dict[int, TaskOutcome] = {}
        self.next_steps: dict[int, NextStep] = {}
        #: Messages of the tasks that fail the run.
        self.failed: dict[int, str] = {}

    def fail(self, position: int, message: str, event: Event | None = None) -> None:  # noqa: ARG002 - as above
        """Settle a task that has failed and fails the run.

        Args:
            position: The task.
            message: What is wrong.
            event: The event that settles it; default: the last event of the history.
        """
        self.next_steps[position] = Exhausted(message)
        self.failed[position] = message
        self.outcomes[position] = TaskOutcome.FAILED

    def examine(self, positions: Iterable[int]) -> None:
        """Examine the tasks at these positions, and all that follows from them."""
        state, plan, before = self.state, self.before.plan, self.before
        outcomes, next_steps, waiting = self.outcomes, self.next_steps, self.waiting
        left_before = before.requirements_left
        todo = list(positions)
        while todo:
            position = todo.pop()
            step = next_steps[position] = next_step(plan.tasks[position], state, before.seed)
            if step is not DONE:
                if isinstance(step, Exhausted):
                    self.fail(position, step.message)
                continue
            if position in outcomes or position in before.outcomes:
                continue
            # A signal may arrive before the requirements of its task complete; the last requirement
            # examines the task again.
            if waiting[position] if position in waiting else left_before(position, outcomes):
                continue
            outcomes[position] = _COMPLETED
            for dependent in plan.dependents[position]:
                if len(plan.requires[dependent]) > 1:
                    known = waiting[dependent] if dependent in waiting else before.waiting[dependent]
                    waiting[dependent] = known - 1
                if not waiting.get(dependent):
                    todo.append(dependent)

    def requirements_left(self, position: int) -> int:
        """Return the least number of requirements that must be settled before a task may start."""
        if position in self.waiting:
            return self.waiting[position]
        return self.before.requirements_left(position, self.outcomes)

    def steps(self) -> Mapping[int, Step]:
        """Return the decision that each ready task needs, by position."""
        steps, outcomes = dict(self.before.steps), self.outcomes
        for position, step in self.next_steps.items():
            if isinstance(step, _STEPS) and (
                isinstance(step, EndWait)
                or (position not in outcomes and not self.requirements_left(position))
            ):
                steps[position] = step
            else:
                steps.pop(position, None)
        return steps


def unreadable(error: PayloadError | SpecError) -> str:
    """Return the message of an unusable payload or spec as one line."""
    return str(error).replace("\n", "; ")
