"""``floto run`` from start to end, and loops: start lines, resuming, interrupts, time-outs, exit codes."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.core.errors import ServiceUnavailable
from floto.runtime.workers.activities import Activities
from tests.integration.commands import PATIENCE, Shell, wait_for
from tests.integration.test_server import serving
from tests.runs import spec, task

HELD = """
import floto, time
from pathlib import Path

@floto.activity(name="ask", version="1")
def ask():
    return {"n": 1}

@floto.activity(name="tell", version="1")
def tell():
    Path("begun").touch()
    while not Path("go").exists():
        time.sleep(0.02)
"""
RUN = ("run", "flow.py:spec", "--activities", "acts.py", "--workflow-id", "w")


@pytest.fixture
def held(shell: Shell) -> Shell:
    (shell.cwd / "acts.py").write_text(HELD)
    return shell


def test_result_from_a_server_does_not_wait_for_pending_polls(tmp_path: Path, activities: Activities) -> None:
    with serving(tmp_path / "swf.db") as server:
        ended = []

        def listener(state: Any) -> None:
            if state.closed is not None:
                ended.append(time.monotonic())

        run = spec(task("echo"))
        floto.run(run, 1, service=server.url, workflow_id="w", activities=activities, listener=listener)
        # Polls are held for a minute, and a run waited ten seconds for them.
        assert time.monotonic() - ended[0] < 8
        # Its polls have ended too: none takes a task from the run that comes next under the same id.
        with pytest.raises(floto.WorkflowFailed):
            floto.run(spec(task("fail")), service=server.url, workflow_id="v", activities=activities)
        other = Activities()
        other.activity(name="fail", version="1")(lambda: "not any more")
        again = floto.run(
            spec(task("fail")), service=server.url, workflow_id="v", activities=other, timeout=50
        )
        assert again == {"fail": "not any more"}


def test_interrupted_run_on_a_server_does_not_wait_for_pending_polls(held: Shell) -> None:
    with serving(held.cwd / "swf.db") as server:
        there = Shell(held.cwd, server.url)
        with running(there, *RUN) as (_, end):
            wait_for((held.cwd / "begun").exists)
            began = time.monotonic()
            assert end()[0] == 130
        # A poll is held for a minute.
        assert time.monotonic() - began < 40


def test_misspelt_activity_is_reported_before_the_start(activities: Activities) -> None:
    child = floto.ChildWorkflow(
        id_="child", workflow_type_name="c", workflow_type_version="1", spec=spec(task("ecco"))
    )
    with pytest.raises(floto.SpecError) as raised:
        floto.run(spec(task("eco", "first"), child), activities=activities)
    assert "task 'first'" in str(raised.value)
    assert "did you mean 'echo' version '1'" in str(raised.value)
    assert "'ecco'" in str(raised.value)


def test_misspelt_activity_starts_no_run(shell: Shell) -> None:
    text = (shell.cwd / "flow.py").read_text().replace('name="ask"', 'name="aks"')
    (shell.cwd / "flow.py").write_text(text)
    said = shell(*RUN, code=2).stderr
    assert "did you mean 'ask' version '1'" in said
    shell.here("register", "domain", "floto")
    assert shell.here("list")[0] == ""


@contextmanager
def running(shell: Shell, *arguments: str, terminal: bool = False) -> Iterator[tuple[Any, Any]]:
    """The command, and a function that ends it with SIGINT and returns its exit code and what it said."""
    ours, theirs = pty.openpty()
    environment = {**shell.environment, "COLUMNS": "200", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "floto", *arguments],
        cwd=shell.cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs if terminal else subprocess.PIPE,
    )
    os.close(theirs)
    seen = bytearray()
    source = ours if process.stderr is None else process.stderr.fileno()

    def read() -> None:
        try:
            while chunk := os.read(source, 4096):
                seen.extend(chunk)
        except OSError:  # Linux's way to say that the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()

    def end() -> tuple[int, str]:
        process.send_signal(signal.SIGINT)
        (shell.cwd / "go").touch()
        code = process.wait(PATIENCE)
        reader.join(PATIENCE)
        return code, seen.decode()

    with process:
        try:
            yield process, end
        finally:
            process.kill()
            # Before the pipe that it reads is closed.
            reader.join(PATIENCE)
            os.close(ours)


def test_commands_about_a_killed_run_name_the_one_that_resumes_it(held: Shell) -> None:
    with running(held, *RUN) as (process, _):
        wait_for((held.cwd / "begun").exists)
        process.kill()
        process.wait()
    said = held.here("why", "w")[0]
    assert "no worker polls this task list\n    floto run --activities FILE.py --workflow-id w SPEC\n" in said
    problem = "nobody polls task list 'floto.run.w' for activities: floto why w\n"
    assert problem in "".join(held.here("status"))


def test_resumed_run_prints_the_tasks_completed_before(held: Shell) -> None:
    with running(held, *RUN) as (process, _):
        wait_for((held.cwd / "begun").exists)
        process.kill()
        process.wait()
    (held.cwd / "go").touch()
    said = held(*RUN).stderr.splitlines()
    [line] = [line for line in said if "resuming: " in line]
    assert "ask" in line
    assert "2 of 3 done" in line
    assert not any("ask completed" in line for line in said)
    assert any("tell completed" in line for line in said)


def test_interrupted_run_prints_no_table_and_exits_with_130(held: Shell) -> None:
    with running(held, *RUN, terminal=True) as (_, end):
        wait_for((held.cwd / "begun").exists)
        time.sleep(0.5)  # some refreshes of the table
        code, said = end()
    assert code == 130
    assert "running" in said
    last = said[said.rindex("finishing running activities") :]
    # Erased line by line, and nothing drawn after that.
    assert "to resume" in last
    erased = last[last.rindex("\x1b[2K") :]
    assert "running" not in erased
    assert "130" in held.here("run", "--help")[0]


def test_timeout_ends_the_command_and_leaves_the_run_open(held: Shell) -> None:
    done = held(*RUN, "--timeout", "1.5", code=124)
    assert "floto run flow.py:spec --activities acts.py --workflow-id w" in done.stderr
    assert "still open" in done.stderr
    assert held.data("show", "w")["status"] == "OPEN"
    (held.cwd / "go").touch()
    assert '"tell": null' in held(*RUN, "--timeout", "50").stdout
    assert "124" in held.here("run", "--help")[0]


class Gone:
    """A service that does not answer."""

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any, **__: Any) -> None:
            raise ServiceUnavailable(name)

        return call


def test_timeout_ends_the_wait_for_an_unresponsive_service(activities: Activities) -> None:
    with pytest.raises(TimeoutError, match="service did not respond, so it is not known if workflow 'w' is"):
        floto.run(spec(task("echo")), service=Gone(), activities=activities, workflow_id="w", timeout=0.5)


def test_timeout_of_the_command_does_not_call_a_run_open_of_which_nothing_is_known(shell: Shell) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{found.getsockname()[1]}"
    said = shell(*RUN, "--service", nobody, "--timeout", "0.5", code=124).stderr
    assert "timed out after 0.5 s: the service did not respond; to resume:" in said
    assert "still open" not in said


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_negative_timeout_is_refused(activities: Activities, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        floto.run(spec(task("echo")), activities=activities, timeout=timeout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("loop", [("worker", "--activities", "acts.py"), ("decider",), ("daemon",)])
def test_stopped_loop_exits_with_0(shell: Shell, loop: tuple[str, ...], number: signal.Signals) -> None:
    shell.here("register", "domain", "floto")
    with shell.loop(*loop) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


@pytest.mark.parametrize("loop", [("worker", "--activities", "acts.py"), ("decider",), ("daemon",)])
def test_loop_stopped_before_its_service_responds_exits_with_0(shell: Shell, loop: tuple[str, ...]) -> None:
    with shell.loop(*loop, "--service", "http://127.0.0.1:1") as process:
        assert process.stderr is not None
        assert "Could not connect" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


def test_decider_with_a_task_list_polls_no_other(shell: Shell) -> None:
    (shell.cwd / "nested.py").write_text(
        "import floto\nfrom flow import other\n"
        "names = {'workflow_type_name': 'c', 'workflow_type_version': '1'}\n"
        "child = floto.ChildWorkflow(id_='c', spec=other, **names)\n"
        "spec = floto.DeciderSpec(activity_tasks=[child])\n"
    )
    shell.here("register", "domain", "floto")
    with shell.loop("decider", "nested.py:spec", "--task-list", "x") as process:
        assert process.stderr is not None
        assert "task list 'x'" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert "task list 'others'" not in process.communicate(timeout=PATIENCE)[1]


def test_activities_of_a_package_are_imported_by_its_name(shell: Shell) -> None:
    package = shell.cwd / "top" / "jobs"
    package.mkdir(parents=True)
    for directory in (package, package.parent):
        (directory / "__init__.py").touch()
    (package / "names.py").write_text("NAME = 'ask'\n")
    (package / "activities.py").write_text(
        "import floto\nfrom .names import NAME\nfrom ..jobs import names\n"
        "@floto.activity(name=NAME, version='1')\ndef ask():\n    return __name__\n"
    )
    done = shell("run", "flow.py:other", "--activities", "top/jobs/activities.py", "--service", "memory:")
    assert '"ask": "top.jobs.activities"' in done.stdout


def test_file_shadowed_by_another_module_is_an_error(shell: Shell) -> None:
    package = shell.cwd / "sub" / "json"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "activities.py").write_text("import floto\n")
    said = shell("run", "flow.py:other", "--activities", "sub/json/activities.py", code=2).stderr
    assert "module 'json.activities'" in said
    assert "another file" in said


SIGNALS = """
import floto
approve = floto.Signal(id_="ok", signal_name="approve")
spec = floto.DeciderSpec(activity_tasks=[approve])
"""


def test_misspelt_signal_is_sent_with_a_warning(anywhere: Shell) -> None:
    (anywhere.cwd / "waits.py").write_text(SIGNALS)
    anywhere("start", "--spec", "waits.py:spec", "--workflow-id", "w")
    _, said = anywhere.here("signal", "w", "aprove")
    assert "sent aprove to w" in said
    assert "no task of its spec waits for the signal 'aprove'; did you mean 'approve'?" in said
    _, said = anywhere.here("signal", "w", "approve")
    assert said == "sent approve to w\n"
    assert anywhere.data("show", "w")["counts"]["signals"] == 2
    anywhere.here("terminate", "w")
    _, said = anywhere.here("signal", "w", "approve", code=2)
    assert "TERMINATED" in said
    assert "closed" in said
