"""Runs the cases of a check, one by one, and looks at every decision once."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from attrs import define, evolve, field

from floto.testing.checking.cases import Case
from floto.testing.checking.coverage import Coverage
from floto.testing.checking.exhaustive import Explored, explore
from floto.testing.checking.verifying import Unseen, answered, check_whole
from floto.testing.invariants import check_moment
from floto.testing.invariants.violation import Invariant, RunInvariant, Violation
from floto.testing.reading.moment import Moment
from floto.testing.shrinking.cutting import found_in
from floto.testing.simulation.choices import Choices, Taken
from floto.testing.simulation.faults import FAULT_NAMES, Faults

NOTHING_EXPLORED = Explored(runs=0, whole=0, departures=0, is_complete=False)
#: Keeps the seeds of the runs of one check apart from those of the next.
_SEEDS = 1_000_003
#: The share of the faults that a random run goes without.
_LEFT_OUT = 0.5


@define(eq=False, kw_only=True)
class Checker:
    """Simulates runs of a case, and raises ``Found`` for the first thing that must not be."""

    case: Case
    invariants: Sequence[Invariant]
    run_invariants: Sequence[RunInvariant]
    #: Whether it is time to stop.
    is_over: Callable[[], bool]
    shrink_budget: int
    #: Called after each run.
    on_run: Callable[[], None] | None = None
    coverage: Coverage = field(factory=Coverage)
    runs: int = 0
    #: How far the runs were explored one by one.
    explored: Explored = NOTHING_EXPLORED
    _unseen: Unseen = field(factory=Unseen)

    @property
    def moments(self) -> int:
        """At how many different decisions the invariants were checked."""
        return self._unseen.count

    def explore(self, most: int, is_over: Callable[[], bool]) -> None:
        """Look at the runs that depart least from the usual."""
        explored = explore(lambda script: self.look(Choices(script), self.case), most, is_over)
        self.explored = explored if self.runs else NOTHING_EXPLORED

    def sample(self, seed: int, count: int) -> None:
        """Look at random runs, each with some of the faults only."""
        for number in range(seed * _SEEDS, seed * _SEEDS + count):
            if self.is_over():
                return
            faults = _some(self.case.faults, number)
            self.look(Choices.seeded(number), evolve(self.case, faults=faults))

    def look(self, choices: Choices, case: Case) -> Sequence[Taken]:
        """Look at one run; which choices were made there."""
        try:
            simulator = case.simulator(choices)
            # At once: what starts something again and again would do so for long.
            for step in self._unseen.of(answered(simulator, case)):
                check_moment(Moment(step.spec, step.history, step.decisions, case.codec), self.invariants)
                if self.is_over():
                    # A run that goes on and on must not outlast the time that was given.
                    return choices.taken
            simulation = simulator.simulation()
            self.runs += 1
            self.coverage.add(simulation)
            check_whole(simulation, self.run_invariants)
        except Violation as violation:
            found = evolve(case, script=choices.script)
            raise found_in(found, violation, self.shrink_budget, self.is_over) from violation
        if self.on_run is not None:
            self.on_run()
        return choices.taken


def _some(faults: Faults, seed: int) -> Faults:
    """About half of the faults, another half for each seed.

    A run in which everything goes wrong does not come far: most would be canceled early, say.
    "Swarm testing" (A. Groce and others, 2012) finds more.
    """
    chance = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    return evolve(faults, **{name: 0 for name in FAULT_NAMES if chance.random() < _LEFT_OUT})
