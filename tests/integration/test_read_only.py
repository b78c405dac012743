"""A file that a user may read and not write."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import PATIENCE, Shell, wait_for
from tests.integration.looks import COMMANDS, two_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return two_runs(tmp_path_factory.mktemp("runs"))


#: Runs commands as another user, who may read files but not write them, each in a process of its own. What is
#: imported on the way comes first: the other user need not be able to read Python's own directory.
AS_READER = """
import contextlib, importlib, io, json, os, pkgutil, sys
import floto
from floto.runtime.cli import _exit_code
for each in pkgutil.walk_packages(floto.__path__, "floto."):
    if not each.name.endswith(("pytest_plugin", "__main__")):
        with contextlib.suppress(ImportError):
            importlib.import_module(each.name)
writable, reads, output = sys.argv[1:4]
for number, arguments in enumerate(json.loads(sys.argv[4])):
    child = os.fork()
    if child:
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{output}/{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
    sys.argv[1:] = arguments
    os.chdir(writable)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        _exit_code()
    os.chdir(reads)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    code = _exit_code()
    sys.stdout.flush()
    os._exit(code)
"""


@pytest.fixture
def readable_copy(runs: Shell) -> Iterator[Path]:
    """A copy that others may read; not below pytest's own directory, which others may not even enter."""
    directory = Path("/tmp") / f"floto-readable-{os.getpid()}"  # noqa: S108 - gone after the test
    directory.mkdir(mode=0o755)
    directory.chmod(0o755)
    try:
        runs("backup", str(directory / "floto.db"))
        (directory / "floto.db").chmod(0o644)
        (directory / "flow.py").write_text((runs.cwd / "flow.py").read_text())
        (directory / "flow.py").chmod(0o644)
        yield directory
    finally:
        shutil.rmtree(directory)


def as_reader(runs: Shell, directory: Path, *commands: str) -> list[subprocess.CompletedProcess[str]]:
    """Run commands as a user who may only read the directory."""
    with tempfile.TemporaryDirectory() as output:
        arguments = (str(runs.cwd), str(directory), output, json.dumps([each.split() for each in commands]))
        done = subprocess.run(
            [sys.executable, "-c", AS_READER, *arguments],
            cwd=runs.cwd,
            env=runs.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=PATIENCE * len(commands),
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [
            subprocess.CompletedProcess(
                commands[number],
                int(code),
                *((Path(output) / f"{number}.{each}").read_text("utf-8") for each in ("out", "err")),
            )
            for number, code in enumerate(done.stdout.splitlines())
        ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_read_only_file_supports_every_query(runs: Shell, readable_copy: Path) -> None:
    before = sorted(readable_copy.iterdir())
    queries = ("list", *COMMANDS, "history done", "list --json")
    answers = as_reader(runs, readable_copy, *queries)
    assert len(answers) == len(queries)
    for done in answers:
        assert done.returncode in (0, 1), done
        assert "floto:" not in done.stderr
    assert "done" in answers[0].stdout
    assert sorted(readable_copy.iterdir()) == before
    said, told = as_reader(runs, readable_copy, "signal open x", "history done -o done.json")
    assert (said.returncode, said.stdout) == (2, "")
    assert "floto.db is read-only" in said.stderr
    assert (told.returncode, told.stderr.splitlines()[-1]) == (
        2,
        "floto: cannot write done.json: Permission denied",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_queries_of_a_read_only_file_create_no_files(runs: Shell, readable_copy: Path) -> None:
    """SQLite's log and its index would be another user's, and keep the owner from writing."""
    readable_copy.chmod(0o777)
    before = sorted(readable_copy.iterdir())
    assert [each.returncode for each in as_reader(runs, readable_copy, "list", "why open")] == [0, 0]
    assert sorted(readable_copy.iterdir()) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_write_ahead_log_without_index_on_a_read_only_disk_raises_with_advice(
    runs: Shell, readable_copy: Path
) -> None:
    (readable_copy / "floto.db-wal").write_bytes(b"x" * 4096)
    (readable_copy / "floto.db-wal").chmod(0o644)
    [said] = as_reader(runs, readable_copy, "list")
    assert said.returncode == 2
    assert "floto.db-wal" in said.stderr
    assert "as a user who may write there" in said.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_unreadable_pollers_are_reported_as_unknown(runs: Shell, readable_copy: Path) -> None:
    shell = Shell(readable_copy)
    with shell.loop("decider", "--task-list", "elsewhere") as process:
        wait_for(lambda: "elsewhere" in shell.here("status")[0])
        for path in readable_copy.glob("floto.db*"):
            path.chmod(0o644) if path.is_file() else None
        status, why = as_reader(runs, readable_copy, "status", "why open")
        assert (status.returncode, why.returncode) == (0, 0), (status.stderr, why.stderr)
        assert "no decider and no worker is alive" not in status.stdout
        assert "who polls" in status.stdout
        assert "floto.db.leases" in status.stdout
        assert "no decider polls it" not in why.stdout
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
