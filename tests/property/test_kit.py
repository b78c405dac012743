"""The test kit: random specs, coverage, and extension by users."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

import floto.testing
from floto import DeciderSpec, FixedDelay, History, InstantRetry, SpecError, Task
from floto.core.spec.graph import problems
from floto.core.state.state import Kind, Status
from floto.testing import (
    NONE,
    Coverage,
    Faults,
    Simulation,
    Violation,
    fails,
    histories,
    machine,
    runs,
    simulate,
    specs,
)
from floto.testing.invariants.law import check_history
from tests.property import own_code
from tests.property.own_code import OWN, Patient, Pause, work
from tests.property.setup import SETTINGS

FEW = settings(SETTINGS, max_examples=25)


def pauses(id_: str, requires: tuple[str, ...]) -> st.SearchStrategy[Task]:
    return st.builds(Pause, id_=st.just(id_), requires=st.just(requires), seconds=st.integers(0, 3))


own_specs = specs(kinds=[pauses], retry_strategies=st.builds(Patient, st.integers(0, 2)), codec=OWN)


@FEW
@given(own_specs)
def test_random_specs_are_valid_and_include_own_kinds(spec: DeciderSpec) -> None:
    assert not problems(spec.activity_tasks, spec.on_failure, spec.on_cancel)
    assert DeciderSpec.from_json(spec.to_json(OWN), OWN) == spec
    for task in spec.all_tasks:
        assert task.retry_strategy is None or isinstance(task.retry_strategy, Patient)


def test_own_kinds_are_drawn_often() -> None:
    drawn: list[type] = []

    @settings(FEW, derandomize=True, phases=(Phase.generate,), max_examples=400)
    @given(own_specs)
    def draw(spec: DeciderSpec) -> None:
        drawn.extend(type(task) for task in spec.activity_tasks)

    draw()
    assert drawn.count(Pause) > len(drawn) / 10


def test_own_kinds_need_a_codec_where_generators_return_them() -> None:
    @settings(FEW, derandomize=True, max_examples=500, suppress_health_check=list(HealthCheck))
    @given(specs(kinds=[pauses]))
    def draw(spec: DeciderSpec) -> None:
        pass

    with pytest.raises(SpecError, match="pass a codec that knows it as codec="):
        draw()


@FEW
@given(specs(all_kinds=True))
def test_all_kinds_are_drawn(spec: DeciderSpec) -> None:
    kinds = {task.key[0] for task in spec.activity_tasks}
    assert kinds == {Kind.ACTIVITY, Kind.TIMER, Kind.SIGNAL, Kind.CHILD}


@FEW
@given(runs(specs(most=3)))
def test_drawn_values_print_as_code(simulation: Simulation) -> None:
    names: dict[str, Any] = {"simulate": simulate}
    for module in ("floto", "floto.testing"):
        names |= vars(__import__(module, fromlist=["x"]))
    again = eval(repr(simulation), names)  # noqa: S307 - it is what repr promises
    assert again.spec == simulation.spec
    assert again.histories == simulation.histories


@FEW
@given(histories(specs(most=4)))
def test_histories_are_lawful_at_every_event(history: History) -> None:
    assert len(history) >= 1
    check_history(history)


def test_coverage_reports_reached_and_unreached_points() -> None:
    spec = DeciderSpec(activity_tasks=[work("a", retry_strategy=FixedDelay(3, 1), heartbeat_timeout=9)])
    coverage = Coverage()
    coverage.add(simulate(spec))
    assert coverage.statuses[Kind.ACTIVITY] == {Status.SCHEDULED: 1, Status.STARTED: 1, Status.COMPLETED: 1}
    assert coverage.attempts == {1: 1}
    assert coverage.closed == {"COMPLETED": 1}
    assert coverage.never["timeouts"] == ("HEARTBEAT",)
    assert coverage.never["attempts"] == ("a second attempt",)
    assert {"ActivityTaskFailed", "TimerStarted", "WorkflowExecutionFailed"} <= {*coverage.never["events"]}
    assert "ScheduleActivityTask: OPERATION_NOT_PERMITTED" in coverage.never["refusals"]
    assert not any("Child" in name for name in coverage.never["events"])
    for seed in range(300):
        coverage.add(simulate(spec, seed=seed, faults=Faults.all(0.15)))
    assert set(coverage.never) <= {"refusals"}
    assert coverage.refusals["ScheduleActivityTask", "OPERATION_NOT_PERMITTED"] > 0
    assert coverage.attempts[2] > 0
    assert all(len(line) <= 100 for line in str(coverage).splitlines())
    assert "HEARTBEAT" in str(coverage)


SPEC = DeciderSpec(activity_tasks=[work("a", retry_strategy=InstantRetry(2)), work("b", ["a"])])


class Operated(machine(SPEC)):  # type: ignore[misc]
    """Query the status of an open run, as users extend a machine."""

    asked = 0

    @rule()
    def ask(self) -> None:
        self.asked += 1
        self.simulator.signal("status")

    @invariant()
    def nothing_is_lost(self) -> None:
        signaled = [
            event for event in self.simulation.main if getattr(event.data, "signal_name", "") == "status"
        ]
        assert len(signaled) <= self.asked


TestOperated = Operated.TestCase
TestOperated.settings = settings(SETTINGS, max_examples=15, stateful_step_count=20)


BROKEN: dict[str, dict[str, Any]] = {
    "raises": {"spec": DeciderSpec(activity_tasks=[own_code.Presuming(id_="z")])},
    "misnamed": {"spec": DeciderSpec(activity_tasks=[own_code.Misnamed(id_="z")])},
    "own property": {
        "spec": DeciderSpec(activity_tasks=[work("a"), work("b")]),
        "properties": [own_code.one_at_a_time],
    },
}


@pytest.mark.parametrize("name", BROKEN)
def test_state_machine_finds_defects(name: str) -> None:
    found = machine(codec=OWN, **BROKEN[name])
    few = settings(SETTINGS, max_examples=20, database=None, phases=(Phase.generate,))
    with pytest.raises((Violation, KeyError)):
        run_state_machine_as_test(found, settings=few)


def test_no_public_name_is_shadowed_by_a_module() -> None:
    for module in pkgutil.walk_packages(floto.testing.__path__, "floto.testing."):
        importlib.import_module(module.name)
    for name in floto.testing.__all__:
        assert not inspect.ismodule(getattr(floto.testing, name)), name


def test_testing_works_without_hypothesis_except_strategies() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from floto.testing import check, simulate, verify, shrink, INVARIANTS\n"
        "from floto import ActivityTask, DeciderSpec\n"
        "spec = DeciderSpec(activity_tasks=[ActivityTask(name='a', version='1')])\n"
        "print(check(spec, max_examples=3).runs)\n"
        "try: from floto.testing import specs\n"
        "except ImportError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert said.stdout.splitlines() == [
        "3",
        "floto.testing.specs needs hypothesis: pip install 'floto[testing]'",
    ], said.stderr


@settings(FEW)
@given(runs(specs(most=3), activities={"work": fails(1)}, faults=NONE))
def test_activities_may_name_tasks_absent_from_a_random_spec(run: Simulation) -> None:
    """An unknown name is an error for one given spec, and allowed for many drawn ones."""
    assert run.arguments["activities"] == {"work": fails(1)}
