"""Services on a real file, and other processes on the same file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.engine.embedded import NextTask
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, ReportsActivities, StartRequest
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

WORKFLOW = WorkflowType("work", "1")
ACTIVITY = ActivityType("act", "1")
#: Long enough for a busy machine; a poll that gets its task returns at once.
SOON = 40.0

PREAMBLE = """
import sys, time
from floto.adapters.sqlite import SqliteService
from tests.integration.test_sqlite_helpers import *
service = SqliteService(sys.argv[1])
def say(*words):
    print(*words, flush=True)
def hear():
    return sys.stdin.readline()
"""


@contextmanager
def process(path: Path, script: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script with ``service`` on the file in a Python of its own, killed at the end."""
    command = [sys.executable, "-c", PREAMBLE + script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def hear(child: subprocess.Popen[str]) -> str:
    """The next line a process says."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def say(child: subprocess.Popen[str], line: str) -> None:
    """Tell a process something."""
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def report_and_poll(
    service: SqliteService,
    report: Callable[[ReportsActivities, str], None],
    token: str,
    poll_as: tuple[str, str],
    *,
    leads: bool = True,
) -> PolledActivityTask | None:
    """Report the outcome of an activity, and wait for the task that was claimed with it."""
    found: SimpleQueue[NextTask] = SimpleQueue()
    service.begin_report(report, token, poll_as, found.put, leads=leads)
    return found.get(timeout=SOON)()


def start(service: SqliteService, workflow_id: str = "wf") -> WorkflowExecution:
    run_id = service.start_workflow_execution(StartRequest(workflow_id=workflow_id, workflow_type=WORKFLOW))
    return WorkflowExecution(workflow_id, run_id)


def decision(service: SqliteService, wait: float = SOON) -> PolledDecisionTask:
    task = service.poll_for_decision_task("floto", "decider", wait)
    assert task is not None
    return task


def activity(service: SqliteService, wait: float = SOON) -> PolledActivityTask:
    task = service.poll_for_activity_task("floto", "worker", wait)
    assert task is not None
    return task


def schedule(service: SqliteService, *activity_ids: str, **given: str) -> None:
    """Answer the next decision task by scheduling activities."""
    service.respond_decision_task_completed(
        decision(service).token,
        [ScheduleActivityTask(activity_type=ACTIVITY, activity_id=id, **given) for id in activity_ids],  # type: ignore[arg-type]
    )


def names(service: SqliteService, run: WorkflowExecution) -> list[str]:
    return [type(event.data).__name__ for event in service.history(run)]


def until(is_true: Callable[[], Any]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + SOON
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


def pending_polls(service: SqliteService) -> int:
    """Return the number of pending polls of a process."""
    return sum(map(len, service._host._wait_queue._polls.values()))  # noqa: SLF001 - what waits shows nowhere else


def store_of(service: SqliteService) -> SqliteStore:
    """The store that writes."""
    return service._host.store  # noqa: SLF001 - what a process has in memory shows nowhere else
