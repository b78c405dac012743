"""Pictures show the content of a history and a spec, for any text."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from floto import ActivityTask, DeciderSpec, fold
from floto.core.replay.task_status import TaskStatus
from floto.core.replay.timeline import timeline
from floto.core.state.failures import failure_of
from floto.core.state.state import Kind, Status
from floto.pictures import dag, dot, gantt
from floto.pictures.graph import graph
from floto.pictures.layout import lay_out
from floto.pictures.svg import Drawing
from floto.testing import Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS

SVG = "{http://www.w3.org/2000/svg}"


@SETTINGS
@given(runs(specs()))
def test_timeline_places_every_attempt(run: Simulation) -> None:
    """One lane for each item, one span at a time, none before the run or after its last event."""
    for history in run.histories:
        shown, state = timeline(history), fold(history)
        for lane in shown.lanes:
            item = state.items[lane.key]
            ended = len(item.failures) + (item.status is Status.COMPLETED)
            assert len(lane.attempts) == ended + item.is_open
            spans = [span.status for span in lane.spans]
            canceled = sum(failure_of(each).status is Status.CANCELED for each in item.failures)
            assert spans.count(TaskStatus.CANCELED) == canceled
            assert spans.count(TaskStatus.FAILED) == len(item.failures) - canceled
            assert all(shown.start <= span.start <= span.end <= shown.end for span in lane.spans)
            assert all(before.end <= after.start for before, after in pairwise(lane.spans))
        awaited = {
            key for key, item in state.items.items() if item.opened is not None and key[0] is Kind.ACTIVITY
        }
        assert awaited <= {lane.key for lane in shown.lanes}


@SETTINGS
@given(runs(specs()))
def test_pictures_of_any_run_are_xml_and_name_every_task(run: Simulation) -> None:
    """Every lane has its bars, every task its box, and every arrow goes from box to box."""
    spec, history = run.spec, run.main
    shown = timeline(history)
    lanes = ET.fromstring(_svg(gantt.draw(shown, "run")))  # noqa: S314 - our own picture
    assert len(lanes.findall(f"{SVG}rect")) >= 1 + sum(len(lane.spans) for lane in shown.lanes)
    tasks = graph(spec, fold(history))
    assert {task.id_ for task in spec.all_tasks} <= {node.id for node in tasks.nodes}
    boxes = ET.fromstring(_svg(dag.draw(tasks, "run")))  # noqa: S314 - our own picture
    assert len(boxes.findall(f"{SVG}rect")) == 1 + len(tasks.nodes)
    assert len(boxes.findall(f"{SVG}path")) == len(tasks.arrows)


def _svg(drawn: tuple[Drawing, float, float]) -> str:
    drawing, width, height = drawn
    return drawing.svg(width, height)


@settings(SETTINGS, max_examples=300)
@given(st.data())
def test_layout_has_no_overlaps_and_arrows_point_right(data: st.DataObject) -> None:
    """No two boxes in one place, and every arrow leads to a later layer."""
    count = data.draw(st.integers(1, 40))
    tasks = [
        ActivityTask(
            name="a",
            version="1",
            id_=str(number),
            requires=[
                str(other) for other in data.draw(st.sets(st.integers(0, max(number - 1, 0)), max_size=3))
            ]
            if number
            else [],
        )
        for number in range(count)
    ]
    drawn = graph(DeciderSpec(activity_tasks=tasks))
    layout = lay_out(drawn)
    by_layer: dict[float, list[float]] = {}
    for x, y in layout.nodes:
        by_layer.setdefault(x, []).append(y)
    for rows in by_layer.values():
        assert all(after - before > 0.999 for before, after in pairwise(sorted(rows)))
    for arrow, way in zip(drawn.arrows, layout.routes, strict=True):
        assert (way[0], way[-1]) == (layout.nodes[arrow.start], layout.nodes[arrow.end])
        assert all(before[0] < after[0] for before, after in pairwise(way))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30))
def test_names_cannot_escape_their_quotes(text: str) -> None:
    """Names of tasks are never read as syntax of the picture."""
    drawn = graph(DeciderSpec(activity_tasks=[ActivityTask(name="a", version="1", id_="a")]))
    named = type(drawn)((type(drawn.nodes[0])(text, "ActivityTask"),), ())
    assert len(dot.dot(named).strip().split("\n")) == 5
    box = dot.mermaid(named).split("\n")[1]
    assert box.startswith('  n0["')
    assert box.count('"') == 2
    root = ET.fromstring(_svg(dag.draw(named, text)))  # noqa: S314 - our own picture
    assert root.find(f"{SVG}title") is not None
