"""Children that an activity or a server forks: nothing of the parent's is theirs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceError
from floto.core.swf.events import ActivityTaskCompleted
from tests.integration.test_sqlite_helpers import SOON, activity, schedule, start

PROGRAM = """
import concurrent.futures, json, multiprocessing, os, subprocess, sys, time
import floto
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType

def square(number):
    return number * number

def sleep_long():
    time.sleep(300)

@floto.activity(name="fork", version="1")
def fork(context):
    how = context["activity_task"]
    if how == "terminate":
        child = multiprocessing.get_context("fork").Process(target=sleep_long)
        child.start()
        time.sleep(0.3)
        child.terminate()
        child.join(20)
        return child.exitcode
    if how == "executor":
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            return list(pool.map(square, range(4)))
    with multiprocessing.get_context(how).Pool(2) as pool:
        return pool.map(square, range(4))

if __name__ == "__main__":
    tasks = [floto.ActivityTask(id_=how, name="fork", version="1", input=how)
             for how in ("terminate", "fork", "spawn", "executor")]
    result = floto.run(floto.DeciderSpec(activity_tasks=tasks), service="sqlite:///f.db", timeout=100)
    print(json.dumps(result))
"""


def test_processes_forked_by_activities_end_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    squares = [0, 1, 4, 9]
    expected = {"terminate": -signal.SIGTERM, "fork": squares, "spawn": squares, "executor": squares}
    assert json.loads(done.stdout or "null") == expected, done.stderr


def in_child(call: object) -> int:
    """Run a function in a forked child; return the child's process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            call()  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_service_opened_before_a_fork_is_reopened_in_the_child(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "parent")
        child = in_child(lambda: start(service, "child"))
        assert exit_code(child) == 0
        assert service.latest_execution("child") is not None
        start(service, "after")


def test_child_leaving_the_with_block_does_not_close_the_parents_service(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, "a")
        task = activity(service)
        assert exit_code(in_child(service.close)) == 0
        # The parent's lease, and so its task, is still its own.
        with SqliteService(tmp_path / "db") as other:
            time.sleep(2.5)
            assert other.poll_for_activity_task("floto", "other", 0.2) is None
        service.respond_activity_task_completed(task.token, "1")


def test_database_in_memory_cannot_be_used_in_a_child() -> None:
    with SqliteService(":memory:") as service:
        start(service)

        def use() -> None:
            with pytest.raises(ServiceError, match="in memory cannot be used in a forked child"):
                service.latest_execution("wf")

        assert exit_code(in_child(use)) == 0


ORPHAN = """
import subprocess, sys, time
import multiprocessing
from floto.adapters.sqlite import SqliteService
from tests.integration.test_sqlite_helpers import *

def linger():
    time.sleep(60)

service = SqliteService(sys.argv[1])
task = activity(service)
how = sys.argv[2]
if how == "fork":
    child = multiprocessing.get_context("fork").Process(target=linger)
    child.start()
    pid = child.pid
else:
    pid = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid
print(pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["fork", "subprocess"])
def test_task_of_a_killed_worker_is_redelivered_while_its_child_process_runs(
    tmp_path: Path, how: str
) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, "a")
        command = [sys.executable, "-c", ORPHAN, str(tmp_path / "db"), how]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None
            orphan = int(worker.stdout.readline())
            worker.kill()
        try:
            os.kill(orphan, 0)
            assert service.poll_for_activity_task("floto", "other", SOON) is not None
        finally:
            os.kill(orphan, signal.SIGKILL)


PREFORK = """
import os, signal, sys, time
import floto
from floto.adapters.sqlite import SqliteService

service = SqliteService(sys.argv[1])

@floto.activity(name="act", version="1")
def act():
    time.sleep(0.2)
    with open(sys.argv[2], "a") as log:
        log.write(floto.current().id + chr(10))

children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        floto.ActivityWorker(task_list="floto", service=service, poll_seconds=0.2).run()
        os._exit(0)
    children.append(child)
print(*children, flush=True)
for child in children:
    os.waitpid(child, 0)
"""


def test_activities_complete_once_although_preforked_workers_are_killed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
        ids = [f"a{number}" for number in range(40)]
        schedule(service, *ids)
        command = [sys.executable, "-c", PREFORK, str(tmp_path / "db"), str(log)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            children = [int(word) for word in server.stdout.readline().split()]
            for child in children[:3]:
                time.sleep(0.5)
                os.kill(child, signal.SIGKILL)
            ends = time.monotonic() + 60
            while ended(service, run) < len(ids) and time.monotonic() < ends:
                time.sleep(0.2)
            os.kill(children[3], signal.SIGTERM)
            assert server.wait(30) == 0
        assert ended(service, run) == len(ids)
    # An activity that was killed in the middle of its work has begun twice, and is written down once or
    # twice.
    assert set(Counter(log.read_text().split())) == set(ids)


def ended(service: SqliteService, run: object) -> int:
    data = [event.data for event in service.history(run)]  # type: ignore[arg-type]
    return sum(isinstance(each, ActivityTaskCompleted) for each in data)
