"""What the README shows is run as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from floto.core.errors import UnknownResource
from floto.core.swf.events import ActivityTaskCompleted, Event
from floto.core.swf.service import Service
from floto.runtime.connect import connect

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
[SERVER] = re.findall(r"^floto (server .*)$", README, re.MULTILINE)
[RUN] = re.findall(r"^floto (run .* --service .*)$", README, re.MULTILINE)
SERVED = "http://127.0.0.1:8044"
RESULT = {"report": "Monday: 30"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def command(directory: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=directory, env=environment, stdout=subprocess.PIPE, text=True
    )


def output(directory: Path, *arguments: str, **environment: str) -> str:
    with command(directory, *arguments, **environment) as process:
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out


@contextmanager
def running(directory: Path, name: str) -> Iterator[None]:
    with command(directory, name) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    assert process.returncode == 0


def test_every_python_block_is_a_file() -> None:
    assert len(FILES) == README.count("```python\n") == 11


def test_the_tour_runs_on_the_command_line(directory: Path) -> None:
    [line] = re.findall(r"^floto run (flow.*monday)$", README, re.MULTILINE)
    assert '"report": "Monday: 30"' in output(directory, "-m", "floto", "run", *line.split())
    assert "3 tasks" in output(directory, "-m", "floto", "check", "flow.py:spec")


def test_the_tour_runs_from_python(directory: Path) -> None:
    assert output(directory, "once.py") == f"{RESULT}\n"
    assert f"# {RESULT}\n" in FILES["once.py"]
    output(directory, "mine.py")


def test_the_tour_is_tested(directory: Path) -> None:
    output(directory, "-m", "pytest", "-q", "test_flow.py")


def test_the_tour_runs_in_several_processes(directory: Path) -> None:
    with running(directory, "decider.py"), running(directory, "worker.py"):
        output(directory, "start.py")
        service = connect(f"sqlite:///{directory / 'jobs.db'}")
        try:
            end = time.monotonic() + 40
            while (info := service.latest_execution("wednesday")) and not info.close_status:
                assert time.monotonic() < end
                time.sleep(0.1)
            assert info
            assert info.close_status == "COMPLETED"
        finally:
            service.close()
    lines = output(directory, "why.py").splitlines()
    assert lines[0] == "[]"
    assert {"activity report completed 0", "timer settle completed 0", "None"} <= set(lines)
    assert "report: waiting" in lines
    assert lines[-1] == "True"


def test_the_simple_api_starts_and_ends_a_run(directory: Path) -> None:
    assert output(directory, "simple.py") == "None\n"


def test_the_command_line_starts_a_run_and_answers_for_its_history(directory: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    [runs] = [text for text in blocks if "floto decider" in text]
    [asks] = [text for text in blocks if "floto replay" in text]
    until = "until floto show friday | grep -q COMPLETED; do sleep 0.2; done\n"
    runs = runs.replace("floto show friday", f"{until}floto show friday")
    asks = asks.replace("floto compare", "cp friday.json histories/\nfloto compare")
    out = shell(directory, f"{runs}{asks}kill %1 %2\nwait\n")
    for said in ("friday.json: agrees in", "report: done: 'Monday: 30'", "1 same", "ActivityTask: completed"):
        assert said in out
    assert (directory / "friday.svg").read_text().startswith("<svg")


def shell(directory: Path, script: str) -> str:
    """What a script prints that uses ``floto``, and the files the tour speaks of."""
    floto = directory / "bin" / "floto"
    floto.parent.mkdir()
    floto.write_text(f'#!/bin/sh\nexec {sys.executable} -m floto "$@"\n')
    floto.chmod(0o755)
    (directory / "new.py").write_text("from flow import spec\n")
    (directory / "histories").mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{floto.parent}{os.pathsep}{os.environ['PATH']}",
    }
    with subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0
    return out


def serving(directory: Path, port: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The README's server on a port, and what its export line says."""
    process = command(directory, "-m", "floto", *shlex.split(SERVER), "--port", port)
    assert process.stdout is not None
    assert f"writing {directory / 'swf.db'}" in process.stdout.readline()
    exported = process.stdout.readline().split()
    assert exported[0] == "export"
    return process, dict(pair.split("=", 1) for pair in exported[1:])


def test_the_server_is_killed_and_the_run_goes_on(directory: Path) -> None:
    flow = directory / "flow.py"
    flow.write_text(flow.read_text().replace("delay_in_seconds=1", "delay_in_seconds=8"))
    server, environment = serving(directory, "0")
    url = environment["AWS_ENDPOINT_URL_SWF"]
    with command(directory, "-m", "floto", *shlex.split(RUN.replace(SERVED, url))) as run:
        service = connect(url)
        end = time.monotonic() + 60
        # While it waits for its timer. A task in the hands of a server that dies may be lost, as with SWF.
        while sum(isinstance(event.data, ActivityTaskCompleted) for event in thursday(service)) < 4:
            assert time.monotonic() < end
            time.sleep(0.05)
        server.kill()
        server.communicate()
        server, again = serving(directory, url.rsplit(":", 1)[1])
        assert again == environment
        out, _ = run.communicate(timeout=90)
        service.close()
    assert run.returncode == 0
    assert json.loads(out) == RESULT
    asked = output(directory, "ask.py", **environment)
    assert re.fullmatch(r"thursday COMPLETED \d+ events\n", asked)
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)
    assert server.returncode == 0


def thursday(service: Service) -> tuple[Event, ...]:
    try:
        info = service.latest_execution("thursday")
    except UnknownResource:
        return ()  # the domain is registered by the run
    return () if info is None else service.history(info.execution)


def test_there_are_exactly_two_commands_and_each_sets_itself_up() -> None:
    commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", README)
    assert [name for name, _ in commands] == ["example", "tests"]
    for _, text in commands:
        assert "\n" not in text
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install --quiet ")
