"""Joins: when a task starts with regard to what became of the tasks that it requires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Protocol

from attrs import frozen, has

from floto.core.errors import SpecError
from floto.core.spec.tasks import own_problems
from floto.core.swf.identifiers import shown


@frozen
class Tally:
    """Number of tasks that a task requires, by their outcome."""

    completed: int = 0
    #: Failed, and the run continues (``on_error="continue"``).
    continued: int = 0
    failed: int = 0
    skipped: int = 0
    #: Number of tasks that are not settled.
    open: int = 0
    #: True if one of the open tasks is a generator, so that more may follow.
    grows: bool = False


class JoinVerdict(Enum):
    """Verdict of a join that does not wait any more."""

    START = "start"
    SKIP = "skip"


class Join(Protocol):
    """A join: when a task starts. Implementations are frozen and pure.

    A join of your own counts what ``any`` counts: the tasks that a generator returned, and not the generator.
    """

    def verdict(self, tally: Tally) -> JoinVerdict | int | None:
        """Return whether the task starts or is skipped; None while it waits.

        A number says that so many more tasks have to be settled before there can be a verdict. A task that
        still waits when ``tally.open`` is 0 is skipped.

        Args:
            tally: What became of the tasks that the task requires.
        """
        ...


@frozen
class AtLeast:
    """A join: the task starts as soon as ``count`` of the tasks that it requires have completed."""

    count: int

    def verdict(self, tally: Tally) -> JoinVerdict | int:
        """Return the verdict of the join; a number while too few have completed, and enough still can."""
        missing = self.count - tally.completed
        if missing <= 0:
            return JoinVerdict.START
        spare = tally.open - missing
        if tally.grows:
            # A generator that returns too few tasks decides this as one that fails would.
            return max(min(missing, spare + 1), 1)
        return JoinVerdict.SKIP if spare < 0 else min(missing, spare + 1)

    def problems(self) -> Iterator[str]:
        """Yield one line for each problem."""
        if type(self.count) is not int or self.count < 1:
            yield f"the number of AtLeast must be an integer from 1, not {shown(self.count)}"

    def __str__(self) -> str:
        """Return it as it is written in Python."""
        return f"AtLeast({self.count})"


#: ``all``, ``any``, ``finished``, or a ``Join``.
JoinOption = str | Join


def _all(tally: Tally) -> JoinVerdict | int:
    if tally.open or tally.failed:
        return tally.open + tally.failed
    is_skipped = tally.skipped and not (tally.completed or tally.continued)
    return JoinVerdict.SKIP if is_skipped else JoinVerdict.START


_NAMED: Mapping[str, Callable[[Tally], JoinVerdict | int]] = {
    "all": _all,
    "any": AtLeast(1).verdict,
    "finished": lambda tally: tally.open or JoinVerdict.START,
}


def verdict(join: JoinOption, tally: Tally) -> JoinVerdict | int:
    """Return the verdict of a join, or the least number of tasks that must be settled before it has one.

    Raises:
        SpecError: A join of your own returned something else.
    """
    if isinstance(join, str):
        return _NAMED[join](tally)
    found = join.verdict(tally)
    if isinstance(found, JoinVerdict):
        return found
    if found is not None and type(found) is not int:
        raise SpecError((f"join {join} must return a JoinVerdict, a number or None, not {shown(found)}",))
    return min(max(found or 1, 1), tally.open) or JoinVerdict.SKIP


def counts_results(join: JoinOption) -> bool:
    """Return True for a join that may be met before every required task is settled: all but two."""
    return join not in ("all", "finished")


def is_monotone(join: JoinOption) -> bool:
    """Return True if no task that completes can keep the join from being met, as for floto's own joins."""
    return isinstance(join, str | AtLeast)


def join_problems(join: Any) -> Iterable[str]:
    """Yield the problems of a join, one line each."""
    if isinstance(join, str) and join in _NAMED:
        return
    if isinstance(join, str) or not (has(type(join)) and callable(getattr(join, "verdict", None))):
        yield f"join must be 'all', 'any', 'finished' or a join such as AtLeast(n), not {shown(join)}"
    else:
        yield from (f"join: {problem}" for problem in own_problems(join))
