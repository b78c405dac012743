"""``floto.run`` for a workflow id whose last run had another task list than the one that it polls."""

from __future__ import annotations

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from tests.runs import spec, task

SECONDS = 60
FLOW = WorkflowType("flow", "1")


@pytest.fixture
def mended() -> floto.Activities:
    """``work`` fails the first time, and then succeeds."""
    activities, calls = floto.Activities(), []

    @activities.activity(name="work", version="1")
    def work() -> int:
        calls.append(1)
        if len(calls) == 1:
            msg = "broken"
            raise ValueError(msg)
        return 7

    return activities


def test_run_that_a_decider_decided_is_redriven(service: SqliteService, mended: floto.Activities) -> None:
    service.prepare([FLOW], [])
    service.start_workflow_execution(StartRequest(workflow_id="w", workflow_type=FLOW, task_list="decide"))
    service.terminate_workflow_execution("w")
    flow = spec(task("work", retry_strategy=floto.InstantRetry(1)))
    done = floto.run(flow, service=service, activities=mended, workflow_id="w", redrive=True, timeout=SECONDS)
    assert done == {"work": 7}


def test_child_is_redriven_under_its_own_id(service: SqliteService, mended: floto.Activities) -> None:
    inner = spec(task("work"))
    outer = spec(
        floto.ChildWorkflow(id_="inner", workflow_type_name="inner", workflow_type_version="1", spec=inner)
    )
    with pytest.raises(floto.WorkflowFailed):
        floto.run(outer, service=service, activities=mended, workflow_id="w", timeout=SECONDS)
    done = floto.run(
        inner, service=service, activities=mended, workflow_id="w:inner", redrive=True, timeout=SECONDS
    )
    assert done == {"work": 7}
