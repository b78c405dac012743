"""The smallest thing that still shows something, found by taking parts out.

Greedy delta debugging (A. Zeller and R. Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002): halves, quarters, ... and single parts are taken out for as
long as that works. No chance is in it, so the same thing always ends the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, frozen

T = TypeVar("T")


@frozen
class Reduction(Generic[T]):
    """What can go of a thing, and, tried in this order, the things without a few of it."""

    parts: Callable[[T], Sequence[Any]]
    without: Callable[[T, Sequence[Any]], Iterator[T]]


@define(kw_only=True)
class Search(Generic[T]):
    """The smallest thing so far, and how often it may still be asked whether one will do."""

    best: T
    reductions: Sequence[Reduction[T]]
    #: What a thing that was cut has to be made into before it is looked at.
    repaired: Callable[[T], T]
    size: Callable[[T], tuple[int, ...]]
    holds: Callable[[T], bool]
    #: Errors of what nobody could have made; they mean no.
    impossible: tuple[type[Exception], ...]
    left: int
    #: Whether it is time to stop with what there is.
    is_over: Callable[[], bool] = lambda: False

    def run(self) -> T:
        """Reduce in every way until none works any more; the smallest thing there is, then."""
        before = None
        while before != self.best and self.left:
            before = self.best
            for reduction in self.reductions:
                self.reduce(reduction)
        return self.best

    def reduce(self, reduction: Reduction[T]) -> None:
        """Take out half of the parts, a quarter, ..., and each by itself, from the end on."""
        parts = reduction.parts(self.best)
        at_once = len(parts)
        while at_once and self.left:
            place = len(parts)
            while place > 0 and self.left:
                if self.take_out(reduction, parts[max(place - at_once, 0) : place]):
                    parts = reduction.parts(self.best)
                place = min(place - at_once, len(parts))
            at_once //= 2

    def take_out(self, reduction: Reduction[T], chunk: Sequence[Any]) -> bool:
        """Go on with the first of the things without these parts that will do."""
        try:
            return any(self.will_do(found) for found in reduction.without(self.best, chunk))
        except self.impossible:
            return False

    def will_do(self, found: T) -> bool:
        """Whether a thing is smaller and still shows it; it is the smallest so far, then."""
        try:
            found = self.repaired(found)
            if not self.left or self.size(found) >= self.size(self.best):
                return False
            self.left = 0 if self.is_over() else self.left - 1
            if not self.holds(found):
                return False
        except self.impossible:
            return False
        self.best = found
        return True
