"""Connections that never say a whole request head, on a real socket: closed in time, and no others are."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

HEAD_SECONDS = 1.0
PATIENCE = 30.0
#: The server, which waits less for a head than it otherwise does.
SERVER = f"""
import sys
from pathlib import Path
from floto.runtime import http_connections, server
http_connections.HEAD_SECONDS = {HEAD_SECONDS}
settings = server.Settings(db=Path(sys.argv[1]), host="127.0.0.1", port=0, durability="full")
server.serve(settings, lambda url: print(url, flush=True))
"""
Address = tuple[str, int]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    db = tmp_path_factory.mktemp("heads") / "swf.db"
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(db)], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            parts = urlsplit(process.stdout.readline().strip())
            yield str(parts.hostname), int(parts.port or 0)
        finally:
            process.kill()


def closed_after(connection: socket.socket, sent: bytes, drip: bytes = b"") -> float:
    """The seconds from sending until the other side closes, while something comes in byte by byte."""
    began = time.monotonic()
    connection.sendall(sent)
    connection.settimeout(0.1)
    while time.monotonic() - began < PATIENCE:
        try:
            if drip:
                connection.sendall(drip[:1])
            if connection.recv(1_000) == b"":
                return time.monotonic() - began
        except TimeoutError:
            continue
        except ConnectionError:
            return time.monotonic() - began
    pytest.fail("still open")


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: localhost\r\nX-A: "])
def test_connection_without_a_complete_head_is_closed(address: Address, sent: bytes) -> None:
    with socket.create_connection(address) as connection:
        assert closed_after(connection, sent) >= HEAD_SECONDS / 2


def test_head_sent_byte_by_byte_has_the_same_time_limit(address: Address) -> None:
    with socket.create_connection(address) as connection:
        assert closed_after(connection, b"GET / HTTP/1.1\r\nX-A: ", drip=b"a") < 10 * HEAD_SECONDS


def health_status(connection: HTTPConnection) -> int:
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def test_idle_connection_is_kept_and_one_with_an_incomplete_second_head_is_closed(address: Address) -> None:
    connection = HTTPConnection(*address, timeout=PATIENCE)
    assert health_status(connection) == 200
    time.sleep(2 * HEAD_SECONDS)
    used = connection.sock
    assert health_status(connection) == 200
    assert connection.sock is used
    assert used is not None
    assert closed_after(used, b"GET /hea") >= HEAD_SECONDS / 2
    connection.close()


def test_pending_poll_is_not_closed_by_the_head_timeout(address: Address) -> None:
    connection = HTTPConnection(*address, timeout=PATIENCE)
    for operation, body in (
        ("RegisterDomain", {"name": "d", "workflowExecutionRetentionPeriodInDays": "1"}),
        ("PollForDecisionTask", {"domain": "d", "taskList": {"name": "l"}}),
    ):
        connection.request(
            "POST",
            "/",
            json.dumps(body),
            {
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": f"SimpleWorkflowService.{operation}",
            },
        )
        if operation == "RegisterDomain":
            assert connection.getresponse().read() == b""
    connection.sock.settimeout(2 * HEAD_SECONDS)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_refused_body_that_keeps_arriving_is_disconnected(address: Address) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n"
    with socket.create_connection(address) as connection:
        connection.sendall(head + b"x" * 50_000)
        connection.settimeout(PATIENCE)
        assert connection.recv(1_000).startswith(b"HTTP/1.1 400")
        assert closed_after(connection, b"", drip=b"x") < 5 * HEAD_SECONDS


def test_a_connection_is_kept_after_a_refused_body_was_received(address: Address) -> None:
    connection = HTTPConnection(*address, timeout=PATIENCE)
    try:
        for _ in range(2):
            connection.request("POST", "/", b"x" * 300_000, {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 400
            time.sleep(1.5 * HEAD_SECONDS)
        assert connection.sock is not None
    finally:
        connection.close()
