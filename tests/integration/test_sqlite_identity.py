"""Database files that are deleted, replaced, of an earlier version, private, or only to be read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService, schema
from floto.adapters.sqlite.leases import Leases
from floto.adapters.sqlite.problems import DatabaseGone
from floto.core.errors import ServiceError, ServiceUnavailable
from tests.integration.commands import Shell, wait_for, write_files
from tests.integration.test_sqlite_helpers import activity, schedule, start

DATA = Path(__file__).parents[1] / "data"


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    SqliteService(path.with_name("other")).close()
    path.with_name("other").replace(path)


def delete_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def delete_index(path: Path) -> None:
    Path(f"{path}-shm").unlink()


@pytest.mark.parametrize("how", [delete, replace, delete_log, delete_index])
def test_nothing_is_acknowledged_once_the_file_is_gone(tmp_path: Path, how: Callable[[Path], None]) -> None:
    path = tmp_path / "db"
    service = SqliteService(path)
    start(service)
    how(path)
    calls: list[Callable[[], object]] = [
        lambda: service.signal_workflow_execution("wf", "s"),
        lambda: start(service, "other"),
        lambda: service.latest_execution("wf"),
        lambda: service.poll_for_decision_task("floto", "test", 1),
    ]
    for call in calls:
        with pytest.raises(DatabaseGone, match="was deleted or replaced") as raised:
            call()
        # To try again would be in vain.
        assert not isinstance(raised.value, ServiceUnavailable)
    service.close()


@pytest.mark.parametrize("command", ["worker", "decider"])
def test_loop_ends_with_an_error_when_the_file_is_deleted(tmp_path: Path, command: str) -> None:
    write_files(tmp_path)
    shell = Shell(tmp_path)
    arguments = {"worker": ["worker", "--activities", "acts.py"], "decider": ["decider", "flow.py:spec"]}
    shell.here("register", "domain", "floto")
    with shell.loop(*arguments[command]) as process:
        wait_for((tmp_path / "floto.db-wal").exists)
        time.sleep(1)
        (tmp_path / "floto.db").unlink()
        assert process.wait(60) == 2
        assert process.stderr is not None
        assert "was deleted or replaced" in process.stderr.read()


def restored(tmp_path: Path, name: str) -> Path:
    """A database made by an earlier floto, from its dump."""
    path = tmp_path / "db"
    db = sqlite3.connect(path)
    db.executescript((DATA / f"{name}.sql").read_text())
    db.close()
    return path


@pytest.mark.parametrize("name", ["schema-1", "schema-2"])
def test_file_of_an_earlier_version_is_migrated_and_its_runs_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = restored(tmp_path, name)
    with pytest.raises(ServiceError, match="open it for writing once"):
        schema.connect_reading(str(path))
    caplog.set_level("INFO", "floto")
    with SqliteService(path) as service:
        assert f"to version {schema.VERSION}" in caplog.text
        info = service.latest_execution("open")
        assert info is not None
        assert info.close_status is None
        task = activity(service)
        service.respond_activity_task_completed(task.token, '"done"')
        closed = service.latest_execution("closed")
        assert closed is not None
        assert closed.close_status == "COMPLETED"
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    assert db.execute("SELECT open_runs FROM domains WHERE name = 'floto'").fetchone()[0] == 1
    db.close()


def test_migration_that_fails_in_the_middle_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = restored(tmp_path, "schema-1")
    broken = {**schema.MIGRATIONS, 1: (*schema.MIGRATIONS[1], "ALTER TABLE nothing ADD COLUMN x")}
    before = dump(path)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", broken)
        with pytest.raises(ServiceError):
            SqliteService(path)
    assert dump(path) == before
    SqliteService(path).close()


def dump(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    lines = [*db.iterdump(), str(db.execute("PRAGMA user_version").fetchone()[0])]
    db.close()
    return lines


def test_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "db"
    SqliteService(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ServiceError, match="with a newer floto"):
        SqliteService(path)
    assert path.read_bytes() == before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_files_are_for_their_owner_only(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        for name in ("db", "db-wal", "db-shm"):
            assert mode(tmp_path / name) == 0o600, name
        assert mode(tmp_path / "db.leases") == 0o700
        assert {mode(path) for path in (tmp_path / "db.leases").iterdir()} == {0o600}


def test_leases_of_a_database_that_lets_a_group_in_let_it_in_too(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        leases = Leases(tmp_path / "leases", 0o100660)
        assert mode(tmp_path / "leases") & 0o777 == 0o770
        assert {mode(path) for path in (tmp_path / "leases").iterdir()} == {0o660}
        leases.close()
    finally:
        os.umask(old)


def test_leases_are_only_for_those_who_may_write_to_the_database(tmp_path: Path) -> None:
    # As an earlier floto left them: to be read by everybody.
    (tmp_path / "leases").mkdir(mode=0o755)
    leases = Leases(tmp_path / "leases", 0o100644)
    assert mode(tmp_path / "leases") == 0o700
    assert {mode(path) for path in (tmp_path / "leases").iterdir()} == {0o600}
    leases.close()


LOCKER = """
import fcntl, os, sys
os.setgid(65534); os.setuid(65534)
try:
    opened = os.open(sys.argv[1], os.O_RDONLY)
    fcntl.flock(opened, fcntl.LOCK_EX)
    print("locked", flush=True)
except PermissionError:
    print("refused", flush=True)
sys.stdin.readline()
"""


def test_another_user_cannot_hold_the_lease_of_a_dead_worker() -> None:
    # A directory of its own that every user may enter, as those of pytest are not.
    with tempfile.TemporaryDirectory() as name, SqliteService(Path(name) / "db") as service:
        Path(name).chmod(0o755)
        start(service)
        schedule(service, "a")
        lease = service._host._database.lease  # noqa: SLF001 - the file that another user might lock
        path = Path(name) / "db.leases" / f"{lease}.lock"
        assert mode(path) == 0o600
        if os.getuid():
            # Only root can be another user.
            return
        command = [sys.executable, "-c", LOCKER, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline().strip() == "refused"
            other.kill()


def test_backup_that_can_only_be_read_is_listed_and_says_so_when_it_is_to_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service:
        run = start(service)
    shutil.copy(tmp_path / "db", tmp_path / "backup")
    before = sorted(path.name for path in tmp_path.iterdir())
    # Root may write everywhere, whatever the modes say.
    monkeypatch.setattr("floto.adapters.sqlite.database._is_read_only", lambda _path: True)
    monkeypatch.setattr("floto.adapters.sqlite.schema.os.access", lambda _path, _mode: False)
    with SqliteService(tmp_path / "backup") as backup:
        info = backup.latest_execution("wf")
        assert info is not None
        assert backup.history(run)
        with pytest.raises(ServiceError, match="can only be read"):
            backup.signal_workflow_execution("wf", "s")
    assert not [name for name in before if name.startswith("backup-")]


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("workflow_id", "runs_by_workflow"),
        ("close_status", "closed_by_status"),
        ("type_name", "closed_by_type"),
    ],
)
def test_filters_of_listings_have_indices(tmp_path: Path, condition: str, index: str) -> None:
    db = schema.connect(str(tmp_path / "db"), "full")
    sql = f"SELECT count(*) FROM runs INDEXED BY {index} WHERE domain = ? AND closed_at IS NOT NULL"  # noqa: S608
    plan = str(db.execute(f"EXPLAIN QUERY PLAN {sql} AND {condition} = ?", ("d", "x")).fetchall())
    assert f"{index} (domain=? AND {condition}=?)" in plan
    db.close()
