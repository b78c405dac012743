"""The command, as a real process: exit codes, stdout for the result alone, no traceback for a typo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import floto
from tests.integration.commands import command

ROOT = Path(__file__).parents[2]

SPEC = """
import floto
first = floto.ActivityTask(id_="first", name="first", version="1")
second = floto.ActivityTask(id_="second", name="second", version="1", requires=[first])
spec = floto.DeciderSpec(activity_tasks=[first, second])
number = 3
"""
TIMED = """
import floto
night = floto.Schedule(id_="night", every=3600, workflow_type=("w", "1"))
"""
ACTIVITIES = """
import floto, os, subprocess, sys

@floto.activity(name="first", version="1")
def first(context):
    print("printed by first")
    subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)
    return context.get("workflow")

@floto.activity(name="second", version="1")
def second(context):
    if os.environ.get("FAIL"):
        raise ValueError("no such luck")
    return {"héllo": context["first"]}
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SPEC)
    (tmp_path / "timed.py").write_text(TIMED)
    (tmp_path / "acts.py").write_text(ACTIVITIES)


RUN = ("run", "flow:spec", "--activities", "acts.py")


def test_result_goes_to_stdout_and_the_rest_to_stderr(tmp_path: Path) -> None:
    done = command(tmp_path, *RUN, "--input", '{"n": 1}')
    assert done.returncode == 0, done.stderr
    assert done.stdout == json.dumps({"second": {"héllo": {"n": 1}}}, indent=2, ensure_ascii=False) + "\n"
    for text in ("workflow floto-", "printed by first", "printed by a child", "second completed"):
        assert text in done.stderr


