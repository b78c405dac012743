"""Starts a second beside clients that count closed runs, through a server as in production.

    python benchmarks/counting.py [--runs 100000] [--clients 4] [--seconds 3] [--rounds 3]

A file with many closed runs is made with SQL. A server has it; one client starts runs, alone and then beside
clients that count the closed runs, each with another filter. Each is a process of its own, and all use boto3.
For comparison, the same number of clients that make the cheapest call there is, which shows what the
processor leaves to starts whatever the others ask for. Prints medians of the rounds, and their ratios to that
of starts alone. Needs the extra ``dev``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import database

KIND = floto.WorkflowType("flow", "1")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
#: What the clients count by, in turn.
FILTERS: tuple[Mapping[str, Any], ...] = (
    {"typeFilter": {"name": "flow", "version": "1"}},
    {"tagFilter": {"tag": "tag"}},
    {"closeStatusFilter": {"status": "COMPLETED"}},
    {},
)
#: Seconds for the processes to begin and to end.
PATIENCE = 60
_RUNS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
    INSERT INTO runs (number, run_id, domain, workflow_id, type_name, type_version, started_at, closed_at,
                      close_status, tags, revision)
    SELECT n, printf('22%044d', n), 'floto', printf('workflow %d', n % 1000), 'flow', '1', ?2 + n,
           ?2 + n + 500, iif(n % 10, 'COMPLETED', 'FAILED'), '["tag"]', 3
    FROM numbers
"""
_TAGS = """
    INSERT INTO run_tags (run, tag, domain, started_at, closed_at)
    SELECT number, 'tag', domain, started_at, closed_at FROM runs
"""


def fill(path: Path, runs: int) -> None:
    """Make a database with so many closed runs, without their events."""
    with SqliteService(path) as service:
        service.prepare([KIND], [])
    with closing(database.connect(str(path), "normal")) as db:
        db.execute("BEGIN")
        db.execute(_RUNS, (runs, int(BEGAN.timestamp() * 1000)))
        db.execute(_TAGS)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def client(url: str) -> Any:
    return boto3.client("swf", endpoint_url=url, region_name="us-east-1")


def repeat(url: str, which: str) -> None:
    """Make one call over and over until the process is ended."""
    swf = client(url)
    span = {"oldestDate": BEGAN}
    call: Callable[[], object] = (
        (lambda: swf.describe_domain(name="floto"))
        if which == "cheap"
        else lambda: swf.count_closed_workflow_executions(
            domain="floto", startTimeFilter=span, **FILTERS[int(which) % len(FILTERS)]
        )
    )
    call()
    print("ready", flush=True)
    while True:
        call()


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """A process of this Python; give the first line that it prints."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            yield process.stdout.readline()
        finally:
            process.terminate()
            process.wait(PATIENCE)


def starts(url: str, name: str, seconds: float) -> float:
    """Start runs for some seconds; return how many there were in a second."""
    swf, count, began = client(url), 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        swf.start_workflow_execution(
            domain="floto",
            workflowId=f"{name} {count}",
            workflowType={"name": KIND.name, "version": KIND.version},
            taskList={"name": "other"},
        )
        count += 1
    return count / spent


def beside(url: str, name: str, calls: list[str], seconds: float) -> float:
    """Starts a second while other processes make calls."""
    with ExitStack() as stack:
        for which in calls:
            assert stack.enter_context(running(__file__, "--repeat", url, which)) == "ready\n"
        return starts(url, name, seconds)


def measure(directory: Path, runs: int, clients: int, seconds: float, rounds: int) -> None:
    """Print the starts a second alone and beside others, one after the other in each round."""
    began = time.perf_counter()
    fill(directory / "floto.db", runs)
    print(f"{runs:,} closed runs made in {time.perf_counter() - began:.1f} s", flush=True)
    others = {
        "alone": [],
        f"beside {clients} clients that count closed runs": [str(number) for number in range(clients)],
        f"beside {clients} clients that call DescribeDomain": ["cheap"] * clients,
    }
    found: dict[str, list[float]] = {name: [] for name in others}
    with running("-m", "floto", "server", "--db", str(directory / "floto.db"), "--port", "0") as line:
        url = line.removeprefix("floto server on ").partition(",")[0].strip()
        starts(url, "warm up", 1)
        for number in range(rounds):
            for name, calls in others.items():
                found[name].append(beside(url, f"{number} {name}", calls, seconds))
    alone = statistics.median(found["alone"])
    for name, figures in found.items():
        median = statistics.median(figures)
        print(f"starts {name}: {median:.0f}/s, ratio {median / alone:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.repeat:
        repeat(*options.repeat)
        return
    os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")  # noqa: S106 - no secret
    with tempfile.TemporaryDirectory(prefix="floto-bench-") as name:
        measure(Path(name), options.runs, options.clients, options.seconds, options.rounds)


if __name__ == "__main__":
    main()
