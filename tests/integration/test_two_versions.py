"""Two versions of one program in one command: their files and modules have the same names."""

from __future__ import annotations

import base64
import gzip
import re
import sys
from pathlib import Path

import pytest

import floto
from floto.core.swf.shapes import ActivityType
from floto.runtime.loading import load_apart
from floto.runtime.workers.activities import DEFAULT
from tests.integration.commands import Shell

TASKS = """
import floto

@floto.activity(name="work", version="1")
def work():
    return 1

first = floto.ActivityTask(id_="first", name="work", version="1")
tasks = [first]
"""
ADDED = TASKS + 'tasks.append(floto.ActivityTask(id_="added", name="work", version="1"))\n'
FLOW = """
import floto
from {tasks} import tasks

spec = floto.DeciderSpec(activity_tasks=tasks)
"""


@pytest.fixture(params=["files", "package"])
def versions(request: pytest.FixtureRequest, shell: Shell) -> tuple[str, str]:
    """The specs of two versions in directories of their own, each with a module that it imports."""
    is_package = request.param == "package"
    for name, tasks in (("old", TASKS), ("new", ADDED)):
        directory = shell.cwd / name / "jobs" if is_package else shell.cwd / name
        directory.mkdir(parents=True)
        if is_package:
            (directory / "__init__.py").touch()
        (directory / "flow.py").write_text(FLOW.format(tasks=".tasks" if is_package else "tasks"))
        (directory / "tasks.py").write_text(tasks)
    inner = "jobs/flow.py:spec" if is_package else "flow.py:spec"
    return f"old/{inner}", f"new/{inner}"


def run(shell: Shell, spec: str) -> None:
    shell(
        "run",
        spec,
        "--activities",
        str(Path(spec.partition(":")[0]).with_name("tasks.py")),
        "--workflow-id",
        "a",
    )


def test_compare_reads_each_version_with_its_own_modules(versions: tuple[str, str], shell: Shell) -> None:
    old, new = versions
    run(shell, old)
    said = shell("compare", old, new, "a", code=1).stdout
    assert "schedules more: step 1 (event 4): ScheduleActivityTask 'added' would be decided now" in said
    assert "1 same" in shell("compare", old, old, "a").stdout


def test_report_compares_each_version_with_its_own_modules(versions: tuple[str, str], shell: Shell) -> None:
    old, new = versions
    run(shell, old)
    shell("report", "a", "--spec", old, "--compare", new, "-o", "a.html")
    [packed] = re.findall(r'id="document-0" [^>]*>([^<]*)<', (shell.cwd / "a.html").read_text("utf-8"))
    document = gzip.decompress(base64.b64decode(packed)).decode()
    assert "ScheduleActivityTask 'added' would be decided now" in document


def test_compare_reads_files_that_define_the_same_activities(shell: Shell) -> None:
    for name, tasks in (("old", TASKS), ("new", ADDED)):
        (shell.cwd / f"{name}.py").write_text(f"{tasks}\nspec = floto.DeciderSpec(activity_tasks=tasks)\n")
    shell("run", "old.py:spec", "--activities", "old.py", "--workflow-id", "a")
    said = shell("compare", "old.py:spec", "new.py:spec", "a", code=1).stdout
    assert "ScheduleActivityTask 'added' would be decided now" in said


def test_nothing_is_kept_of_a_spec_that_is_loaded_apart(versions: tuple[str, str], shell: Shell) -> None:
    before = {*sys.modules}, [*sys.path]
    spec = load_apart(str(shell.cwd / versions[0]))
    assert [task.id_ for task in spec.activity_tasks] == ["first"]
    assert ({*sys.modules}, sys.path) == before
    assert ActivityType("work", "1") not in DEFAULT.types


def test_two_specs_of_one_file_import_it_once(shell: Shell) -> None:
    once = "import multiprocessing\nmultiprocessing.set_start_method('spawn')\n"
    specs = (
        "spec = floto.DeciderSpec(activity_tasks=[first])\nlonger = floto.DeciderSpec(activity_tasks=tasks)\n"
    )
    (shell.cwd / "flow.py").write_text(once + ADDED + specs)
    shell("run", "flow.py:spec", "--activities", "flow.py", "--workflow-id", "a")
    said = shell("compare", "flow.py:spec", "flow.py:longer", "a", code=1).stdout
    assert "ScheduleActivityTask 'added' would be decided now" in said
    shell("report", "a", "--spec", "flow.py:spec", "--compare", "flow.py:longer", "-o", "a.html")


def test_floto_beside_a_spec_that_is_loaded_apart_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apart_flow.py").write_text(
        "from floto.extend import Retry\n" + ADDED + "spec = floto.DeciderSpec(activity_tasks=tasks)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(Path(floto.__file__).parents[1])
    monkeypatch.delitem(sys.modules, "floto.extend", raising=False)
    load_apart("apart_flow:spec")
    assert "floto.extend" in sys.modules
