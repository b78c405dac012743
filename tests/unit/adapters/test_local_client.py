"""The embedded engine as a client like boto3's."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, OperationNotPageableError, ParamValidationError

from floto.adapters import lambda_invoker, model
from floto.adapters.local import LocalClient, LocalSwf, Method
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.adapters.swf import SwfService
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable

ORDER = {"name": "order", "version": "v1"}
TASKS = {"name": "orders"}
TYPE_DEFAULTS = {
    "defaultTaskList": TASKS,
    "defaultChildPolicy": "TERMINATE",
    "defaultTaskStartToCloseTimeout": "60",
    "defaultExecutionStartToCloseTimeout": "3600",
}


class Scripted:
    """Operations that do what the test says."""

    def __init__(self, answer: Callable[[], dict[str, Any]] = dict) -> None:
        self.answer = answer
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.closed = 0

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, request))
        return self.answer()

    def close(self) -> None:
        self.closed += 1


def raising(error: Exception) -> LocalClient:
    def answer() -> dict[str, Any]:
        raise error

    return LocalClient(Scripted(answer))


@cache
def boto3_client() -> Any:
    return boto3.client("swf", region_name="us-east-1", config=Config(signature_version=UNSIGNED))


@pytest.fixture
def swf(tmp_path: Path) -> Iterator[LocalSwf]:
    with LocalSwf(tmp_path / "swf.db", durability="normal", poll_seconds=0.05) as client:
        client.register_domain(name="shop", workflowExecutionRetentionPeriodInDays="30")
        client.register_workflow_type(domain="shop", **ORDER, **TYPE_DEFAULTS)
        yield client


def start(swf: LocalSwf, workflow_id: str = "order-1") -> dict[str, str]:
    reply = swf.start_workflow_execution(domain="shop", workflowId=workflow_id, workflowType=ORDER)
    return {"workflowId": workflow_id, "runId": reply["runId"]}


def next_decision(swf: LocalSwf) -> dict[str, Any]:
    return swf.poll_for_decision_task(domain="shop", taskList=TASKS)


# What it has in common with boto3's.


def test_methods_equal_those_of_boto3() -> None:
    theirs = boto3_client()
    assert LocalClient.meta.method_to_api_mapping == theirs.meta.method_to_api_mapping
    methods = theirs.meta.method_to_api_mapping.keys()
    assert len(methods) == 39
    assert methods < set(dir(LocalClient))
    typed = {name for name, hint in get_type_hints(LocalClient).items() if hint == Method}
    assert typed == methods


def test_methods_have_names_and_docstrings() -> None:
    method = LocalClient.start_workflow_execution
    assert inspect.isfunction(method)
    assert method.__qualname__ == "LocalClient.start_workflow_execution"
    assert method.__doc__ == (
        "Starts an execution of the workflow type in the specified domain using the provided "
        "workflowId and input data."
    )
    for name in LocalClient.meta.method_to_api_mapping:
        said = getattr(LocalClient, name).__doc__
        assert said
        assert not {"<", ">", "\n"} & set(said)


def test_a_method_calls_its_operation() -> None:
    scripted = Scripted(lambda: {"taskToken": ""})
    reply = LocalClient(scripted).poll_for_activity_task(domain="shop", taskList=TASKS)
    assert scripted.calls == [("PollForActivityTask", {"domain": "shop", "taskList": TASKS})]
    metadata = reply.pop("ResponseMetadata")
    assert reply == {"taskToken": ""}
    assert metadata.pop("RequestId")
    assert metadata == {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}


def test_requests_have_unique_ids() -> None:
    client = LocalClient(Scripted())
    ids = {client.describe_domain(name="shop")["ResponseMetadata"]["RequestId"] for _ in range(9)}
    assert len(ids) == 9


@pytest.mark.parametrize("client", [LocalClient(Scripted()), None], ids=["floto", "boto3"])
def test_positional_or_unknown_arguments_are_refused(client: Any) -> None:
    client = client or boto3_client()
    with pytest.raises(TypeError, match=r"^describe_domain\(\) only accepts keyword arguments\.$"):
        client.describe_domain("shop")
    with pytest.raises(ParamValidationError, match='Unknown parameter in input: "nam", must be one of: name'):
        client.describe_domain(name="shop", nam="shop")


def test_meta_describes_the_client() -> None:
    client = LocalClient(Scripted())
    assert client.meta.service_model is model.MODEL
    assert client.meta.region_name == "us-east-1"
    assert client.meta.endpoint_url is None
    assert client.waiter_names == boto3_client().waiter_names == []
    with pytest.raises(ValueError, match="Waiter does not exist: run_closed"):
        client.get_waiter("run_closed")


def test_close_closes_the_operations_object() -> None:
    scripted = Scripted()
    with LocalClient(scripted) as client:
        assert scripted.closed == 0
    assert scripted.closed == 1
    client.close()
    assert scripted.closed == 2


# Errors.


@pytest.mark.parametrize("code", sorted(shape.name for shape in model.MODEL.error_shapes))
def test_modelled_faults_have_exception_classes(code: str) -> None:
    client = raising(ServiceFault(code, "why"))
    with pytest.raises(getattr(client.exceptions, code)) as raised:
        client.describe_domain(name="shop")
    error = raised.value
    assert isinstance(error, ClientError)
    assert error.operation_name == "DescribeDomain"
    assert error.response["Error"] == {"Code": code, "Message": "why"}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert str(error) == f"An error occurred ({code}) when calling the DescribeDomain operation: why"


def test_other_faults_are_client_errors() -> None:
    client = raising(ServiceFault("ValidationException", "Invalid token"))
    with pytest.raises(ClientError) as raised:
        client.respond_activity_task_completed(taskToken="?")
    assert type(raised.value) is ClientError
    assert client.exceptions.ClientError is ClientError
    assert raised.value.response["Error"] == {"Code": "ValidationException", "Message": "Invalid token"}


def test_transient_errors_map_to_service_unavailable() -> None:
    client = raising(ServiceUnavailable("the file is locked"))
    with pytest.raises(ClientError) as raised:
        client.describe_domain(name="shop")
    assert raised.value.response["Error"] == {"Code": "ServiceUnavailable", "Message": "the file is locked"}
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    with pytest.raises(ServiceUnavailable):
        SwfService(client, "shop").signal_workflow_execution("order-1", "paid")


def test_other_exceptions_are_raised_unchanged() -> None:
    with pytest.raises(ServiceError, match="closed"):
        raising(ServiceError("closed")).describe_domain(name="shop")


# Paginators.


def test_pageable_operations_equal_those_of_boto3() -> None:
    client, theirs = LocalClient(Scripted()), boto3_client()
    methods = client.meta.method_to_api_mapping
    paged = {name for name in methods if client.can_paginate(name)}
    assert paged == {name for name in methods if theirs.can_paginate(name)}
    assert len(paged) == 7
    assert not client.can_paginate("make_coffee")
    with pytest.raises(OperationNotPageableError):
        client.get_paginator("describe_domain")


def test_a_paginator_repeats_the_call_with_its_tokens() -> None:
    replies: Iterator[dict[str, Any]] = iter(
        [{"domainInfos": [{"name": "a"}], "nextPageToken": "more"}, {"domainInfos": []}]
    )
    scripted = Scripted(lambda: next(replies))
    pages = (
        LocalClient(scripted)
        .get_paginator("list_domains")
        .paginate(registrationStatus="REGISTERED", PaginationConfig={"PageSize": 1})
    )
    assert pages.build_full_result() == {"domainInfos": [{"name": "a"}]}
    first = {"registrationStatus": "REGISTERED", "maximumPageSize": 1}
    assert [dict(request) for _, request in scripted.calls][1] == {**first, "nextPageToken": "more"}


_SINCE = {"startTimeFilter": {"oldestDate": datetime(1970, 1, 2, tzinfo=UTC)}}


@pytest.mark.parametrize(
    ("method", "key", "request_"),
    [
        ("list_domains", "domainInfos", {"registrationStatus": "DEPRECATED"}),
        ("list_activity_types", "typeInfos", {"domain": "shop", "registrationStatus": "REGISTERED"}),
        ("list_workflow_types", "typeInfos", {"domain": "shop", "registrationStatus": "DEPRECATED"}),
        ("list_open_workflow_executions", "executionInfos", {"domain": "shop", **_SINCE}),
        ("list_closed_workflow_executions", "executionInfos", {"domain": "shop", **_SINCE}),
    ],
)
def test_lists_are_paged(swf: LocalSwf, method: str, key: str, request_: dict[str, Any]) -> None:
    """Five of everything, two on a page."""
    for number in map(str, range(5)):
        swf.register_domain(name=number, workflowExecutionRetentionPeriodInDays="1")
        swf.deprecate_domain(name=number)
        swf.register_activity_type(domain="shop", name="pack", version=number)
        swf.register_workflow_type(domain="shop", name="send", version=number)
        swf.deprecate_workflow_type(domain="shop", workflowType={"name": "send", "version": number})
        start(swf, f"open-{number}")
        start(swf, f"closed-{number}")
        swf.terminate_workflow_execution(domain="shop", workflowId=f"closed-{number}")
    pages = list(swf.get_paginator(method).paginate(**request_, PaginationConfig={"PageSize": 2}))
    assert [len(page[key]) for page in pages] == [2, 2, 1]
    assert [info for page in pages for info in page[key]] == getattr(swf, method)(**request_)[key]


# A run from end to end, and what is refused on the way.


def after_lambda(swf: LocalSwf, input_: str) -> list[dict[str, Any]]:
    """Schedule the function ``double`` in a new run; return the events when it has ended."""
    swf.register_domain(name="shop", workflowExecutionRetentionPeriodInDays="30")
    role = "arn:aws:iam::0:role/any"
    swf.register_workflow_type(domain="shop", **ORDER, **TYPE_DEFAULTS, defaultLambdaRole=role)
    start(swf)
    scheduled = {
        "decisionType": "ScheduleLambdaFunction",
        "scheduleLambdaFunctionDecisionAttributes": {"id": "l1", "name": "double", "input": input_},
    }
    token = next_decision(swf)["taskToken"]
    swf.respond_decision_task_completed(taskToken=token, decisions=[scheduled])
    events: list[dict[str, Any]] = next_decision(swf)["events"]
    return events


def test_lambda_functions_are_invoked_by_name(tmp_path: Path) -> None:
    """The functions that the client was made with are those that runs get."""
    with LocalSwf(tmp_path / "swf.db", durability="normal", functions={"double": lambda x: x * 2}) as swf:
        events = after_lambda(swf, "21")
    completed = next(event for event in events if event["eventType"] == "LambdaFunctionCompleted")
    assert completed["lambdaFunctionCompletedEventAttributes"]["result"] == "42"


def test_lambda_result_is_recorded_when_the_file_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_invoker, "_REPORT_SECONDS", 0.01)
    write, left = SqliteEngine.write, [3]

    def failing(host: SqliteEngine, call: Any, **given: Any) -> Any:
        if threading.current_thread().name == "floto-lambda-double" and left[0]:
            left[0] -= 1
            raise ServiceUnavailable("the disk is full")  # noqa: EM101, TRY003
        return write(host, call, **given)

    monkeypatch.setattr(SqliteEngine, "write", failing)
    with LocalSwf(tmp_path / "swf.db", durability="normal", functions={"double": lambda x: x * 2}) as swf:
        events = after_lambda(swf, "21")
    assert "LambdaFunctionCompleted" in [event["eventType"] for event in events]
    assert left == [0]


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_lambda_function_that_raises_fails(tmp_path: Path, error: type[BaseException]) -> None:
    def double(_given: Any) -> None:
        raise error

    with LocalSwf(tmp_path / "swf.db", durability="normal", functions={"double": double}) as swf:
        events = after_lambda(swf, "21")
    failed = next(event for event in events if event["eventType"] == "LambdaFunctionFailed")
    assert failed["lambdaFunctionFailedEventAttributes"]["reason"] == error.__name__
