"""The tasks that a simulated generator returns by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, Generator, InstantRetry, Item, Task
from floto.core.spec.graph import ID_LIMIT
from floto.extend import SiblingLimits, TaskCodec
from floto.testing import fails, simulate


def many(id_: str = "g", **settings: Any) -> Generator:
    return Generator(id_=id_, name="gen", version="1", **settings)


def work(id_: str, *requires: str) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="1", requires=requires)


def spec(*tasks: Task) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks)


def test_generator_returns_as_many_tasks_as_must_complete() -> None:
    simulation = simulate(spec(many(min_successful=2), work("z", "g")))
    assert simulation.status == "COMPLETED"
    assert simulation.attempts == {"g": 1, "g.1": 1, "g.2": 1, "z": 1}


@pytest.mark.parametrize("limits", [{}, {"tolerated_failures": "5 %", "max_in_flight": 2}], ids=str)
def test_generator_without_a_minimum_returns_no_tasks(limits: dict[str, Any]) -> None:
    assert simulate(spec(many(**limits), work("z", "g"))).attempts == {"g": 1, "z": 1}


def test_tasks_in_the_input_are_returned_instead() -> None:
    written = {"tasks": CODEC.unstructure([work("a"), work("b")])}
    assert simulate(spec(many(min_successful=1, input=written))).attempts == {"g": 1, "a": 1, "b": 1}


def test_input_with_an_empty_list_of_tasks_counts_as_none() -> None:
    assert simulate(spec(many(min_successful=1, input={"tasks": []}))).attempts == {"g": 1, "g.1": 1}


def test_ids_are_those_of_no_other_task() -> None:
    tasks = [many(min_successful=2), many("g.1", min_successful=2), work("g.2"), work("z", "g", "g.1")]
    simulation = simulate(spec(*tasks))
    assert simulation.status == "COMPLETED"
    assert set(simulation.attempts) == {"g", "g.1", "g.2", "g.3", "g.4", "g.1.1", "g.1.2", "z"}


def test_ids_of_generators_with_long_ids_are_valid_and_unique() -> None:
    first, second = ("g" * (ID_LIMIT - 1) + end for end in "ab")
    simulation = simulate(spec(many(first, min_successful=2), many(second, min_successful=2)))
    assert (simulation.status, len(simulation.attempts)) == ("COMPLETED", 6)


def test_thousand_tasks_fit_the_result_of_the_generator() -> None:
    assert simulate(spec(many(min_successful=1_000))).status == "COMPLETED"


def test_generator_that_succeeds_after_a_failure_returns_them_too() -> None:
    simulation = simulate(spec(many(min_successful=1, retry_strategy=InstantRetry(1))), {"g": fails(1)})
    assert simulation.attempts == {"g": 2, "g.1": 1}


@frozen(kw_only=True)
class Rows(ActivityTask):
    """A generator of a user's own kind, with limits."""

    @property
    def sibling_limits(self) -> SiblingLimits:
        return SiblingLimits(min_successful=2, max_in_flight=1)

    def generated(self, item: Item, codec: TaskCodec) -> Sequence[Task]:
        found: Sequence[Task] = codec.tasks(self.result(item))
        return found


def test_generator_of_ones_own_with_limits_returns_them_too() -> None:
    simulation = simulate(spec(Rows(id_="g", name="rows", version="1"), work("z", "g")))
    assert simulation.attempts == {"g": 1, "g.1": 1, "g.2": 1, "z": 1}
