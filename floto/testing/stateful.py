"""A state machine for Hypothesis, whose rules are what can happen in a simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.testing.checking.verifying import Rule, check_whole, sorted_rules
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS, check_moment
from floto.testing.invariants import runs as whole
from floto.testing.invariants.violation import Invariant, RunInvariant
from floto.testing.reading.moment import Moment
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.faults import Faults
from floto.testing.simulation.outcomes import Activity
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.simulator import Simulator
from floto.testing.strategies import scripts

#: Invariants that need no second simulation: moves that were made by hand cannot be repeated.
_OF_ITSELF = (whole.every_run_ends, whole.no_run_goes_on_for_ever, whole.histories_obey_the_law)


class SpecMachine(RuleBasedStateMachine):
    """A state machine that drives one simulation, move by move; ``machine`` makes its subclasses.

    ``simulator`` is the simulation. After each move the invariants of the new decisions are checked; at the
    end, when the simulation has run on without faults, those of the whole run.
    """

    spec: DeciderSpec
    arguments: Mapping[str, Any]
    properties: tuple[Invariant, ...]
    run_properties: tuple[RunInvariant, ...]

    def __init__(self) -> None:
        super().__init__()
        self.choices = Scripted()
        self.simulator = Simulator(self.spec, choices=self.choices, **self.arguments)
        self._seen = 0

    @property
    def simulation(self) -> Simulation:
        """The simulation so far."""
        return self.simulator.simulation()

    @precondition(lambda self: bool(self.simulator.moves()))
    @rule(number=st.integers(0, 20), script=scripts(most=16))
    def move(self, number: int, script: tuple[int, ...]) -> None:
        """Make one of the possible moves; ``script`` makes the choices meanwhile."""
        self.choices.extend(script)
        moves = self.simulator.moves()
        self.simulator.make(moves[number % len(moves)])
        self.check_new_decisions()

    @rule(name=st.sampled_from(["hello", "news"]), input=st.none() | st.integers(0, 9))
    def signal(self, name: str, input: Any) -> None:
        """Send a signal that no task waits for."""
        self.simulator.signal(name, input)

    def check_new_decisions(self) -> None:
        """Check the decisions since the last move; raises ``Violation``."""
        steps = self.simulator.steps
        codec = self.arguments["codec"]
        for step in steps[self._seen :]:
            check_moment(Moment(step.spec, step.history, step.decisions, codec), self.properties)
        self._seen = len(steps)

    def teardown(self) -> None:
        """Run on without faults, and check the whole run."""
        self.choices.extend(())
        simulation = self.simulator.run()
        self.check_new_decisions()
        check_whole(simulation, self.run_properties)


class Scripted(Choices):
    """Choices whose script is extended while it is read."""

    def __init__(self) -> None:
        self._waiting: list[int] = []
        super().__init__(iter(self._next, None))

    def _next(self) -> int:
        return self._waiting.pop(0) if self._waiting else 0

    def extend(self, numbers: Iterable[int]) -> None:
        """Replace the rest of the script."""
        self._waiting[:] = numbers


def machine(  # noqa: PLR0913 - all but the spec are optional
    spec: DeciderSpec,
    *,
    activities: Mapping[str, Activity] | None = None,
    input: Any = None,
    properties: Iterable[Rule] = (),
    faults: Faults | None = None,
    children: Mapping[str, DeciderSpec] | None = None,
    codec: Codec = CODEC,
) -> type[SpecMachine]:
    """Return a ``RuleBasedStateMachine`` class for a spec, to extend with rules and invariants of your own.

    Its rules make the possible moves, and send signals. ``.TestCase`` of it, or of a subclass, is a test.

    Args:
        spec: The spec to run.
        activities: Outcomes or functions by task id or type name, as for ``simulate``.
        input: The input of the workflow, a JSON value.
        properties: Invariants of your own, checked beside floto's.
        faults: The faults to inject; all of them by default.
        children: Specs by workflow type name, for children that carry none.
        codec: Codec that knows your own task kinds and retry strategies.
    """
    moments, runs = sorted_rules(properties)
    arguments = {
        "activities": activities,
        "input": input,
        "faults": Faults.all() if faults is None else faults,
        "children": children,
        "codec": codec,
    }
    return type(
        "Machine",
        (SpecMachine,),
        {
            "spec": spec,
            "arguments": arguments,
            "properties": (*INVARIANTS, *moments),
            "run_properties": (*(each for each in RUN_INVARIANTS if each.holds in _OF_ITSELF), *runs),
        },
    )
