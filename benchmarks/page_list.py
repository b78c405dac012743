"""Milliseconds of the list of runs in ``floto ui``, and the processor time of its updates on an idle service.

    pip install '.[ui,bench]'
    python benchmarks/page_list.py [--runs 10000] [--open 200] [--seconds 20] [--requests 50]

A file with closed and open runs is made, and ``floto ui`` serves it as a process of its own. Each list is
requested over one connection that is kept; the figures are the median and the slowest. Then one, and eight,
connections get the updates of the list for some seconds, in which nothing changes: the share of one core that
the server takes.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import psutil

from floto.adapters.local import LocalSwf

OK = 200
TYPE = {"name": "order", "version": "1"}
LISTS: Mapping[str, Mapping[str, str]] = {
    "newest": {},
    "last page": {"page": "99999"},
    "filter": {"filter": "status:terminated tag:eu age<1h 99"},
    "sorted": {"sort": "took"},
}


def fill(path: Path, runs: int, opens: int) -> None:
    """Start runs, and terminate all but the last ones."""
    with LocalSwf(path, durability="normal") as swf:
        swf.register_domain(name="floto", workflowExecutionRetentionPeriodInDays="30")
        swf.register_workflow_type(
            domain="floto",
            **TYPE,
            defaultTaskList={"name": "orders"},
            defaultTaskStartToCloseTimeout="60",
            defaultExecutionStartToCloseTimeout="86400",
            defaultChildPolicy="TERMINATE",
        )
        for number in range(runs):
            name, tags = f"order-{number}", ["eu"] if number % 2 else ["us"]
            swf.start_workflow_execution(domain="floto", workflowId=name, workflowType=TYPE, tagList=tags)
            if number < runs - opens:
                swf.terminate_workflow_execution(domain="floto", workflowId=name)


@contextmanager
def serving(path: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Run ``floto ui``; yield its process and its port."""
    command = [sys.executable, "-m", "floto", "ui", "--service", f"sqlite:///{path}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:  # noqa: S603
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[3].rstrip(",")
            yield psutil.Process(process.pid), int(url.rpartition(":")[2])
        finally:
            process.kill()


def request(connection: HTTPConnection, path: str) -> float:
    """Return the milliseconds of a request, with its response."""
    began = time.perf_counter()
    connection.request("GET", path)
    response = connection.getresponse()
    response.read()
    assert response.status == OK
    return (time.perf_counter() - began) * 1000


def idle_share(process: psutil.Process, port: int, clients: int, seconds: float) -> float:
    """Return the percentage of a core that the server takes while clients get the updates of the list."""
    with ExitStack() as stack:
        for _ in range(clients):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536)
        time.sleep(2)
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(seconds)
        after, took = process.cpu_times(), time.monotonic() - began
    return 100 * ((after.user - before.user) + (after.system - before.system)) / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--open", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--requests", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "floto.db"
        fill(path, given.runs, given.open)
        with serving(path) as (process, port):
            connection = HTTPConnection("127.0.0.1", port)
            print(f"{given.runs:,} runs, {given.open:,} of them open")
            print(f"first list, which reads them all: {request(connection, '/'):.0f} ms")
            time.sleep(2)
            for name, query in LISTS.items():
                times = [request(connection, f"/?{urlencode(query)}") for _ in range(given.requests)]
                print(f"{name:9} {statistics.median(times):6.1f} ms, slowest {max(times):6.1f} ms")
            print(f"nobody looks: {idle_share(process, port, 0, given.seconds):.2f} % of a core")
            for clients in (1, 8):
                share = idle_share(process, port, clients, given.seconds)
                print(f"{clients} looking, nothing changes: {share:.2f} % of a core")


if __name__ == "__main__":
    main()
