"""Answers that are not the service's: no call takes them for success, and each raises its error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.credentials import RefreshableCredentials

from floto.adapters.aws_errors import called
from floto.adapters.payloads import S3Store
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.errors import (
    NotCarriedOut,
    NotPermitted,
    ServiceFault,
    ServiceUnavailable,
    StoreUnavailable,
    Throttled,
    Unauthenticated,
    UnknownResource,
)
from floto.core.payloads import reference
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.retrying import report
from floto.runtime.shutdown import StopFlag
from tests.integration.scripted import (
    IDLE,
    LOGIN,
    PAGE,
    SLOW_DOWN,
    STARTED,
    Answer,
    connected,
    refusing,
    saying,
    scripted,
)


def test_result_is_reported_again_after_a_login_page() -> None:
    with connected(LOGIN, Answer()) as (service, seen):
        report(StopFlag(), service.respond_activity_task_completed, "token", "result")
        assert seen == ["RespondActivityTaskCompleted"] * 2


@pytest.mark.parametrize("method", ["poll_for_activity_task", "poll_for_decision_task"])
def test_login_page_is_not_an_idle_poll(method: str) -> None:
    with connected(LOGIN, IDLE) as (service, _):
        with pytest.raises(ServiceUnavailable, match="please log in"):
            getattr(service, method)("list", "me", 0)
        assert getattr(service, method)("list", "me", 0) is None


#: What no service that speaks SWF's protocol answers, by what is wrong with it, and floto's error.
BAD_ANSWERS: dict[str, tuple[Answer, type[Exception]]] = {
    "login page": (LOGIN, ServiceUnavailable),
    "page called JSON": (Answer(body=PAGE), ServiceUnavailable),
    "empty page": (Answer(200, "text/html"), ServiceUnavailable),
    "empty answer without headers": (Answer(200, None), ServiceUnavailable),
    "no content": (Answer(204), ServiceUnavailable),
    "accepted": (saying({}, 202), ServiceUnavailable),
    "list": (saying([]), ServiceUnavailable),
    "null": (saying(None), ServiceUnavailable),
    "text": (saying("OK"), ServiceUnavailable),
    "number": (saying(1), ServiceUnavailable),
    "JSON of a stranger": (saying({"error": "log in", "__type": "x"}), ServiceUnavailable),
    "half an answer": (Answer(body=b'{"runId": "r'), ServiceUnavailable),
    "cut off": (Answer(missing=20), ServiceUnavailable),
    "not UTF-8": (Answer(body=b'{"runId": "\xff"}'), ServiceUnavailable),
    "deeply nested": (Answer(body=b"[" * 100_000), ServiceUnavailable),
    **{
        f"page with status {status}": (Answer(status, "text/html", PAGE), ServiceUnavailable)
        for status in (302, 400, 401, 403, 404, 407, 413, 500, 502, 503)
    },
    "page of too many requests": (Answer(429, "text/html", PAGE), Throttled),
    "empty refusal": (Answer(400), ServiceUnavailable),
    "refusal that is a list": (saying(["no"], 400), ServiceUnavailable),
    "refusal that is null": (saying(None, 404), ServiceUnavailable),
    "refusal that is not UTF-8": (Answer(403, "text/html", b"\xff\xfe"), ServiceUnavailable),
    "refusal that is deeply nested": (Answer(403, body=b"[" * 100_000), ServiceUnavailable),
    "refusal of a gateway": (saying({"message": "Forbidden"}, 403), ServiceUnavailable),
    "refusal whose code is a number": (saying({"__type": 5}, 400), ServiceUnavailable),
    "refusal without a code": (saying({"__type": "com.amazonaws.swf#"}, 400), ServiceUnavailable),
    "clock behind": (refusing("InvalidSignatureException", "Signature expired: a < b"), NotCarriedOut),
    "clock ahead": (refusing("InvalidSignatureException", "Signature not yet current: a"), NotCarriedOut),
    "old request": (refusing("RequestExpired"), NotCarriedOut),
    "old token": (refusing("ExpiredTokenException"), NotCarriedOut),
    "busy": (SLOW_DOWN, Throttled),
    "failure": (refusing("InternalFailure", status=500), ServiceUnavailable),
    "wrong key": (refusing("UnrecognizedClientException"), Unauthenticated),
    "wrong signature": (refusing("InvalidSignatureException", "does not match"), Unauthenticated),
    "denied": (refusing("AccessDeniedException"), NotPermitted),
    "not permitted": (refusing("OperationNotPermittedFault"), NotPermitted),
    "unknown": (refusing("UnknownResourceFault"), UnknownResource),
    "malformed": (refusing("ValidationException"), ServiceFault),
}


def least(shape: Any) -> Any:
    """The smallest value of a shape of botocore's model, as JSON."""
    if shape.type_name == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    if shape.type_name == "list":
        return [least(shape.member)]
    if shape.type_name == "string":
        return (shape.enum or ["x" * shape.metadata.get("min", 1)])[0]
    return {"boolean": False}.get(shape.type_name, 0)


