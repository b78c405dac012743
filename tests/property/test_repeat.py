"""What must hold of runs that begin again when they are done."""

from __future__ import annotations

from itertools import pairwise

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from floto import DeciderSpec
from floto.core import payload
from floto.core.closing import RESULT_MARKER
from tests.property import oracle
from tests.property.simulator import WORKFLOW_ID, Plot, simulate
from tests.property.strategies import SETTINGS, plots, specs

#: Fields of a run that SWF does not pass on by itself.
PASSED_ON = (
    "input",
    "workflow_type",
    "task_list",
    "child_policy",
    "execution_start_to_close_timeout",
    "task_start_to_close_timeout",
)


@SETTINGS
@given(specs(most=4), plots(refusals=True), st.integers(10, 60))
def test_a_repeated_run_passes_everything_on_and_loses_no_result(
    spec: DeciderSpec, plot: Plot, cancel_at: int
) -> None:
    """Each run that is done leaves its result in a marker; the next has the same input and settings."""
    assume(spec.activity_tasks)
    simulation = simulate(evolve(spec, repeat_workflow=True), evolve(plot, cancel_at=cancel_at))
    runs = [
        each for each in simulation.histories if each.execution and each.execution.workflow_id == WORKFLOW_ID
    ]
    assert oracle.close_status(runs[-1]) in ("WorkflowExecutionCanceled", "WorkflowExecutionFailed")
    for before, after in pairwise(runs):
        assert oracle.close_status(before) == "WorkflowExecutionContinuedAsNew"
        first, second = before.events[0].data, after.events[0].data
        assert all(getattr(first, name) == getattr(second, name) for name in PASSED_ON)
        markers = [event.data for event in before if oracle.name(event.data) == "MarkerRecorded"]
        assert [marker.marker_name for marker in markers] == [RESULT_MARKER] * len(markers)
        noted = len(markers) == 1 or any(oracle.name(event.data) == "RecordMarkerFailed" for event in before)
        assert noted
        if markers:
            needed = {id_ for task in spec.activity_tasks for id_ in task.requires}
            result = payload.loads(markers[0].details)
            assert not set(result) & needed
