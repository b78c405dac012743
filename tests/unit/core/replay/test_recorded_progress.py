"""Tasks of generators whose types a reader of the run does not know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

import floto
from floto import ActivityTask, DeciderSpec, Generator, History, SpecError
from floto.payloads import DirectoryStore
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


def test_tasks_that_a_generated_generator_returned_are_known_to_have_begun() -> None:
    inner = Generator(id_="inner", name="inner", version="1")
    behaviors: dict[str, Any] = {"split": lambda _: [inner], "inner": _parts, "last": fails(1)}
    history = simulate(SPEC, behaviors, codec=OWN).histories[0]
    with pytest.raises(SpecError, match="the run has begun tasks that 'inner' returned"):
        floto.redrive(SPEC, history)
    assert floto.redrive(SPEC, history, codec=OWN).kept == ("split", "inner", "part 0", "part 1")


@pytest.mark.parametrize("result", [[{"type": "nonsense", "id_": "part 0"}], [1], "text", {"id_": "first"}])
def test_a_generator_that_failed_for_its_tasks_runs_again_by_a_spec_without_another_task(result: Any) -> None:
    first = ActivityTask(id_="first", name="first", version="1")
    before = DeciderSpec(activity_tasks=[first, evolve(SPLIT, requires=("first",))])
    history = simulate(before, {"first": returns(1), "split": returns(result)}).histories[0]
    planned = floto.redrive(SPEC, history)
    assert (planned.again, planned.dropped) == (("split", "last"), ("first",))


def test_stored_tasks_that_have_begun_and_are_missing_did_not_fail(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "full")
    stored = store.put([floto.CODEC.unstructure(ActivityTask(id_="part", name="part", version="1"))])
    behaviors: dict[str, Any] = {"split": returns(stored), "part": returns(1), "last": fails(1)}
    codec = floto.CODEC.with_payloads(store)
    history = simulate(SPEC, behaviors, codec=codec).histories[0]
    assert floto.redrive(SPEC, history, codec=codec).kept == ("split", "part")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SpecError, match="the tasks that 'split' returned cannot be read here"):
        floto.redrive(SPEC, history, codec=floto.CODEC.with_payloads(DirectoryStore(tmp_path / "empty")))