def operations(client: Any) -> Iterator[tuple[Any, Any]]:
    """Each operation of SWF, and a call of it that has what it needs."""
    model = client.meta.service_model
    for name in model.operation_names:
        operation = model.operation_model(name)
        method = getattr(client, xform_name(name))
        yield operation, partial(called, method, **least(operation.input_shape))


def outcome(call: Any) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - its type is what matters
        return type(error)


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_malformed_response_raises_its_error_for_every_operation(kind: str) -> None:
    answer, expected = BAD_ANSWERS[kind]
    with scripted(answer) as (url, seen):
        client = make_client(None, url, on_this_machine=True)
        found = {operation.name: outcome(call) for operation, call in operations(client)}
        client.close()
    assert found == dict.fromkeys(found, expected)
    assert len(seen) == len(found) == 39


def test_valid_response_is_returned_for_every_operation() -> None:
    with scripted(Answer()) as (url, _):
        names = [operation.name for operation, _ in operations(make_client(None, url, on_this_machine=True))]
    model = make_client("us-east-1").meta.service_model
    outputs = [model.operation_model(name).output_shape for name in names]
    idle = {"PollForActivityTask", "PollForDecisionTask"}
    answers = [
        IDLE
        if name in idle
        else STARTED
        if name == "StartWorkflowExecution"
        else Answer(request_id="1", kind=None)
        if output is None
        else saying(least(output))
        for name, output in zip(names, outputs, strict=True)
    ]
    with scripted(*answers) as (url, seen):
        client = make_client(None, url, on_this_machine=True)
        found = [outcome(call) for _, call in operations(client)]
        client.close()
    assert [each for each in found if not isinstance(each, dict)] == []
    assert seen == names


@pytest.mark.parametrize("page", [Answer(502, None), Answer(502, "text/html", PAGE)])
def test_error_for_a_page_of_a_proxy_says_that_it_is_not_of_swf(page: Answer) -> None:
    with (
        connected(page) as (service, _),
        pytest.raises(ServiceUnavailable, match="502: not an answer of SWF"),
    ):
        service.latest_execution("w")


@pytest.mark.parametrize("body", [{}, {"error": "log in"}, {"members": None}])
def test_response_without_required_members_is_refused(body: Any) -> None:
    """``ListTagsForResource`` alone may answer with nothing."""
    with scripted(saying(body)) as (url, _):
        client = make_client(None, url, on_this_machine=True)
        found = {
            operation.name: outcome(call)
            for operation, call in operations(client)
            if operation.output_shape is not None and (body or operation.name != "ListTagsForResource")
        }
        client.close()
    assert found == dict.fromkeys(found, ServiceUnavailable)
    assert len(found) == 18 + bool(body)


@pytest.mark.parametrize("value", [3, "x", [3], {"x": 3}, [[3]]])
def test_response_with_members_of_another_type_is_refused(value: Any) -> None:
    with connected(saying({"executionInfos": value, "events": value})) as (service, _):
        with pytest.raises(ServiceUnavailable):
            service.latest_execution("w")
        with pytest.raises(ServiceUnavailable):
            service.history(WorkflowExecution("w", "r"))


def test_boto3_client_given_by_the_caller_is_guarded_too() -> None:
    with scripted(LOGIN) as (url, _):
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        own = boto3.client("swf", "us-east-1", endpoint_url=url, **keys)  # type: ignore[call-overload]
        with pytest.raises(ServiceUnavailable):
            SwfService(own, "d").respond_activity_task_completed("token", "result")
        own.close()


@contextmanager
def stored(*answers: Answer, **keys: Any) -> Iterator[S3Store]:
    """Return a payload store whose S3 is a scripted server."""
    given = {"aws_access_key_id": "a", "aws_secret_access_key": "b", **keys}
    with scripted(*answers) as (url, _):
        client = boto3.client("s3", region_name="us-east-1", endpoint_url=url, **given)
        yield S3Store("bucket", client=client)
        client.close()


@pytest.mark.parametrize("answer", [LOGIN, Answer(), Answer(403, "text/html", PAGE)])
def test_put_fails_if_a_proxy_responds_instead_of_s3(answer: Answer) -> None:
    with stored(answer) as store, pytest.raises(StoreUnavailable):
        store.put("value")


@pytest.mark.parametrize("answer", [LOGIN, Answer(), Answer(404, "text/html", PAGE)])
def test_get_raises_unavailable_if_a_proxy_responds_instead_of_s3(answer: Answer) -> None:
    kept, _ = reference.written("value", 1_000)
    with stored(answer) as store, pytest.raises(StoreUnavailable):
        store.get(kept.to_json())


def test_store_with_expired_credentials_is_unavailable() -> None:
    expired = {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": "2020-01-01T00:00:00Z"}
    with stored(Answer()) as store:
        signer = store.client._request_signer  # noqa: SLF001
        signer._credentials = RefreshableCredentials.create_from_metadata(  # noqa: SLF001
            expired, lambda: expired, "test"
        )
        with pytest.raises(StoreUnavailable, match="still expired"):
            store.put("value")
