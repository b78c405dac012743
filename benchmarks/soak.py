"""Soak test: a server, a decider and a worker for minutes at several runs a second.

    python benchmarks/soak.py --minutes 10 --rate 4

Each is a process of its own, as a user starts them. Memory (RSS), threads and file descriptors are sampled,
printed as a table, and compared from the end of the warm-up on: the script exits with 1 if one of them has
grown beyond the bounds below, if a process has ended, or if runs are left open. Needs the extra ``dev``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from attrs import frozen

import floto
from floto import ActivityTask, DeciderSpec, Service, StartRequest, WorkflowType

#: How far the last third of the samples after the warm-up may lie above the first, by medians.
GROWTH_MB, GROWTH_SHARE, GROWTH_COUNT = 6.0, 0.05, 1.0
#: The part of the time that is warm-up; of ten minutes the first two.
WARM_UP = 0.2
SAMPLES = 120
#: Seconds for the last runs to complete, and for the processes to end.
PATIENCE = 60
KIND = WorkflowType("soak", "1")
ACTIVITIES = """
import floto

@floto.activity(name="first", version="1")
def first(context):
    return context["workflow"]["text"][::-1]

@floto.activity(name="second", version="1")
def second(context):
    return len(context["first"])
"""


def spec() -> DeciderSpec:
    """Two activities in a row."""
    first = ActivityTask(id_="first", name="first", version="1")
    second = ActivityTask(id_="second", name="second", version="1", requires=[first])
    return DeciderSpec(task_list="soak", activity_task_list="work", activity_tasks=[first, second])


@frozen
class Sample:
    """What one process used at one time."""

    megabytes: float
    threads: int
    files: int


def sample(process: psutil.Process) -> Sample:
    """Look at a process."""
    with process.oneshot():
        return Sample(process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())


@contextmanager
def processes(place: Path) -> Iterator[tuple[dict[str, psutil.Process], str]]:
    """Start the three; give their processes and the server's address."""
    (place / "spec.json").write_text(spec().to_json())
    (place / "activities.py").write_text(ACTIVITIES)
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    started: dict[str, subprocess.Popen[str]] = {}

    def start(name: str, *arguments: str) -> subprocess.Popen[str]:
        with (place / f"{name}.log").open("w") as log:
            started[name] = subprocess.Popen(  # noqa: S603 - floto itself
                [sys.executable, "-m", "floto", *arguments],
                cwd=place,
                env=environment,
                stdout=subprocess.PIPE if name == "server" else log,
                stderr=log,
                text=True,
            )
        return started[name]

    try:
        server = start("server", "server", "--db", "soak.db", "--port", "0")
        assert server.stdout is not None
        url = server.stdout.readline().removeprefix("floto server on ").partition(",")[0]
        start("register", "register", "domain", "floto", "--service", url).wait(PATIENCE)
        del started["register"]
        start("decider", "decider", "spec.json", "--service", url)
        start("worker", "worker", "--activities", "activities.py", "--task-list", "work", "--service", url)
        yield {name: psutil.Process(each.pid) for name, each in started.items()}, url
    finally:
        for each in reversed(started.values()):
            each.terminate()
        for each in reversed(started.values()):
            try:
                each.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                each.kill()
                each.wait()
            if each.stdout is not None:
                each.stdout.close()


def soak(
    minutes: float, rate: float, watched: Mapping[str, psutil.Process], service: Service
) -> dict[str, list[Sample]]:
    """Start runs at a rate, and sample the processes meanwhile."""
    found: dict[str, list[Sample]] = {name: [] for name in watched}
    began, seconds, count = time.monotonic(), minutes * 60, 0
    while (now := time.monotonic() - began) < seconds:
        if now >= count / rate:
            text = '{"text": "%s"}' % ("x" * 1000)
            service.start_workflow_execution(
                StartRequest(workflow_id=f"run {count}", workflow_type=KIND, task_list="soak", input=text)
            )
            count += 1
        if now >= len(found["server"]) * seconds / SAMPLES:
            for name, process in watched.items():
                found[name].append(sample(process))
            if len(found["server"]) % 10 == 1:
                print(_line(now, count, found), flush=True)
        time.sleep(max(min(count / rate - (time.monotonic() - began), 0.5), 0))
    _wait_for(service, count)
    return found


def _line(now: float, count: int, found: Mapping[str, list[Sample]]) -> str:
    last = [samples[-1] for samples in found.values()]
    shown = "".join(f"{each.megabytes:>10.1f}{each.threads:>5}{each.files:>5}" for each in last)
    return f"{now:>6.0f}{count:>7}{shown}"


def _wait_for(service: Service, count: int) -> None:
    """Wait until the last runs have completed; stop where one has not."""
    for number in range(max(count - 100, 0), count):
        deadline = time.monotonic() + PATIENCE
        while (info := service.latest_execution(f"run {number}")) is None or info.close_status is None:
            assert time.monotonic() < deadline, f"run {number} is still open"
            time.sleep(0.1)
        assert info.close_status == "COMPLETED", f"run {number}: {info.close_status}"


def grown(found: Mapping[str, list[Sample]]) -> Iterator[str]:
    """Compare the last third of the samples after the warm-up with the first; yield what grew too much."""
    print(f"\n{'':<9}{'':<11}{'first':>8}{'last':>8}{'bound':>8}")
    for name, samples in found.items():
        warm = samples[int(len(samples) * WARM_UP) :]
        third = len(warm) // 3
        for what in ("megabytes", "threads", "files"):
            before, after = (
                statistics.median(getattr(each, what) for each in part)
                for part in (warm[:third], warm[-third:])
            )
            more = max(GROWTH_MB, before * GROWTH_SHARE) if what == "megabytes" else GROWTH_COUNT
            print(f"{name:<9}{what:<11}{before:>8.1f}{after:>8.1f}{before + more:>8.1f}")
            if after > before + more:
                yield f"the {name}'s {what} grew from {before:.1f} to {after:.1f}"


def main() -> int:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=4, help="Runs started a second.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, processes(Path(name)) as (watched, url):
        os.environ.update(AWS_ACCESS_KEY_ID="local", AWS_SECRET_ACCESS_KEY="local")  # noqa: S106 - no secret
        service = floto.connect(url)
        service.prepare([KIND], [])
        print(f"{'':>13}{'server':>20}{'decider':>20}{'worker':>20}")
        print(f"{'s':>6}{'runs':>7}" + f"{'MB':>10}{'thr':>5}{'fds':>5}" * len(watched))
        problems = list(grown(soak(options.minutes, options.rate, watched, service)))
        service.close()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
