"""An update of a progress of a spec with rules: joins, conditions, and failures that let the run continue.

Whether a task is skipped is not recorded in the history but computed from it. So a condition must see the
same results at every later decision: tasks are settled in the order of the events that settle them, and a
condition sees the results that were there at the event that met the join of its task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from attrs import evolve

from floto.core.decide.next_step import (
    EndWait,
    Exhausted,
    NextStep,
    NoStep,
    next_step,
    next_step_of_wait,
    retry_timer_id,
    timed_out,
)
from floto.core.decide.update import Update, unreadable
from floto.core.errors import PayloadError, SpecError
from floto.core.spec.rules.conditions import holds
from floto.core.spec.rules.joins import JoinVerdict, Tally, counts_results, verdict
from floto.core.spec.rules.siblings import SiblingCount, SiblingGroup
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import Task
from floto.core.state.state import Kind, State
from floto.core.swf.events import Event

if TYPE_CHECKING:
    from floto.core.decide.progress import Progress


class RuledUpdate(Update):
    """An update of a progress of a spec with rules."""

    __slots__ = ("continued", "counts", "ends", "inputs", "times", "todo")

    def __init__(self, before: Progress, state: State) -> None:
        super().__init__(before, state)
        self.continued: dict[int, str] = {}
        self.inputs: dict[int, tuple[int, ...]] = {}
        self.ends: dict[int, datetime] = {}
        self.counts: dict[int, SiblingCount] = {}
        #: The time of each event that settled a task, by its id.
        self.times: dict[int, datetime] = {0: state.begun_at, state.last_event_id: state.now}
        #: Tasks to examine, as a heap: the id of the event that is considered, the rank in the graph, the
        #: position.
        self.todo: list[tuple[int, int, int]] = []

    def examine(self, positions: Iterable[int]) -> None:
        """Examine tasks in the order of the events that settle them."""
        before, rank, todo = self.before, self.before.plan.rank, self.todo
        todo += [(self._joined_at(position), rank[position], position) for position in positions]
        heapify(todo)
        while todo:
            event_id, _, position = heappop(todo)
            if position not in self.outcomes and position not in before.outcomes:
                self._examine(position, event_id)

    def fail(self, position: int, message: str, event: Event | None = None) -> None:
        """Settle a task that cannot be started, or whose tasks cannot, which fails the run in any case."""
        self.next_steps[position] = Exhausted(message)
        self.failed[position] = message
        event_id = self.state.last_event_id
        if event is not None:
            event_id = event.id
            self.times[event_id] = event.at
        self.settle(position, TaskOutcome.FAILED, event_id)

    def _joined_at(self, position: int) -> int:
        """Return the id of the event by which a generated task joined the spec; 0 for other tasks."""
        event = self.before.joined.get(position)
        if event is None:
            return 0
        self.times[event.id] = event.at
        return event.id

    def _examine_at(self, position: int, event_id: int) -> None:
        """Examine a task again when the event is considered."""
        heappush(self.todo, (event_id, self.before.plan.rank[position], position))

    def _examine(self, position: int, event_id: int) -> None:
        """Settle a task if an event up to this one settles it; else note its next step."""
        plan, state = self.before.plan, self.state
        is_ready = not self.requirements_left(position) and self.is_admitted(position, event_id)
        if position in self.outcomes:
            return
        task, limit = plan.tasks[position], plan.wait_limits.get(position)
        over = None if limit is None else timed_out(task, limit, state)
        if limit is None:
            step = next_step(task, state, self.before.seed)
        else:
            step = next_step_of_wait(task, limit, state)
        self.next_steps[position] = step
        if not (isinstance(step, Exhausted) or (is_ready and _is_settled(step))):
            return
        event = over or last_event_of(task, state)
        if event is not None and event.id > event_id:
            self.times[event.id] = event.at
            self._examine_at(position, event.id)
        elif isinstance(step, Exhausted):
            self._fail(position, step.message, event_id)
        else:
            outcome = TaskOutcome.SKIPPED if step is NoStep.SKIPPED else TaskOutcome.COMPLETED
            has_item = over is None and outcome is TaskOutcome.COMPLETED
            self.settle(position, outcome, event_id, has_item=has_item)

    def is_admitted(self, position: int, event_id: int) -> bool:
        """Return True if the join of a task is met and its condition holds; else settle it or let it wait."""
        plan = self.before.plan
        if position in self.inputs or position in self.before.inputs:
            return True
        rules = plan.rules_at(position)
        try:
            found = verdict(rules.join, self._tally(position))
        except SpecError as error:
            self._fail(position, unreadable(error), event_id)
            return False
        if not isinstance(found, JoinVerdict):
            self.waiting[position] = found
            return False
        if found is JoinVerdict.SKIP:
            self.settle(position, TaskOutcome.SKIPPED, event_id)
            return False
        needed = () if position in plan.ordered else plan.requires[position]
        self.inputs[position] = tuple(
            other for other in needed if self._outcome(other) is TaskOutcome.COMPLETED
        )
        return rules.when is None or self._is_true(rules.when, position, event_id)

    def _outcome(self, position: int) -> TaskOutcome | None:
        return self.outcomes.get(position) or self.before.outcomes.get(position)

    def _tally(self, position: int) -> Tally:
        plan, groups = self.before.plan, self.before.groups
        required: Iterable[int] = plan.requires[position]
        if groups.by_generator:
            required = [
                each
                for each in required
                if self._outcome(each) or not groups.is_decided(each, position, self._count)
            ]
        found = Counter(map(self._outcome, required))
        generators = [self._outcome(each) for each in plan.requires[position] if each in plan.generators]
        grows = None in generators
        if counts_results(plan.rules_at(position).join):
            # The tasks that a generator returned count, and not the generator.
            found[TaskOutcome.COMPLETED] -= generators.count(TaskOutcome.COMPLETED)
        return Tally(
            found[TaskOutcome.COMPLETED],
            found[TaskOutcome.CONTINUED],
            found[TaskOutcome.FAILED],
            found[TaskOutcome.SKIPPED],
            found[None],
            grows,
        )

    def _is_true(self, when: str, position: int, event_id: int) -> bool:
        """Return True if the condition of a task is true; else settle the task."""
        inputs = self.before.inputs.insert(position, self.inputs[position])
        try:
            is_true = holds(when, evolve(self.before, state=self.state, inputs=inputs).seen_by(position))
        except (PayloadError, SpecError) as error:
            self._fail(position, unreadable(error), event_id)
            return False
        if not is_true:
            self.settle(position, TaskOutcome.SKIPPED, event_id)
        return is_true

    def _fail(self, position: int, message: str, event_id: int) -> None:
        rules = self.before.plan.rules_at(position)
        continues = rules.on_error == "continue" or self._tolerant_group(position) is not None
        (self.continued if continues else self.failed)[position] = message
        self.settle(position, TaskOutcome.CONTINUED if continues else TaskOutcome.FAILED, event_id)

    def settle(self, position: int, outcome: TaskOutcome, event_id: int, *, has_item: bool = False) -> None:
        """Set the outcome of a task, and examine the tasks that wait for it.

        Args:
            position: The position of the task.
            outcome: Its outcome, unless it is one failure too many of its group, which fails the run.
            event_id: The id of the event that settles it, whose time is in ``times``; 0 for the start.
            has_item: True if the item of the task has that time too.
        """
        plan, group = self.before.plan, self._tolerant_group(position)
        before = None if group is None else self._count(group)
        if group is not None:
            outcome = self._counted(position, outcome, group)
        self.outcomes[position] = outcome
        if not has_item:
            self.ends[position] = self.times[event_id]
        for dependent in plan.dependents[position]:
            left = self.requirements_left(dependent)
            if not left:
                continue
            self.waiting[dependent] = left - 1
            if left == 1:
                self._examine_at(dependent, max(event_id, self._joined_at(dependent)))
        if group is not None and before is not None and outcome is TaskOutcome.COMPLETED:
            self._skip_surplus(group, before, event_id)

    def _tolerant_group(self, position: int) -> SiblingGroup | None:
        """Return the group of a task whose failure by itself does not fail the run; None if there is none."""
        group = self.before.groups.of(position)
        return group if group is not None and group.limits.tolerates else None

    def _count(self, group: SiblingGroup) -> SiblingCount:
        return self.counts.get(group.generator) or self.before.count_of(group)

    def _counted(self, position: int, outcome: TaskOutcome, group: SiblingGroup) -> TaskOutcome:
        """Count a settled task of a group; return its outcome, which is a failure if it fails the run."""
        before = self._count(group)
        count = self.counts[group.generator] = before.plus(outcome)
        if outcome in (TaskOutcome.COMPLETED, TaskOutcome.FAILED) or group.limits.is_enough(before.completed):
            return outcome
        problem = group.problem(count)
        if problem is None:
            return outcome
        self.counts[group.generator] = before.plus(TaskOutcome.FAILED)
        message = self.continued.pop(position, None)
        self.failed[position] = f"{message}; {problem}" if message else problem
        return TaskOutcome.FAILED

    def _skip_surplus(self, group: SiblingGroup, before: SiblingCount, event_id: int) -> None:
        """Skip the tasks of a group that were never started, if it now has just enough results.

        The tasks that wait for any of the group need not wait for the rest of it, and are examined.
        """
        plan, items, count = self.before.plan, self.state.items, self._count(group)
        if group.limits.is_enough(before.completed) or not group.limits.is_enough(count.completed):
            return
        rest = [member for member in group.members if self._outcome(member) is None]
        surplus = [member for member in rest if plan.tasks[member].key not in items]
        self.counts[group.generator] = evolve(count, surplus=frozenset(surplus))
        for member in surplus:
            self.next_steps[member] = NoStep.SKIPPED
            self.settle(member, TaskOutcome.SKIPPED, event_id)
        waiting = {dependent for member in rest for dependent in plan.dependents[member]}
        for dependent in filter(self.requirements_left, waiting.difference(group.members)):
            self.waiting[dependent] = 0
            self._examine_at(dependent, max(event_id, self._joined_at(dependent)))


def _is_settled(step: NextStep) -> bool:
    """Return True if no attempt of a task whose requirements are met follows, and it has not failed."""
    return step is NoStep.DONE or step is NoStep.SKIPPED or isinstance(step, EndWait)


def last_event_of(task: Task, state: State) -> Event | None:
    """Return the event by which a task completed or was exhausted; None if it has none."""
    item = state.items[task.key]
    timer = state.items.get((Kind.TIMER, retry_timer_id(task.id_, len(item.failures))))
    closed = () if item.closed is None else (item.closed,)
    refused = () if timer is None else timer.failures
    events = (*closed, *item.failures[-1:], *refused[-1:])
    return max(events, key=lambda event: event.id, default=None)
