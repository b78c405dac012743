"""The SWF adapter against moto, as far as moto goes (no children, no continue-as-new, no cancel)."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from moto import mock_aws

import floto
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.errors import ServiceFault, UnknownResource
from floto.core.swf.decisions import CompleteWorkflowExecution
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.runtime.cli import main
from floto.runtime.workers.activities import Activities

WORKFLOW = WorkflowType("order", "v1")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[SwfService]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        service = SwfService(make_client("us-east-1"), "shop")
        yield service
        service.close()


def started(service: SwfService, workflow_id: str = "order-1") -> WorkflowExecution:
    service.prepare([WORKFLOW], [ActivityType("pay", "v1")])
    request = StartRequest(
        workflow_id=workflow_id, workflow_type=WORKFLOW, task_list="orders", input='{"n":1}'
    )
    return WorkflowExecution(workflow_id, service.start_workflow_execution(request))


def test_a_chain_of_activities_runs_to_its_result(service: SwfService) -> None:
    activities = Activities()

    @activities.activity(name="add", version="v1")
    def add(context: dict[str, int]) -> int:
        return sum(value for value in context.values() if isinstance(value, int))

    first = floto.ActivityTask(id_="first", name="add", version="v1", input=1)
    second = floto.ActivityTask(id_="second", name="add", version="v1", input=2, requires=[first])
    third = floto.ActivityTask(id_="third", name="add", version="v1", input=3, requires=[second])
    spec = floto.DeciderSpec(activity_tasks=[first, second, third])

    assert floto.run(spec, 10, service=service, activities=activities, timeout=60) == {"third": 36}


def test_a_failed_activity_fails_the_run(service: SwfService) -> None:
    # Without a retry: moto never frees the id of an activity.
    activities = Activities()

    @activities.activity(name="pay", version="v1")
    def pay() -> None:
        msg = "no money"
        raise ValueError(msg)

    spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(id_="pay", name="pay", version="v1")])
    with pytest.raises(floto.WorkflowFailed) as raised:
        floto.run(spec, service=service, activities=activities, timeout=60)
    assert raised.value.failures == {"pay": "ValueError: no money"}


def test_preparing_twice_is_fine(service: SwfService) -> None:
    service.prepare([WORKFLOW], [])
    service.prepare([WORKFLOW], [ActivityType("pay", "v1")])


def test_the_latest_execution_is_the_open_one_else_the_closed_one(service: SwfService) -> None:
    service.prepare([WORKFLOW], [])
    assert service.latest_execution("order-1") is None
    execution = started(service)
    info = service.latest_execution("order-1")
    assert info is not None
    assert (info.execution, info.close_status) == (execution, None)
    service.terminate_workflow_execution("order-1", "enough")
    info = service.latest_execution("order-1")
    assert info is not None
    assert info.close_status == "TERMINATED"


def test_open_runs_are_listed_by_type(service: SwfService) -> None:
    service.prepare([WORKFLOW], [])
    assert service.open_executions(WORKFLOW) == ()
    execution = started(service)
    assert [info.execution for info in service.open_executions(WORKFLOW)] == [execution]
    service.terminate_workflow_execution("order-1", "enough")
    assert service.open_executions(WORKFLOW) == ()


def test_a_decision_task_brings_the_history_and_is_answered_once(service: SwfService) -> None:
    execution = started(service)
    task = service.poll_for_decision_task("orders", "me", 0)
    assert task is not None
    assert task.execution == execution
    assert [event.id for event in task.events] == [1, 2, 3]
    service.respond_decision_task_completed(task.token, [CompleteWorkflowExecution(result="1")])
    assert [event.id for event in service.history(execution, after=3)] == [4, 5]
    with pytest.raises(UnknownResource):
        service.respond_decision_task_completed(task.token, [])


def test_a_run_that_moto_schedules_several_decision_tasks_for_is_read(service: SwfService) -> None:
    execution = started(service)
    for name in ("first", "second"):
        service.signal_workflow_execution("order-1", name, "1")
    for _ in range(3):
        task = service.poll_for_decision_task("orders", "me", 0)
        assert task is not None
        assert floto.fold(task.events).decision_tasks.started is not None
        service.respond_decision_task_completed(task.token, [])
    state = floto.fold(service.history(execution))
    assert {*state.signals} == {"first", "second"}
    assert (state.decision_tasks.scheduled, state.decision_tasks.started) == (None, None)


def test_an_idle_poll_is_none(service: SwfService) -> None:
    service.prepare([WORKFLOW], [])
    assert service.poll_for_decision_task("orders", "me", 0) is None
    assert service.poll_for_activity_task("orders", "me", 0) is None


def test_what_is_not_there_is_unknown(service: SwfService) -> None:
    service.prepare([WORKFLOW], [])
    with pytest.raises(UnknownResource, match="no-such"):
        service.signal_workflow_execution("no-such", "go", "now")
    with pytest.raises(ServiceFault, match="WorkflowExecutionAlreadyStarted"):
        started(service), started(service)


def test_status_counts_where_the_service_does_not_say_who_polls(
    service: SwfService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started(service)
    for name, said in (
        ("status", "tasks\tdecisions\torders\t1"),
        ("why", "    floto decider --task-list orders --service aws:us-east-1 --domain shop SPEC"),
    ):
        run = ["order-1"] if name == "why" else []
        monkeypatch.setattr(
            sys, "argv", ["floto", name, *run, "--service", "aws:us-east-1", "--domain", "shop"]
        )
        with pytest.raises(SystemExit):
            main()
        assert said in capsys.readouterr().out
