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
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.runtime.cli import main

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


def test_run_with_several_scheduled_decision_tasks_is_read(service: SwfService) -> None:
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


def test_missing_resources_raise_unknown_resource(service: SwfService) -> None:
    service.prepare([WORKFLOW], [])
    with pytest.raises(UnknownResource, match="no-such"):
        service.signal_workflow_execution("no-such", "go", "now")
    with pytest.raises(ServiceFault, match="WorkflowExecutionAlreadyStarted"):
        started(service), started(service)


def test_status_prints_counts_if_the_service_does_not_report_pollers(
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
