"""The pytest plugin, in real pytest runs of a user's project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from floto import CODEC, ActivityTask, DeciderSpec, Generator, Retry
from floto.adapters.history_files import save
from floto.runtime.pytest_plugin import pytest_configure
from floto.testing import simulate

ROOT = Path(__file__).parents[2]
SPEC = DeciderSpec(
    activity_tasks=[
        ActivityTask(id_="first", name="work", version="v1"),
        ActivityTask(id_="second", name="work", version="v1", requires=["first"]),
    ]
)
OWN = """
from attrs import frozen
from floto import CODEC

@frozen
class Never:
    def delay(self, retry):
        return None

codec = CODEC.with_type("Never", Never)
"""
FLOW = """
from floto import CODEC, ActivityTask, DeciderSpec, Generator, Retry

first = ActivityTask(id_="first", name="work", version="v1", task_priority={priority})
spec = DeciderSpec(activity_tasks=[
    first, ActivityTask(id_="second", name="work", version="v1", requires=[first])
])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with two saved histories, one of them with its spec."""
    (tmp_path / "histories").mkdir()
    history = simulate(SPEC).main
    save(history, tmp_path / "histories" / "bare.json")
    save(history, tmp_path / "histories" / "whole.json.gz", spec=SPEC)
    (tmp_path / "histories" / "notes.txt").write_text("no history")
    type_ = history.start.workflow_type
    (tmp_path / "pytest.ini").write_text(
        f"[pytest]\nfloto_specs = {type_.name}:{type_.version} = flow.py:spec\n"
    )
    (tmp_path / "flow.py").write_text(FLOW.format(priority=None))
    return tmp_path


def run_pytest(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_saved_histories_are_collected_as_tests(project: Path) -> None:
    done = run_pytest(project, "-v", "--floto-histories", "histories")
    assert done.returncode == 0, done.stdout
    assert "histories/bare.json::replay PASSED" in done.stdout
    assert "histories/whole.json.gz::replay PASSED" in done.stdout
    assert "notes.txt" not in done.stdout


def test_each_history_is_collected_once_for_any_arguments(project: Path) -> None:
    (project / "test_own.py").write_text("def test_own(): pass\n")
    for more in ((".",), ("histories", "test_own.py"), ("-n2",), ()):
        done = run_pytest(project, *more, "--floto-histories", "histories")
        assert "3 passed" in done.stdout, done.stdout


def test_pytest_that_would_leave_out_other_tests_is_refused(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(pytest, "__version__", "8.4.2")
    monkeypatch.setattr(pytest, "version_tuple", (8, 4, 2))
    pytest_configure(pytestconfig)
    monkeypatch.setattr(pytestconfig.option, "floto_histories", ["histories"])
    with pytest.raises(pytest.UsageError, match=r"needs pytest 9: pytest 8\.4\.2 may leave out"):
        pytest_configure(pytestconfig)


def test_divergent_history_fails_naming_the_step(project: Path) -> None:
    (project / "flow.py").write_text(FLOW.format(priority=3))
    done = run_pytest(project, "--floto-histories", "histories")
    assert done.returncode == 1
    assert "bare.json differs from flow.py:spec" in done.stdout
    assert "step 1 (event 4): ScheduleActivityTask 'first': task_priority was None" in done.stdout
    assert "Traceback" not in done.stdout


@frozen
class Never:
    """A retry strategy that the plugin cannot read."""

    def delay(self, retry: Retry) -> float | None:  # noqa: ARG002 - the same for every retry
        return None


def test_generated_tasks_that_only_a_codec_can_read_are_no_divergence(project: Path) -> None:
    split = Generator(id_="split", name="split", version="v1")
    spec = DeciderSpec(activity_tasks=[split])
    part = ActivityTask(id_="part", name="part", version="v1", retry_strategy=Never())
    own = simulate(spec, {"split": lambda _: [part]}, codec=CODEC.with_type("Never", Never)).main
    save(own, project / "histories" / "own.json", spec=spec)
    (project / "pytest.ini").write_text("[pytest]\n")
    done = run_pytest(project, "--floto-histories", "histories", "-k", "own")
    assert done.returncode == 1
    assert "the run has begun tasks that 'split' returned, but they cannot be read here" in done.stdout
    (project / "own.py").write_text(OWN)
    (project / "pytest.ini").write_text("[pytest]\nfloto_codec = own.py:codec\n")
    assert run_pytest(project, "--floto-histories", "histories", "-k", "own").returncode == 0


def test_spec_is_configurable_by_file_name_pattern(project: Path) -> None:
    """Runs of several workflows may have one type, as those of ``floto run`` do."""
    (project / "other.py").write_text(FLOW.format(priority=3))
    ini = (project / "pytest.ini").read_text()
    (project / "pytest.ini").write_text(f"{ini}    bare*.json = other.py:spec\n")
    done = run_pytest(project, "--floto-histories", "histories")
    assert "1 failed, 1 passed" in done.stdout
    assert "bare.json differs from other.py:spec" in done.stdout


def test_history_is_replayed_with_the_spec_saved_beside_it(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n")
    done = run_pytest(project, "--floto-histories", "histories")
    assert "1 failed, 1 passed" in done.stdout
    assert "no spec is known for" in done.stdout
    assert "floto_specs" in done.stdout


@pytest.mark.parametrize(
    ("ini", "arguments", "said"),
    [
        (
            "floto_specs = flow = flow.py:spec",
            ("--floto-histories", "histories"),
            "must be NAME:VERSION = SPEC or PATTERN.json = SPEC",
        ),
        ("", ("--floto-histories", "nowhere"), "nowhere is not a directory"),
    ],
)
def test_configuration_errors_are_reported(
    project: Path, ini: str, arguments: tuple[str, ...], said: str
) -> None:
    (project / "pytest.ini").write_text(f"[pytest]\n{ini}\n")
    done = run_pytest(project, *arguments)
    assert done.returncode
    assert said in done.stdout + done.stderr


def test_file_that_is_not_a_history_fails_naming_the_file(project: Path) -> None:
    (project / "histories" / "broken.json").write_text("[[[")
    done = run_pytest(project, "--floto-histories", "histories")
    assert "1 failed, 2 passed" in done.stdout
    assert "broken.json" in done.stdout
    assert "Traceback" not in done.stdout


def test_an_engine_on_a_fresh_file_and_a_simulator_are_fixtures(project: Path) -> None:
    (project / "test_own.py").write_text(
        "import floto\n"
        "from flow import spec\n"
        "@floto.activity(name='work', version='v1')\n"
        "def work(): return 5\n"
        "def test_engine(floto_service):\n"
        "    assert floto.run(spec, service=floto_service) == {'second': 5}\n"
        "def test_simulator(floto_simulator):\n"
        "    assert floto_simulator(spec, {'work': lambda context: 5}).result == {'second': 6}\n"
    )
    done = run_pytest(project, "test_own.py")
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "floto simulation 1" in done.stdout
    assert "WorkflowExecutionCompleted" in done.stdout
