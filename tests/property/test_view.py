"""The view of a run, and the document of it, say of each task at each event what ``explain`` says.

The number of random runs is that of the settings; 200 of them for each property:

    FLOTO_VIEW_RUNS=200 pytest -n 2 tests/property/test_view.py
"""

from __future__ import annotations

import os

from attrs import evolve
from hypothesis import given, settings

from floto import RecordedOutcome, replay, view
from floto.testing import Faults, Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE
from tests.replay_many import spec_for
from tests.views import agrees

RUNS = settings(SETTINGS, max_examples=int(os.environ.get("FLOTO_VIEW_RUNS", "25")))
#: Runs of which something is dropped more often than not.
FATAL = evolve(Faults.all(), fails_for_good=0.4, cancels=0.2)


@RUNS
@given(runs(specs(), faults=TROUBLE))
def test_view_of_each_task_at_each_event_equals_explain(run: Simulation) -> None:
    for history in run.histories:
        agrees(history, spec_for(run.spec, history))


@RUNS
@given(runs(specs(), faults=FATAL))
def test_view_of_a_run_that_fails_or_is_canceled_equals_explain(run: Simulation) -> None:
    for history in run.histories:
        agrees(history, spec_for(run.spec, history))


@RUNS
@given(runs(specs(), faults=FATAL))
def test_view_without_a_spec_equals_explain_started(run: Simulation) -> None:
    for history in run.histories:
        agrees(history, None)


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
