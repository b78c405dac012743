"""Documents of random runs, as the script reads them: complete, JSON, and each interval as it was."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings

from floto import DeciderSpec, History
from floto.core.view.run_view import view
from floto.pages.document.prepare import prepare
from floto.pages.document.run_document import run_document
from floto.pages.report import report
from floto.testing import Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE
from tests.replay_many import spec_for

RUNS = settings(SETTINGS, max_examples=25)


def agreed(history: History, spec: DeciderSpec | None) -> None:
    document = run_document(view(history, spec))
    found = json.loads(json.dumps(prepare(document), allow_nan=False))
    tasks = sorted(task for _, task, _ in found["lanes"] if task >= 0)
    assert tasks == list(range(len(document["tasks"])))
    assert sorted(group for _, _, group in found["lanes"] if group >= 0) == list(range(len(found["groups"])))
    for axis in found["axes"]:
        assert sum(piece[3] for piece in axis) == pytest.approx(1)
        assert [axis[0][0], axis[-1][1]] == [found["events"]["at"][0], sum(found["events"]["at"])]
    for task, before in zip(found["tasks"], document["tasks"], strict=True):
        assert _read(task["statuses"]) == before["statuses"]
        assert _read(task["whys"]) == before["whys"]
    assert len(found["decisions"]) == len(document["decision_tasks"])


def _read(flat: list[Any]) -> list[list[Any]]:
    return [list(each) for each in zip(accumulate(flat[::2]), flat[1::2], strict=True)]


@RUNS
@given(runs(specs(), faults=TROUBLE))
def test_prepared_document_has_all_of_a_run(run: Simulation) -> None:
    for history in run.histories:
        agreed(history, spec_for(run.spec, history))


@RUNS
@given(runs(specs(), faults=TROUBLE))
def test_prepared_document_without_a_spec_has_all_of_a_run(run: Simulation) -> None:
    for history in run.histories:
        agreed(history, None)
        assert "</html>" in report([prepare(run_document(view(history, None)))])
