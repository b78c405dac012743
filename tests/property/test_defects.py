"""The kit finds what is wrong with specs, strategies and kinds of task that are not floto's own.

Each module of ``defects`` is one that a user could have written, with one thing wrong in it. Mended,
by the one change that is told here, nothing is found.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import frozen

from floto.testing import check
from floto.testing.found import Found

_MODULES = Path(__file__).parent / "defects"
#: A counterexample is to be read: it holds no more than this.
_EVENTS, _TASKS = 12, 4


@frozen
class Defect:
    """What is wrong in a module, what would be right, and words by which a person will know it again."""

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
        "chance",
    ),
    Defect(
        "spent_budget",
        "return self.first - self.step",
        "return self.first - 0.1 * self.step",
        "answered -100",
    ),
    Defect("last_two_failures", "retry.failures[-2]", "retry.failures[-2:][0]", "IndexError"),
    Defect("numbered_jobs", "{self.id_}-{next(_NUMBERS)}", "{self.id_}", "start"),
    Defect("round_robin", "len(self.printed) %", "sum(self.id_.encode()) %", "start"),
    Defect("shards", "hash(self.document)", "sum(self.document.encode())", "hash()"),
    Defect("region", 'os.environ.get("AWS_REGION", self.region)', "self.region", "environment"),
    Defect("receipts", "item.closed.id", "item.closed.data.result", "receipt"),
    Defect("quotes", 'return quote["amount"]', 'return quote and quote["amount"]', "TypeError"),
    Defect("mirrors", "copy of {self.source} to", "copy to", "256"),
    Defect("webhook", "address: str | None = None", 'address: str = "https://example.org"', "never begins"),
    Defect("rest_of_the_week", "datetime.now(UTC).isoweekday()", "1", "the clock"),
    Defect("crawler", '"home", "shop"', '"shop"', "task 'read-home' is there 2 times"),
    Defect("chapters", ', requires=["bind"]', "", "in a circle"),
    Defect("two_shops", 'f"order-{number}"', 'f"{shop}-{number}"', "task 'order-1' is there 2 times"),
    Defect("approvals", 'f"approved by {role}"', 'f"approved by {role} of {team}"', "awaited by several"),
    Defect("snowball", "{**before, task", "{task", "32,768"),
    Defect("warranty", "2 * 365 * _DAY", "30 * _DAY", "warranty"),
    Defect("tasting", "12 * _HOUR", "_HOUR", "rise"),
    Defect("twins", 'workflow_id="close-account"', 'workflow_id=f"close-{account}"', "close-account"),
)


@pytest.fixture(params=DEFECTS, ids=[defect.module for defect in DEFECTS])
def defect(request: pytest.FixtureRequest) -> Defect:
    found: Defect = request.param
    return found


@pytest.fixture
def mended(defect: Defect, tmp_path: Path) -> Path:
    """A folder with the module as it should be."""
    folder = tmp_path / "mended"
    folder.mkdir()
    (folder / f"{defect.module}.py").write_text(defect.mended)
    return folder


def test_it_is_found_and_cut_down(
    defect: Defect, mended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    saved = empty / "test_counterexample.py"
    with pytest.raises(Found) as raised:
        check(**_given(_imported(defect.module, _MODULES, monkeypatch)), save=saved)
    found = raised.value
    assert defect.told in found.sentence
    assert len(found.history) <= _EVENTS
    assert len(found.spec.all_tasks) <= _TASKS
    again = _pytest(saved, _MODULES)
    assert again.returncode == pytest.ExitCode.TESTS_FAILED, again.stdout
    assert defect.told in again.stdout
    if f"from {defect.module} import" in saved.read_text():
        gone = _pytest(saved, mended)
        assert gone.returncode == pytest.ExitCode.OK, gone.stdout


def test_nothing_is_found_where_it_is_mended(
    defect: Defect, mended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = check(**_given(_imported(defect.module, mended, monkeypatch)))
    assert report.runs == 100


def _imported(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module(name)


def _given(module: ModuleType) -> dict[str, Any]:
    """What a user would pass on to ``check``."""
    return {
        name: vars(module)[name] for name in ("spec", "activities", "input", "codec") if name in vars(module)
    }


def _pytest(file: Path, modules: Path) -> subprocess.CompletedProcess[str]:
    """What pytest says of a file, by itself where it is, if these modules can be imported."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-p", "no:cacheprovider", file.name],
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": str(modules), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
