"""Simulates the cases of a check one by one, and checks every decision point once."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from attrs import define, evolve, field

from floto.testing.checking.coverage import Coverage
from floto.testing.checking.exhaustive import Explored, explore
from floto.testing.checking.minimizing import minimized
from floto.testing.checking.verifying import UnseenSteps, check_whole, decided_steps
from floto.testing.invariants import check_moment
from floto.testing.invariants.violation import Invariant, RunInvariant, Violation
from floto.testing.reading.moment import Moment
from floto.testing.simulation.case import Case
from floto.testing.simulation.choices import Choices, Taken
from floto.testing.simulation.faults import FAULT_NAMES, Faults
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.simulator import Simulator

NOTHING_EXPLORED = Explored(runs=0, whole=0, deviations=0, is_complete=False)
#: Distance between the seeds of runs of checks with consecutive seeds.
_SEEDS = 1_000_003
#: Share of the faults that a random run omits.
_LEFT_OUT = 0.5
_COMPLETED = "COMPLETED"


@define(eq=False, kw_only=True)
class Checker:
    """Simulates runs of a case, and raises ``MinimizedViolation`` for the first violation."""

    case: Case
    invariants: Sequence[Invariant]
    run_invariants: Sequence[RunInvariant]
    #: Returns True when the time limit is reached.
    is_over: Callable[[], bool]
    shrink_budget: int
    #: Called after each run.
    on_run: Callable[[], None] | None = None
    coverage: Coverage = field(factory=Coverage)
    runs: int = 0
    #: Names in ``activities`` that no task of any run had so far; None before one has completed.
    unknown: set[str] | None = None
    names: set[str] = field(factory=set)
    #: Extent of the exhaustive exploration.
    explored: Explored = NOTHING_EXPLORED
    _unseen: UnseenSteps = field(factory=UnseenSteps)

    @property
    def moments(self) -> int:
        """Number of different decision points at which the invariants were checked."""
        return self._unseen.count

    def explore(self, most: int, is_over: Callable[[], bool]) -> None:
        """Check the runs with the fewest deviations from the default schedule."""
        explored = explore(lambda script: self.look(Choices(script), self.case), most, is_over)
        self.explored = explored if self.runs else NOTHING_EXPLORED

    def sample(self, seed: int, count: int) -> None:
        """Check random runs, each with some of the faults."""
        for number in range(seed * _SEEDS, seed * _SEEDS + count):
            if self.is_over():
                return
            faults = _some(self.case.faults, number)
            self.look(Choices.seeded(number), evolve(self.case, faults=faults))

    def look(self, choices: Choices, case: Case) -> Sequence[Taken]:
        """Check one run, and return the choices that were made."""
        __tracebackhide__ = True
        simulator = case.simulator(choices)
        try:
            if self._check_decisions(simulator, case):
                simulation = simulator.simulation()
                self.runs += 1
                self._note(simulator, simulation)
                check_whole(simulation, self.run_invariants)
        except Violation as violation:
            found = evolve(case, script=choices.script)
            raise minimized(found, violation, self.shrink_budget, self.is_over) from violation.__cause__
        if self.on_run is not None:
            self.on_run()
        return choices.taken

    def _check_decisions(self, simulator: Simulator, case: Case) -> bool:
        """Check each decision at once: a run that makes one again and again would take long to end.

        Returns False if the time limit was reached before the end of the run.
        """
        for step in self._unseen.of(decided_steps(simulator, case)):
            check_moment(Moment(step.spec, step.history, step.decisions, case.codec), self.invariants)
            if self.is_over():
                return False
        return True

    def _note(self, simulator: Simulator, simulation: Simulation) -> None:
        self.coverage.add(simulation)
        if simulation.status == _COMPLETED:
            found = simulator.unknown()
            self.unknown = found if self.unknown is None else self.unknown & found
        self.names |= simulator.names()


def _some(faults: Faults, seed: int) -> Faults:
    """Return about half of the faults, another half for each seed.

    A run with every fault does not get far: most would be canceled early, say.
    "Swarm testing" (A. Groce and others, 2012) finds more.
    """
    chance = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    return evolve(faults, **{name: 0 for name in FAULT_NAMES if chance.random() < _LEFT_OUT})
