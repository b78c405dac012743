"""Workflows that are repeated after failures too."""

from __future__ import annotations

from typing import Any

import pytest

from floto import ActivityTask, DeciderSpec, SpecError, Timer
from floto.core.swf import events as e
from floto.testing import check, fails, simulate

TASK = ActivityTask(id_="a", name="a", version="1")
CLEANUP = ActivityTask(id_="c", name="c", version="1")


def test_always_continues_as_new_after_a_failed_run_with_its_failures_in_a_marker() -> None:
    spec = DeciderSpec(activity_tasks=[TASK], repeat_workflow="always")
    simulation = simulate(spec, {"a": fails(None, details="sorry")})
    first = simulation.histories[0]
    assert isinstance(first.events[-1].data, e.WorkflowExecutionContinuedAsNew)
    (marker,) = [event.data for event in first if isinstance(event.data, e.MarkerRecorded)]
    assert (marker.marker_name, marker.details) == ("floto.failures", '{"a":"Failure: sorry"}')


def test_always_cleans_up_before_it_continues() -> None:
    spec = DeciderSpec(activity_tasks=[TASK], on_failure=[CLEANUP], repeat_workflow="always")
    simulation = simulate(spec, {"a": fails(None, details="sorry")})
    first = simulation.histories[0]
    assert isinstance(first.events[-1].data, e.WorkflowExecutionContinuedAsNew)
    done = [event for event in first if isinstance(event.data, e.ActivityTaskCompleted)]
    assert len(done) == 1


@pytest.mark.parametrize("value", ["Always", "", 1, None])
def test_other_values_raise_spec_error(value: Any) -> None:
    with pytest.raises(SpecError, match='repeat_workflow must be True, False or "always"'):
        DeciderSpec(activity_tasks=[TASK], repeat_workflow=value)


def test_json_of_a_spec_that_always_repeats() -> None:
    spec = DeciderSpec(activity_tasks=[TASK], repeat_workflow="always")
    assert DeciderSpec.from_json(spec.to_json()) == spec
    with pytest.raises(SpecError, match="repeat_workflow"):
        DeciderSpec.from_json(spec.to_json().replace('"always"', "1"))


@pytest.mark.parametrize("cleanup", [[], [CLEANUP]])
def test_invariants_hold_for_workflows_that_always_repeat(cleanup: list[ActivityTask]) -> None:
    spec = DeciderSpec(
        activity_tasks=[TASK, Timer(id_="t", delay_in_seconds=5)],
        on_failure=cleanup,
        repeat_workflow="always",
    )
    assert check(spec, max_examples=60).runs == 60
