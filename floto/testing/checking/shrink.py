"""A spec and a history cut to the smallest pair that still shows what was wrong."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from floto.core.errors import FlotoError, HistoryError, PayloadError, SpecError
from floto.core.replay.replay import Divergence, replay
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.history import History
from floto.testing.printing.counterexample import Counterexample
from floto.testing.shrinking.equivalence import Predicate, agreeing, diverges_like
from floto.testing.shrinking.reductions import REDUCTIONS, Pair, size
from floto.testing.shrinking.search import Search

#: How often a pair is held against the predicate, unless shrink is told otherwise.
BUDGET = 5_000
#: Errors of pairs that no spec or service could have made.
IMPOSSIBLE = (HistoryError, SpecError, PayloadError)


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
    search = Search(
        best=Pair(spec, history, codec),
        reductions=REDUCTIONS,
        repaired=repaired(divergence),
        size=size,
        holds=lambda pair: holds(pair.spec, pair.history),
        impossible=IMPOSSIBLE,
        left=budget,
    )
    pair = search.run()
    return Counterexample(
        spec=pair.spec,
        history=pair.history,
        divergence=replay(pair.spec, pair.history, codec).divergence,
        is_smallest=search.left > 0,
        codec=codec,
    )


def repaired(divergence: Divergence | None) -> Callable[[Pair], Pair]:
    """Makes pairs agree in everything but a divergence, if there is to be one."""

    def repair(pair: Pair) -> Pair:
        return evolve(pair, history=agreeing(pair.spec, pair.history, divergence, pair.codec))

    return repair
