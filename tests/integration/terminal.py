"""The command on a terminal, as a person has it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time

from tests.integration.commands import PATIENCE, Shell

STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_terminal(
    shell: Shell, *arguments: str, keys: bytes = b"", until: str = "", **env: str
) -> tuple[int, str]:
    """The exit code of a command on a terminal of 80 columns, and what is seen there.

    Once ``until`` is on the screen, ``keys`` are typed.
    """
    pid, screen = pty.fork()
    if not pid:
        os.chdir(shell.cwd)
        environment = {**shell.environment, "COLUMNS": "80", "TERM": "xterm", **env}
        os.execve(sys.executable, [sys.executable, "-m", "floto", *arguments], environment)  # noqa: S606
    seen, end = b"", time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            if keys and until.encode() in seen:
                os.write(screen, keys)
                keys = b""
            if select.select([screen], [], [], 0.1)[0]:
                try:
                    seen += os.read(screen, 65536)
                except OSError:  # the last process has closed the terminal
                    break
    finally:
        code = os.waitstatus_to_exitcode(_status(pid, end))
        os.close(screen)
    return code, STYLE.sub("", seen.decode()).replace("\r\n", "\n")


def _status(pid: int, end: float) -> int:
    """Wait for the end of a process; kill one that waits for keys still."""
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]
