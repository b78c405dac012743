"""Untrusted text made safe for a terminal, JSON, a picture and a generated test."""

from __future__ import annotations

import ast
import json
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from floto import ActivityTask, DeciderSpec, History, HistoryError, SpecError, WorkflowFailed, fold
from floto.core.replay.timeline import timeline
from floto.core.visible import visible, visible_json, visible_lines
from floto.pictures import dag, dot, gantt, listing, terminal
from floto.pictures.graph import Graph, Node
from floto.runtime.runs.live_table import LiveTable
from floto.testing.printing.counterexample import Counterexample
from floto.testing.printing.printed import comment
from tests.integration.hostile import HOSTILE, history
from tests.property.setup import SETTINGS

ANY = st.one_of(st.text(), st.sampled_from(list(HOSTILE.values())), st.text(st.characters(), max_size=20))


def saved(text: str) -> History:
    return History.from_swf(history(text)["events"])


def unsafe(text: str) -> set[str]:
    return {each for each in text if not each.isprintable()} - {"\n"}


@SETTINGS
@given(ANY)
def test_visible_text_is_one_printable_line_and_idempotent(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown
    assert visible_lines(shown) == shown
    assert visible_lines(text).split("\n") == [visible(line) for line in text.split("\n")]
    if text.isprintable():
        assert shown == text


@SETTINGS
@given(st.recursive(ANY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3)))
def test_visible_json_is_equivalent(value: object) -> None:
    for ascii_only in (True, False):
        text = visible_json(json.dumps(value, indent=2, ensure_ascii=ascii_only))
        assert not unsafe(text)
        assert json.loads(text) == value


@SETTINGS
@given(ANY)
def test_errors_have_one_line_for_each_problem(text: str) -> None:
    errors = {
        SpecError([text, text]): 2,
        HistoryError(3, text): 1,
        WorkflowFailed("w", "r", text, {}): 1,
        WorkflowFailed("w", "r", text, {text: text, "b": text}): 2 + (text != "b"),
    }
    for error, lines in errors.items():
        assert not unsafe(str(error))
        assert len(str(error).split("\n")) == lines


@SETTINGS
@given(ANY)
@example("&#27;[31m&quot;")
def test_pictures_show_any_name_as_text(text: str) -> None:
    shown = Graph((Node(text, "ActivityTask"),), ())
    for written in (dot.dot(shown), dot.mermaid(shown)):
        assert not unsafe(written)
        assert "&#27;" not in written
    run = timeline(saved(text))
    for drawing, width, height in (dag.draw(shown, text), gantt.draw(run, text)):
        page = drawing.html(width, height)
        assert not unsafe(page)
        assert ET.fromstring(drawing.svg(width, height)) is not None  # noqa: S314 - our own picture
    out = StringIO()
    console = Console(file=out, width=10_000)
    listing.show(shown, console)
    terminal.show(run, text, console)
    assert not unsafe(out.getvalue())
    # A head, a task; a head, an axis, decisions, the lanes and a legend.
    assert len(out.getvalue().split("\n")) - 1 == 2 + 4 + len(run.lanes)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_live_table_shows_any_message_as_text(text: str) -> None:
    spec = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="a", version="1")])
    out = StringIO()
    console = Console(file=out, width=200, height=40)
    table = LiveTable(spec, console)
    events = saved("a").events[:10]
    table.show(fold(events))
    failed = next(event for event in saved(text) if type(event.data).__name__ == "ActivityTaskFailed")
    table.show(fold([*events, failed]))
    console.print(table.render())
    assert not unsafe(out.getvalue())
    assert visible(text)[:6] in out.getvalue()


@SETTINGS
@given(ANY)
def test_generated_test_is_printable_and_can_be_read_and_written(text: str) -> None:
    line = comment(text)
    assert line.isprintable()
    assert not ast.parse(line).body
    spec = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="a", version="1", input={"text": text})])
    found = Counterexample(spec=spec, history=saved(text), divergence=None, is_smallest=True)
    source = found.as_pytest()
    assert not unsafe(source)
    ast.parse(source.encode().decode())
