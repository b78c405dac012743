"""How long a simulation goes on."""

from __future__ import annotations

import pytest

from floto import ActivityTask, DeciderSpec, Generator
from floto.testing import returns, simulate
from floto.testing.simulation import simulator

PARTS = [ActivityTask(id_=f"part {number}", name="part", version="v1") for number in range(60)]
SPEC = DeciderSpec(activity_tasks=[Generator(id_="parts", name="list", version="v1")])


@pytest.fixture(autouse=True)
def _little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "_PATIENCE", 20)


def test_simulation_has_the_patience_for_each_task_that_a_generator_returns() -> None:
    simulation = simulate(SPEC, {"parts": returns(PARTS)})
    assert (simulation.status, simulation.is_endless) == ("COMPLETED", False)
    assert len(simulation.attempts) == 1 + len(PARTS)


def test_given_patience_is_kept() -> None:
    assert simulate(SPEC, {"parts": returns(PARTS)}, patience=30).is_endless
