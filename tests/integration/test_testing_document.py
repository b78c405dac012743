"""The examples of docs/testing.md, as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
MODULES = {"floto": ["-m", "floto"], "python": [], "pytest": ["-m", "pytest"]}
#: How long something took, and the dots of pytest, which are as wide as the terminal.
PASSING = re.compile(r"in [\d.]+s|^\.+ +\[100%\]")


def printed(line: str, cwd: Path) -> str:
    command, *arguments = line.split()
    start = [sys.executable, *MODULES[command]] if command in MODULES else [command]
    done = subprocess.run(
        [*start, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_testing_document_prints_actual_output(tmp_path: Path) -> None:
    walked = 0
    for kind, text in BLOCKS:
        first, _, rest = text.partition("\n")
        if kind == "python":
            (tmp_path / first.removeprefix("# ")).write_text(text, encoding="utf-8")
        elif kind == "console":
            shown = printed(first.removeprefix("$ "), tmp_path)
            assert PASSING.sub("*", shown).split() == PASSING.sub("*", rest).split(), first
            walked += 1
    assert walked == 8
