"""Calls per second of ``floto server``, and their latency, on the loopback interface.

    pip install '.[bench,server]'
    python benchmarks/server.py [--only start mix boto] [--runs 3] [--calls 4000] [--tree DIR ...]

The server and its clients are processes of their own. ``start`` is StartWorkflowExecution, and ``mix`` the
life of a run (start, signal, and three polls with their responses), by four connections that are kept, with
requests written by hand, because an SDK takes more processor time for a call than the server. ``boto``
is StartWorkflowExecution by one and four processes with boto3. The rows ``floor`` are the same clients and a
Starlette application that responds at once. Figures are medians of the runs.

``--tree`` names directories with other versions of floto, which are measured in turn with this one.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

CLIENTS = 4
LEVELS = ("floor", "full", "normal")
TYPE = {"name": "flow", "version": "1"}
FLOOR = """
import asyncio, socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from floto.runtime.http_connections import Connection

async def respond(request):
    await request.body()
    return Response(b'{"runId":"' + b"x" * 46 + b'"}', media_type="application/x-amz-json-1.0")

app = Starlette(routes=[Route("/", respond, methods=["POST"])])
listener = socket.create_server(("127.0.0.1", 0))
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print("floor on http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
config = uvicorn.Config(app, http=Connection, ws="none", log_config=None, access_log=False)
uvicorn.Server(config).run(sockets=[listener])
"""


class Client:
    """A connection that is kept, over which requests are written by hand."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.latencies: list[float] = []

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        """Send a request and return its response."""
        body = json.dumps(request).encode()
        head = (
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"
            f"X-Amz-Target: SimpleWorkflowService.{operation}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self._socket.sendall(head.encode() + body)
        received = self._received()
        self.latencies.append((time.perf_counter() - began) * 1000)
        assert received.startswith(b"HTTP/1.1 200"), received
        found = received.partition(b"\r\n\r\n")[2]
        response: dict[str, Any] = json.loads(found or b"{}")
        return response

    def _received(self) -> bytes:
        received = self._socket.recv(65_536)
        while b"\r\n\r\n" not in received:
            received += self._socket.recv(65_536)
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        while len(body) < length:
            body += self._socket.recv(65_536)
        return head + b"\r\n\r\n" + body


def start(client: Client, name: str) -> None:
    client.call("StartWorkflowExecution", domain="bench", workflowId=name, workflowType=TYPE)


def life(client: Client, name: str) -> None:
    """A run with one activity and a signal: eight calls."""
    polled = {"domain": "bench", "taskList": {"name": name.partition("-")[0]}}

    def decide(kind: str, **attributes: Any) -> None:
        key = f"{kind[0].lower()}{kind[1:]}DecisionAttributes"
        token = client.call("PollForDecisionTask", **polled)["taskToken"]
        decisions = [{"decisionType": kind, key: attributes}]
        client.call("RespondDecisionTaskCompleted", taskToken=token, decisions=decisions)

    request = {"domain": "bench", "workflowId": name, "workflowType": TYPE, "taskList": polled["taskList"]}
    client.call("StartWorkflowExecution", **request)
    decide("ScheduleActivityTask", activityType=TYPE, activityId="a", taskList=polled["taskList"])
    token = client.call("PollForActivityTask", **polled)["taskToken"]
    client.call("SignalWorkflowExecution", domain="bench", workflowId=name, signalName="s", input="1")
    client.call("RespondActivityTaskCompleted", taskToken=token, result="1")
    decide("CompleteWorkflowExecution")


SCENES: Mapping[str, Callable[[Client, str], None]] = {"start": start, "mix": life}


def measure(scene: str, port: int, calls: int) -> None:
    """Play a scene with all clients, in threads of this process; print calls per second, p50 and p99."""
    clients = [Client(port) for _ in range(CLIENTS)]
    play, ends = SCENES[scene], threading.Event()

    def work(number: int) -> None:
        client, turn = clients[number], 0
        while len(client.latencies) < calls // CLIENTS:
            play(client, f"{os.getpid()}x{number}-{turn}")
            turn += 1
        ends.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    latencies = sorted(latency for client in clients for latency in client.latencies)
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    print(json.dumps([len(latencies) / seconds, p50, p99]))


def swf(port: int) -> Any:
    return boto3.client(
        "swf",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def measure_boto(port: int, calls: int) -> None:
    """Start runs with boto3 when a line arrives at the standard input; print a line before and after."""
    client = swf(port)
    client.start_workflow_execution(domain="bench", workflowId=f"{os.getpid()}-", workflowType=TYPE)
    print(flush=True)
    input()
    for number in range(calls):
        client.start_workflow_execution(
            domain="bench", workflowId=f"{os.getpid()}-{number}", workflowType=TYPE
        )
    print()


def boto(port: int, clients: int, calls: int) -> float:
    """Return the starts per second of so many processes with boto3."""
    command = [sys.executable, __file__, "--boto-client", str(port), str(calls // clients)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(clients)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    began = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    return calls // clients * clients / (time.perf_counter() - began)


@contextmanager
def running(tree: Path, *command: str) -> Iterator[int]:
    """Run a server with the floto of a directory; the block gets its port."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tree)},
        # ``python -m`` prefers what is in its working directory.
        cwd=tree,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().split(",")[0].rpartition(":")[2])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving(tree: Path, durability: str) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="floto-bench-") as directory:
        options = ["--db", f"{directory}/swf.db", "--port", "0", "--durability", durability]
        with running(tree, "-m", "floto", "server", *options) as port:
            client, defaults = swf(port), {"defaultTaskList": {"name": "none"}}
            client.register_domain(name="bench", workflowExecutionRetentionPeriodInDays="1")
            timeouts: dict[str, Any] = {
                "defaultTaskStartToCloseTimeout": "NONE",
                "defaultExecutionStartToCloseTimeout": "3600",
                "defaultChildPolicy": "TERMINATE",
            }
            client.register_workflow_type(domain="bench", **TYPE, **defaults, **timeouts)
            names = ("ScheduleToStart", "ScheduleToClose", "StartToClose", "Heartbeat")
            timeouts = {f"defaultTask{name}Timeout": "NONE" for name in names}
            client.register_activity_type(domain="bench", **TYPE, **defaults, **timeouts)
            yield port


def raw(scene: str, durability: str, calls: int, tree: Path) -> list[float]:
    """Return calls per second, and the p50 and p99 of their latency."""
    with _server(tree, durability) as port:
        command = [sys.executable, __file__, "--client", scene, str(port), str(calls)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: list[float] = json.loads(done.stdout)
    return found


def sdk(clients: int, durability: str, calls: int, tree: Path) -> list[float]:
    with _server(tree, durability) as port:
        return [boto(port, clients, calls)]


def _server(tree: Path, durability: str) -> AbstractContextManager[int]:
    return running(tree, "-c", FLOOR) if durability == "floor" else serving(tree, durability)


def print_figures(what: str, runs: int, trees: list[Path], measured: Callable[[Path], list[float]]) -> None:
    """Print a row for each version of floto; they are measured in turn, so that all see the same machine."""
    figures: dict[Path, list[list[float]]] = {tree: [] for tree in trees}
    for _ in range(runs):
        for tree, seen in figures.items():
            seen.append(measured(tree))
    for tree, seen in figures.items():
        calls, *latencies = (statistics.median(column) for column in zip(*seen, strict=True))
        cells = [f"{latency:.1f}" for latency in latencies] or ["", ""]
        print(f"| {what} | {tree.name} | {calls:,.0f} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=["start", "mix", "boto"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--tree", type=Path, nargs="+", default=[])
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--boto-client", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        scene, port, calls = options.client
        measure(scene, int(port), int(calls))
        return
    if options.boto_client:
        measure_boto(*map(int, options.boto_client))
        return
    trees = [*options.tree, Path(__file__).parents[1]]
    print("| scene | floto | calls per second | p50 ms | p99 ms |\n|---|---|--:|--:|--:|")
    for level in LEVELS:
        for scene in options.only:
            if scene == "boto":
                for clients in (1, CLIENTS):
                    measured = partial(sdk, clients, level, options.calls)
                    print_figures(f"boto3 by {clients}, {level}", options.runs, trees, measured)
            elif (scene, level) != ("mix", "floor"):
                measured = partial(raw, scene, level, options.calls)
                print_figures(f"{scene}, {level}", options.runs, trees, measured)


if __name__ == "__main__":
    main()
