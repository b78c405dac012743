"""Runs the cases of a check, one by one, and looks at every decision once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from attrs import define, evolve, field

from floto.core.decide import spec_of
from floto.core.errors import HistoryError
from floto.core.events import DecisionTaskStarted
from floto.core.history import History
from floto.core.specs import DeciderSpec
from floto.testing.cases import Case
from floto.testing.choices import Choices, Taken
from floto.testing.coverage import Coverage
from floto.testing.endings import ActivitiesError
from floto.testing.exhaustive import Explored, explore
from floto.testing.faults import FAULT_NAMES, Faults
from floto.testing.found import found_moment, found_run
from floto.testing.invariants import check_moment, check_run, verify
from floto.testing.moment import Moment
from floto.testing.simulation import Simulation
from floto.testing.simulator import Simulator
from floto.testing.stage import WORKFLOW_ID
from floto.testing.timeouts import NoSuchTimeout
from floto.testing.violation import Invariant, RunInvariant, Violation

#: What a user's arguments are to blame for, and not the code under test.
_MISUSE = (ActivitiesError, NoSuchTimeout)
#: Keeps the seeds of the runs of one check apart from those of the next.
_SEEDS = 1_000_003
#: The share of the faults that a random run goes without.
_LEFT_OUT = 0.5


@define(eq=False)
class Checker:
    """Simulates runs of a case, and raises ``Found`` for the first thing that must not be."""

    case: Case
    invariants: Sequence[Invariant]
    run_invariants: Sequence[RunInvariant]
    #: Whether it is time to stop.
    is_over: Callable[[], bool]
    shrink_budget: int
    coverage: Coverage = field(factory=Coverage)
    runs: int = 0
    _seen: set[int] = field(factory=set)

    @property
    def moments(self) -> int:
        """At how many different decisions the invariants were checked."""
        return len(self._seen)

    def explore(self, most: int) -> Explored:
        """Look at the runs that depart least from the usual."""
        return explore(lambda script: self.look(Choices(script)), most, self.is_over)

    def sample(self, seed: int, count: int) -> None:
        """Look at random runs, each with some of the faults only."""
        for number in range(seed * _SEEDS, seed * _SEEDS + count):
            if self.is_over():
                return
            faults = _some(self.case.faults, number)
            self.look(Choices.seeded(number), evolve(self.case, faults=faults))

    def look(self, choices: Choices, case: Case | None = None) -> Sequence[Taken]:
        """Look at one run of the case, or of one like it; which choices were made there."""
        case = case or self.case
        simulation = self._simulated(choices, case)
        self.runs += 1
        self.coverage.add(simulation)
        try:
            for moment in self._new_moments(simulation):
                check_moment(moment, self.invariants)
        except Violation as violation:
            raise found_moment(violation, self.shrink_budget, self.is_over) from violation
        try:
            check_run(simulation, self.run_invariants)
        except Violation as violation:
            found = evolve(case, script=simulation.script)
            raise found_run(violation, found, self.shrink_budget, self.is_over) from violation
        return choices.taken

    def _simulated(self, choices: Choices, case: Case) -> Simulation:
        simulator = case.simulator(choices)
        try:
            return simulator.run()
        except _MISUSE:
            raise
        except Exception as error:
            violation = self._undecided(simulator)
            if violation is None:
                raise
            raise found_moment(violation, self.shrink_budget, self.is_over) from error

    def _undecided(self, simulator: Simulator) -> Violation | None:
        """The question whose answer raises, when a simulation has raised."""
        for history in simulator.simulation().histories:
            spec = self._spec_of(history)
            if spec is None or not isinstance(history.events[-1].data, DecisionTaskStarted):
                continue
            try:
                verify(spec, history, (), self.case.codec)
            except HistoryError:
                continue
            except Violation as violation:
                return violation
        return None

    def _spec_of(self, history: History) -> DeciderSpec | None:
        start = history.events[0].data
        if history.execution is not None and history.execution.workflow_id == WORKFLOW_ID:
            return self.case.spec
        return spec_of(start.input, self.case.codec) or self.case.children.get(start.workflow_type.name)

    def _new_moments(self, simulation: Simulation) -> Iterator[Moment]:
        marks = _Marks()
        for step in simulation.steps:
            mark = marks.of(step.history)
            if mark not in self._seen:
                self._seen.add(mark)
                yield Moment(step.spec, step.history, step.decisions, self.case.codec)


def _some(faults: Faults, seed: int) -> Faults:
    """About half of the faults, another half for each seed.

    A run in which everything goes wrong does not come far: most would be canceled early, say.
    "Swarm testing" (A. Groce and others, 2012) finds more.
    """
    chance = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    return evolve(faults, **{name: 0 for name in FAULT_NAMES if chance.random() < _LEFT_OUT})


@define(eq=False)
class _Marks:
    """Numbers that tell histories apart; each event of a run is looked at once."""

    _marks: dict[str, list[int]] = field(factory=dict)

    def of(self, history: History) -> int:
        """The same for the same events of a run."""
        name = str(history.execution)
        marks = self._marks.setdefault(name, [hash(name)])
        for event in history.events[len(marks) - 1 :]:
            marks.append(hash((marks[-1], repr(event))))
        return marks[len(history)]
