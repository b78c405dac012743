"""Compares the view of a run with ``explain`` at every event."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from floto import DeciderSpec, Explained, History, explain, fold
from floto.core.replay.explain import explain_started
from floto.core.state.state import EMPTY
from floto.core.view.run_view import RunView, TaskMoment, view
from floto.core.view.values import text_parts
from floto.pages.document.run_document import run_document
from tests.page_reader import PageReader, Shown

#: Most conditions that a document lists.
FEW = 20


def agrees(history: History, spec: DeciderSpec | None) -> RunView:
    """Compare view and document with ``explain``, or ``explain_started``; return the view."""
    shown = view(history, spec)
    page = PageReader(run_document(shown))
    state = evolve(EMPTY, execution=history.execution)
    for event in history.events:
        if spec is None:
            state = fold([event], state)
            expected = explain_started(state, history.events).tasks
        else:
            expected = explain(spec, history, event.id).tasks
        _agrees_at(shown, page, event.id, expected)
    return shown


def _agrees_at(shown: RunView, page: PageReader, at: int, expected: Mapping[str, Explained]) -> None:
    assert expected.keys() <= shown.tasks.keys()
    for number, id_ in enumerate(shown.tasks):
        moment, drawn, task = shown.explained(id_, at), page.task(number, at), expected.get(id_)
        if task is None:
            assert (moment, drawn) == (None, None), (id_, at)
            continue
        assert moment == TaskMoment(task.status, task.conditions, task.result), (id_, at)
        if len(task.conditions) <= FEW:
            # A document has long texts cut.
            since = shown.history.events[at - 1].at
            texts = [page.text(text_parts(each.text, since), at) for each in task.conditions]
            assert drawn == Shown(str(task.status), tuple(sorted(texts))), (id_, at)
