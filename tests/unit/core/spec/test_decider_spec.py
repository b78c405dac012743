"""Settings of a spec for its runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from attrs import evolve, frozen

from floto import CODEC, ActivityTask, ChildWorkflow, DeciderSpec, SpecError, decide, fold, redrive
from floto.core.spec.decider_spec import changed
from floto.core.spec.fingerprint import fingerprint
from floto.core.swf.decisions import StartChildWorkflowExecution
from floto.core.swf.events import WorkflowExecutionFailed
from floto.testing import simulate
from tests.unit.recorder import Recorder, spec, task


def child(inner: DeciderSpec | None, **fields: Any) -> StartChildWorkflowExecution:
    one = ChildWorkflow(workflow_type_name="w", workflow_type_version="v", id_="c", spec=inner, **fields)
    (decision,) = decide(spec(one), Recorder().history)
    assert isinstance(decision, StartChildWorkflowExecution)
    return decision


def test_child_takes_the_settings_of_its_spec() -> None:
    inner = spec(task("a"), execution_timeout=7, child_policy="ABANDON")
    decision = child(inner)
    assert decision.execution_start_to_close_timeout == "7"
    assert decision.child_policy == "ABANDON"
    decision = child(inner, execution_start_to_close_timeout=8, child_policy="TERMINATE")
    assert decision.execution_start_to_close_timeout == "8"
    assert decision.child_policy == "TERMINATE"
    assert child(None).child_policy is child(spec(task("a"))).execution_start_to_close_timeout is None


def test_settings_round_trip_and_are_not_written_if_there_are_none() -> None:
    own = spec(task("a"), execution_timeout=7, child_policy="ABANDON")
    assert CODEC.loads(own.to_json()) == own
    assert not {"execution_timeout", "child_policy"} & CODEC.unstructure(spec(task("a"))).keys()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"execution_timeout": 0}, "execution_timeout must be an integer number of seconds from 1"),
        ({"execution_timeout": "NONE"}, "execution_timeout must be an integer number of seconds from 1"),
        ({"execution_timeout": 31_536_001}, "to 31,536,000, or None, not 31536001"),
        ({"child_policy": "KEEP"}, "child_policy must be TERMINATE, REQUEST_CANCEL or ABANDON, not 'KEEP'"),
    ],
)
def test_bad_setting_is_a_spec_error(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec(task("a"), **settings)
    assert problem in str(caught.value)


def test_digest_of_a_spec_does_not_depend_on_settings_that_decide_nothing() -> None:
    assert fingerprint(spec(task("a"), execution_timeout=7, child_policy="ABANDON")) == fingerprint(
        spec(task("a"))
    )


def test_redriven_run_takes_the_settings_of_the_new_spec() -> None:
    record = Recorder()
    record.fail("a")
    record.add(WorkflowExecutionFailed(decision_task_completed_event_id=1))
    kept = redrive(spec(task("a")), record.history).start
    assert (kept.execution_timeout, kept.child_policy) == ("100", "TERMINATE")
    changed = redrive(spec(task("a"), execution_timeout=7, child_policy="ABANDON"), record.history).start
    assert (changed.execution_timeout, changed.child_policy) == ("7", "ABANDON")


def test_simulated_run_takes_the_settings_of_its_spec() -> None:
    own = spec(task("a"), execution_timeout=7, child_policy="ABANDON")
    start = fold(simulate(own).main).start
    assert (start.execution_start_to_close_timeout, start.child_policy) == ("7", "ABANDON")


def test_changed_spec_checks_new_tasks_and_the_graph_but_not_its_own_tasks_again() -> None:
    looked: list[str] = []

    @frozen(kw_only=True)
    class Noting(ActivityTask):
        def problems(self) -> Iterable[str]:
            looked.append(self.id_)
            return ActivityTask.problems(self)

    old, new = (Noting(id_=id_, name="a", version="1") for id_ in ("old", "new"))
    whole = DeciderSpec(activity_tasks=[old], on_failure=[Noting(id_="clean", name="a", version="1")])
    assert looked == ["old", "clean"]
    grown = changed(whole, activity_tasks=(old, new))
    assert grown == evolve(whole, activity_tasks=[old, new])
    assert looked[:3] == ["old", "clean", "new"]
    looked.clear()
    assert whole.after_failure.activity_tasks == whole.on_failure
    assert not looked
    with pytest.raises(SpecError, match="duplicate task id 'clean'"):
        changed(whole, activity_tasks=(evolve(new, id_="clean"),))
    with pytest.raises(SpecError, match="requires 'nobody'"):
        changed(whole, activity_tasks=(old, evolve(new, requires=["nobody"])))
    with pytest.raises(SpecError, match="domain"):
        changed(whole, domain="")
