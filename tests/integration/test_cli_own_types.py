"""The commands on runs with retry strategies of a user's own, which a codec has to know."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.browser import ask, ui
from tests.integration.commands import PATIENCE, Shell, command

PROGRAM = """
import floto
from attrs import frozen

@frozen
class Never:
    def delay(self, retry):
        return None

def part(n):
    return floto.ActivityTask(id_=f"part {n}", name="part", version="1", retry_strategy=Never())

codec = floto.CODEC.with_type("Never", Never)
split = floto.Generator(id_="split", name="split", version="1")
inner = floto.DeciderSpec(activity_tasks=[part(9)])
child = floto.ChildWorkflow(id_="child", workflow_type_name="child", workflow_type_version="1", spec=inner)
last = floto.ActivityTask(id_="last", name="last", version="1", requires=[split, child])
spec = floto.DeciderSpec(activity_tasks=[split, child, last])

@floto.generator(name="split", version="1")
def split_it():
    return [part(0), part(1)]

@floto.activity(name="part", version="1")
def one_part():
    return 1

@floto.activity(name="last", version="1")
def fail():
    raise ValueError("no such luck")

if __name__ == "__main__":
    try:
        floto.run(spec, service="sqlite:///floto.db", workflow_id="monday", codec=codec)
    except floto.WorkflowFailed as failed:
        print(failed)
"""
UNREAD = "the run has begun tasks that 'split' returned, but they cannot be read here: $[0].retry_strategy"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "flow.py").write_text(PROGRAM)
    program = [sys.executable, "flow.py"]
    done = subprocess.run(program, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert "last: ValueError" in done.stdout
    return Shell(tmp_path)


def test_show_and_why_say_what_the_history_says(shell: Shell) -> None:
    for name in ("show", "why"):
        done = command(shell.cwd, name, "monday", "--spec", "flow.py:spec")
        assert (done.returncode, UNREAD in done.stderr) == (0, True)
        assert "split\tfailed" not in done.stdout
        assert "last" in done.stdout


def test_a_run_that_carries_such_a_spec_is_shown(shell: Shell) -> None:
    done = command(shell.cwd, "show", "monday:child")
    assert done.returncode == 0
    assert "type 'Never' is not known" in done.stderr
    assert "part 9\tdone" in done.stdout


def test_what_compares_or_redrives_refuses(shell: Shell) -> None:
    for arguments in (
        ("redrive", "monday", "--spec", "flow.py:spec"),
        ("replay", "flow.py:spec", "monday"),
        ("compare", "flow.py:spec", "flow.py:spec", "monday"),
        ("graph", "flow.py:spec", "--history", "monday"),
    ):
        done = command(shell.cwd, *arguments)
        assert (done.returncode, UNREAD in done.stderr) == (2, True), (arguments, done)
    listed = command(shell.cwd, "list", "--workflow-id", "monday")
    assert len(listed.stdout.splitlines()) == 1


WITH_CODEC = ("--codec", "flow.py:codec")


def test_with_the_codec_the_tasks_are_what_they_were(shell: Shell) -> None:
    shown = command(shell.cwd, "show", "monday", "--spec", "flow.py:spec", *WITH_CODEC)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "split\tdone" in shown.stdout
    why = command(shell.cwd, "why", "monday", "--spec", "flow.py:spec", *WITH_CODEC)
    assert (why.returncode, why.stderr) == (0, "")
    child = command(shell.cwd, "show", "monday:child", *WITH_CODEC)
    assert (child.returncode, child.stderr) == (0, "")
    for arguments in (
        ("replay", "flow.py:spec", "monday"),
        ("compare", "flow.py:spec", "flow.py:spec", "monday"),
        ("graph", "flow.py:spec", "--history", "monday"),
        ("report", "monday", "--spec", "flow.py:spec", "-o", "page.html"),
    ):
        done = command(shell.cwd, *arguments, *WITH_CODEC)
        assert done.returncode == 0, (arguments, done)
        assert "cannot be read" not in done.stderr


def test_saved_history_with_its_spec_is_read_with_the_codec(shell: Shell) -> None:
    saved = ("history", "monday", "--spec", "flow.py:spec", "-o", "monday.json")
    assert command(shell.cwd, *saved).returncode == 2
    assert command(shell.cwd, *saved, *WITH_CODEC).returncode == 0
    # What needs no spec needs no codec.
    assert command(shell.cwd, "timeline", "monday.json").returncode == 0
    why = command(shell.cwd, "why", "monday.json")
    assert (why.returncode, "type 'Never' is not known" in why.stderr) == (0, True)
    refused = command(shell.cwd, "redrive", "monday.json", "--dry-run").stderr
    assert refused.startswith("floto: the spec that was saved with the history: $.activity_tasks[")
    for arguments in (("why",), ("redrive", "--dry-run")):
        done = command(shell.cwd, *arguments, "monday.json", *WITH_CODEC)
        assert (done.returncode, done.stderr.count("not known")) == (0, 0), (arguments, done)


def test_specs_in_json_are_read_with_the_codec(shell: Shell) -> None:
    written = "from flow import codec, spec; print(spec.to_json(codec))"
    program = [sys.executable, "-c", written]
    text = subprocess.run(program, cwd=shell.cwd, check=True, capture_output=True, timeout=PATIENCE).stdout
    (shell.cwd / "spec.json").write_bytes(text)
    assert command(shell.cwd, "check", "spec.json").returncode == 1
    for arguments in (
        ("check", "spec.json"),
        ("replay", "spec.json", "monday"),
        ("compare", "spec.json", "spec.json", "monday"),
        ("report", "monday", "--spec", "spec.json", "--compare", "spec.json", "-o", "page.html"),
    ):
        done = command(shell.cwd, *arguments, *WITH_CODEC)
        assert (done.returncode, done.stderr.count("cannot be read")) == (0, 0), (arguments, done)


def test_with_the_codec_a_redrive_keeps_generated_tasks(shell: Shell) -> None:
    given = ("redrive", "monday", "--spec", "flow.py:spec", "--json", "--dry-run", *WITH_CODEC)
    planned = json.loads(command(shell.cwd, *given).stdout)
    actions = {task["task"]: task["action"] for task in planned["plan"]}
    assert actions.items() >= {"part 0": "keep", "part 1": "keep", "last": "run"}.items()
    assert planned["dropped"] == []


def test_run_and_start_with_the_codec(shell: Shell) -> None:
    ran = command(
        shell.cwd, "run", "flow.py:spec", "--activities", "flow.py", "--workflow-id", "tuesday", *WITH_CODEC
    )
    assert ran.returncode == 1
    assert "last: ValueError" in ran.stderr
    shown = command(shell.cwd, "show", "tuesday", "--spec", "flow.py:spec", *WITH_CODEC)
    assert "part 1\tdone" in shown.stdout
    refused = command(shell.cwd, "start", "--spec", "flow.py:spec")
    assert refused.returncode == 2
    started = command(shell.cwd, "start", "--spec", "flow.py:spec", "--workflow-id", "wednesday", *WITH_CODEC)
    assert started.returncode == 0


@pytest.mark.parametrize("loads", [(), WITH_CODEC])
def test_page_of_a_run_shows_what_the_codec_can_read(shell: Shell, loads: tuple[str, ...]) -> None:
    """The child carries its spec in its input, with a strategy that only the codec knows."""
    with ui("sqlite:///floto.db", "--spec", "flow.py:spec", "--allow-actions", *loads, cwd=shell.cwd) as page:
        _, headers, _ = ask(page, "GET", "/runs/monday:child")
        status, _, text = ask(page, "GET", f"{headers['location'].partition('?')[0]}/document")
        assert status == 200
        assert ("the spec decides as recorded" in text) is bool(loads), text
        _, headers, _ = ask(page, "GET", "/runs/monday")
        run_id = headers["location"].partition("?")[0].rpartition("/")[2]
        preview = f"/actions/redrive?workflow_id=monday&run_id={run_id}&preview=1"
        _, _, text = ask(page, "GET", preview, accept="text/html")
        assert ("floto redrive --codec" in text) is bool(loads), text


def test_loops_with_the_codec_end_what_was_started(shell: Shell) -> None:
    command(shell.cwd, "start", "--spec", "flow.py:spec", "--workflow-id", "thursday", *WITH_CODEC)
    with (
        shell.loop("decider", *WITH_CODEC),
        shell.loop("worker", "--activities", "flow.py", *WITH_CODEC),
    ):
        shell.until("thursday", "FAILED")
    shown = command(shell.cwd, "show", "thursday", *WITH_CODEC)
    assert "part 1\tdone" in shown.stdout
    assert "last\tfailed" in shown.stdout


def test_code_of_users_that_a_codec_imports_prints_nothing_among_the_results(shell: Shell) -> None:
    (shell.cwd / "noisy.py").write_text("print('noise')\nfrom flow import codec")
    shown = shell("show", "monday", "--json", "--codec", "noisy.py:codec")
    assert json.loads(shown.stdout)["counts"]
    assert shown.stderr == "noise\n"
    words = "floto show --codec noisy.py:codec mon"
    completed = shell(_FLOTO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD="4")
    assert completed.stdout.split() == ["plain,monday:child", "plain,monday"]
    assert completed.stderr == ""


STORED = """
import floto, random
from floto.payloads import DirectoryStore