def test_failed_run_prints_the_task_and_its_error(tmp_path: Path) -> None:
    done = command(tmp_path, *RUN, FAIL="1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "second: ValueError: no such luck" in done.stderr
    assert "Traceback" not in done.stderr


def test_verbose_shows_the_traceback_of_an_activity(tmp_path: Path) -> None:
    assert "Traceback" in command(tmp_path, *RUN, "--verbose", FAIL="1").stderr


def test_completed_run_is_not_started_again(tmp_path: Path) -> None:
    first = command(tmp_path, *RUN, "--workflow-id", "w", "--input", "1")
    again = command(tmp_path, *RUN, "--workflow-id", "w")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "already completed, nothing to run" in again.stderr
    assert "printed" not in again.stderr


def test_a_spec_in_json_and_input_from_a_file(tmp_path: Path) -> None:
    task = floto.ActivityTask(id_="only", name="first", version="1")
    (tmp_path / "spec.json").write_text(floto.DeciderSpec(activity_tasks=[task]).to_json())
    (tmp_path / "input.json").write_text("[1, 2]")
    done = command(
        tmp_path, "run", "spec.json", "--activities", "acts", "--input", "@input.json", "--service", "memory:"
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"only": [1, 2]})
    assert not (tmp_path / "floto.db").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere:spec"), "there is no module 'nowhere'"),
        (("run", "nowhere.py:spec"), "there is no such file"),
        (("run", "nowhere.json"), "No such file"),
        (("run", "flow"), "FILE.json, FILE.py:name or module:name"),
        (("run", "flow:nothing"), "the DeciderSpecs there are called spec"),
        (("run", "flow.py:number"), "'number' is an int"),
        (
            ("check", "timed.py:nightly"),
            "no 'nightly'; there is no DeciderSpec in it; the Schedules there are",
        ),
        (("run", "flow:spec"), "--activities"),
        (("run", "flow:spec", "--activities", "flow.py"), "flow.py: no function is registered with @floto"),
        (
            ("worker", "--activities", "flow.py"),
            "flow.py: no function is registered with @floto.activity there",
        ),
        (("run", "flow:spec", "--activities", "nowhere.py"), "there is no such file"),
        (("run", "broken:spec"), "broken.py"),
        (("check", "twofold.py:spec"), "twofold.py, line 2)"),
        (("run", "syntax:spec"), "SyntaxError"),
        ((*RUN, "--input", "{not json"), "not JSON"),
        ((*RUN, "--input", "@nowhere.json"), "No such file"),
        ((*RUN, "--service", "mysql://x"), "sqlite:///relative.db"),
        ((*RUN, "--service", "sqlite:///no/such/dir/x.db"), "directory that does not exist"),
        ((*RUN, "--concurrency", "0"), "concurrency"),
        ((*RUN, "--no-such-option"), "No such option"),
        (("run",), "Missing argument"),
        (("check", "nowhere:spec"), "there is no module 'nowhere'"),
    ],
)
def test_usage_errors_print_one_line(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    (tmp_path / "broken.py").write_text("import floto\n\nspec = undefined\n")
    (tmp_path / "syntax.py").write_text("spec = (\n")
    (tmp_path / "twofold.py").write_text(
        "import floto\nfloto.activity(name='a', version='1')(lambda a, b: 1)\n"
    )
    done = command(tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_check_prints_the_expected_number_of_events(tmp_path: Path) -> None:
    done = command(tmp_path, "check", "flow:spec")
    assert done.returncode == 0
    assert "2 tasks" in done.stdout
    assert "25,000" in done.stdout


def test_check_lists_every_problem_at_once(tmp_path: Path) -> None:
    def task(**fields: object) -> dict[str, object]:
        return {"type": "floto.specs.task.ActivityTask", "name": "n", "version": "1", **fields}

    tasks = [
        task(id_="a", requires=["b"]),
        task(id_="b", requires=["a"]),
        task(id_="c", requires=["nowhere"]),
        task(id_="d"),
        task(id_="d"),
        task(id_="e" * 300),
    ]
    spec = {"type": "floto.specs.DeciderSpec", "activity_tasks": tasks}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    done = command(tmp_path, "check", "spec.json")
    assert done.returncode == 1
    for said in ("'nowhere'", "'d'", "300 characters", "dependency cycle"):
        assert said in done.stdout
    assert "a -> b -> a" in done.stdout or "b -> a -> b" in done.stdout


def check_tasks(directory: Path, *, child: bool = False, many: int) -> subprocess.CompletedProcess[str]:
    tasks = [floto.ActivityTask(id_=f"t{number}", name="n", version="1") for number in range(many)]
    spec = floto.DeciderSpec(activity_tasks=tasks)
    if child:
        carries = floto.ChildWorkflow(
            id_="part", workflow_type_name="c", workflow_type_version="1", spec=spec
        )
        spec = floto.DeciderSpec(activity_tasks=[carries])
    (directory / "spec.json").write_text(spec.to_json())
    return command(directory, "check", "spec.json")


def test_check_refuses_a_spec_that_cannot_complete(tmp_path: Path) -> None:
    done = check_tasks(tmp_path, many=8_400)
    assert done.returncode == 1
    assert "split it into child workflows" in done.stdout


def test_check_accepts_a_spec_that_completes_with_batched_decisions(tmp_path: Path) -> None:
    done = check_tasks(tmp_path, many=4_200)
    assert done.returncode == 0, done.stdout
    assert "4,200 tasks, 12,608 to 25,205 events expected" in done.stdout
    assert "move some tasks into child workflows" in done.stdout


def test_check_refuses_a_child_that_cannot_complete(tmp_path: Path) -> None:
    done = check_tasks(tmp_path, child=True, many=8_400)
    assert done.returncode == 1
    assert done.stdout.startswith("1 task, 11 to 14 events expected")
    assert "the spec of child 'part' writes 25,208 events at least" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_command_at_once(tmp_path: Path, number: int) -> None:
    (tmp_path / "slow.py").write_text(
        "import floto, time\n"
        "floto.activity(name='first', version='1')(lambda: (open('begun', 'w').close(), time.sleep(120)))\n"
        "floto.activity(name='second', version='1')(lambda: None)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "floto", "run", "flow:spec", "--activities", "slow.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not (tmp_path / "begun").exists():
            time.sleep(0.02)
        process.send_signal(number)
        assert process.stderr is not None
        said = iter(process.stderr.readline, "")
        assert any("interrupt again to stop at once" in line for line in said)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--workflow-id floto-" in err
    assert "Traceback" not in err


def test_version(tmp_path: Path) -> None:
    assert floto.__version__ in command(tmp_path, "--version").stdout


def test_unpaired_surrogate_in_the_result_is_printed_escaped(tmp_path: Path) -> None:
    with (tmp_path / "acts.py").open("a") as file:
        file.write('@floto.activity(name="half", version="1")\ndef half():\n    return "\\ud83d"\n')
    (tmp_path / "half.py").write_text(
        "import floto\n"
        'spec = floto.DeciderSpec(activity_tasks=[floto.ActivityTask(id_="h", name="half", version="1")])\n'
    )
    done = command(tmp_path, "run", "half:spec", "--activities", "acts.py")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"h": "\ud83d"}
