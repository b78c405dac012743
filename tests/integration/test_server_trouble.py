"""A server in trouble: a damaged or locked database, requests without an end. It logs that and stops."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.integration.commands import wait_for
from tests.integration.test_server import (
    AMZ_JSON,
    Server,
    ask,
    client,
    connections,
    register,
    send_poll,
    serving,
    start,
)

#: Seconds in which a server in trouble must answer a health check, or end.
BOUND = 20.0


def health(server: Server) -> int:
    began = time.monotonic()
    status = ask(server, method="GET", path="/health").status
    assert time.monotonic() - began < BOUND
    return status


def output_after_exit(server: Server) -> str:
    """Stop the server; returns its log."""
    began = time.monotonic()
    assert server.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < BOUND
    assert server.process.stderr is not None
    return server.process.stderr.read()


def damage(db: Path) -> None:
    """Overwrite the file, and what is in its write-ahead log."""
    for path in (db, db.with_name(f"{db.name}-wal")):
        path.write_bytes(b"x" * max(path.stat().st_size, 4096))


def test_health_is_503_if_the_file_is_unreadable_and_logged_once(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf:
        register(swf)
        assert health(server) == 200
        damage(tmp_path / "swf.db")
        assert [health(server) for _ in range(20)] == [503] * 20
        assert output_after_exit(server).count("a health check failed") == 1


def delete_index(db: Path) -> None:
    db.with_name(f"{db.name}-shm").unlink()


@pytest.mark.parametrize("harm", [Path.unlink, delete_index])
def test_server_exits_with_an_error_when_its_file_is_deleted(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf, ExitStack() as stack:
        register(swf)
        poll = stack.enter_context(send_poll(server))
        time.sleep(0.5)
        harm(tmp_path / "swf.db")
        assert server.process.wait(BOUND) == 2
        assert server.process.stderr is not None
        log = server.process.stderr.read()
        last = log.splitlines()[-1]
        assert last.startswith(f"floto: {tmp_path / 'swf.db'}"), log
        assert "was deleted or replaced" in last
        assert "Traceback" not in log
        assert poll.recv(65_536).startswith(b"HTTP/1.1 ")


def test_unreadable_run_is_logged_once(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf:
        register(swf)
        run_id = start(swf, "bad")
        swf.terminate_workflow_execution(domain="shop", workflowId="bad")
        with closing(sqlite3.connect(tmp_path / "swf.db")) as db, db:
            db.execute("UPDATE events SET attributes = '{' WHERE id = 1")
        request = json.dumps({"domain": "shop", "execution": {"workflowId": "bad", "runId": run_id}}).encode()
        answers = [ask(server, "GetWorkflowExecutionHistory", request) for _ in range(10)]
        assert [answer.status for answer in answers] == [500] * 10
        log = output_after_exit(server)
    lines = [line for line in log.splitlines() if "ERROR" in line]
    assert [run_id in line for line in lines] == [True]


def test_health_and_shutdown_work_with_a_locked_database(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf:
        register(swf)
        with closing(sqlite3.connect(tmp_path / "swf.db", isolation_level=None)) as db:
            db.execute("BEGIN EXCLUSIVE")
            waiting = [writing(server) for _ in range(20)]
            time.sleep(0.5)
            began = time.monotonic()
            # The lock of a writer does not block readers.
            assert health(server) == 200
            assert time.monotonic() - began < 5
            output_after_exit(server)
            for connection in waiting:
                connection.close()


def writing(server: Server) -> HTTPConnection:
    """A request that has to write, sent and not waited for."""
    body = json.dumps({"name": "other", "workflowExecutionRetentionPeriodInDays": "1"})
    connection = HTTPConnection(*server.address)
    head = {"Content-Type": AMZ_JSON, "X-Amz-Target": "SimpleWorkflowService.RegisterDomain"}
    connection.request("POST", "/", body, head)
    return connection


def test_slow_bodies_and_pending_polls_do_not_delay_shutdown(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server, client(server) as swf, ExitStack() as stack:
        register(swf)
        before = connections(server.process)
        held = [stack.enter_context(send_poll(server)) for _ in range(20)]
        slow = [stack.enter_context(closing(HTTPConnection(*server.address))) for _ in range(20)]
        for connection in slow:
            connection.putrequest("POST", "/")
            connection.putheader("Content-Type", AMZ_JSON)
            connection.putheader("X-Amz-Target", "SimpleWorkflowService.ListDomains")
            connection.putheader("Content-Length", "1000")
            connection.endheaders(b"{")
        wait_for(lambda: connections(server.process) >= before + len(held) + len(slow))
        # The requests of these connections were received before this one.
        assert health(server) == 200
        log = output_after_exit(server)
        assert "Traceback" not in log
        assert all(poll.recv(65_536).startswith(b"HTTP/1.1 200") for poll in held)
        assert {connection.getresponse().status for connection in slow} == {503}
