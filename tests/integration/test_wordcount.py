"""The example's result against a count made in another way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "wordcount"
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def run(directory: Path, cwd: Path, **more: Any) -> dict[str, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "floto", "run", f"{EXAMPLE / 'workflow.py'}:spec"),
            *("--activities", str(EXAMPLE / "activities.py")),
            *("--input", json.dumps({"directory": str(directory), **more})),
        ],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "attempt 1 failed: OSError: fails on purpose" in done.stderr
    result: dict[str, Any] = json.loads(done.stdout)["report"]["write report"]
    return result


def counted(files: list[Path]) -> Counter[str]:
    """Count letter by letter, without a regular expression."""
    counts: Counter[str] = Counter()
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        plain = "".join(letter.lower() if letter.isascii() and letter.isalpha() else " " for letter in text)
        counts.update(word for word in plain.split() if len(word) >= 4)
    return counts


def ten(counts: Counter[str]) -> list[dict[str, Any]]:
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"word": word, "count": count} for word, count in ranked[:10]]


def test_ten_most_frequent_words_are_correct(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "floto", text := tmp_path / "text", ignore=shutil.ignore_patterns("__pycache__"))
    sources = [*text.rglob("*.py"), *text.rglob("*.md")]
    result = run(text, tmp_path)
    counts = counted(sources)
    assert result["most_frequent"] == ten(counts)
    assert (result["files"], result["words"]) == (len(sources), counts.total())
    assert ten(counts)[0]["word"] in (tmp_path / result["report"]).read_text()


def test_tool_directories_are_not_counted(tmp_path: Path) -> None:
    for name in (".hidden/a.md", "venv/a.py", "mine/pyvenv.cfg", "mine/a.py", "__pycache__/a.py", "out/a.md"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("wrong wrong wrong")
    names = ["a.md", "b.py", "part:1.md", "with | bar.md", "sub dir/ü.md"]
    (tmp_path / "sub dir").mkdir()
    for name in names:
        (tmp_path / name).write_text("Right, RIGHT; right_or not: it's déjà-vu")
    (tmp_path / "b.txt").write_text("wrong")
    result = run(tmp_path, tmp_path, output=str(tmp_path / "out"))
    assert (result["files"], result["most_frequent"]) == (5, [{"word": "right", "count": 15}])


def test_empty_directory_gives_an_empty_result(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "floto", "run", f"{EXAMPLE / 'workflow.py'}:spec"),
            *("--activities", str(EXAMPLE / "activities.py")),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"]["write report"]["files"] == 0
