"""The kit detects defects of user-defined specs, strategies and kinds of task.

Each module of ``defects`` is one that a user could have written, with one defect. With the one
change that is listed here, the module is repaired and nothing is found.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen

from floto.testing import MinimizedViolation, check

_MODULES = Path(__file__).parent / "defects"
#: A counterexample is to be read: it holds no more than this.
_EVENTS, _TASKS = 12, 4
#: Runs that are checked of repaired code.
_RUNS = 20


@frozen
class Defect:
    """A defect of a module, its repair, and the words of the message that describe it."""

    module: str
    wrong: str
    right: str
    told: str

    @property
    def source(self) -> str:
        return (_MODULES / f"{self.module}.py").read_text()

    @property
    def mended(self) -> str:
        assert self.source.count(self.wrong) == 1
        return self.source.replace(self.wrong, self.right)


DEFECTS = (
    Defect(
        "impatient_poll",
        "            return self.seconds",
        "            return self.seconds if retry.number < 99 else None",
        "given up",
    ),
    Defect("office_hours", "datetime.now(UTC).hour", "retry.failure.at.hour", "the clock"),
    Defect(
        "jitter",
        "random.uniform(0, most)",
        "random.Random(f'{retry.seed} {retry.task_id} {retry.number}').uniform(0, most)",
        "random numbers",
    ),
    Defect(
        "spent_budget",
        "return self.first - self.step",
        "return self.first - 0.1 * self.step",
        "returned -100",
    ),
    Defect("last_two_failures", "retry.failures[-2]", "retry.failures[-2:][0]", "IndexError"),
    Defect("numbered_jobs", "{self.id_}-{next(_NUMBERS)}", "{self.id_}", "start of Job returned"),
    Defect("round_robin", "len(self.printed) %", "sum(self.id_.encode()) %", "start of Printed returned"),
    Defect("shards", "hash(self.document)", "sum(self.document.encode())", "hash()"),
    Defect("region", 'os.environ.get("AWS_REGION", self.region)', "self.region", "environment"),
    Defect("receipts", "item.closed.id", "item.closed.data.result", "receipt"),
    Defect("quotes", 'return quote["amount"]', 'return quote and quote["amount"]', "TypeError"),
    Defect("mirrors", "copy of {self.source} to", "copy to", "256"),
    Defect("webhook", "address: str | None = None", 'address: str = "https://example.org"', "never begins"),
    Defect("rest_of_the_week", "datetime.now(UTC).isoweekday()", "1", "the clock"),
    Defect("crawler", '"home", "shop"', '"shop"', "duplicate task id 'read-home' (2 tasks)"),
    Defect("chapters", ', requires=["bind"]', "", "dependency cycle"),
    Defect("two_shops", 'f"order-{number}"', 'f"{shop}-{number}"', "duplicate task id 'order-1' (2 tasks)"),
    Defect("approvals", 'f"approved by {role}"', 'f"approved by {role} of {team}"', "awaited by several"),
    Defect("snowball", "{**before, task", "{task", "32,768"),
    Defect("warranty", "2 * 365 * _DAY", "30 * _DAY", "warranty"),
    Defect("tasting", "12 * _HOUR", "_HOUR", "rise"),
    Defect("twins", 'workflow_id="close-account"', 'workflow_id=f"close-{account}"', "close-account"),
)


#: What is wrong in these is their spec.
_OF_SPEC = {"warranty", "tasting", "twins"}
_IDS = [defect.module for defect in DEFECTS]


@pytest.mark.parametrize("defect", DEFECTS, ids=_IDS)
def test_defect_is_found_and_minimised(defect: Defect, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _found(defect, monkeypatch)
    assert defect.told in found.sentence
    assert len(found.history) <= _EVENTS
    assert len(found.spec.all_tasks) <= _TASKS
    assert found.sentence in str(found)


@pytest.mark.parametrize("defect", DEFECTS, ids=_IDS)
def test_repaired_code_has_no_violation(
    defect: Defect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write_mended(defect, tmp_path)
    report = check(**_given(_imported(defect, tmp_path, monkeypatch)), max_examples=_RUNS)
    assert report.runs == _RUNS


def test_saved_test_fails_until_the_defect_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, mended = tmp_path / "empty", tmp_path / "mended"
    empty.mkdir()
    mended.mkdir()
    saved = {defect.module: empty / f"test_{defect.module}.py" for defect in DEFECTS}
    for defect in DEFECTS:
        _found(defect, monkeypatch, saved[defect.module])
        _write_mended(defect, mended)
    failed = _failed(empty, _MODULES)
    assert failed.keys() == saved.keys()
    for defect in DEFECTS:
        assert defect.told in failed[defect.module]
    # A defect of the spec itself is in the file: the test keeps failing, whatever module it imports.
    of_spec = {module for module, file in saved.items() if f"from {module} import" not in file.read_text()}
    assert of_spec == _OF_SPEC
    assert _failed(empty, mended).keys() == of_spec


def _found(defect: Defect, monkeypatch: pytest.MonkeyPatch, save: Path | None = None) -> MinimizedViolation:
    with pytest.raises(MinimizedViolation) as raised:
        check(**_given(_imported(defect, _MODULES, monkeypatch)), save=save)
    return raised.value


def _write_mended(defect: Defect, folder: Path) -> None:
    (folder / f"{defect.module}.py").write_text(defect.mended)


def _imported(defect: Defect, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, defect.module, raising=False)
    return import_module(defect.module)


def _given(module: ModuleType) -> dict[str, Any]:
    """Return the arguments that a user would pass to ``check``."""
    return {
        name: vars(module)[name] for name in ("spec", "activities", "input", "codec") if name in vars(module)
    }


def _failed(folder: Path, modules: Path) -> dict[str, str]:
    """Return messages of pytest for failing tests of a folder, by module, those modules importable."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", "--tb=short", "-rf"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert f"collected {len(DEFECTS)} items" in done.stdout
    modules_failed = re.findall(r"^FAILED test_(\w+)\.py", done.stdout, re.MULTILINE)
    # Each failure extends from the line with the name of its file to that of the next.
    told = re.split(r"^test_(\w+)\.py:\d+: ", done.stdout, flags=re.MULTILINE)
    said = dict(zip(told[1::2], told[2::2], strict=True))
    return {module: said[module] for module in modules_failed}
