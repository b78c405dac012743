"""``floto fuzz`` as a real process in a user's project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOW = """
from attrs import frozen
from floto import CODEC, ActivityTask, DeciderSpec, Generator, Timer, activity, generator

@frozen
class Never:
    def delay(self, retry):
        return {delay}

parts = Generator(id_="parts", name="parts", version="v1")
work = ActivityTask(id_="work", name="work", version="v1", requires=[parts], retry_strategy=Never())
spec = DeciderSpec(activity_tasks=[parts, work, Timer(id_="wait", delay_in_seconds=5, requires=[work])])
codec = CODEC.with_type("Never", Never)

@generator(name="parts", version="v1")
def parts(context):
    return [ActivityTask(id_=each, name="part", version="v1") for each in context["workflow"]]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(FLOW.format(delay="None"))
    return tmp_path


def python(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{cwd}"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_sound_spec_reports_success_with_coverage(project: Path) -> None:
    done = python(project, "floto", "fuzz", "flow.py:spec", "--seconds", "1", "--codec", "flow.py:codec")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every invariant held" in done.stdout
    assert "not checked" not in done.stdout
    assert not (project / "test_counterexample.py").exists()


SPEC = """{"type": "floto.specs.DeciderSpec", "activity_tasks": [
    {"type": "floto.specs.task.ActivityTask", "id_": "work", "name": "work", "version": "v1",
     "retry_strategy": {"type": "Never"}}]}"""


def test_activities_that_only_the_module_of_the_codec_registers_are_not_executed(project: Path) -> None:
    executed = project / "executed"
    (project / "own.py").write_text(
        f"{FLOW.format(delay='None')}\n@activity(name='work', version='v1')\n"
        f"def execute():\n    open({str(executed)!r}, 'w')\n"
    )
    (project / "spec.json").write_text(SPEC)
    done = python(project, "floto", "fuzz", "spec.json", "--seconds", "1", "--codec", "own.py:codec")
    assert (done.returncode, executed.exists()) == (0, False), done.stdout + done.stderr


def test_kinds_unknown_to_the_codec_are_reported_as_unchecked(project: Path) -> None:
    done = python(project, "floto", "fuzz", "flow.py:spec", "--seconds", "1")
    assert done.returncode == 0
    assert "not checked: that the spec stays the same when it is written as JSON" in done.stdout


def test_violation_is_written_as_a_test_that_fails_until_it_is_repaired(project: Path) -> None:
    (project / "flow.py").write_text(FLOW.format(delay="5"))
    done = python(project, "floto", "fuzz", "flow.py:spec", "--seconds", "20", "-o", "test_found.py")
    assert done.returncode == 1
    assert "task 'work': its retry strategy Never() has not given up after 4,200 failures" in done.stdout
    assert "pytest test_found.py" in done.stdout
    again = python(project, "pytest", "-q", "-p", "no:cacheprovider", "test_found.py")
    assert again.returncode == 1
    assert "has not given up after 4,200 failures" in again.stdout
    (project / "flow.py").write_text(FLOW.format(delay="None"))
    assert python(project, "pytest", "-q", "-p", "no:cacheprovider", "test_found.py").returncode == 0


def test_generators_of_the_user_are_called_with_the_input(project: Path) -> None:
    """Two tasks of one id are found by running the function that returns them."""
    asked = ("floto", "fuzz", "flow.py:spec", "--activities", "flow.py", "--seconds", "2", "--input")
    done = python(project, *asked, '["a", "b"]')
    assert done.returncode == 0, done.stdout
    done = python(project, *asked, '["a", "a"]')
    assert done.returncode == 1
    assert "'a'" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.py:spec",), "there is no such file"),
        (("flow.py:spec", "--codec", "flow.py:spec"), "the Codecs there are called CODEC, codec"),
        (("flow.py:spec", "--seconds", "0"), "x>=0.1"),
        (("flow.py:spec", "--input", "{"), "is not JSON"),
        (("flow.py:spec", "-o", "nowhere/test_it.py"), "there is no directory nowhere"),
    ],
)
def test_usage_errors_of_fuzz_are_reported(project: Path, arguments: tuple[str, ...], said: str) -> None:
    done = python(project, "floto", "fuzz", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
