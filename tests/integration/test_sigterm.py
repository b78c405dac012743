"""SIGTERM to workers and deciders as real processes: on SQLite's file, and on ``floto server``.

After SIGTERM a process lets its poll end, finishes the task that it returns, and exits; later tasks
are done by other processes. The histories have the identity that started each task.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from floto.core.swf import events as e
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.events import Event
from floto.core.swf.service import Service, StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from floto.runtime.connect import connect
from tests.integration.contract.backends import Server
from tests.integration.contract.clock import Clock
from tests.integration.test_server import PATIENCE, environment, serving

WORKFLOW, ACTIVITY = WorkflowType("flow", "1"), ActivityType("work", "1")
#: How long the server in this process holds a poll.
HELD = 3.0
#: SQLite's file is polled by the second, and a busy machine is slow.
AT_ONCE = 20.0

PREAMBLE = """
import sys, time
from pathlib import Path
import floto
from floto.runtime.connect import connect

url, identity, go = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def say(word):
    print(word, flush=True)

def in_hand():
    say("began")
    while not go.exists():
        time.sleep(0.01)

class Told:
    def __init__(self, service):
        self.service = service
    def __getattr__(self, name):
        if name.startswith("poll_for"):
            say("polls")
        return getattr(self.service, name)

service = Told(connect(url))
"""
WORKER = """
floto.activity(name="work", version="1")(in_hand)
floto.ActivityWorker(service=service, task_list="work", identity=identity).run()
"""
DECIDER = """
class Slow(floto.Decider):
    def decide(self, task):
        in_hand()
        return super().decide(task)
