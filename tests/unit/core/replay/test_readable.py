"""Tasks of generators whose types a reader of the run does not know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

import floto
from floto import ActivityTask, DeciderSpec, Generator, History, SpecError
from floto.pictures.graph import graph
from floto.testing import fails, returns, simulate


@frozen
class Never:
    """A retry strategy that only ``OWN`` can read."""

    def delay(self, retry: floto.Retry) -> float | None:  # noqa: ARG002 - the same for every retry
        return None


OWN = floto.CODEC.with_type("Never", Never)
SPLIT = Generator(id_="split", name="split", version="1")
LAST = ActivityTask(id_="last", name="last", version="1", requires=[SPLIT])
SPEC = DeciderSpec(activity_tasks=[SPLIT, LAST])


def _parts(context: Any) -> list[ActivityTask]:  # noqa: ARG001 - the same in every run
    return [ActivityTask(id_=f"part {n}", name="part", version="1", retry_strategy=Never()) for n in range(2)]


def _failed_run() -> History:
    return simulate(SPEC, {"split": _parts, "last": fails(1)}, codec=OWN).histories[0]


READERS: dict[str, Callable[[History], Any]] = {
    "explain": lambda history: floto.explain(SPEC, history),
    "redrive": lambda history: floto.redrive(SPEC, history),
    "graph": lambda history: graph(SPEC, floto.fold(history)),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_without_the_types_of_generated_tasks_does_not_say_that_they_failed(reader: str) -> None:
    with pytest.raises(SpecError) as caught:
        READERS[reader](_failed_run())
    assert "the run has begun tasks that 'split' returned, but they cannot be read here" in str(caught.value)
    assert "type 'Never' is not known" in str(caught.value)


def test_a_view_without_the_types_shows_what_the_history_says() -> None:
    shown = floto.view(_failed_run(), SPEC)
    assert shown.spec is None
    assert "the run has begun tasks that 'split' returned" in str(shown.check.verdict)


def test_with_the_types_everything_is_known() -> None:
    history = _failed_run()
    assert floto.redrive(SPEC, history, codec=OWN).kept == ("split", "part 0", "part 1")
    assert str(floto.explain(SPEC, history, codec=OWN)["part 1"].status) == "done"


def test_a_generator_that_failed_for_its_tasks_is_explained_and_runs_again() -> None:
    history = simulate(SPEC, {"split": returns([{"type": "nonsense", "id_": "part 0"}])}).histories[0]
    assert "returned tasks that do not fit" in floto.explain(SPEC, history).why("split")
    assert "split" in floto.redrive(SPEC, history).again
