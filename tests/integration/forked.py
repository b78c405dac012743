"""``python -m floto`` as a process that starts at once: a fork of one that has imported floto.

Most of the time of a command is that of its imports. The fork has streams, a directory, an environment
and a process id of its own, and ends, or is killed, as any process.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from multiprocessing import reduction
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
#: Variables of the environment that Python reads when it starts.
_OF_PYTHON = ("PYTHON", "LC_", "LANG")
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        *(
            f"floto.runtime.cli.{each.stem}"
            for each in sorted((_ROOT / "floto/runtime/cli").glob("[a-z]*.py"))
        ),
        *("floto.adapters.local", "floto.adapters.sqlite", "floto.adapters.swf", "floto.adapters.swf_client"),
        *("floto.runtime.runs.run", "floto.runtime.server", "tests.integration.forked"),
    ]
)


def start_command(
    *arguments: str, cwd: Path, env: dict[str, str], stdin: int | None = None
) -> subprocess.Popen[str]:
    """Start ``floto`` with these arguments, and with pipes of text as stdout and stderr."""
    pipe = subprocess.PIPE
    pipes: dict[str, Any] = {"stdin": stdin, "stdout": pipe, "stderr": pipe, "encoding": "utf-8"}
    same = {*os.environ.items(), ("PYTHONPATH", str(_ROOT))}
    if any(name.startswith(_OF_PYTHON) for name, _ in env.items() - same):
        return subprocess.Popen([sys.executable, "-m", "floto", *arguments], cwd=cwd, env=env, **pipes)
    return _Forked(arguments, cwd=cwd, env=env, **pipes)


class _Forked(subprocess.Popen[str]):
    """A fork as ``Popen`` has it."""

    def _execute_child(self, args: Any, *given: Any, **_: Any) -> None:
        """Fork; the rest of ``Popen`` needs the process id alone."""
        # Of all that Popen passes here, by position: directory, environment, and both ends of each pipe.
        cwd, env, pipes = given[4], given[5], given[9:15]
        streams = [None if fd < 0 else _Stream(fd) for fd in (pipes[0], pipes[3], pipes[5])]
        self._process = _CONTEXT.Process(target=_run, args=(args, cwd, env, streams))
        self._process.start()
        self.pid: int = self._process.pid or 0
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # as Popen does

    def poll(self) -> int | None:
        """Return the exit code, if the process has ended."""
        self.returncode: int | Any = self._process.exitcode
        return self.returncode

    _internal_poll = poll

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises ``subprocess.TimeoutExpired``."""
        self._process.join(timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return int(self.returncode)


class _Stream:
    """A file descriptor that a fork gets a duplicate of."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __reduce__(self) -> Any:
        return _detached, (reduction.DupFd(self._fd),)


def _detached(duplicate: Any) -> int:
    fd: int = duplicate.detach()
    return fd


def _run(arguments: list[str], cwd: Path, env: dict[str, str], streams: list[int | None]) -> None:
    """Be the command in a fork."""
    for number, fd in enumerate(streams):
        if fd is not None:
            os.dup2(fd, number)
            os.close(fd)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    multiprocessing.set_start_method(None, force=True)
    sys.argv, sys.path[:0] = ["floto", *arguments], [str(cwd)]
    as_python_does = (("r", -1, "strict"), ("w", -1, "strict"), ("w", 1, "backslashreplace"))
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, buffering, "utf-8", errors, closefd=False)  # noqa: SIM115
        for number, (mode, buffering, errors) in enumerate(as_python_does)
    )
    from floto.runtime.cli import main  # noqa: PLC0415 - in the fork

    main()
