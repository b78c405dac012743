"""Limits of the tasks that a generator returned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from floto import CODEC, DeciderSpec, Generator, SpecError
from floto.core.replay.explain import explain
from floto.core.spec.rules.sibling_limits import SiblingLimits
from floto.core.spec.rules.task_rules import rules_text
from floto.testing import fails, simulate
from tests.unit.recorder import spec, task

MEMBERS = [task(f"m{number}") for number in range(8)]


def limited(**limits: Any) -> DeciderSpec:
    return spec(Generator(name="g", version="v", id_="g", **limits), task("behind", "g"))


def run(*failing: str, **limits: Any) -> Any:
    outcomes: dict[str, Any] = {"g": lambda: MEMBERS, **{id_: fails(1) for id_ in failing}}
    return simulate(limited(**limits), activities=outcomes)


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"max_in_flight": 0}, "max_in_flight must be an integer from 1, or None, not 0"),
        ({"max_in_flight": True}, "max_in_flight must be an integer from 1, or None, not True"),
        ({"min_successful": "2"}, "min_successful must be an integer from 1, or None, not '2'"),
        (
            {"tolerated_failures": -1},
            "tolerated_failures must be an integer from 0, a share such as '5 %', or",
        ),
        ({"tolerated_failures": "5"}, "or None, not '5'"),
        ({"tolerated_failures": "101 %"}, "or None, not '101 %'"),
        ({"tolerated_failures": 0.05}, "or None, not 0.05"),
    ],
)
def test_bad_limit_is_a_spec_error(limits: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        limited(**limits)
    assert f"task 'g': {next(iter(limits))}" in str(caught.value)
    assert problem in str(caught.value)


def test_limits_round_trip_and_are_not_written_if_there_are_none() -> None:
    own = limited(max_in_flight=20, tolerated_failures="2.5 %", min_successful=3)
    assert CODEC.loads(own.to_json()) == own
    assert (
        not {"max_in_flight", "tolerated_failures", "min_successful"}
        & json.loads(CODEC.dumps(limited().activity_tasks[0])).keys()
    )
    text = "max_in_flight 20, tolerated_failures 2.5 %, min_successful 3"
    assert rules_text(own.activity_tasks[0]) == text


@pytest.mark.parametrize(
    ("tolerated", "least", "total", "allowed"),
    [(3, None, 100, 3), ("5 %", None, 39, 1), ("5%", None, 40, 2), ("2.5 %", None, 40, 1), (None, 7, 10, 3)],
)
def test_number_of_tolerated_failures(
    tolerated: int | str | None, least: int | None, total: int, allowed: int
) -> None:
    assert SiblingLimits(tolerated_failures=tolerated, min_successful=least).allowed(total) == allowed


def test_failures_are_tolerated_up_to_the_limit() -> None:
    assert run("m1", "m4", tolerated_failures=2).status == "COMPLETED"
    failed = run("m1", "m4", tolerated_failures=1)
    assert failed.status == "FAILED"
    details = json.loads(failed.main.events[-1].data.details)
    assert details == {"m4": "Failure; 2 of 8 tasks of 'g' failed, tolerated_failures is 1"}


def test_run_goes_on_with_enough_and_skips_what_was_never_started() -> None:
    simulation = run(min_successful=2, max_in_flight=2)
    assert simulation.status == "COMPLETED"
    found = explain(limited(min_successful=2, max_in_flight=2), simulation.main)
    assert str(found["m7"].conditions[0]) == "not needed: 2 tasks of g have completed"
    assert "m7" not in {each.task for each in found.tasks.values() if each.attempts}


def test_run_fails_as_soon_as_too_few_can_complete() -> None:
    failed = run("m0", "m1", min_successful=7, max_in_flight=1)
    details = json.loads(failed.main.events[-1].data.details)
    assert details == {"m1": "Failure; at most 6 of 8 tasks of 'g' can complete, min_successful is 7"}
    assert not any(getattr(event.data, "activity_id", "") == "m2" for event in failed.main)


def test_generator_that_returns_too_few_tasks_fails() -> None:
    failed = run(min_successful=9)
    assert (
        "the number of tasks that it returned is 8, min_successful is 9"
        in failed.main.events[-1].data.details
    )


def test_why_says_how_many_are_in_flight_and_how_many_failures_are_tolerated() -> None:
    own = limited(max_in_flight=3, tolerated_failures="50 %")
    simulation = run("m0", max_in_flight=3, tolerated_failures="50 %")
    texts = {
        str(condition)
        for event in simulation.main
        for task in explain(own, simulation.main, event.id).tasks.values()
        for condition in task.conditions
    }
    assert "waiting: 3 of 3 in flight of the tasks of g" in texts
    assert "the run continues: 1 of 4 tolerated failures of the tasks of g" in texts


def test_failure_past_the_tolerated_ones_does_not_count_as_one_of_them() -> None:
    failed = run("m0", "m1", tolerated_failures=1, max_in_flight=1)
    found = explain(limited(tolerated_failures=1, max_in_flight=1), failed.main)
    (note,) = map(str, found["m0"].conditions)
    assert note == "the run continues: 1 of 1 tolerated failures of the tasks of g"
