"""The getting started example, as a program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_example_says_hello_as_often_as_it_is_run(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLOTO_SERVICE": "sqlite:///hello.db"}
    command = [sys.executable, str(ROOT / "examples" / "hello_world.py")]
    for _ in range(2):
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"Hello, world!\nhello_world_v1 COMPLETED\n", done.stdout)