@floto.activity(name="long", version="1")
def long():
    return random.Random(1).randbytes(40_000).hex()

@floto.activity(name="last", version="1")
def last(context):
    raise ValueError("no such luck")

first = floto.ActivityTask(id_="long", name="long", version="1")
when = "length(long) > `0`"
then = floto.ActivityTask(id_="last", name="last", version="1", requires=[first], when=when)
spec = floto.DeciderSpec(activity_tasks=[first, then])
if __name__ == "__main__":
    try:
        floto.run(spec, service="sqlite:///stored.db", workflow_id="w", payloads=DirectoryStore("payloads"))
    except floto.WorkflowFailed as failed:
        print(failed)
"""


@pytest.mark.parametrize("store", [(), ("--payloads", "payloads")])
def test_page_reads_stored_values_from_the_named_store(tmp_path: Path, store: tuple[str, ...]) -> None:
    (tmp_path / "stored.py").write_text(STORED)
    subprocess.run([sys.executable, "stored.py"], cwd=tmp_path, check=True, timeout=PATIENCE)
    assert list((tmp_path / "payloads").iterdir())
    options = ("--spec", "stored.py:spec", "--allow-actions", *store)
    with ui("sqlite:///stored.db", *options, cwd=tmp_path) as page:
        _, headers, _ = ask(page, "GET", "/runs/w")
        _, _, text = ask(page, "GET", f"{headers['location'].partition('?')[0]}/document")
        assert ("the spec decides as recorded" in text) is bool(store), text[:500]
        run_id = headers["location"].partition("?")[0].rpartition("/")[2]
        preview = f"/actions/redrive?workflow_id=w&run_id={run_id}&preview=1"
        _, _, text = ask(page, "GET", preview, accept="text/html")
        assert (f"--payloads {tmp_path / 'payloads'}" in text) is bool(store), text
