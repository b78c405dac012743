"""What the README shows is run as it stands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from floto.runtime.connect import connect

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
RESULT = {"report": "Monday: 30"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def command(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=directory, env=environment, stdout=subprocess.PIPE, text=True
    )


def output(directory: Path, *arguments: str) -> str:
    with command(directory, *arguments) as process:
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
    assert len(FILES) == README.count("```python\n") == 8


def test_the_tour_runs_on_the_command_line(directory: Path) -> None:
    [line] = re.findall(r"^floto run (flow.*)$", README, re.MULTILINE)
    assert '"report": "Monday: 30"' in output(directory, "-m", "floto", "run", *line.split())
    assert "3 tasks" in output(directory, "-m", "floto", "check", "flow.py:spec")


def test_the_tour_runs_from_python(directory: Path) -> None:
    assert output(directory, "once.py") == f"{RESULT}\n"
    assert f"# {RESULT}\n" in FILES["once.py"]
    output(directory, "mine.py")


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
    assert {"activity report completed 0", "timer settle completed 0"} <= set(lines)


def test_there_are_exactly_two_commands_and_each_sets_itself_up() -> None:
    commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", README)
    assert [name for name, _ in commands] == ["example", "tests"]
    for _, text in commands:
        assert "\n" not in text
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install --quiet ")
