"""A spec and a history cut to the smallest pair that still shows what was wrong.

Greedy delta debugging (A. Zeller and R. Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002): halves, quarters, ... and single parts are taken out for as
long as that works. No chance is in it, so the same pair always ends the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, evolve, frozen

from floto.core.codec import Codec
from floto.core.errors import FlotoError, HistoryError, PayloadError, SpecError
from floto.core.history import History
from floto.core.replay import Divergence, replay
from floto.core.specs import CODEC, DeciderSpec
from floto.testing.counterexample import Counterexample
from floto.testing.likeness import Predicate, agreeing, diverges_like
from floto.testing.reductions import REDUCTIONS, Pair, Reduction, size

#: How often a pair is held against the predicate, unless shrink is told otherwise.
BUDGET = 5_000


@frozen
class NothingToShrink(FlotoError):
    """The pair that was given does not show what is looked for."""

    problem: str

    def __str__(self) -> str:
        """What it does instead."""
        return self.problem


def shrink(
    spec: DeciderSpec,
    history: History,
    predicate: Predicate | None = None,
    *,
    budget: int = BUDGET,
    codec: Codec = CODEC,
) -> Counterexample:
    """The smallest spec and history found for which ``predicate(spec, history)`` still holds.

    Without a predicate, it is that they diverge as they do now: the same decisions, field
    and values, at whichever step. (``diverges`` is any divergence; that is mostly one that the
    cutting made.) What else was recorded is made to agree with the smaller spec.

    The predicate is asked ``budget`` times at most. A ``HistoryError``, ``SpecError`` or
    ``PayloadError`` that it raises means no; other errors are passed on. Raises
    ``NothingToShrink`` where it does not hold to begin with.
    """
    replayed = replay(spec, history, codec)
    divergence = replayed.divergence
    if predicate is None and divergence is None:
        problem = f"the history agrees with the spec in {len(replayed.steps)} steps"
        raise NothingToShrink(problem)
    holds = predicate or diverges_like(replayed, codec)
    if not holds(spec, history):
        problem = "the predicate does not hold for this spec and history"
        raise NothingToShrink(problem)
    search = _Search(Pair(spec, history, codec), holds, divergence, budget)
    search.run()
    pair = search.pair
    return Counterexample(
        spec=pair.spec,
        history=pair.history,
        divergence=replay(pair.spec, pair.history, codec).divergence,
        is_smallest=search.left > 0,
        codec=codec,
    )


@define
class _Search:
    """The smallest pair so far, and how often the predicate may still be asked."""

    pair: Pair
    holds: Predicate
    divergence: Divergence | None
    left: int

    def run(self) -> None:
        """Reduce in every way until none works any more."""
        before = None
        while before != self.pair and self.left:
            before = self.pair
            for reduction in REDUCTIONS:
                self.reduce(reduction)

    def reduce(self, reduction: Reduction) -> None:
        """Take out half of the parts, a quarter, ..., and each by itself, from the end on."""
        parts = reduction.parts(self.pair)
        at_once = len(parts)
        while at_once and self.left:
            place = len(parts)
            while place > 0 and self.left:
                if self.take_out(reduction, parts[max(place - at_once, 0) : place]):
                    parts = reduction.parts(self.pair)
                place = min(place - at_once, len(parts))
            at_once //= 2

    def take_out(self, reduction: Reduction, chunk: Sequence[Any]) -> bool:
        """Go on with the first of the pairs without these parts that will do."""
        try:
            for found in reduction.without(self.pair, chunk):
                if self.will_do(found):
                    return True
        except (HistoryError, SpecError, PayloadError):
            # Nothing that a spec or a service could have made.
            return False
        return False

    def will_do(self, found: Pair) -> bool:
        """Whether a pair is smaller and still shows it; it is the smallest so far, then."""
        try:
            history = agreeing(found.spec, found.history, self.divergence, found.codec)
            if not self.left or size(evolve(found, history=history)) >= size(self.pair):
                return False
            self.left -= 1
            if not self.holds(found.spec, history):
                return False
        except (HistoryError, SpecError, PayloadError):
            return False
        self.pair = evolve(found, history=history)
        return True
