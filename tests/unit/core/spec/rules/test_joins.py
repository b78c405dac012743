"""Joins of a user's own."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import frozen

from floto import CODEC, DeciderSpec, SpecError, decide
from floto.core.spec.rules.certainty import prospects
from floto.core.spec.rules.joins import JoinVerdict, Tally, verdict
from tests.unit.recorder import Recorder, spec, task


@frozen
class Says:
    """A join that always says the same."""

    what: Any

    def verdict(self, tally: Tally) -> Any:  # noqa: ARG002 - whatever came of the tasks
        return self.what


@frozen
class AnyFailed:
    """Start once one of the tasks has failed, and the run continues."""

    def verdict(self, tally: Tally) -> JoinVerdict | None:
        return JoinVerdict.START if tally.continued else None

    def problems(self) -> list[str]:
        return []


@pytest.mark.parametrize(
    ("said", "tally", "expected"),
    [
        (JoinVerdict.START, Tally(open=3), JoinVerdict.START),
        (JoinVerdict.SKIP, Tally(open=3), JoinVerdict.SKIP),
        (None, Tally(open=3), 1),
        (0, Tally(open=3), 1),
        (-2, Tally(open=3), 1),
        (2, Tally(open=3), 2),
        (9, Tally(open=3), 3),
        (None, Tally(completed=3), JoinVerdict.SKIP),
        (1, Tally(completed=3), JoinVerdict.SKIP),
    ],
)
def test_verdict_of_a_join_that_waits_is_at_most_what_is_open(
    said: Any, tally: Tally, expected: JoinVerdict | int
) -> None:
    assert verdict(Says(said), tally) == expected


@pytest.mark.parametrize("said", [True, "start", 1.5])
def test_join_that_returns_something_else_is_a_spec_error(said: Any) -> None:
    with pytest.raises(SpecError, match="must return a JoinVerdict, a number or None, not "):
        verdict(Says(said), Tally(open=1))


def test_task_with_a_join_of_ones_own_starts_when_it_says_so() -> None:
    own = spec(
        task("a", on_error="continue"), task("b"), task("c", "b"), task("help", ["a", "b"], join=AnyFailed())
    )
    recorder = Recorder()
    recorder.complete("b")
    assert [each.activity_id for each in decide(own, recorder.history)] == ["a", "c"]  # type: ignore[union-attr]
    recorder.fail("a")
    assert {each.activity_id for each in decide(own, recorder.history)} == {"c", "help"}  # type: ignore[union-attr]


def test_certainty_asks_a_join_of_ones_own_about_every_outcome() -> None:
    found = prospects(
        spec(
            task("a", on_error="continue"),
            task("help", "a", join=AnyFailed()),
            task("never", "a", join=Says(None)),
            task("always", "a", join=Says(JoinVerdict.START)),
        ).activity_tasks
    )
    assert {id_: str(each.certainty) for id_, each in found.items()} == {
        "a": "always",
        "help": "sometimes",
        "never": "never",
        "always": "always",
    }


def test_join_of_ones_own_needs_a_tag_for_json() -> None:
    own = spec(task("a"), task("help", "a", join=AnyFailed()))
    with pytest.raises(SpecError, match="AnyFailed is not registered"):
        own.to_json()
    codec = CODEC.with_type("AnyFailed", AnyFailed)
    assert DeciderSpec.from_json(own.to_json(codec), codec) == own
