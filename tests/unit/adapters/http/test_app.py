"""SWF's protocol, request by request, over a service that answers what the test says."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette

from floto.adapters.http import Keys, application
from floto.adapters.http.requests import BODY_LIMIT, DECIDING, UNPROVEN_LIMIT
from floto.core.engine import faults
from floto.core.engine.stores.records import TaskQueue
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from tests.unit.adapters.http.asgi import (
    AMZ_JSON,
    LIST,
    PATIENCE,
    Connection,
    FakeOperations,
    Reply,
    ask,
    until,
)

HEADERS = {
    "Host": "localhost:8044",
    "Content-Type": AMZ_JSON,
    "X-Amz-Target": "SimpleWorkflowService.ListDomains",
}
POLL = json.dumps({"domain": "shop", "taskList": {"name": "orders"}, "identity": "me"}).encode()
KEYS, NOW = Keys("AKIDEXAMPLE", "secret"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLAIM = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/eu-west-1/swf/aws4_request, "
    "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=0"
)
TASK = {"taskToken": "token", "startedEventId": 7, "activityId": "pay"}


def to(operation: str, **headers: str) -> dict[str, str]:
    return {**HEADERS, "X-Amz-Target": f"SimpleWorkflowService.{operation}", **headers}


async def never_read() -> dict[str, Any]:
    pytest.fail("the body was read")


class Unfinished(Connection):
    """A client that sends some bytes of a body and then nothing."""

    def __init__(self, size: int) -> None:
        super().__init__(b"x" * size)
        self.has_sent = False

    async def receive(self) -> dict[str, Any]:
        if len(self._chunks) > 0:
            return {**await super().receive(), "more_body": True}
        self.has_sent = True
        return await super().receive()


def within(operations: FakeOperations, play: Callable[[Starlette], Awaitable[Any]], **options: Any) -> Any:
    """Play a scene against a running application."""

    async def run() -> Any:
        running = application(operations, **options)
        async with running.router.lifespan_context(running):
            return await play(running)

    return asyncio.run(asyncio.wait_for(run(), 2 * PATIENCE))


def reply(
    headers: Mapping[str, str],
    body: bytes = b"{}",
    *,
    answer: Callable[..., Any] = lambda *_: {},
    method: str = "POST",
    path: str = "/",
    **options: Any,
) -> Reply:
    operations = FakeOperations()
    operations.answer = answer
    answered: Reply = within(
        operations, lambda app: ask(app, headers, body, method=method, path=path), **options
    )
    return answered


def error(answered: Reply) -> tuple[int, str]:
    """The status and the full code of an error."""
    shape = json.loads(answered.body)
    assert set(shape) == {"__type", "message"}
    assert len(answered.headers["x-amzn-requestid"]) == 36
    return answered.status, shape["__type"]


def raising(error: Exception) -> Callable[..., Any]:
    def answer(*_: Any) -> Any:
        raise error

    return answer


@pytest.mark.parametrize("prefix", ["", "com.amazonaws.swf.service.model."])
def test_a_response_is_json_with_times_in_epoch_seconds(prefix: str) -> None:
    created = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    asked: list[Any] = []

    def answer(*request: Any) -> dict[str, Any]:
        asked.append(request)
        return {"typeInfo": {"creationDate": created}, "configuration": {}}

    target = f"{prefix}SimpleWorkflowService.DescribeActivityType"
    answered = reply({**HEADERS, "X-Amz-Target": target}, b'{"domain": "shop"}', answer=answer)
    assert asked == [("DescribeActivityType", {"domain": "shop"})]
    assert answered.status == 200
    assert answered.headers["content-type"] == AMZ_JSON
    assert answered.headers["x-amzn-requestid"]
    assert json.loads(answered.body) == {
        "typeInfo": {"creationDate": created.timestamp()},
        "configuration": {},
    }


def test_empty_output_is_an_empty_object() -> None:
    assert reply(to("ListTagsForResource")).body == b"{}"


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (faults.unknown_domain("shop"), 400, "com.amazonaws.swf.base.model#UnknownResourceFault"),
        (faults.invalid("no"), 400, "com.amazon.coral.validate#ValidationException"),
        (ServiceFault("SerializationException", ""), 400, "com.amazon.coral.service#SerializationException"),
        (ServiceUnavailable("secret"), 503, "com.amazon.coral.service#ServiceUnavailableException"),
        (ServiceError("secret"), 500, "com.amazon.coral.service#InternalFailure"),
        (ZeroDivisionError("secret"), 500, "com.amazon.coral.service#InternalFailure"),
    ],
)
def test_errors_have_their_namespace_and_status(
    raised: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answered = reply(HEADERS, answer=raising(raised))
    assert error(answered) == (status, code)
    assert b"secret" not in answered.body
    # Details that the client does not get are in the log, under the client's request id.
    assert ("secret" in caplog.text) == (status >= 500)
    assert (answered.headers["x-amzn-requestid"] in caplog.text) == (status >= 500)


@pytest.mark.parametrize(
    "target",
    [
        "SimpleWorkflowService.Nonsense",
        "SimpleWorkflowService.",
        "ListDomains",
        "",
        "DynamoDB_20120810.ListDomains",
    ],
)
def test_an_unknown_target_is_an_unknown_operation(target: str) -> None:
    answered = reply({**HEADERS, "X-Amz-Target": target})
    assert error(answered) == (400, "com.amazon.coral.service#UnknownOperationException")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: body[:10],
)
def test_body_that_is_not_a_json_object_is_refused(body: bytes) -> None:
    assert error(reply(HEADERS, body)) == (400, "com.amazon.coral.service#SerializationException")


def test_body_is_limited_to_the_size_limit_of_swf() -> None:
    fits = b"{}" + b" " * (BODY_LIMIT - 2)
    assert reply(HEADERS, fits).status == 200
    assert error(reply(HEADERS, fits + b" ")) == (413, "com.amazon.coral.service#SerializationException")


def test_endless_body_is_not_read() -> None:
    async def play(app: Starlette) -> tuple[Reply, int]:
        connection, read = Connection(b""), [0]

        async def receive() -> dict[str, Any]:
            read[0] += 1
            return {"type": "http.request", "body": bytes(BODY_LIMIT), "more_body": True}

        connection.receive = receive  # type: ignore[method-assign]
        return await ask(app, HEADERS, connection=connection), read[0]

    answered, chunks = within(FakeOperations(), play)
    assert answered.status == 413
    assert chunks <= 17


def test_client_disconnecting_while_sending_does_no_harm() -> None:
    async def play(app: Starlette) -> None:
        connection = Connection(b"{}", chunk=1)

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        connection.receive = receive  # type: ignore[method-assign]
        await ask(app, HEADERS, connection=connection)
        assert (await ask(app, HEADERS)).status == 200

    within(FakeOperations(), play)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", None]
)
def test_cross_site_request_is_refused(content_type: str | None) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "Content-Type"}
    if content_type is not None:
        headers["Content-Type"] = content_type
    answered = reply(headers)
    assert error(answered) == (415, "com.amazon.coral.service#SerializationException")
    assert not any(name.startswith("access-control") for name in answered.headers)


@pytest.mark.parametrize("content_type", ["application/x-amz-json-1.1", "Application/JSON; charset=utf-8"])
def test_other_json_content_types_are_accepted(content_type: str) -> None:
    assert reply({**HEADERS, "Content-Type": content_type}).status == 200


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8044", "127.8.9.1", "[::1]:8044", "swf.internal:80"]
)
def test_local_and_allowed_hosts_are_accepted(host: str) -> None:
    assert reply({**HEADERS, "Host": host}, hosts=["SWF.internal"]).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1:8044",
        "",
        "[",
        "[::2]",
        "é",
        "[::1].evil.example",
        "[::1]x:1",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("GET", "/health")])
def test_other_hosts_are_refused(host: str, method: str, path: str) -> None:
    answered = reply({**HEADERS, "Host": host}, method=method, path=path)
    assert error(answered) == (403, "com.amazon.coral.service#AccessDeniedException")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 405),
        ("OPTIONS", "/", 405),
        ("POST", "/health", 405),
        ("POST", "/x", 404),
        ("GET", "/health/", 404),
    ],
)
def test_other_paths_and_methods_are_refused(method: str, path: str, status: int) -> None:
    answered = reply(HEADERS, method=method, path=path)
    assert error(answered)[0] == status


@pytest.mark.parametrize("name", sorted(DECIDING))
@pytest.mark.parametrize("value", ["", "same"])
def test_a_repeated_deciding_header_is_refused(name: str, value: str) -> None:
    headers = {name.lower(): value for name, value in HEADERS.items()}
    first = headers.setdefault(name, "1")
    repeated = [*headers.items(), (name.upper(), first if value else "other")]

    answered = within(FakeOperations(), lambda app: ask(app, repeated))

    assert error(answered) == (400, "com.amazon.coral.service#SerializationException")
    assert name in json.loads(answered.body)["message"]


def test_a_content_length_beside_a_transfer_encoding_is_refused() -> None:
    answered = reply({**HEADERS, "Content-Length": "2", "Transfer-Encoding": "chunked"})
    assert error(answered) == (400, "com.amazon.coral.service#SerializationException")


def test_other_headers_may_be_repeated() -> None:
    repeated = [*HEADERS.items(), ("Accept", "a"), ("Accept", "b"), ("Via", "a"), ("Via", "b")]
    assert within(FakeOperations(), lambda app: ask(app, repeated)).status == 200


UNSIGNED = [
    ({}, "MissingAuthenticationTokenException"),
    ({"Authorization": "Basic dXNlcjpwYXNz"}, "IncompleteSignatureException"),
    ({"Authorization": CLAIM.replace("AKIDEXAMPLE", "AKIDOTHER")}, "UnrecognizedClientException"),
    ({"Authorization": CLAIM.replace("/swf/", "/s3/")}, "InvalidSignatureException"),
    ({"Authorization": CLAIM, "X-Amz-Date": "20260102T020000Z"}, "InvalidSignatureException"),
    ({"Authorization": CLAIM.replace(";x-amz-target", "")}, "IncompleteSignatureException"),
]


@pytest.mark.parametrize(("headers", "code"), UNSIGNED)
def test_head_with_an_invalid_signature_is_refused_before_the_body_is_read(
    headers: dict[str, str], code: str
) -> None:
    async def play(app: Starlette) -> Reply:
        connection = Connection(b"")
        connection.receive = never_read  # type: ignore[method-assign]
        return await ask(app, {"X-Amz-Date": "20260102T030405Z", **HEADERS, **headers}, connection=connection)

    answered = within(FakeOperations(), play, keys=KEYS, clock=lambda: NOW)

    assert error(answered) == (400, f"com.amazon.coral.service#{code}")


UNPROVEN = {"X-Amz-Date": "20260102T030405Z", **HEADERS, "Authorization": CLAIM}


async def stalled(app: Starlette) -> tuple[list[Unfinished], list[asyncio.Task[Reply]]]:
    """As many bodies as may be read at once; each client has sent most of one, and waits."""
    most = BODY_LIMIT - 1
    senders = [Unfinished(most) for _ in range(UNPROVEN_LIMIT // most)]
    waiting = [asyncio.create_task(ask(app, UNPROVEN, connection=sender)) for sender in senders]
    await until(lambda: all(sender.has_sent for sender in senders))
    await asyncio.sleep(0.1)
    return senders, waiting


async def replies(senders: list[Unfinished], waiting: list[asyncio.Task[Reply]]) -> list[Reply]:
    """The responses to the clients that have got one; the others leave."""
    await asyncio.sleep(0.1)
    found = [task.result() for task in waiting if task.done()]
    for sender in senders:
        sender.gone.set()
    await asyncio.gather(*waiting)
    return found


def test_unauthenticated_bodies_have_a_total_limit_that_ends_the_slowest() -> None:
    async def play(app: Starlette) -> tuple[Reply, list[Reply]]:
        senders, waiting = await stalled(app)
        newest = await ask(app, UNPROVEN, b"x" * BODY_LIMIT)
        return newest, await replies(senders, waiting)

    newest, ended = within(FakeOperations(), play, keys=KEYS, clock=lambda: NOW)

    # It is read, and its signature found wrong.
    assert error(newest) == (400, "com.amazon.coral.service#InvalidSignatureException")
    assert [error(each) for each in ended] == [(503, "com.amazon.coral.service#ServiceUnavailableException")]


def test_small_bodies_do_not_count_for_the_total_limit() -> None:
    async def play(app: Starlette) -> tuple[list[Reply], list[Reply]]:
        senders, waiting = await stalled(app)
        small = [await ask(app, UNPROVEN, b"x" * 16 * 1024) for _ in range(10)]
        return small, await replies(senders, waiting)

    small, ended = within(FakeOperations(), play, keys=KEYS, clock=lambda: NOW)

    assert {error(each) for each in small} == {(400, "com.amazon.coral.service#InvalidSignatureException")}
    assert ended == []


def test_health_queries_the_service() -> None:
    asked: list[str] = []

    def answer(operation: str, _request: Any) -> dict[str, Any]:
        asked.append(operation)
        return {}

    answered = reply({"Host": "localhost"}, method="GET", path="/health", answer=answer)
    assert (answered.status, json.loads(answered.body)) == (200, {"status": "ok"})
    assert asked == ["ListDomains"]
    broken = reply(
        {"Host": "localhost"}, method="GET", path="/health", answer=raising(ServiceError("secret"))
    )
    assert (broken.status, json.loads(broken.body)) == (503, {"status": "unavailable"})


def test_poll_is_validated_before_it_waits() -> None:
    answered = reply(to("PollForActivityTask"), b'{"domain": "shop"}')
    assert error(answered) == (400, "com.amazon.coral.validate#ValidationException")


def test_disconnected_client_claims_no_task(caplog: pytest.LogCaptureFixture) -> None:
    operations = FakeOperations()

    async def play(app: Starlette) -> Reply:
        connection = Connection(POLL.replace(b'"me"', b'"gone"'))
        gone = asyncio.create_task(ask(app, to("PollForActivityTask"), connection=connection))
        await until(lambda: operations.pending[LIST] != [])
        connection.gone.set()
        await gone
        operations.put(LIST, TASK)
        return await ask(app, to("PollForActivityTask"), POLL)

    assert json.loads(within(operations, play).body) == TASK
    assert operations.attempts == ["gone", "me"]
    assert caplog.text == ""


def test_client_disconnected_before_its_poll_claims_no_task() -> None:
    operations = FakeOperations()
    operations.put(LIST, TASK)

    async def play(app: Starlette) -> None:
        connection = Connection(POLL)
        connection.gone.set()
        await ask(app, to("PollForActivityTask"), connection=connection)

    within(operations, play)
    assert operations.attempts == []


class Leaving(FakeOperations):
    """Operations whose client disconnects while its task is claimed, or right after."""

    def __init__(self, connection: Connection, *, later: bool) -> None:
        super().__init__()
        self.connection, self.later = connection, later
        self.loop = asyncio.get_running_loop()

    def take(self, task_queue: TaskQueue) -> dict[str, Any] | None:
        found = super().take(task_queue)
        if found is not None:
            self.loop.call_soon_threadsafe(self._leave)
            if not self.later:
                time.sleep(0.05)
        return found

    def _leave(self) -> None:
        if self.later:
            self.loop.call_soon(self.connection.gone.set)
        else:
            self.connection.gone.set()


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("is_held", [False, True])
def test_task_claimed_for_a_disconnected_client_is_given_back(*, later: bool, is_held: bool) -> None:
    async def run() -> Leaving:
        connection = Connection(POLL)
        operations = Leaving(connection, later=later)
        app = application(operations)
        async with app.router.lifespan_context(app):
            if not is_held:
                operations.put(LIST, TASK)
            poll = asyncio.create_task(ask(app, to("PollForActivityTask"), connection=connection))
            if is_held:
                await until(lambda: operations.pending[LIST] != [])
                operations.put(LIST, TASK)
            await poll
            await until(lambda: operations.given_back != [])
        return operations

    operations = asyncio.run(asyncio.wait_for(run(), PATIENCE))
    assert operations.given_back == ["token"]
