"""Simulations of random specs under random faults: they end, they come again, and they are SWF's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from floto import ActivityTask, ChildWorkflow, DeciderSpec, Generator, InstantRetry, Signal, Timer
from floto.testing import AttemptKey, Choices, Ending, Faults, Simulation, Simulator, simulate
from floto.testing.invariants.law import check_history
from floto.testing.strategies import specs
from tests.property.setup import SETTINGS, has_rules

seeds = st.integers(0, 2**32)
rates = st.sampled_from([0.02, 0.1, 0.3, 1])


def written(simulation: Simulation) -> str:
    """All that is in a simulation, as text."""
    histories = [history.to_swf() for history in simulation.histories]
    return json.dumps([histories, simulation.script, repr(simulation.steps), repr(simulation)], default=str)


@SETTINGS
@given(specs(), seeds, rates)
def test_every_simulation_ends(spec: DeciderSpec, seed: int, rate: float) -> None:
    """Invariant 7: faults are bounded, so no run is stuck or endless."""
    simulation = simulate(spec, seed=seed, faults=Faults.all(rate))
    assert not simulation.is_stuck
    assert not simulation.is_endless
    assert all(info.close_status for info in simulation.infos)


@SETTINGS
@given(specs().filter(lambda spec: not has_rules(spec)))
def test_simulation_without_faults_completes(spec: DeciderSpec) -> None:
    """Activities without a given outcome succeed, at the first attempt; a condition may fail on its data."""
    simulation = simulate(spec)
    assert simulation.status == "COMPLETED"
    assert set(simulation.attempts.values()) <= {1}
    assert simulation.script == ()


@SETTINGS
@given(specs(), seeds, rates)
def test_script_reproduces_its_simulation(spec: DeciderSpec, seed: int, rate: float) -> None:
    """The choices that were taken are a script of the same simulation."""
    faults = Faults.all(rate)
    simulation = simulate(spec, seed=seed, faults=faults)
    again = simulate(spec, script=simulation.script, faults=faults)
    assert written(again) == written(simulation)
    assert simulate(spec, script=[0] * 50, faults=Faults.all(0.9)).histories == simulate(spec).histories


@SETTINGS
@given(specs(), seeds, rates)
def test_17_every_history_is_lawful(spec: DeciderSpec, seed: int, rate: float) -> None:
    """Invariant 17, of what SWF wrote; what a newer SWF added aside."""
    simulator = Simulator(spec, choices=Choices.seeded(seed), faults=Faults.all(rate))
    for info in simulator.run().infos:
        check_history(simulator.world.history(info.execution))


@SETTINGS
@given(specs(), seeds, rates)
def test_visible_history_only_grows(spec: DeciderSpec, seed: int, rate: float) -> None:
    """Each decision task shows a prefix of the whole history, ending with its started event."""
    simulation = simulate(spec, seed=seed, faults=Faults.all(rate))
    whole = {history.execution: history.events for history in simulation.histories}
    for step in simulation.steps:
        assert step.history.events == whole[step.execution][: len(step.history)]
        assert step.after.events == whole[step.execution][: len(step.after)]
        assert type(step.history.events[-1].data).__name__ == "DecisionTaskStarted"


@SETTINGS
@given(specs(), seeds, seeds)
def test_outcomes_of_attempts_do_not_depend_on_order(spec: DeciderSpec, seed: int, other: int) -> None:
    """With the outcomes of another simulation, an attempt has the same outcome in any order."""
    wrong = Faults(fails=0.2, fails_for_good=0.05, times_out=0.1, loses_worker=0.1)
    first = simulate(spec, seed=seed, faults=wrong)
    second = simulate(spec, seed=other, faults=Faults(reorders=0.3), outcomes=first.outcomes)
    common = first.outcomes.keys() & second.outcomes.keys()
    assert {key: first.outcomes[key] for key in common} == {key: second.outcomes[key] for key in common}
    assert not second.befell.keys() - {"reorders"}
    # Joins that do not need all, and signals with a time-out, depend on the order on purpose.
    if not _failed(first.outcomes) and not has_rules(spec):
        assert second.outcomes == first.outcomes
        assert (second.status, second.result) == (first.status, first.result)


def _failed(outcomes: Mapping[AttemptKey, Ending]) -> bool:
    return any(ending.how != "succeeds" for ending in outcomes.values())


RICH = DeciderSpec(
    activity_tasks=[
        ActivityTask(name="work", version="v1", id_="a", heartbeat_timeout=5, retry_strategy=InstantRetry(2)),
        Generator(name="gen", version="v1", id_="g", requires=["a"]),
        Timer(id_="t", delay_in_seconds=60, requires=["a"]),
        Signal(id_="s", signal_name="go"),
        ChildWorkflow(
            workflow_type_name="kind",
            workflow_type_version="v1",
            id_="kid",
            requires=["g"],
            spec=DeciderSpec(activity_tasks=[ActivityTask(name="work", version="v1", id_="in")]),
        ),
        ChildWorkflow(workflow_type_name="kind", workflow_type_version="v1", id_="bare"),
    ],
    on_failure=[ActivityTask(name="work", version="v1", id_="tidy", requires=[])],
    on_cancel=[ActivityTask(name="work", version="v1", id_="undo")],
)


def tell() -> None:
    """Write what comes of many simulations."""

    def generated() -> list[ActivityTask]:
        return [ActivityTask(name="work", version="v1", id_=f"g.{number}") for number in range(3)]

    for seed in range(20):
        simulation = simulate(RICH, {"g": generated}, input={"n": 1}, seed=seed, faults=Faults.all(0.1))
        # A function prints as where it is in memory.
        sys.stdout.write(written(evolve(simulation, arguments={})))


def test_simulation_is_identical_in_every_process() -> None:
    """Invariant 1, of the simulator: neither the process nor the seed of its hashes matters."""
    call = "from tests.property.test_simulator import tell; tell()"
    outputs = set()
    for hash_seed in ("0", "1", "12345"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", call], capture_output=True, check=True, env=environment)
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop()) > 100_000
