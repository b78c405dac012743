"""Every run there is of a small spec, up to a bound: those that depart least from the usual first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from attrs import frozen

from floto.testing.simulation.choices import Script, Taken

#: Where there are two answers, this is the other, whether it is picked or happens at a rate.
_HAPPENS = 255
_TWO = 2


@frozen
class Explored:
    """How far an exploration came."""

    #: How many runs were made.
    runs: int
    #: How many of them, from the first on, are all that depart so far from the usual.
    whole: int
    #: Every run with at most so many choices unlike the usual was made.
    departures: int
    #: Whether there are no others.
    is_complete: bool

    def __str__(self) -> str:
        """One sentence."""
        if self.is_complete:
            return f"explored exhaustively: all {self.whole:,} runs there are"
        if not self.departures:
            return "not explored exhaustively: it has more runs than that"
        unlike = "one choice" if self.departures == 1 else f"{self.departures} choices"
        return f"explored exhaustively: all {self.whole:,} runs with at most {unlike} unlike the usual"


def explore(
    run: Callable[[Script], Sequence[Taken]], most: int, is_over: Callable[[], bool] = lambda: False
) -> Explored:
    """Make all runs with no departure from the usual, with one, with two, ..., ``most`` runs in all.

    ``run`` runs a script and tells which choices were made. A round of runs with one departure more is
    begun only where it can be finished, so that what is left of ``most`` can be spent better; ``is_over``
    ends it nevertheless.
    """
    made: list[tuple[Script, Sequence[Taken]]] = [((), run(()))]
    runs, departures = 1, 0
    while True:
        more = sum(_count(script, taken) for script, taken in made)
        if not more or runs + more > most:
            return Explored(runs, runs, departures, is_complete=not more)
        scripts = list(chain.from_iterable(_departing(*each) for each in made))
        made, whole = [], runs
        for script in scripts:
            if is_over():
                return Explored(runs, whole, departures, is_complete=False)
            made.append((script, run(script)))
            runs += 1
        departures += 1


def _count(script: Script, taken: Sequence[Taken]) -> int:
    return sum(choice.options - 1 for choice in taken[len(script) :])


def _departing(script: Script, taken: Sequence[Taken]) -> Iterator[Script]:
    """The scripts that differ from one in one choice more, behind those in which it differs already."""
    for place in range(len(script), len(taken)):
        usual = (0,) * (place - len(script))
        options = taken[place].options
        for number in (_HAPPENS,) if options == _TWO else range(1, options):
            yield (*script, *usual, number)
