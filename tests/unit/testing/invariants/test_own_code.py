"""Joins of a user's own are held to be functions of their tally."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec
from floto.extend import JoinVerdict, Tally
from floto.testing import MinimizedViolation, check

Verdict = Callable[[Tally], Any]


@frozen
class Asks:
    """A join that returns the result of a function."""

    ask: Verdict

    def verdict(self, tally: Tally) -> Any:
        return self.ask(tally)


def work(id_: str, *requires: str, **settings: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="1", requires=requires, **settings)


def spec(ask: Verdict) -> DeciderSpec:
    return DeciderSpec(
        activity_tasks=[work("a", on_error="continue"), work("b"), work("e", "a", "b", join=Asks(ask))]
    )


_NUMBERS = count()
_WHEN_ALL_HAVE_ENDED: dict[str, tuple[Verdict, str]] = {
    "rolls dice": (lambda _: random.random() < 0.5, r"reads random numbers \(random.random\)"),
    "reads a clock": (lambda _: time.time() % 2 < 1, r"reads the clock \(time.time\)"),
    "counts": (
        lambda _: next(_NUMBERS) % 2,
        "returned JoinVerdict.S.* and then JoinVerdict.S.* for the same tally",
    ),
}


@pytest.mark.parametrize("name", _WHEN_ALL_HAVE_ENDED)
def test_join_that_is_not_a_function_of_its_tally_is_named(name: str) -> None:
    ask, said = _WHEN_ALL_HAVE_ENDED[name]

    def verdict(tally: Tally) -> JoinVerdict | int:
        if tally.open:
            return tally.open
        return JoinVerdict.START if ask(tally) else JoinVerdict.SKIP

    with pytest.raises(MinimizedViolation, match=rf"^task 'e': its join Asks\(.* {said}") as caught:
        check(spec(verdict), max_examples=20)
    assert caught.value.invariant.name == "joins_are_functions"


def test_join_that_raises_for_a_tally_that_cannot_occur_is_sound() -> None:
    def verdict(tally: Tally) -> JoinVerdict | int:
        if tally.skipped:
            msg = "nothing is ever skipped"
            raise LookupError(msg)
        return tally.open + tally.failed or JoinVerdict.START

    assert check(spec(verdict), codec=CODEC, max_examples=20).runs == 20
