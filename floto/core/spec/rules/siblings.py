"""The tasks of generators with limits: which belong together, and how many of them are settled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

from attrs import evolve, frozen

from floto.core.spec.graph import Plan
from floto.core.spec.rules.sibling_limits import SiblingLimits
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import Task


@frozen
class SiblingCount:
    """Number of the tasks of a group that are settled, by their outcome."""

    completed: int = 0
    failed: int = 0
    skipped: int = 0
    #: Positions of the tasks that are skipped because enough others had completed before they started.
    surplus: frozenset[int] = frozenset()

    def plus(self, outcome: TaskOutcome) -> SiblingCount:
        """Return the count with one more task."""
        if outcome is TaskOutcome.COMPLETED:
            return evolve(self, completed=self.completed + 1)
        if outcome is TaskOutcome.SKIPPED:
            return evolve(self, skipped=self.skipped + 1)
        return evolve(self, failed=self.failed + 1)


NOTHING_SETTLED = SiblingCount()


@frozen
class SiblingGroup:
    """The tasks that one generator returned, by position, and their limits."""

    generator: int
    #: Id of the generator.
    id: str
    limits: SiblingLimits
    members: Collection[int]

    def problem(self, count: SiblingCount) -> str | None:
        """Return why the run fails after so many tasks are settled; None if it does not."""
        return self.limits.problem(self.id, len(self.members), count.failed, count.skipped)

    def tolerated(self, count: SiblingCount) -> str:
        """Return how many failures there are of those that are tolerated, as in ``3 of 5``."""
        allowed = self.limits.allowed(len(self.members))
        return f"{min(count.failed, allowed)} of {allowed}"


@frozen
class SiblingGroups:
    """The groups of a run, by the position of their generator, and the generator of each member."""

    by_generator: Mapping[int, SiblingGroup]
    generator_of: Mapping[int, int]

    def of(self, position: int) -> SiblingGroup | None:
        """Return the group that a task is a member of; None if there is none."""
        generator = self.generator_of.get(position)
        return None if generator is None else self.by_generator[generator]

    def is_partial(self, needed: int, position: int) -> bool:
        """Return True if a task may start before a required one is settled: enough of its group suffice."""
        group = self.of(needed)
        if group is None or self.generator_of.get(position) == group.generator:
            return False
        return group.limits.min_successful is not None

    def is_decided(
        self, needed: int, position: int, count_of: Callable[[SiblingGroup], SiblingCount]
    ) -> bool:
        """Return True if a task need not wait for a required one: enough others of its group have completed.

        Args:
            needed: The position of the required task.
            position: The position of the task.
            count_of: Returns the count of a group.
        """
        group = self.of(needed) if self.is_partial(needed, position) else None
        return group is not None and group.limits.is_enough(count_of(group).completed)


NO_GROUPS = SiblingGroups(MappingProxyType({}), MappingProxyType({}))


def groups_of(plan: Plan, offspring: Mapping[str, Collection[Task]]) -> SiblingGroups:
    """Return the groups of a plan, without those of generators that have not completed."""
    if not plan.sibling_limits:
        return NO_GROUPS
    found = {}
    for position, limits in plan.sibling_limits.items():
        id_ = plan.tasks[position].id_
        if id_ in offspring:
            members = tuple(plan.index[task.id_] for task in offspring[id_])
            found[position] = SiblingGroup(position, id_, limits, members)
    of = {member: group.generator for group in found.values() for member in group.members}
    return SiblingGroups(found, of)
