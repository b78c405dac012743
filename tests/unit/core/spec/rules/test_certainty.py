"""Certainty of tasks that rules and generators decide."""

from __future__ import annotations

from attrs import evolve

from floto import AtLeast, DeciderSpec, Signal
from floto.core.spec.estimate import expected_events
from floto.core.spec.rules.certainty import prospects
from tests.unit.recorder import generator, spec, task


def found(own: DeciderSpec) -> dict[str, tuple[str, str]]:
    return {id_: (str(each.certainty), each.reason) for id_, each in prospects(own.activity_tasks).items()}


def test_literal_conditions_are_folded_and_those_over_data_are_open() -> None:
    own = spec(
        task("a", when="`1` < `2` && !`false`"),
        task("b", when="workflow || `true`"),
        task("c", when="length('') > `0`"),
        task("d", when="abs('x')"),
    )
    assert found(own) == {
        "a": ("always", ""),
        "b": ("sometimes", ""),
        "c": ("never", "its condition length('') > `0` is always false or fails"),
        "d": ("never", "its condition abs('x') is always false or fails"),
    }


def test_join_that_can_never_be_met_says_why() -> None:
    own = spec(
        task("a", when="`false`"), task("b"), task("two", ["a", "b"], join=AtLeast(2)), task("after", "two")
    )
    assert found(own)["two"][1] == "its join is never met: AtLeast(2) of 2 tasks, of which 1 can run"
    assert found(own)["after"][1] == "its join is never met: all of 1 tasks, of which 0 can run"


def test_generator_may_return_any_number_of_tasks() -> None:
    own = spec(generator("g"), task("many", "g", join=AtLeast(50)), task("end", "g"))
    assert {id_: certainty for id_, (certainty, _) in found(own).items()} == {
        "g": "always",
        "many": "sometimes",
        "end": "always",
    }


def test_signal_that_may_be_skipped_when_its_time_is_up_always_waits() -> None:
    gate = Signal(id_="gate", signal_name="go", timeout=60, on_timeout="skip")
    own = spec(gate, task("after", "gate"), task("end", "gate", join="finished"))
    assert {id_: certainty for id_, (certainty, _) in found(own).items()} == {
        "gate": "always",
        "after": "sometimes",
        "end": "always",
    }


def test_estimate_counts_the_events_of_tasks_that_always_run() -> None:
    least, _ = expected_events(spec(task("a"), task("b", "a", when="a.n"), task("c", ["a", "b"])))
    assert least == expected_events(spec(task("a"), task("c", "a")))[0]
    least, _ = expected_events(spec(task("a"), task("b", "a"), task("c", ["a", "b"], join="any")))
    assert least == expected_events(spec(task("a"), task("b", "a"), task("c")))[0]


def test_join_that_counts_more_than_min_successful_names_the_generator() -> None:
    limited = evolve(generator("g"), min_successful=3)
    own = spec(limited, task("a"), task("many", ["g", "a"], join=AtLeast(5)))
    assert found(own)["many"][1] == (
        "its join is never met: AtLeast(5), "
        "but the run goes on when 4 tasks have completed (min_successful of g)"
    )
