"""``shrink``: minimises a spec and a history for which a predicate holds."""

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

#: Default of ``budget``.
BUDGET = 5_000
#: Errors of pairs that no spec or service could have made: the predicate does not hold.
IMPOSSIBLE = (HistoryError, SpecError, PayloadError)


@frozen
class NothingToShrink(FlotoError):
    """The predicate does not hold for the given spec and history."""

    problem: str

    def __str__(self) -> str:
        """Return the problem."""
        return self.problem


def shrink(
    spec: DeciderSpec,
    history: History,
    predicate: Predicate | None = None,
    *,
    budget: int = BUDGET,
    codec: Codec = CODEC,
) -> Counterexample:
    """Find the smallest spec and history for which a predicate holds.

    Other decisions in the history are changed to agree with the smaller spec.

    Args:
        spec: The spec to minimise.
        history: The history to minimise.
        predicate: Function of a spec and a history. By default, that they diverge as they do now: the
            same decisions, field and values, at any step. (``diverges`` accepts any divergence, mostly one
            that the minimising causes.) A ``HistoryError``, ``SpecError`` or ``PayloadError`` that it raises
            means False.
        budget: Maximum number of calls of the predicate.
        codec: Codec that knows your own task kinds and retry strategies.

    Raises:
        NothingToShrink: The predicate does not hold for the given spec and history.

    Other errors of the predicate are raised as they are.
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
    """Return a function that makes pairs agree in everything but the divergence, if there is one."""

    def repair(pair: Pair) -> Pair:
        return evolve(pair, history=agreeing(pair.spec, pair.history, divergence, pair.codec))

    return repair
