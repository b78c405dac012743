"""The command as real processes, on a file or against a real ``floto server``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from floto.runtime.cli import main
from tests.integration.forked import start_command

ROOT = Path(__file__).parents[2]
#: No test waits longer for what must happen.
PATIENCE = 60.0

SPEC = """
import floto
ask = floto.ActivityTask(id_="ask", name="ask", version="1", input={"n": 1})
rest = floto.Timer(id_="rest", delay_in_seconds=0, requires=[ask])
tell = floto.ActivityTask(
    id_="tell", name="tell", version="1", requires=[ask, rest], retry_strategy=floto.FixedDelay(3600, 5)
)
spec = floto.DeciderSpec(activity_tasks=[ask, rest, tell])
other = floto.DeciderSpec(activity_tasks=[ask], task_list="others")
"""
ACTIVITIES = """
import floto, time
from pathlib import Path

@floto.activity(name="ask", version="1")
def ask(context):
    if Path("slow").exists():
        Path("begun").touch()
        time.sleep(2)
    return {**context["activity_task"], "big": "x" * 10}

@floto.activity(name="tell", version="1")
def tell(context):
    if Path("broken").exists():
        raise ValueError("no such luck")
    return [context["workflow"]["who"], context["ask"]["n"]]
"""


@frozen
class Shell:
    """Run commands in one directory against one service."""

    cwd: Path
    service: str = "sqlite:///floto.db"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOTO_"))
        }
        return {**inherited, "PYTHONPATH": str(ROOT), "FLOTO_SERVICE": self.service}

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        """Give a command, and check what it exits with."""
        done = completed(*arguments, cwd=self.cwd, env={**self.environment, **env})
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def here(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        """A command in this process, for many of them; what it printed, and what it said."""
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.cwd),
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setenv("FLOTO_SERVICE", self.service)
            patch.setattr(sys, "argv", ["floto", *arguments])
            patch.setattr(sys, "path", [*sys.path])
            with pytest.raises(SystemExit) as left:
                main()
        assert left.value.code == code, (arguments, out.getvalue(), err.getvalue())
        assert "Traceback" not in err.getvalue()
        return out.getvalue(), err.getvalue()

    def without(self, package: str, *arguments: str) -> str:
        """Give a command where a package is not installed; return what it said."""
        code = f"import sys; sys.modules[{package!r}] = None; from floto.runtime.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=self.cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        return done.stderr

    def data(self, *arguments: str) -> Any:
        """Return the parsed JSON output of a command in this process."""
        return json.loads(self.here(*arguments, "--json")[0])

    @contextlib.contextmanager
    def loop(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs until it is stopped; what it logs is in its stderr."""
        with start_command(*arguments, cwd=self.cwd, env=self.environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def until(self, run: str, status: str) -> Any:
        """Return the output of ``floto show`` once a run has this status."""
        return wait_for(lambda: self._shown(run, status))

    def _shown(self, run: str, status: str) -> Any:
        found = json.loads(self.here("show", run, "--json")[0])
        return found if found["status"] == status else None


def wait_for(look: Callable[[], Any]) -> Any:
    """The first answer that is not nothing."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(look)


def write_files(directory: Path) -> None:
    (directory / "flow.py").write_text(SPEC)
    (directory / "acts.py").write_text(ACTIVITIES)


def completed(
    *arguments: str, cwd: Path, env: dict[str, str], keys: str = ""
) -> subprocess.CompletedProcess[str]:
    """Give a command with ``keys`` on its stdin, and wait for its end."""
    with start_command(*arguments, cwd=cwd, env=env, stdin=subprocess.PIPE) as process:
        try:
            out, err = process.communicate(keys, timeout=PATIENCE)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def command(cwd: Path, *arguments: str, keys: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """Give a command in a directory, with ``keys`` on its stdin."""
    return completed(*arguments, cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT), **env}, keys=keys)
