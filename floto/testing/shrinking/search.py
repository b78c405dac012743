"""Minimisation by greedy delta debugging: parts are removed for as long as the predicate holds.

See A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing input", 2002: halves,
quarters, ... and single parts are tried. The search is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, frozen

T = TypeVar("T")


@frozen
class Reduction(Generic[T]):
    """Removable parts of a thing, and candidates without some of them, in order of preference."""

    parts: Callable[[T], Sequence[Any]]
    without: Callable[[T, Sequence[Any]], Iterator[T]]


@define(kw_only=True)
class Search(Generic[T]):
    """A search for the smallest thing for which a predicate holds, and its budget."""

    best: T
    reductions: Sequence[Reduction[T]]
    #: Repairs a candidate before the predicate is evaluated.
    repaired: Callable[[T], T]
    size: Callable[[T], tuple[int, ...]]
    holds: Callable[[T], bool]
    #: Errors of candidates that could not have happened: the predicate does not hold.
    impossible: tuple[type[Exception], ...]
    #: How often the predicate may still be evaluated.
    left: int
    #: Returns True when the time limit is reached.
    is_over: Callable[[], bool] = lambda: False

    def run(self) -> T:
        """Apply all reductions until none succeeds any more, and return the smallest thing."""
        before = None
        while before != self.best and self.left:
            before = self.best
            for reduction in self.reductions:
                self.reduce(reduction)
        return self.best

    def reduce(self, reduction: Reduction[T]) -> None:
        """Remove half of the parts, a quarter, ..., and each by itself, from the end on."""
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
        """Continue with the first candidate without these parts for which the predicate holds."""
        try:
            return any(self.will_do(found) for found in reduction.without(self.best, chunk))
        except self.impossible:
            return False

    def will_do(self, found: T) -> bool:
        """Return True if a candidate is smaller and the predicate holds; it is the best so far then."""
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
