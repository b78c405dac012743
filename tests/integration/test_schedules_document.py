"""The examples of docs/schedules.md are valid, and its table of clock changes is what floto computes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

import floto
from floto.core.fire_times import cron_fires
from tests.integration.commands import ROOT, Shell

TEXT = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def write(directory: Path) -> None:
    for name, text in BLOCKS:
        (directory / name).write_text(text, encoding="utf-8")


def test_programs_of_the_document_are_valid(shell: Shell) -> None:
    write(shell.cwd)
    said, _ = shell.here("check", "backup.py:schedule")
    assert said.startswith("backups: At 02:30 every day, Europe/Berlin\nnext 20")
    tasks = "[evening.collect, evening.evening, evening.deadline]"
    text = f"import floto, evening\nspec = floto.DeciderSpec(activity_tasks={tasks})"
    (shell.cwd / "whole.py").write_text(text)
    assert shell.here("check", "whole.py:spec")[0].startswith("3 tasks")


@pytest.mark.parametrize(
    ("cron", "march", "october"),
    [
        ("30 2 * * *", ["01:00"], ["00:30"]),
        ("*/30 2 * * *", [], ["00:00", "00:30", "01:00", "01:30"]),
        ("0,30 2 * * *", ["01:00"], ["00:00", "00:30"]),
    ],
)
def test_table_of_clock_changes_is_true(cron: str, march: list[str], october: list[str]) -> None:
    assert f"| `{cron}`" in TEXT
    for day, expected in (("2026-03-29", march), ("2026-10-25", october)):
        begin = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=UTC)
        found = islice(cron_fires(cron, "Europe/Berlin", begin - timedelta(minutes=1)), 5)
        assert [f"{at:%H:%M}" for at in found if at.date() == begin.date()] == expected


def test_names_of_the_document_are_those_of_floto() -> None:
    policies = re.findall(r"^\| `(\w+)`(?: \(default\))? \|", TEXT, re.MULTILINE)
    assert policies == list(floto.Overlap)
