"""The view of a run says of each task at each event what ``explain`` says.

The number of random runs is that of the settings; 200 of them:

    FLOTO_VIEW_RUNS=200 pytest -n 2 tests/property/test_view.py
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from attrs import evolve
from hypothesis import given, settings

from floto import Condition, DeciderSpec, Explained, History, RecordedOutcome, explain, fold, replay
from floto.core.replay.explain import explain_started
from floto.core.state.state import EMPTY
from floto.core.view.run_view import RunView, TaskMoment, view
from floto.pages.document import run_document
from floto.testing import Faults, Simulation
from floto.testing.strategies import runs, specs
from tests.page_reader import PageReader, Shown
from tests.property.setup import SETTINGS, TROUBLE
from tests.replay_many import spec_for

RUNS = settings(SETTINGS, max_examples=int(os.environ.get("FLOTO_VIEW_RUNS", "25")))
#: Runs of which something is dropped more often than not.
FATAL = evolve(Faults.all(), fails_for_good=0.4, cancels=0.2)


def agreed(shown: RunView, at: int, expected: Mapping[str, Explained]) -> None:
    moments = {id_: shown.explained(id_, at) for id_ in shown.tasks}
    assert {id_ for id_, moment in moments.items() if moment is not None} == expected.keys()
    for id_, task in expected.items():
        assert moments[id_] == TaskMoment(task.status, task.conditions, task.result), id_


def agreed_with_spec(spec: DeciderSpec, history: History) -> None:
    shown = view(history, spec)
    for at in range(1, len(history) + 1):
        agreed(shown, at, explain(spec, history, at).tasks)


@RUNS
@given(runs(specs(), faults=TROUBLE))
def test_view_of_each_task_at_each_event_equals_explain(run: Simulation) -> None:
    for history in run.histories:
        agreed_with_spec(spec_for(run.spec, history), history)


@RUNS
@given(runs(specs(), faults=FATAL))
def test_view_of_a_run_that_fails_or_is_canceled_equals_explain(run: Simulation) -> None:
    for history in run.histories:
        agreed_with_spec(spec_for(run.spec, history), history)


@RUNS
@given(runs(specs(), faults=FATAL))
def test_view_without_a_spec_equals_explain_started(run: Simulation) -> None:
    for history in run.histories:
        shown = view(history)
        state = evolve(EMPTY, execution=history.execution)
        for event in history.events:
            state = fold([event], state)
            agreed(shown, event.id, explain_started(state, history.events).tasks)


#: The name of a task in a document may be cut, and a long list of conditions is.
FEW = 20


def told(conditions: Iterable[Condition]) -> tuple[str, ...]:
    return tuple(sorted(map(str, conditions)))


def document_agrees(shown: RunView, at: int, page: PageReader, expected: Mapping[str, Explained]) -> None:
    for number, id_ in enumerate(shown.tasks):
        found = page.task(number, at)
        if id_ not in expected:
            assert found is None
        elif len(expected[id_].conditions) <= FEW:
            task = expected[id_]
            assert found == Shown(str(task.status), told(task.conditions)), id_


@RUNS
@given(runs(specs(), faults=FATAL))
def test_document_read_as_the_page_does_equals_explain(run: Simulation) -> None:
    for history in run.histories:
        spec = spec_for(run.spec, history)
        shown = view(history, spec)
        page = PageReader(run_document(shown))
        for at in range(1, len(history) + 1):
            document_agrees(shown, at, page, explain(spec, history, at).tasks)


@RUNS
@given(runs(specs(), faults=FATAL))
def test_document_without_a_spec_equals_explain_started(run: Simulation) -> None:
    for history in run.histories:
        shown = view(history)
        page = PageReader(run_document(shown))
        state = evolve(EMPTY, execution=history.execution)
        for event in history.events:
            state = fold([event], state)
            document_agrees(shown, event.id, page, explain_started(state, history.events).tasks)


@RUNS
@given(runs(specs(), faults=TROUBLE))
def test_check_of_a_view_equals_replay(run: Simulation) -> None:
    for history in run.histories:
        spec = spec_for(run.spec, history)
        check, done = view(history, spec).check, replay(spec, history)
        assert check.divergence == done.divergence
        assert [each.started for each in check.decision_tasks] == [step.started for step in done.steps]
        answered = [step.outcome is RecordedOutcome.ANSWERED for step in done.steps]
        assert [same is not None for same in check.same] == answered
        assert check.verdict == "the spec decides as recorded"
