"""The getting started example, as a program."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("file", ["hello_world.db", "other.db"])
def test_example_prints_hello_on_every_run_without_aws(tmp_path: Path, file: str) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTO_"))
    }
    environment["PYTHONPATH"] = str(ROOT)
    if file == "other.db":
        environment["FLOTO_SERVICE"] = f"sqlite:///{file}"
    command = [sys.executable, str(ROOT / "examples" / "hello_world.py")]
    for _ in range(2):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        started = rf"started hello_world_v1 on sqlite:///{file}\n"
        assert re.fullmatch(rf"{started}Hello, world!\nhello_world_v1 COMPLETED\n", done.stdout)
    with closing(sqlite3.connect(tmp_path / file)) as db:
        assert db.execute("SELECT count(*) FROM runs").fetchone() == (2,)


def test_example_uses_aws_if_configured(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    # No server listens there, so the example does not wait for a response of Amazon.
    asked = {"FLOTO_SERVICE": "http://127.0.0.1:9", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "hello_world.py")],
        cwd=tmp_path,
        env={**environment, **asked},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr
    assert list(tmp_path.iterdir()) == []
