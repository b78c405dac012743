"""Invalid input at the port of ``floto server``: refused with a 4xx, never a 500, and nothing is written."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from floto.adapters import model
from tests.integration.test_server import (
    ACCESS,
    AMZ_JSON,
    SECRET,
    Server,
    ask,
    client,
    register,
    serving,
    start,
)
from tests.property.test_fuzz import dump

#: A server that wants more bytes says nothing: that is waited for so long.
SILENCE = 0.15
BODY = json.dumps({"domain": "shop", "workflowId": "w", "signalName": "s"}).encode()
HEAD = (
    "POST / HTTP/1.1\r\nHost: localhost\r\n"
    f"Content-Type: {AMZ_JSON}\r\nX-Amz-Target: SimpleWorkflowService.SignalWorkflowExecution\r\n"
    f"Content-Length: {len(BODY)}\r\n\r\n"
).encode()
LARGE = b"x" * 2**24
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("fuzzed") / "swf.db") as server, client(server) as swf:
        register(swf)
        start(swf, "open")
        yield server


@pytest.fixture(scope="module", autouse=True)
def unharmed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After all the tests of this file the server is well, and its file is as it was."""
    path = next(tmp_path_factory.getbasetemp().glob("fuzzed*/swf.db"))
    before = dump(path)
    yield
    assert ask(server, method="GET", path="/health").status == 200
    assert dump(path) == before


def statuses(server: Server, sent: bytes) -> list[int]:
    """Send bytes as they are; gives what was answered until nothing more comes."""
    received = b""
    with socket.create_connection(server.address, timeout=5) as connection:
        try:
            connection.sendall(sent)
            connection.settimeout(SILENCE)
            while chunk := connection.recv(65_536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
    return [int(status) for status in _STATUS.findall(received)]


def assert_refused(answers: list[int]) -> None:
    assert all(400 <= status < 500 for status in answers), answers


@settings(max_examples=60, deadline=None)
@given(sent=st.binary(max_size=300))
@example(b"")
@example(b"GET / HTTP/1.1\r\n\r\n")
@example(b"POST / HTTP/9.9\r\nHost: localhost\r\n\r\n")
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
def test_random_bytes_are_refused(server: Server, sent: bytes) -> None:
    assert_refused(statuses(server, sent))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(HEAD + BODY)), gone=st.integers(0, 20), put=st.binary(max_size=10))
def test_mutated_requests_are_refused(server: Server, at: int, gone: int, put: bytes) -> None:
    request = HEAD + BODY
    assert_refused(statuses(server, request[:at] + put + request[at + gone :]))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_bodies = st.one_of(
    st.binary(max_size=50),
    _json.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 100_000, b'{"a":' * 100_000, b'{"domain": ' + b"9" * 5000 + b"}", b"\xff\xfe{}"]),
    # Requests that could be sound but for the name of their domain.
    st.dictionaries(st.sampled_from(["name", "taskList", "execution", "taskToken", "details"]), _json).map(
        lambda request: json.dumps({"domain": "nowhere", "registrationStatus": "?", **request}).encode()
    ),
)


@settings(max_examples=200, deadline=None)
@given(operation=st.sampled_from(model.OPERATIONS), body=_bodies)
def test_malformed_bodies_are_refused(server: Server, operation: str, body: bytes) -> None:
    reply = ask(server, operation, body)
    assert 400 <= reply.status < 500, reply
    assert reply.code in {"SerializationException", "ValidationException", *model.faults_of(operation)}
    assert len(reply.body) < 100_000


@settings(max_examples=60, deadline=None)
@given(
    name=st.from_regex(r"[A-Za-z-]{1,20}", fullmatch=True)
    | st.sampled_from(
        ["Content-Length", "Transfer-Encoding", "Host", "Authorization", "Content-Type", "Expect"]
    ),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=50)
    | st.sampled_from(["chunked", "-1", "1e9", "99999999999999999999", "identity", "100-continue"]),
)
def test_additional_headers_are_refused(server: Server, name: str, value: str) -> None:
    head = HEAD[:-2] + f"{name}: {value}\r\n\r\n".encode()
    answers = statuses(server, head + BODY)
    # Only an interim answer may be any other.
    assert_refused([status for status in answers if status != 100])


def test_large_requests_are_refused_and_freed(server: Server) -> None:
    """Sixteen megabytes, twenty times: as a body, as chunks, as a header, and as a request line."""
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)
    chunked = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", HEAD)
    process = psutil.Process(server.process.pid)
    assert ask(server, body=LARGE).status == 413
    before = process.memory_info().rss
    for _ in range(5):
        assert ask(server, body=LARGE).status == 413
        assert_refused(statuses(server, chunked + chunks))
        assert_refused(statuses(server, HEAD[:-2] + b"X: " + LARGE + b"\r\n\r\n"))
        assert_refused(statuses(server, b"GET /" + LARGE + b" HTTP/1.1\r\n\r\n"))
    assert process.memory_info().rss - before < 2 * len(LARGE)


@pytest.mark.parametrize(
    "line",
    [
        f"Content-Type: {AMZ_JSON}",
        "Content-Type: text/plain",
        "X-Amz-Target: SimpleWorkflowService.SignalWorkflowExecution",
        "X-Amz-Target: SimpleWorkflowService.ListDomains",
        "Host: localhost",
        "Transfer-Encoding: chunked",
        "Content-Length: 1",
        "X-Amz-Date: 20260102T030405Z\r\nX-Amz-Date: 20260102T030405Z",
        "Authorization: a\r\nauthorization: a",
        "X-Amz-Content-Sha256: a\r\nX-Amz-Content-SHA256: b",
        "X-Amz-Security-Token: a\r\nX-Amz-Security-Token: a",
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_repeated_deciding_header_is_refused_on_the_socket(
    server: Server, line: str, *, is_first: bool
) -> None:
    first, rest = HEAD.split(b"\r\n", 1)
    added = f"{line}\r\n".encode()
    head = first + b"\r\n" + added + rest if is_first else HEAD[:-2] + added + b"\r\n"
    assert statuses(server, head + BODY)[:1] == [400]


def test_unsigned_bodies_use_bounded_memory(tmp_path: Path) -> None:
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % 2**20, HEAD)
    with serving(tmp_path / "swf.db", FLOTO_ACCESS_KEY=ACCESS, FLOTO_SECRET_KEY=SECRET) as server:
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss
        connections = [socket.create_connection(server.address, timeout=5) for _ in range(100)]
        try:
            for connection in connections:
                # The last byte is kept back: the server cannot have done with it.
                connection.sendall(head + b"x" * (2**20 - 1))
            assert all(connection.recv(65_536).startswith(b"HTTP/1.1 400") for connection in connections)
            assert process.memory_info().rss - before < 2**24
        finally:
            for connection in connections:
                connection.close()


def test_silent_connections_are_cheap_and_harmless(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    connections = [socket.create_connection(server.address) for _ in range(500)]
    try:
        for connection in connections:
            connection.sendall(HEAD[:100])
        assert ask(server).status == 200
        assert process.num_threads() < 60
        assert process.memory_info().rss - before < 2**25
    finally:
        for connection in connections:
            connection.close()


def test_unfinished_request_does_not_delay_others(server: Server) -> None:
    unfinished = HTTPConnection(*server.address)
    unfinished.putrequest("POST", "/")
    unfinished.putheader("Content-Length", "1000")
    unfinished.endheaders(b"{")
    try:
        assert ask(server).status == 200
    finally:
        unfinished.close()
