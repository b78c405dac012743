"""The commands and code of the README, run as they are."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from floto.core.errors import UnknownResource
from floto.core.swf.events import ActivityTaskCompleted, ActivityTaskScheduled, Event
from floto.core.swf.service import Service
from floto.runtime.connect import connect
from floto.runtime.loading import load_spec
from floto.testing import fails, returns, simulate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", README, re.MULTILINE | re.DOTALL))
[SERVER] = re.findall(r"^floto (server .*?) &", README, re.MULTILINE)
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


class Block(NamedTuple):
    """A fenced block: what it is, what is marked above it, and its text."""

    mark: str
    kind: str
    text: str


FENCED = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [Block(*found) for found in FENCED.findall(README)]
#: Blocks that need a clone or the network. CI gives the commands; of `install`, the extras are checked.
ELSEWHERE = ("command: example", "command: tests", "install")
#: What a reader waits for before giving a command, as the README says.
BEFORE = {
    "kill $DECIDER $WORKER; wait": "until_completed wednesday --service sqlite:///jobs.db",
    "floto history friday": "until_completed friday",
    "floto run flow.py:spec --activities activities.py --workflow-id thursday": "until_served",
}
#: What is printed by the block in which this stands.
PRINTED = {
    "hello_world.py": ("started hello_world_v1", "Hello, world!", "COMPLETED"),
    "floto check rules.py:spec": ("always run, unless a task fails the run: score", "sometimes run"),
    "floto check flow.py:spec": ("3 tasks", '"report": "Monday: 30"'),
    "once.py": ("{'report': 'Monday: 30'}",),
    "start.py": ("22",),
    "floto status": ("friday", "decider", "worker", "sqlite:////"),
    "simple.py": ("None",),
    "floto schedule list": ("nightly: At 02:00 every day, Europe/Berlin\nnext 20", "\twaiting\t20"),
    "thursday": ('"report": "Monday: 30"',),
    "ask.py": ("thursday COMPLETED ",),
    "why.py": ("[]\n", "activity report completed 0", "timer settle completed 0", "None", "report: waiting"),
    "floto compare": (
        *("friday.json: agrees in", "report: done: 'Monday: 30'", "1 different input"),
        *("input was", "ActivityTask: done", "November"),
    ),
    "pytest test_flow.py": ("2 passed",),
    "mine.py": ("read back from JSON: OnlyAtFirst(seconds=5)",),
}
#: Exits with 1 because something differs, as the README says it does.
DIFFERS = "floto compare flow.py:spec new.py:spec histories/"
FUNCTIONS = """
until_completed() { until floto show "$@" | grep -q COMPLETED; do sleep 0.2; done; }
is_served() { python -c "import urllib.request as r; r.urlopen('$SERVED/health')" 2> /dev/null; }
until_served() { until is_served; do sleep 0.2; done; }
trap 'echo "FAILED: $BASH_COMMAND"' ERR
"""


def is_given(block: Block) -> bool:
    return block.mark not in ELSEWHERE and block.kind != "text"


def test_every_block_belongs_to_the_tour_or_is_tested_elsewhere() -> None:
    # Each fence opens a block or closes one, so that none was missed.
    assert len(re.findall(r"^ *(?:```|~~~)", README, re.MULTILINE)) == 2 * len(BLOCKS)
    assert {block.kind for block in BLOCKS} == {"python", "sh", "text"}
    assert sorted(block.mark for block in BLOCKS if block.mark) == sorted(ELSEWHERE)
    python = [block.text for block in BLOCKS if block.kind == "python"]
    assert all(re.match(r"# \w+\.py\n", text) for text in python)
    assert len(FILES) == len(python)
    # Every program of the README is run by a block, or imported by one that is.
    imported = set(re.findall(r"^(?:from|import) (\w+)", "\n".join(python), re.MULTILINE))
    shell = "\n".join(block.text for block in BLOCKS if block.kind == "sh" and is_given(block))
    assert [name for name in FILES if name.removesuffix(".py") not in imported and name not in shell] == [
        "new.py"
    ] * ("new.py" not in shell)


def test_requirements_of_the_tour_are_installed() -> None:
    [install] = [block.text for block in BLOCKS if block.mark == "install"]
    [extras] = re.findall(r"^pip install \"\$FLOTO\[(.*)\]\"$", install, re.MULTILINE)
    with (ROOT / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)


def script(given: Sequence[Block], port: int) -> str:
    """Write each file and run each command of the README, in order."""
    lines = [f"SERVED=http://127.0.0.1:{port}", FUNCTIONS]
    for number, block in enumerate(given):
        text = block.text.replace("8044", str(port)).replace("swf.db &", f"swf.db --port {port} &")
        lines.append(f"echo '== {number}'")
        if block.kind == "python":
            name = text.split("\n", 1)[0].removeprefix("# ")
            lines.append(f"cat > {name} << 'END OF FILE'\n{text}END OF FILE")
        else:
            waits = [wait for command, wait in BEFORE.items() if text.startswith(command)]
            lines += [*waits, text]
    return "\n".join([*lines, "echo '== end'"])


def test_every_block_of_the_tour_prints_the_documented_output(tmp_path: Path) -> None:
    given = list(filter(is_given, BLOCKS))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    printed = shell(tmp_path, script(given, port))
    parts = re.split(r"^== (?:\d+|end)\n", printed, flags=re.MULTILINE)[1:]
    assert len(parts) == len(given) + 1
    said = dict(PRINTED)
    for block, part in zip(given, parts, strict=False):
        failed = re.findall(r"^FAILED: (.*)$", part, re.MULTILINE)
        assert [each for each in failed if each != DIFFERS] == [], part
        assert "Traceback" not in part
        for name in [name for name in said if block.kind == "sh" and name in block.text]:
            assert [text for text in said.pop(name) if text not in part] == [], part
    assert said == {}, "no block gives these commands"
    assert (tmp_path / "friday.svg").read_text().startswith("<svg")


def shell(directory: Path, text: str) -> str:
    """Return what a script prints that uses the programs that the tour installs."""
    programs = {"floto": "-m floto", "python": "", "pytest": "-m pytest -p no:cacheprovider"}
    (directory / "bin").mkdir()
    for name, arguments in programs.items():
        program = directory / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        program.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTO_"))}
    path = f"{directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", "-uo", "pipefail", "-c", text],
        cwd=directory,
        env={**inherited, "PYTHONPATH": str(ROOT), "FLOTO": str(ROOT), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=300)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what a block left in the background
    assert process.returncode == 0, out
    return out


def serving(directory: Path, port: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The README's server on a port, and what its export line says."""
    process = command(directory, "-m", "floto", *shlex.split(SERVER), "--port", port)
    assert process.stdout is not None
    assert f"writing {directory / 'swf.db'}" in process.stdout.readline()
    exported = process.stdout.readline().split()
    assert exported[0] == "export"
    return process, dict(pair.split("=", 1) for pair in exported[1:])


def test_run_resumes_after_the_server_is_killed(directory: Path) -> None:
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


def test_readme_has_two_self_contained_setup_commands() -> None:
    commands = re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", README)
    assert [name for name, _ in commands] == ["example", "tests"]
    for _, text in commands:
        assert "\n" not in text
        assert text.startswith("python3 -m venv .venv && .venv/bin/pip install --quiet ")


def test_rules_of_the_readme_skip_and_join(directory: Path) -> None:
    spec = load_spec(f"{directory / 'rules.py'}:spec")
    for risk, ran in ((5, ["order", "notice", "report"]), (50, ["refusal", "report"])):
        outcomes = {"score": returns({"risk": risk}), "notice": fails()}
        run = simulate(spec, outcomes)
        assert run.status == "COMPLETED"
        scheduled = [
            each.data.activity_id for each in run.main if isinstance(each.data, ActivityTaskScheduled)
        ]
        assert sorted(scheduled) == sorted(["score", *ran])
