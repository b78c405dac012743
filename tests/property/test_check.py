"""``check`` finds what is wrong with code that users write, and shows it small and as it can be run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random
from string import ascii_letters
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from floto import ActivityTask, DeciderSpec, FixedDelay, Generator, InstantRetry, Signal, Task
from floto.testing import (
    NONE,
    RUN_INVARIANTS,
    ActivitiesError,
    Faults,
    MinimizedViolation,
    NoSuchTimeout,
    Report,
    RunInvariant,
    Simulation,
    Violation,
    check,
    fails,
    returns,
    simulate,
    takes,
    times_out,
    verify_run,
)
from floto.testing.strategies import specs
from tests.property import own_code
from tests.property.own_code import DEFECTS, OWN, Patient, Pause, spec, work
from tests.property.setup import SETTINGS

ROOT = Path(__file__).parents[2]
SMALL = DeciderSpec(activity_tasks=[work("a", retry_strategy=InstantRetry(1))])

#: Events of a run of which nothing was decided.
_BEGINNING = 3


def found_by(**arguments: object) -> MinimizedViolation:
    with pytest.raises(MinimizedViolation) as caught:
        check(**arguments)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("name", DEFECTS)
def test_defects_of_user_code_are_found_and_minimised(name: str) -> None:
    """A counterexample is small, independent of the size of the spec."""
    found = found_by(codec=OWN, **DEFECTS[name])
    assert len(found.spec.all_tasks) <= 4
    assert len(found.history) <= 12
    assert found.reproduction.is_smallest
    assert found.sentence in str(found)
    begun = len(found.history) > _BEGINNING
    assert ("decisions" if begun else "nothing has been started yet") in found.timeline()
    assert found.as_pytest() in str(found)


# Counterexamples of check are minimised already.
@settings(SETTINGS, max_examples=15, phases=(Phase.explicit, Phase.generate))
@given(specs(most=4, depth=1))
def test_specs_of_built_in_kinds_are_sound(spec: DeciderSpec) -> None:
    report = check(spec, max_examples=10)
    assert 1 <= report.runs <= 10
    assert report.moments >= 1


def test_sound_user_code_violates_no_invariant() -> None:
    report = check(spec(Pause(id_="z"), work("y", retry_strategy=Patient())), codec=OWN, max_examples=40)
    assert (report.runs, report.notes) == (40, ())


def test_equal_arguments_check_equal_runs_in_every_process() -> None:
    code = (
        "from tests.property.own_code import *; from floto.testing import check, Violation\n"
        "print(check(spec(), codec=OWN, seed=3))\n"
        "try: check(codec=OWN, **DEFECTS['generates an id that is taken'])\n"
        "except Violation as found: print(found)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            encoding="utf-8",
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1]
    assert "every invariant held" in said[0]
    assert "def test_" in said[0]


def test_small_specs_are_explored_exhaustively_and_reported() -> None:
    report = check(SMALL, faults=Faults(fails=0.5, most=1))
    assert report.explored.is_complete
    assert report.is_exhaustive
    # All goes well, or one of the two attempts fails.
    assert report.runs == 2
    assert "exhaustive: all 2 runs; random: 0 runs" in str(report)
    report = check(SMALL, faults=Faults.all(), max_examples=100)
    assert not report.explored.is_complete
    assert report.explored.deviations == 1
    assert report.runs == 100 > report.explored.runs
    assert "with at most 1 deviation from the default schedule" in str(report)
    large = check(spec(), codec=OWN, max_examples=3)
    assert not large.is_exhaustive
    assert "not exhaustive: too many runs" in str(large)


def test_check_ends_at_its_time_limit_and_reports_progress() -> None:
    told: list[Report] = []
    report = check(spec(), codec=OWN, max_examples=10**9, max_seconds=0.5, on_progress=told.append)
    runs = [each.runs for each in told]
    # A run stopped by the time limit is reported without being counted.
    whole = [*range(1, report.runs + 1)]
    assert runs in (whole, [*whole, report.runs])
    assert told[-1].moments == report.moments
    assert report.runs < 10_000


@pytest.mark.parametrize("budget", [0, 3])
def test_minimisation_respects_its_budget(budget: int) -> None:
    found = found_by(codec=OWN, shrink_budget=budget, **DEFECTS["waits for another timer"])
    assert not found.reproduction.is_smallest
    assert "shrink_budget" in str(found)
    assert "def test_" in found.as_pytest()


def test_counterexample_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "test_found.py"
    found = found_by(codec=OWN, save=path, **DEFECTS["never gives up"])
    assert path.read_text(encoding="utf-8") == found.as_pytest()
    assert f"pytest {path}" in str(found)


def test_defect_in_unimportable_code_is_found(tmp_path: Path) -> None:
    class Local:
        def delay(self, _: object) -> float | None:
            return 1

    path = tmp_path / "test_found.py"
    found = found_by(spec=spec(work("z", retry_strategy=Local())), codec=OWN, save=path)
    assert found.invariant.name == "strategies_give_up"
    assert "cannot be written as a file for pytest: " in str(found)
    assert "Local" in str(found)
    assert not path.exists()


def test_unimportable_function_is_printed_as_its_recorded_result() -> None:
    """The history contains the result; the test cannot detect that the function is repaired."""

    def circular(_: object) -> list[Task]:
        return own_code.circular(None)

    arguments = {**DEFECTS["generates a circle"], "activities": {"grow": circular}}
    found = found_by(codec=OWN, **arguments)
    assert "EVENTS = [" in found.as_pytest()
    assert "The history records the result of a function, which the test does not call" in str(found)
    assert "# The history records the result of a function" in found.as_pytest()


def test_kinds_unknown_to_the_codec_are_reported() -> None:
    report = check(spec(Pause(id_="z")), max_examples=2)
    [note] = report.notes
    assert "not checked: that the spec stays the same when it is written as JSON" in note
    assert "is not registered; give it a tag with Codec.with_type" in note
    assert note in str(report)


def test_violation_of_a_run_is_minimised_by_simulating_less() -> None:
    def is_quick(simulation: Simulation) -> None:
        assert simulation.duration.total_seconds() < 3_600, f"it took {simulation.duration}"

    rule = RunInvariant(None, "is_quick", "A run takes less than an hour.", is_quick)
    slow = spec(
        work("z", retry_strategy=FixedDelay(4_000, 2)), Signal(id_="s", signal_name="go", requires=["e"])
    )
    found = found_by(spec=slow, codec=OWN, properties=[rule])
    # One attempt that failed, or took its time, and the next.
    assert [task.id_ for task in found.spec.all_tasks] == ["z"]
    case = found.reproduction.case  # type: ignore[attr-defined]
    assert sum(map(bool, case.script)) == 1
    with pytest.raises(Violation, match="it took"):
        verify_run(found.reproduction.simulation, [rule])  # type: ignore[attr-defined]


def test_a_run_without_end_is_a_violation() -> None:
    stuck = spec(work("z", ["d"]))
    simulation = simulate(stuck, patience=10)
    with pytest.raises(Violation, match=r"the run does not end, with tasks .* made again and again"):
        verify_run(simulation, RUN_INVARIANTS)


def test_invalid_arguments_are_not_reported_as_defects() -> None:
    with pytest.raises(NoSuchTimeout, match="cannot time out"):
        check(SMALL, activities={"a": times_out()})


def test_check_accepts_outcomes_and_inputs_like_simulate() -> None:
    report = check(
        SMALL,
        activities={"a": takes(minutes=5, then=returns(3))},
        input={"n": 1},
        faults=NONE,
        max_examples=5,
    )
    assert report.runs == 1
    assert report.coverage.closed == {"COMPLETED": 1}


def test_printed_simulation_has_only_the_needed_arguments() -> None:
    text = found_by(codec=OWN, **DEFECTS["another result each time"]).as_pytest()
    assert 'simulate(SPEC, activities={"z": counting})' in text
    assert "OWN_CODEC" not in text


@pytest.mark.parametrize(
    "limits",
    [
        {"min_successful": 2},
        {"min_successful": 2, "tolerated_failures": 0},
        {"min_successful": 3, "tolerated_failures": "40 %", "max_in_flight": 1},
        {"tolerated_failures": 1, "max_in_flight": 2},
    ],
    ids=str,
)
def test_generators_with_limits_are_sound_without_outcomes(limits: dict[str, Any]) -> None:
    many = [Generator(id_=id_, name="g", version="1", **limits) for id_ in ("g", "g.1")]
    last = ActivityTask(id_="z", name="z", version="1", requires=["g", "g.1"])
    check(DeciderSpec(activity_tasks=[*many, last]), max_examples=40)


def test_unknown_activity_name_raises() -> None:
    with pytest.raises(ActivitiesError, match="did you mean 'first'"):
        check(slow("first"), activities={"frist": fails()}, max_examples=20)


def test_too_long_result_is_reported_although_floto_handles_it() -> None:
    with pytest.raises(Violation, match="the result of task 'first' is"):
        check(slow("first"), activities={"first": too_long}, max_examples=20)


def too_long() -> str:
    """More than SWF takes, even compressed."""
    return "".join(Random(0).choices(ascii_letters, k=90_000))


def slow(id_: str) -> DeciderSpec:
    return DeciderSpec(activity_tasks=[ActivityTask(id_=id_, name="work", version="v1")])
