"""Deciders and workers of two versions of a flow, one after another, with a hundred open runs."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.core.swf.events import ActivityTaskScheduled
from floto.core.swf.service import Service
from floto.runtime.workers.activities import Activities
from tests.integration.commands import ROOT

FLOW = floto.WorkflowType("flow", "v1")
RUNS = 100


@contextmanager
def file(directory: Path) -> Iterator[str]:
    yield f"sqlite:///{directory / 'jobs.db'}"


@contextmanager
def server(directory: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "floto", *shlex.split("server --db swf.db --port 0")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=directory, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3].rstrip(",")
        try:
            yield url
        finally:
            process.terminate()


def version(number: int) -> tuple[floto.DeciderSpec, Activities]:
    """A version of the flow: its activities are registered under that version, and no other."""
    known = Activities()
    known.activity(name="work", version=f"v{number}")(lambda: number)
    first = floto.ActivityTask(id_="first", name="work", version=f"v{number}")
    rest = floto.Timer(id_="rest", delay_in_seconds=1, requires=[first])
    last = floto.ActivityTask(id_="last", name="work", version=f"v{number}", requires=[rest])
    return floto.DeciderSpec(
        task_list="decide", activity_task_list="work", activity_tasks=[first, rest, last]
    ), known


@contextmanager
def deployed(number: int, url: str) -> Iterator[None]:
    spec, known = version(number)
    members: list[Any] = [
        floto.Decider(spec, service=url, poll_seconds=0.2),
        floto.ActivityWorker(
            task_list="work", service=url, activities=known, concurrency=8, poll_seconds=0.2
        ),
    ]
    threads = [threading.Thread(target=member.run) for member in members]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for member in members:
            member.stop()
        for thread in threads:
            thread.join(90)


def closed(service: Service) -> Counter[str | None]:
    infos = [service.latest_execution(f"run-{number}") for number in range(RUNS)]
    return Counter(None if info is None else info.close_status for info in infos)


@pytest.mark.parametrize("where", [file, pytest.param(server, marks=pytest.mark.slow)])
def test_every_run_completes_with_the_spec_it_started_with(tmp_path: Path, where: Any) -> None:
    old, _ = version(1)
    with where(tmp_path) as url:
        service = floto.connect(url)
        service.prepare([FLOW], [floto.ActivityType("work", f"v{number}") for number in (1, 2)])
        for number in range(RUNS):
            service.start_workflow_execution(
                floto.StartRequest(
                    workflow_id=f"run-{number}",
                    workflow_type=FLOW,
                    task_list="decide",
                    decision_timeout="3",
                    tags=floto.spec_tags(old),
                )
            )
        with deployed(1, url):
            time.sleep(1)
        with deployed(2, url):
            time.sleep(2)
            assert "FAILED" not in closed(service)
        with deployed(1, url):
            end = time.monotonic() + 120
            while closed(service)["COMPLETED"] < RUNS and time.monotonic() < end:
                time.sleep(0.5)
        assert closed(service) == {"COMPLETED": RUNS}
        for number in range(RUNS):
            info = service.latest_execution(f"run-{number}")
            assert info is not None
            data = [event.data for event in service.history(info.execution)]
            kinds = {each.activity_type.version for each in data if isinstance(each, ActivityTaskScheduled)}
            assert kinds == {"v1"}
        service.close()
