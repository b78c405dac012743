"""Checks of every decision, and of the whole, of a simulation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import define, field

from floto.core.errors import HistoryError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC
from floto.core.swf.events import DecisionTaskStarted
from floto.core.swf.history import History
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS, check_moment, verify
from floto.testing.invariants.violation import (
    Invariant,
    Property,
    RunInvariant,
    Violation,
    invariant,
    sentence_of,
)
from floto.testing.reading.moment import Moment
from floto.testing.simulation.case import Case
from floto.testing.simulation.outcomes import ActivitiesError
from floto.testing.simulation.result import SimulatedStep, Simulation
from floto.testing.simulation.simulator import Simulator
from floto.testing.simulation.timeouts import NoSuchTimeout

#: An invariant, or a function that becomes one.
Rule = Invariant | RunInvariant | Property
#: Errors in the arguments, and not in the code under test.
_MISUSE = (ActivitiesError, NoSuchTimeout)


def sorted_rules(rules: Iterable[Rule]) -> tuple[list[Invariant], list[RunInvariant]]:
    """Return the invariants of single decisions, and those of whole runs."""
    moments: list[Invariant] = []
    runs: list[RunInvariant] = []
    for each in rules:
        if isinstance(each, RunInvariant):
            runs.append(each)
        else:
            moments.append(each if isinstance(each, Invariant) else invariant(each))
    return moments, runs


def verify_run(simulation: Simulation, properties: Iterable[Rule] = (*INVARIANTS, *RUN_INVARIANTS)) -> None:
    """Check every decision of a simulation, then the whole of it.

    Args:
        simulation: The simulation to check.
        properties: The invariants to check; all of floto's by default.

    Raises:
        Violation: The first invariant that does not hold.
    """
    moments, runs = sorted_rules(properties)
    codec = simulation.arguments.get("codec", CODEC)
    for step in simulation.steps:
        check_moment(Moment(step.spec, step.history, step.decisions, codec), moments)
    check_whole(simulation, runs)


def check_whole(simulation: Simulation, properties: Sequence[RunInvariant]) -> None:
    """Check the invariants of whole runs; raises ``Violation``."""
    for each in properties:
        try:
            each.holds(simulation)
        except Exception as error:
            raise Violation(each, sentence_of(error, each), simulation.spec, simulation.main) from error


def simulate_case(case: Case) -> Simulation:
    """Simulate a case; raises ``Violation`` where deciding raises or SWF refuses the response."""
    simulator = case.simulator()
    for _ in decided_steps(simulator, case):
        pass
    return simulator.simulation()


def decided_steps(simulator: Simulator, case: Case) -> Iterator[SimulatedStep]:
    """Yield each step of a simulation when it is made; raises like ``simulate_case``."""
    try:
        yield from simulator.play()
    except _MISUSE:
        raise
    except Exception as error:
        violation = _undecided(simulator, case.codec)
        if violation is None:
            raise
        raise violation from error


def _undecided(simulator: Simulator, codec: Codec) -> Violation | None:
    """Return the violation at the decision task with the wrong response, after a simulation raised."""
    for history in simulator.simulation().histories:
        spec = simulator.spec_of(history)
        if spec is None or not isinstance(history.events[-1].data, DecisionTaskStarted):
            continue
        try:
            # A response that SWF refuses as a whole shows only here.
            verify(spec, history, INVARIANTS, codec)
        except HistoryError:
            continue
        except Violation as violation:
            return violation
    return None


@define(eq=False)
class UnseenSteps:
    """Filters out steps whose history was seen before."""

    count: int = 0
    _seen: set[int] = field(factory=set)

    def of(self, steps: Iterable[SimulatedStep]) -> Iterator[SimulatedStep]:
        """Yield the unseen steps of one simulation."""
        marks = _Marks()
        for step in steps:
            mark = marks.of(step.history)
            if mark not in self._seen:
                self._seen.add(mark)
                self.count += 1
                yield step


@define(eq=False)
class _Marks:
    """Hashes of histories; each event of a run is hashed once."""

    _marks: dict[str, list[int]] = field(factory=dict)

    def of(self, history: History) -> int:
        """Return the same number for the same events of a run."""
        name = str(history.execution)
        marks = self._marks.setdefault(name, [hash(name)])
        for event in history.events[len(marks) - 1 :]:
            marks.append(hash((marks[-1], repr(event))))
        return marks[len(history)]
