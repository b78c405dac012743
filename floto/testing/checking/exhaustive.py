"""Exhaustive exploration of a small spec up to a bound: runs with the fewest deviations first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from attrs import frozen

from floto.testing.simulation.choices import Script, Taken

#: Choice number that selects the second of two options, for ``pick`` and ``happens`` alike.
_SECOND = 255
_TWO = 2


@frozen
class Explored:
    """The extent of an exploration."""

    #: Number of runs.
    runs: int
    #: Number of runs in completed rounds.
    whole: int
    #: Every run with at most so many deviations from the default schedule was made.
    deviations: int
    #: True if there are no other runs.
    is_complete: bool

    def __str__(self) -> str:
        """One sentence."""
        if self.is_complete:
            return f"exhaustive: all {self.whole:,} runs"
        if not self.deviations:
            return "not exhaustive: too many runs"
        deviations = "1 deviation" if self.deviations == 1 else f"{self.deviations} deviations"
        return f"exhaustive: all {self.whole:,} runs with at most {deviations} from the default schedule"


def explore(
    run: Callable[[Script], Sequence[Taken]], most: int, is_over: Callable[[], bool] = lambda: False
) -> Explored:
    """Make all runs with no deviation from the default schedule, with one, with two, ...

    ``run`` runs a script and returns its choices. A round with one more deviation is begun only if it fits
    into ``most`` runs, so that the rest can be better spent; ``is_over`` ends it all the same.
    """
    made: list[tuple[Script, Sequence[Taken]]] = [((), run(()))]
    runs, deviations = 1, 0
    while True:
        more = sum(_count(script, taken) for script, taken in made)
        if not more or runs + more > most:
            return Explored(runs, runs, deviations, is_complete=not more)
        scripts = list(chain.from_iterable(_with_one_more(*each) for each in made))
        made, whole = [], runs
        for script in scripts:
            if is_over():
                return Explored(runs, whole, deviations, is_complete=False)
            made.append((script, run(script)))
            runs += 1
        deviations += 1


def _count(script: Script, taken: Sequence[Taken]) -> int:
    return sum(choice.options - 1 for choice in taken[len(script) :])


def _with_one_more(script: Script, taken: Sequence[Taken]) -> Iterator[Script]:
    """Yield the scripts with one more deviation, behind those that a script has already."""
    for place in range(len(script), len(taken)):
        defaults = (0,) * (place - len(script))
        options = taken[place].options
        for number in (_SECOND,) if options == _TWO else range(1, options):
            yield (*script, *defaults, number)
