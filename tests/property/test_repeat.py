"""Properties of repeated runs."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from attrs import evolve
from hypothesis import given

from floto.core.payloads import payload
from floto.core.swf.reserved_names import RESULT_MARKER
from floto.testing import Faults, Simulation
from floto.testing.reading.carried import own_input
from floto.testing.reading.oracle import name
from floto.testing.simulation.context import WORKFLOW_ID
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS

#: Fields of a run that SWF does not pass on by itself.
PASSED_ON = (
    "workflow_type",
    "task_list",
    "child_policy",
    "execution_start_to_close_timeout",
    "task_start_to_close_timeout",
)


repeated = specs(most=4).filter(lambda spec: spec.activity_tasks).map(partial(evolve, repeat_workflow=True))


@SETTINGS
@given(runs(repeated, faults=evolve(Faults.all(), cancels=0.02, adds_events=0)))
def test_repeated_run_keeps_its_settings_and_results(run: Simulation) -> None:
    """Each run that is done leaves its result in a marker; the next has the same input and settings."""
    spec = run.spec
    rounds = [each for each in run.histories if each.execution and each.execution.workflow_id == WORKFLOW_ID]
    assert name(rounds[-1].events[-1].data) in ("WorkflowExecutionCanceled", "WorkflowExecutionFailed")
    for before, after in pairwise(rounds):
        assert name(before.events[-1].data) == "WorkflowExecutionContinuedAsNew"
        first, second = before.events[0].data, after.events[0].data
        assert all(getattr(first, name) == getattr(second, name) for name in PASSED_ON)
        assert own_input(second) == own_input(first)
        markers = [event.data for event in before if name(event.data) == "MarkerRecorded"]
        assert [marker.marker_name for marker in markers] == [RESULT_MARKER] * len(markers)
        noted = len(markers) == 1 or any(name(event.data) == "RecordMarkerFailed" for event in before)
        assert noted
        if markers:
            needed = {id_ for task in spec.activity_tasks for id_ in task.requires}
            result = payload.loads(markers[0].details)
            assert not set(result) & needed
