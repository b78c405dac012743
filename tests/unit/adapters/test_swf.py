"""The SWF adapter against scripted answers: pages, idle polls and errors."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import (
    NoCredentialsError,
)
from botocore.stub import ANY, Stubber

from floto.adapters import swf
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.errors import (
    NotCarriedOut,
    NotPermitted,
    ServiceFault,
    ServiceUnavailable,
    Throttled,
    UnknownResource,
)
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = {"workflowId": "order-1", "runId": "run-1"}


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setattr(swf, "_IDLE_SECONDS", 0)
    client = make_client("us-east-1")
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.fixture
def service(stub: Stubber) -> SwfService:
    return SwfService(stub.client, "shop")


def event(number: int) -> dict[str, Any]:
    return {"eventId": number, "eventTimestamp": NOW, "eventType": "MarkerRecorded"} | {
        "markerRecordedEventAttributes": {"markerName": "m", "decisionTaskCompletedEventId": 1}
    }


def page(*numbers: int, more: str | None = None) -> dict[str, Any]:
    return {
        "taskToken": "token",
        "workflowExecution": RUN,
        "workflowType": {"name": "order", "version": "v1"},
        "events": [event(number) for number in numbers],
        "startedEventId": 9,
        "previousStartedEventId": 3,
        **({} if more is None else {"nextPageToken": more}),
    }


def test_every_page_of_a_decision_task_is_read(stub: Stubber, service: SwfService) -> None:
    stub.add_response("poll_for_decision_task", page(1, 2, more="second"))
    stub.add_response("poll_for_decision_task", page(3, more="third"))
    stub.add_response("poll_for_decision_task", page(4))
    task = service.poll_for_decision_task("orders", "me", 60)
    assert task is not None
    assert [item.id for item in task.events] == [1, 2, 3, 4]
    assert (task.token, task.started_event_id, task.previous_started_event_id) == ("token", 9, 3)
    assert task.execution == WorkflowExecution("order-1", "run-1")


def test_throttled_page_does_not_lose_the_task(stub: Stubber, service: SwfService) -> None:
    stub.add_response("poll_for_decision_task", page(1, more="second"))
    stub.add_client_error("poll_for_decision_task", "ThrottlingException", "slow down", 400)
    stub.add_response("poll_for_decision_task", page(2))
    task = service.poll_for_decision_task("orders", "me", 60)
    assert task is not None
    assert [item.id for item in task.events] == [1, 2]


def test_only_new_events_are_requested(stub: Stubber, service: SwfService) -> None:
    asked = {
        "domain": "shop",
        "taskList": {"name": "orders"},
        "identity": "me",
        "startAtPreviousStartedEvent": True,
        "maximumPageSize": 1000,
    }
    stub.add_response("poll_for_decision_task", page(3, more="second"), asked)
    stub.add_response("poll_for_decision_task", page(4), {**asked, "nextPageToken": "second"})
    task = service.poll_for_decision_task("orders", "me", 60)
    assert task is not None
    assert [item.id for item in task.events] == [3, 4]


def test_unavailable_pages_do_not_lose_the_task(
    stub: Stubber, service: SwfService, caplog: pytest.LogCaptureFixture
) -> None:
    stub.add_response("poll_for_decision_task", page(1, more="second"))
    stub.add_client_error("poll_for_decision_task", "ValidationException", "Invalid token", 400)
    task = service.poll_for_decision_task("orders", "me", 60)
    assert task is not None
    assert (task.token, task.events, task.started_event_id) == ("token", (), 9)
    assert "run-1: the pages of its decision task end early" in caplog.text


@pytest.mark.parametrize("operation", ["poll_for_decision_task", "poll_for_activity_task"])
@pytest.mark.parametrize("token", [{}, {"taskToken": ""}])
def test_idle_poll_has_a_missing_or_empty_token(
    service: SwfService, monkeypatch: pytest.MonkeyPatch, operation: str, token: dict[str, str]
) -> None:
    answer = {"startedEventId": 0, "previousStartedEventId": 0, **token}
    monkeypatch.setattr(service._client, operation, lambda **_: answer)  # noqa: SLF001
    assert getattr(service, operation)("list", "me", 60) is None


def test_input_of_an_activity_task_is_optional(stub: Stubber, service: SwfService) -> None:
    answer = {
        "taskToken": "token",
        "activityId": "a",
        "startedEventId": 6,
        "workflowExecution": RUN,
        "activityType": {"name": "n", "version": "1"},
    }
    stub.add_response("poll_for_activity_task", answer)
    task = service.poll_for_activity_task("work", "me", 60)
    assert task is not None
    assert (task.activity_type, task.input) == (ActivityType("n", "1"), None)


def test_history_is_read_backwards_to_the_last_known_event(stub: Stubber, service: SwfService) -> None:
    stub.add_response(
        "get_workflow_execution_history",
        {"events": [event(9), event(8)], "nextPageToken": "more"},
        {"domain": "shop", "execution": RUN, "reverseOrder": True, "maximumPageSize": 1000},
    )
    stub.add_response(
        "get_workflow_execution_history", {"events": [event(7), event(6)], "nextPageToken": "x"}
    )
    found = service.history(WorkflowExecution("order-1", "run-1"), after=6)
    assert [item.id for item in found] == [7, 8, 9]


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("UnknownResourceFault", 400, UnknownResource),
        ("ThrottlingException", 400, Throttled),
        ("InternalFailure", 500, ServiceUnavailable),
        ("SomethingNew", 503, ServiceUnavailable),
        ("SomethingNew", 429, Throttled),
        ("RequestThrottled", 400, Throttled),
        ("RequestLimitExceeded", 400, Throttled),
        ("ExpiredTokenException", 400, NotCarriedOut),
        ("RequestExpired", 400, NotCarriedOut),
        ("RequestTimeTooSkewed", 400, NotCarriedOut),
        ("OperationNotPermittedFault", 400, NotPermitted),
        ("ValidationException", 400, ServiceFault),
    ],
)
def test_faults_of_swf_translate_to_errors_of_floto(
    stub: Stubber, service: SwfService, code: str, status: int, error: type[Exception]
) -> None:
    stub.add_client_error("record_activity_task_heartbeat", code, "because", status)
    with pytest.raises(error, match="because") as raised:
        service.record_activity_task_heartbeat("token")
    assert type(raised.value) is error


def test_invalid_arguments_raise_service_fault() -> None:
    service = SwfService(make_client("us-east-1"), "shop")
    with pytest.raises(ServiceFault, match="ParamValidationError"):
        service.request_cancel_workflow_execution(3)  # type: ignore[arg-type]  # the point


def test_none_arguments_are_not_sent(stub: Stubber, service: SwfService) -> None:
    stub.add_response("respond_activity_task_failed", {}, {"taskToken": "token"})
    service.respond_activity_task_failed("token", None, None)
    stub.add_response("respond_activity_task_canceled", {}, {"taskToken": "token", "details": "d"})
    service.respond_activity_task_canceled("token", "d")


def test_prepare_ignores_only_already_exists_faults(stub: Stubber, service: SwfService) -> None:
    stub.add_client_error("register_domain", "DomainAlreadyExistsFault", "", 400)
    service.prepare([], [])
    stub.add_client_error("register_domain", "LimitExceededFault", "too many", 400)
    with pytest.raises(ServiceFault, match="too many"):
        service.prepare([], [])


def test_throttled_prepare_resumes_where_it_stopped(stub: Stubber, service: SwfService) -> None:
    types = [ActivityType(name, "v1") for name in ("pay", "ship")]
    stub.add_client_error("register_domain", "DomainAlreadyExistsFault", "", 400)
    stub.add_response("register_activity_type", {})
    stub.add_client_error("register_activity_type", "ThrottlingException", "slow down", 400)
    with pytest.raises(Throttled):
        service.prepare([], types)
    stub.add_response("register_activity_type", {})
    service.prepare([], types)


def test_missing_credentials_are_permanent_and_lost_ones_transient(
    stub: Stubber, service: SwfService, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(stub.client, "request_cancel_workflow_execution", raising(NoCredentialsError()))
        with pytest.raises(ServiceFault, match="credentials"):
            service.request_cancel_workflow_execution("w")
        stub.add_response("respond_activity_task_completed", {})
        service.respond_activity_task_completed("token", "1")
        with pytest.raises(ServiceUnavailable, match="credentials"):
            service.request_cancel_workflow_execution("w")


def raising(error: Exception) -> Any:
    def call(**_: Any) -> None:
        raise error

    return call


@pytest.mark.parametrize("code", ["AccessDeniedException", "OperationNotPermittedFault"])
def test_prepare_without_permission_logs_and_continues(
    stub: Stubber, service: SwfService, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    for operation in ("register_domain", "register_workflow_type", "register_activity_type"):
        stub.add_client_error(operation, code, "not you", 400)
    service.prepare([WorkflowType("order", "v1")], [ActivityType("pay", "v1")])
    assert caplog.text.count("not you") == 3


def test_prepare_in_a_deprecated_domain_logs_once_and_continues(
    stub: Stubber, service: SwfService, caplog: pytest.LogCaptureFixture
) -> None:
    stub.add_client_error("register_domain", "DomainAlreadyExistsFault")
    stub.add_client_error("register_workflow_type", "DomainDeprecatedFault")
    service.prepare([WorkflowType("order", "v1")], [ActivityType("pay", "v1"), ActivityType("pay", "v2")])
    assert (
        caplog.text.count("'shop' is deprecated, and so are its types: no run, child or activity starts") == 1
    )


def listed(**more: Any) -> dict[str, Any]:
    kind = {"name": "order", "version": "v1"}
    return {
        "execution": RUN,
        "workflowType": kind,
        "startTimestamp": NOW,
        "executionStatus": "OPEN",
    } | more


def test_run_still_listed_as_open_is_described_again(stub: Stubber, service: SwfService) -> None:
    closed = listed(executionStatus="CLOSED", closeTimestamp=NOW, closeStatus="FAILED")
    described = {
        "executionInfo": closed,
        "executionConfiguration": {
            "taskStartToCloseTimeout": "60",
            "executionStartToCloseTimeout": "60",
            "taskList": {"name": "orders"},
            "childPolicy": "TERMINATE",
        },
        "openCounts": dict.fromkeys(
            ("openActivityTasks", "openDecisionTasks", "openTimers", "openChildWorkflowExecutions"), 0
        ),
    }
    stub.add_response("list_open_workflow_executions", {"executionInfos": [listed()]})
    stub.add_response("describe_workflow_execution", described, {"domain": "shop", "execution": RUN})
    info = service.latest_execution("order-1")
    assert info is not None
    assert info.close_status == "FAILED"
    stub.add_response("list_open_workflow_executions", {"executionInfos": [listed()]})
    stub.add_client_error("describe_workflow_execution", "UnknownResourceFault", "not yet", 400)
    info = service.latest_execution("order-1")
    assert info is not None
    assert info.close_status is None


def test_open_runs_of_a_type_are_listed_from_every_page(stub: Stubber, service: SwfService) -> None:
    order = {"name": "order", "version": "v1"}
    asked = {
        "domain": "shop",
        "startTimeFilter": {"oldestDate": ANY},
        "typeFilter": order,
        "maximumPageSize": 1000,
    }
    older = listed(execution={"workflowId": "order-0", "runId": "run-0"})
    stub.add_response(
        "list_open_workflow_executions", {"executionInfos": [listed()], "nextPageToken": "second"}, asked
    )
    stub.add_client_error("list_open_workflow_executions", "ThrottlingException", "slow down", 400)
    stub.add_response(
        "list_open_workflow_executions", {"executionInfos": [older]}, {**asked, "nextPageToken": "second"}
    )
    infos = service.open_executions(WorkflowType("order", "v1"))
    assert [info.execution.run_id for info in infos] == ["run-1", "run-0"]
