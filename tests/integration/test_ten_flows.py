"""Ten flows with the same task lists in one file, each interrupted and resumed at random by ``floto run``."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import define, field

from tests.integration.commands import Shell

FLOWS = 10
FLOW = """
import floto
first = floto.ActivityTask(id_="first", name="say", version="1", input={{"step": "first"}})
nap = floto.Timer(id_="nap", delay_in_seconds=1, requires=[first])
make = floto.Generator(id_="make", name="make", version="1", requires=[nap])
inner = floto.DeciderSpec(
    task_list="decide", activity_task_list="work",
    activity_tasks=[floto.ActivityTask(id_="inner", name="say", version="1", input={{"step": "inner"}})],
)
child = floto.ChildWorkflow(
    id_="child", workflow_type_name="child", workflow_type_version="1", spec=inner, requires=[first]
)
last = floto.ActivityTask(id_="last-{number}", name="say", version="1", requires=[make, child])
spec = floto.DeciderSpec(task_list="decide", activity_task_list="work",
                         activity_tasks=[first, nap, make, child, last])
"""
ACTIVITIES = """
import floto, os, pathlib, time

def note(text):
    with open("log-{number}", "a") as log:
        log.write(text + chr(10))

@floto.activity(name="say", version="1")
def say(context):
    execution = floto.current().execution
    note(execution.workflow_id + " " + str(os.getpid()))
    time.sleep(0.1)
    return {number}

@floto.generator(name="make", version="1")
def make():
    note(floto.current().execution.workflow_id + " " + str(os.getpid()))
    return [floto.ActivityTask(id_="made", name="say", version="1", task_list="work")]
"""


@define
class Flow:
    """One flow, and the process that runs it now."""

    number: int
    shell: Shell
    round: int = 0
    completed: int = 0
    pids: set[int] = field(factory=set)
    process: subprocess.Popen[str] | None = None

    @property
    def workflow_id(self) -> str:
        return f"flow-{self.number}-{self.round}"

    def write(self) -> None:
        for name, text in (("flow", FLOW), ("acts", ACTIVITIES)):
            (self.shell.cwd / f"{name}_{self.number}.py").write_text(text.format(number=self.number))

    def start(self) -> None:
        arguments = [f"flow_{self.number}.py:spec", "--activities", f"acts_{self.number}.py"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "floto", "run", *arguments, "--workflow-id", self.workflow_id],
            cwd=self.shell.cwd,
            env=self.shell.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.pids.add(self.process.pid)

    def interrupt(self, how: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(how)

    def collect(self) -> None:
        """Check the output of a process that has ended, and continue."""
        assert self.process is not None
        out, err = self.process.communicate(timeout=60)
        if self.process.returncode == 0:
            assert json.loads(out) == {f"last-{self.number}": self.number}, (out, err)
            self.completed += 1
            self.round += 1
        else:
            # An interrupt may come before floto has loaded.
            ends = (130, -signal.SIGKILL, -signal.SIGINT)
            assert self.process.returncode in ends, (self.process.returncode, out, err)
        self.process = None

    def check_log(self) -> None:
        """Check that the functions of this flow ran activities of its own runs only."""
        log = self.shell.cwd / f"log-{self.number}"
        for line in log.read_text().splitlines() if log.exists() else ():
            workflow_id, pid = line.rsplit(" ", 1)
            assert workflow_id.startswith(f"flow-{self.number}-"), line
            assert int(pid) in self.pids, line


def storm(directory: Path, seconds: float, seed: int) -> list[Flow]:
    chance = random.Random(seed)
    flows = [Flow(number, Shell(directory)) for number in range(FLOWS)]
    for flow in flows:
        flow.write()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for flow in flows:
            if flow.process is None:
                flow.start()
            elif flow.process.poll() is not None:
                flow.collect()
        time.sleep(0.2)
        if chance.random() < 0.3:
            flow = chance.choice(flows)
            if flow.process is not None and flow.process.poll() is None:
                flow.interrupt(chance.choice([signal.SIGKILL, signal.SIGINT]))
    return flows


def finish(flows: list[Flow]) -> None:
    """Let every flow complete the run that is open."""
    for flow in flows:
        rounds = flow.round
        while flow.round == rounds:
            if flow.process is None:
                flow.start()
            flow.collect()


def check(directory: Path, seconds: float) -> None:
    flows = storm(directory, seconds, seed=7)
    try:
        finish(flows)
    finally:
        for flow in flows:
            if flow.process is not None:
                flow.process.kill()
    for flow in flows:
        flow.check_log()
    assert sum(flow.completed for flow in flows) >= FLOWS
    processes = sum(len(flow.pids) for flow in flows)
    sys.stdout.write(f"{sum(flow.completed for flow in flows)} runs in {processes} processes, all right\n")


def test_interrupted_flows_with_equal_task_lists_are_each_decided_by_their_own_spec(tmp_path: Path) -> None:
    check(tmp_path, seconds=6)


@pytest.mark.slow
def test_a_minute_of_interrupted_flows_with_equal_task_lists(tmp_path: Path) -> None:
    check(tmp_path, seconds=60)
