"""The limits of the tasks that generators returned: a second, naive reading, which counts from the start."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction

from attrs import field, frozen

from floto.core.spec.rules.sibling_limits import SiblingLimits, sibling_limits_of
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import Task
from floto.testing.reading.joins import Ended

#: A place in the order in which tasks end: the id of the event, and then the place in the graph.
_Place = tuple[int, int]


@frozen
class LimitEnds:
    """The ends that limits decide, by task, and by generator the event at which enough had completed."""

    ends: Mapping[str, Ended] = field(factory=dict)
    enough: Mapping[str, int] = field(factory=dict)

    def also(self, other: LimitEnds) -> LimitEnds:
        """Return both."""
        return LimitEnds({**self.ends, **other.ends}, {**self.enough, **other.enough})


@frozen
class ReturnedGroup:
    """The tasks that a generator with limits returned, by their ids."""

    id: str
    limits: SiblingLimits
    members: Collection[str]

    @property
    def tolerates(self) -> bool:
        """True if one of the tasks may fail."""
        return self.limits.tolerated_failures is not None or self.limits.min_successful is not None

    def next(
        self,
        ended: Mapping[str, Ended],
        decided: LimitEnds,
        order: Mapping[str, int],
        started: Collection[str],
    ) -> tuple[_Place, LimitEnds] | None:
        """Return what the limits decide next, and where; None if nothing follows.

        Args:
            ended: The tasks that have ended, as far as the limits have decided.
            decided: What the limits have decided before.
            order: The place of each task in the graph.
            started: The tasks that were started at least once.
        """
        if self.id in decided.enough or not self.tolerates:
            return None
        places = {id_: (ended[id_].at, order[id_]) for id_ in self.members if id_ in ended}
        by_then: list[TaskOutcome] = []
        for id_ in sorted(places, key=lambda id_: places[id_]):
            end = ended[id_]
            by_then.append(end.outcome)
            if by_then.count(TaskOutcome.COMPLETED) == self.limits.min_successful:
                later = [each for each in self.members if each not in places or places[each] > places[id_]]
                skipped = {each: Ended(TaskOutcome.SKIPPED, end.at) for each in later if each not in started}
                return places[id_], LimitEnds(skipped, {self.id: end.at})
            if end.outcome not in (TaskOutcome.CONTINUED, TaskOutcome.SKIPPED):
                continue
            problem = self._problem(by_then)
            if problem:
                text = f"{end.message}; {problem}" if end.message else problem
                return places[id_], LimitEnds({id_: Ended(TaskOutcome.FAILED, end.at, text)})
        return None

    def _problem(self, by_then: Sequence[TaskOutcome]) -> str:
        total = len(self.members)
        good, skipped = by_then.count(TaskOutcome.COMPLETED), by_then.count(TaskOutcome.SKIPPED)
        failed = len(by_then) - good - skipped
        tolerated, least = self.limits.tolerated_failures, self.limits.min_successful
        if tolerated is not None and failed > _number(tolerated, total):
            return f"{failed} of {total} tasks of {self.id!r} failed, tolerated_failures is {tolerated}"
        left = total - failed - skipped
        if least is not None and left < least:
            return f"at most {left} of {total} tasks of {self.id!r} can complete, min_successful is {least}"
        return ""


def _number(tolerated: int | str, total: int) -> int:
    if isinstance(tolerated, int):
        return tolerated
    whole, _, rest = tolerated.replace("%", "").strip().partition(".")
    share = Fraction(int(whole + rest), 100 * 10 ** len(rest))
    return math.floor(share * total)


def groups_in(tasks: Mapping[str, Task], returned: Mapping[str, Sequence[Task]]) -> Iterator[ReturnedGroup]:
    """Yield the tasks that each generator with limits has returned."""
    for id_, members in returned.items():
        limits = sibling_limits_of(tasks[id_])
        if limits is not None:
            yield ReturnedGroup(id_, limits, [task.id_ for task in members])
