"""Graphs that are too large to draw: refused at once, and still written for Graphviz and listed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from floto import ActivityTask, DeciderSpec
from floto.core.view.arrows import Arrow
from floto.pictures.graph import Graph, Node, graph
from floto.pictures.layout import MOST_ARROWS, MOST_POINTS, TooLarge, lay_out
from tests.integration.hostile import floto

#: Seconds of processor time for what is drawn or refused.
MOST_SECONDS = 20


def _task(id_: str, requires: list[str]) -> ActivityTask:
    return ActivityTask(id_=id_, name="a", version="1", requires=requires)


def dense(count: int) -> DeciderSpec:
    """Every task after all before it: most arrows pass many layers."""
    return DeciderSpec(activity_tasks=[_task(f"{n}", [f"{m}" for m in range(n)]) for n in range(count)])


def wide(count: int) -> DeciderSpec:
    """Two layers, each task of one connected with all of the other."""
    first = [_task(f"a{n}", []) for n in range(count)]
    return DeciderSpec(
        activity_tasks=[*first, *(_task(f"b{n}", [task.id_ for task in first]) for n in range(count))]
    )


TOO_LARGE: Mapping[str, Callable[[], DeciderSpec]] = {
    "245,000 long arrows": lambda: dense(701),
    "245,000 short arrows": lambda: wide(495),
    "many bends": lambda: dense(100),
}


@pytest.mark.parametrize("shape", TOO_LARGE)
def test_picture_of_a_graph_over_the_limits_is_refused_at_once(shape: str, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(TOO_LARGE[shape]().to_json())
    for name in ("g.svg", "g.html"):
        began = time.process_time()
        said = floto("graph", str(tmp_path / "spec.json"), "-o", str(tmp_path / name))
        assert time.process_time() - began < MOST_SECONDS
        assert (said.code, said.out) == (2, "")
        assert "is too large for a picture; at most 20,000 arrows" in said.err
        assert "-o FILE.dot" in said.err
        assert not (tmp_path / name).exists()
    for name in ("g.dot", "g.mmd"):
        assert floto("graph", str(tmp_path / "spec.json"), "-o", str(tmp_path / name)).code == 0
    assert floto("graph", str(tmp_path / "spec.json")).code == 0


@pytest.mark.parametrize("spec", [dense(60), wide(141)])
def test_graph_just_within_the_limits_is_drawn_within_seconds(spec: DeciderSpec) -> None:
    began = time.process_time()
    lay_out(graph(spec))
    assert time.process_time() - began < MOST_SECONDS


def test_refusal_counts_tasks_arrows_and_bends() -> None:
    nodes = tuple(Node(str(n), "ActivityTask") for n in range(MOST_POINTS + 1))
    with pytest.raises(TooLarge) as caught:
        lay_out(Graph(nodes, (Arrow(0, 1), Arrow(1, 2), Arrow(2, 3), Arrow(0, 3))))
    assert (caught.value.tasks, caught.value.arrows, caught.value.bends) == (MOST_POINTS + 1, 4, 2)
    with pytest.raises(TooLarge):
        lay_out(Graph(nodes[:2], (Arrow(0, 1),) * (MOST_ARROWS + 1)))