Slow(floto.DeciderSpec(activity_tasks=[]), service=service, task_list="decide", identity=identity).run()
"""


def start(service: Service, workflow_id: str, task_list: str = "decide") -> WorkflowExecution:
    """Start a run with a scheduled decision task."""
    request = StartRequest(workflow_id=workflow_id, workflow_type=WORKFLOW, task_list=task_list)
    return WorkflowExecution(workflow_id, service.start_workflow_execution(request))


def start_and_schedule(service: Service, workflow_id: str) -> WorkflowExecution:
    """Start a run with a scheduled activity."""
    execution = start(service, workflow_id, workflow_id)
    task = service.poll_for_decision_task(workflow_id, "test", PATIENCE)
    assert task is not None
    schedule = ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a", task_list=TaskList("work"))
    service.respond_decision_task_completed(task.token, [schedule])
    return execution


@frozen
class Role:
    """A kind of process, what there is to do for it, and how that begins and ends."""

    script: str
    begin: Callable[[Service, str], WorkflowExecution]
    starts: type
    ends: type


ROLES = {
    "worker": Role(WORKER, start_and_schedule, e.ActivityTaskStarted, e.ActivityTaskCompleted),
    "decider": Role(DECIDER, start, e.DecisionTaskStarted, e.WorkflowExecutionCompleted),
}


class Process:
    """A worker or a decider, and what it says."""

    def __init__(self, role: Role, url: str, identity: str, go: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PREAMBLE + role.script, url, identity, str(go)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hear(self, word: str) -> None:
        """Wait until it says something."""
        assert self.process.stdout is not None
        assert any(line.strip() == word for line in self.process.stdout), self.process.communicate()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def end(self, within: float) -> int:
        """Return the exit code."""
        return self.process.wait(within)


@frozen
class Stage:
    """A service, and the processes that share it."""

    role: Role
    url: str
    service: Service
    directory: Path
    running: ExitStack

    def process(self, identity: str) -> Process:
        """One of the role, killed at the end."""
        process = Process(self.role, self.url, identity, self.directory / "go")
        self.running.enter_context(process.process)
        self.running.callback(process.process.kill)
        return process

    def go(self) -> None:
        """Let everybody finish what is in hand."""
        (self.directory / "go").touch()

    def begin(self, workflow_id: str) -> WorkflowExecution:
        """Make work."""
        return self.role.begin(self.service, workflow_id)

    def started_by(self, execution: WorkflowExecution) -> list[str]:
        """Return the identities that claimed tasks of the role, once the run has closed as expected."""
        end = time.monotonic() + PATIENCE
        while not self._is_done(events := self.service.history(execution)):
            assert time.monotonic() < end, events
            time.sleep(0.02)
        return [data.identity for data in self._data(events, self.role.starts)]

    def _is_done(self, events: Sequence[Event]) -> bool:
        return bool(self._data(events, self.role.ends))

    @staticmethod
    def _data(events: Sequence[Event], kind: type) -> list[Any]:
        return [event.data for event in events if isinstance(event.data, kind)]

    def assert_others_go_on(self) -> None:
        """Tasks scheduled after the end of a process are done by a running one."""
        self.go()
        live = self.process("live")
        for number in range(2):
            execution = self.begin(f"later-{number}")
            assert self.started_by(execution) == ["live"]
        live.process.kill()


@contextmanager
def staged(role: Role, url: str, directory: Path) -> Iterator[Stage]:
    with closing(connect(url)) as service, ExitStack() as running:
        service.prepare([WORKFLOW], [ACTIVITY])
        yield Stage(role, url, service, directory, running)


@pytest.fixture(params=ROLES)
def role(request: pytest.FixtureRequest) -> Role:
    return ROLES[request.param]


@pytest.fixture(params=["file", "server"])
def stage(request: pytest.FixtureRequest, role: Role, tmp_path: Path) -> Iterator[Stage]:
    if request.param == "file":
        with staged(role, f"sqlite:///{tmp_path / 'swf.db'}", tmp_path) as stage:
            yield stage
    else:
        with serving(tmp_path / "swf.db") as server, staged(role, server.url, tmp_path) as stage:
            yield stage


def test_sigterm_finishes_the_claimed_task(stage: Stage) -> None:
    process = stage.process("told to stop")
    execution = stage.begin("w")
    process.hear("began")
    process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        process.end(0.3)
    stage.go()
    assert process.end(AT_ONCE) == 0
    assert stage.started_by(execution) == ["told to stop"]
    stage.assert_others_go_on()


def test_second_signal_ends_the_process_at_once(stage: Stage) -> None:
    """Also in a poll that the server would hold for a minute; it notices, and gives its tasks to others."""
    process = stage.process("told to stop")
    process.hear("polls")
    time.sleep(0.3)
    for _ in range(2):
        process.terminate()
        time.sleep(0.1)
    assert process.end(AT_ONCE) != 0
    stage.assert_others_go_on()


def test_sigterm_ends_a_poll_of_a_file_within_a_second(role: Role, tmp_path: Path) -> None:
    with staged(role, f"sqlite:///{tmp_path / 'swf.db'}", tmp_path) as stage:
        process = stage.process("told to stop")
        process.hear("polls")
        process.terminate()
        assert process.end(AT_ONCE) == 0
        stage.assert_others_go_on()


def test_sigterm_finishes_a_task_that_the_pending_poll_returns(role: Role, tmp_path: Path) -> None:
    """SWF dispatches a task to a pending poll even if its client has gone, so the client waits for it."""
    with serving(tmp_path / "swf.db") as server, staged(role, server.url, tmp_path) as stage:
        stage.go()
        process = stage.process("told to stop")
        process.hear("polls")
        time.sleep(0.3)
        process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            process.end(0.5)
        execution = stage.begin("w")
        assert process.end(AT_ONCE) == 0
        assert stage.started_by(execution) == ["told to stop"]
        stage.assert_others_go_on()


def test_sigterm_ends_the_process_after_its_pending_poll(role: Role, tmp_path: Path) -> None:
    server: Any = Server(tmp_path / "swf.db", Clock())
    server.open(poll_seconds=HELD)
    try:
        with staged(role, "http://{}:{}".format(*server.address), tmp_path) as stage:
            process = stage.process("told to stop")
            process.hear("polls")
            process.terminate()
            began = time.monotonic()
            assert process.end(HELD + AT_ONCE) == 0
            assert time.monotonic() - began < HELD + AT_ONCE / 2
            stage.assert_others_go_on()
    finally:
        server.close()
