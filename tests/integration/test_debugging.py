"""The walks of docs/debugging.md and docs/redrive.md, as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What differs from run to run: dates, times, run ids, how long something took, and the bars that show it.
PASSING = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\brun 22\S+=|\b[\d.]+ ?m?s\b|[░█▓┈╷ ]{3,}")
#: Lines that depend on the moment of the output, and the axis of a timeline.
CHANCE = re.compile(r"^\* \w+ running( \(attempt \d\))?$|^\*\|")


def masked(text: str) -> list[str]:
    """Return the lines of a text without varying values; lines of concurrent tasks may change places."""
    lines = [PASSING.sub("*", line.rstrip()) for line in text.splitlines()]
    lines = [line for line in lines if not CHANCE.match(line)]
    return sorted(lines) if any(line.startswith("workflow ") for line in lines) else lines


def run(line: str, cwd: Path, keys: str) -> str:
    command, *arguments = line.split()
    start = {"floto": [sys.executable, "-m", "floto"], "python": [sys.executable]}.get(command, [command])
    done = subprocess.run(
        [*start, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=keys,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout + ("" if "--step" in line else done.stderr)


@pytest.mark.parametrize("name", ["debugging.md", "redrive.md"])
def test_document_prints_actual_output(name: str, tmp_path: Path) -> None:
    document = (ROOT / "docs" / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    # Each fence opens a block or closes one, so that none is left out.
    assert len(re.findall(r"^ *(?:```|~~~)", document, re.MULTILINE)) == 2 * len(blocks)
    assert [kind for kind, _ in blocks if kind not in {"python", "console"}] == []
    for kind, text in blocks:
        if kind == "python":
            (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text, encoding="utf-8")
            continue
        line, _, expected = text.removeprefix("$ ").partition("\n")
        # Where the reader of the document works.
        expected = expected.replace("/home/you", str(tmp_path))
        printed = run(line, tmp_path, "3\nq\n")
        if "--step" in line:
            assert expected in printed
        else:
            assert masked(printed) == masked(expected), line
