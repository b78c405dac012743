"""Commands that are forked behave as commands that are started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.forked import start_command

#: Says a line, and then whether that was read meanwhile.
SPEC = """
import sys, time
from pathlib import Path
print("a line", file=sys.stderr)
end = time.monotonic() + 5
while not Path("read").exists() and time.monotonic() < end:
    time.sleep(0.01)
print("read" if Path("read").exists() else "not read", file=sys.stderr)
"""


@pytest.mark.parametrize("env", [{}, {"PYTHONHASHSEED": "1"}], ids=["forked", "started"])
def test_each_line_on_stderr_is_written_at_once(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SPEC)
    with start_command("check", "flow.py:spec", cwd=tmp_path, env={**os.environ, **env}) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "a line\n"
        (tmp_path / "read").touch()
        assert process.stderr.readline() == "read\n"
