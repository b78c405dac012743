"""The simulator agrees with the embedded engine: the same commands, the same answers and histories."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from floto import DeciderSpec
from floto.testing import Choices, Faults
from floto.testing.strategies import specs
from tests.property.played import NotingSimulator, Played
from tests.property.setup import SETTINGS

RATES = st.sampled_from([0.05, 0.2, 1.0])


@SETTINGS
@given(specs(), st.integers(0, 2**32), RATES)
def test_20_simulator_and_service_write_equal_histories(spec: DeciderSpec, seed: int, rate: float) -> None:
    """Invariant 20, over random specs and faults: answers, refusals and histories, to the millisecond."""
    simulator = NotingSimulator(spec, choices=Choices.seeded(seed), faults=Faults.all(rate, most=30))
    simulation = simulator.run()
    with (
        tempfile.TemporaryDirectory(prefix="floto-played-") as directory,
        Played(Path(directory) / "db", simulator.noting.causes) as engine,
    ):
        for command in simulator.noting.commands:
            assert engine.play(command) == command.answer, command.name
        for info in simulation.infos:
            expected = simulator.world.history(info.execution).events
            assert engine.history(info.execution) == expected
