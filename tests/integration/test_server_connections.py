"""More connections than descriptors: those above the limit are closed, and the server and its log go on."""

from __future__ import annotations

import resource
import select
import socket
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from tests.integration.commands import wait_for
from tests.integration.test_server import PATIENCE, Server, ask, serving

#: Open files that the server may have, and its connections with that.
FILES, MOST = 300, 150


def limit_files(server: Server, most: int) -> None:
    """Change the limit of open files of a server that runs."""
    hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (most, hard))


def log_of(server: Server) -> str:
    server.process.kill()
    assert server.process.stderr is not None
    return server.process.stderr.read()


def is_closed(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def health_status(server: Server, connection: socket.socket) -> int:
    used = HTTPConnection(*server.address)
    used.sock = connection
    used.request("GET", "/health")
    return used.getresponse().status


def test_connections_above_the_limit_of_open_files_are_closed(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server:
        limit_files(server, FILES)
        with ExitStack() as stack:
            made = [
                stack.enter_context(socket.create_connection(server.address, PATIENCE))
                for _ in range(MOST + 50)
            ]
            wait_for(lambda: sum(map(is_closed, made)) >= 50)
            assert [is_closed(connection) for connection in made] == [False] * MOST + [True] * 50
            assert health_status(server, made[0]) == 200
        wait_for(lambda: answers(server))
        log = log_of(server)
        assert log.count(f"more than {MOST} connections") == 1
        assert "Traceback" not in log


def answers(server: Server) -> bool:
    try:
        return ask(server, method="GET", path="/health").status == 200
    except OSError:
        return False


def test_connection_that_cannot_be_accepted_is_logged_once(tmp_path: Path) -> None:
    with serving(tmp_path / "swf.db") as server:
        limit_files(server, 3)
        with socket.create_connection(server.address, PATIENCE):
            time.sleep(1.5)
        log = log_of(server)
        assert log.count("Too many open files") == 1
        assert "Traceback" not in log
