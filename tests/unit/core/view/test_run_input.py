"""The input of a run, as people are shown it."""

from __future__ import annotations

from attrs import evolve

from floto import ActivityTask, DeciderSpec, History, WorkflowExecution, redrive
from floto.core.swf.reserved_names import COMPRESSED
from floto.core.view.run_input import run_input
from floto.testing import fails, simulate
from tests.unit.core.view.test_lints import START

SPEC = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1")])


def test_input_is_the_user_s_value_or_its_text() -> None:
    for text, value in (
        (None, None),
        ('{"n": 1}', {"n": 1}),
        ("plain", "plain"),
        (f"{COMPRESSED}?", f"{COMPRESSED}?"),
    ):
        assert run_input(evolve(START, input=text)) == value


def test_spec_in_the_input_is_left_out() -> None:
    text = f'{{"decider_spec": {SPEC.to_json()}, "n": 1}}'
    assert run_input(evolve(START, input=text)) == {"decider_spec": "...", "n": 1}


def test_what_a_redrive_keeps_is_left_out() -> None:
    failed = simulate(SPEC, {"a": fails(None)}, {"n": 1}).main
    request = redrive(SPEC, History(failed.events, WorkflowExecution("w", "old"))).start
    assert request.input is not None
    assert "floto.redrive" in request.input
    assert run_input(evolve(START, input=request.input)) == {"n": 1}
