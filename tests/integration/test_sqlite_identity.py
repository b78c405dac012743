"""Database files that are deleted, replaced, of an earlier version, private, or only to be read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from floto.adapters.processes.leases import Leases
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import database, schema
from floto.adapters.sqlite.storage.backup import back_up
from floto.adapters.sqlite.storage.listings import Listings
from floto.adapters.sqlite.storage.sqlite_errors import DatabaseGone
from floto.core.engine.stores.records import ListingQuery
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.kinds import ActivityTask
from floto.runtime.runs.run import run
from floto.runtime.workers.activities import Activities
from tests.integration.commands import Shell, wait_for, write_files
from tests.integration.test_sqlite_helpers import WORKFLOW, activity, schedule, start

DATA = Path(__file__).parents[1] / "data"
EARLIER = [f"schema-{version}" for version in range(1, schema.VERSION)]


#: When the timers and heartbeats of ``schema-3.sql`` are due, and no run or other timer is.
SHORTLY_AFTER = datetime(2026, 12, 1, tzinfo=UTC)


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    SqliteService(path.with_name("other")).close()
    path.with_name("other").replace(path)


def delete_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def delete_index(path: Path) -> None:
    Path(f"{path}-shm").unlink()


def delete_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


def rename_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("renamed"))


HARMS = [delete, replace, delete_log, delete_index, delete_directory, rename_directory]


@pytest.mark.parametrize("how", HARMS)
def test_no_call_is_acknowledged_after_the_file_is_deleted(
    tmp_path: Path, how: Callable[[Path], None]
) -> None:
    path = tmp_path / "dir" / "db"
    path.parent.mkdir()
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
        assert process.stderr.read().count("was deleted or replaced") == 1


@pytest.mark.parametrize("is_working", [True, False], ids=["in an activity", "in a timer"])
def test_run_fails_naming_the_deleted_file_once(tmp_path: Path, *, is_working: bool) -> None:
    write_files(tmp_path)
    flow = tmp_path / "flow.py"
    flow.write_text(flow.read_text().replace("delay_in_seconds=0", "delay_in_seconds=3600"))
    if is_working:
        (tmp_path / "slow").touch()
    began = tmp_path / "floto.db-wal"
    shell = Shell(tmp_path)
    with shell.loop("run", "flow.py:spec", "--activities", "acts.py", "--workflow-id", "w") as process:
        wait_for((tmp_path / "begun").exists if is_working else began.exists)
        if not is_working:
            wait_for(lambda: "TimerStarted" in event_types(tmp_path / "floto.db"))
        (tmp_path / "floto.db").unlink()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 2
        assert said.count("floto.db was deleted or replaced") == 1, said
        assert said.splitlines()[-1].startswith(f"floto: {tmp_path / 'floto.db'} was deleted")
        assert "Traceback" not in said


def event_types(path: Path) -> set[str]:
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return {row[0] for row in db.execute("SELECT type FROM events")}
    except sqlite3.OperationalError:
        # The tables are being made.
        return set()
    finally:
        db.close()


@pytest.mark.parametrize("how", HARMS)
def test_pending_poll_fails_at_once_when_the_file_is_deleted(
    tmp_path: Path, how: Callable[[Path], None]
) -> None:
    path = tmp_path / "dir" / "db"
    path.parent.mkdir()
    with SqliteService(path) as service, ThreadPoolExecutor(2) as threads:
        start(service)
        polls = [
            threads.submit(poll, "nothing here", "test", 300)
            for poll in (service.poll_for_decision_task, service.poll_for_activity_task)
        ]
        wait_for(lambda: len(service._host._wait_queue.all_task_queues()) == 2)  # noqa: SLF001 - both wait by then
        how(path)
        for polled in polls:
            with pytest.raises(DatabaseGone, match=str(path)):
                polled.result(60)


def test_run_in_this_process_raises_if_the_file_is_deleted(tmp_path: Path) -> None:
    path, begun = tmp_path / "db", threading.Event()
    activities = Activities()

    @activities.activity(name="work", version="1")
    def work(_context: object) -> None:
        path.unlink()
        begun.set()

    flow = DeciderSpec(activity_tasks=[ActivityTask(id_="work", name="work", version="1")])
    with pytest.raises(DatabaseGone, match=str(path)):
        run(flow, service=f"sqlite:///{path}", activities=activities, timeout=60)
    assert begun.is_set()


def restored(tmp_path: Path, name: str) -> Path:
    """A database made by an earlier floto, from its dump."""
    path = tmp_path / "db"
    db = sqlite3.connect(path)
    db.executescript((DATA / f"{name}.sql").read_text())
    db.close()
    return path


@pytest.mark.parametrize("name", EARLIER)
def test_file_of_an_earlier_version_is_migrated_and_its_runs_continue(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = restored(tmp_path, name)
    with pytest.raises(ServiceError, match="open it for writing once"):
        database.connect_reading(str(path))
    caplog.set_level("INFO", "floto")
    with SqliteService(path, clock=lambda: SHORTLY_AFTER) as service:
        assert f"to version {schema.VERSION}" in caplog.text
        info = service.latest_execution("open")
        assert info is not None
        assert info.close_status is None
        task = activity(service)
        service.respond_activity_task_completed(task.token, '"done"')
        closed = service.latest_execution("closed")
        assert closed is not None
        assert closed.close_status == "COMPLETED"
        assert [info.execution.workflow_id for info in service.open_executions(WORKFLOW)][-1:] == ["open"]
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone()[0] == schema.VERSION
    db.close()


@pytest.mark.parametrize("name", EARLIER)
def test_migrated_file_has_the_tables_and_indices_of_a_new_one(tmp_path: Path, name: str) -> None:
    path = restored(tmp_path, name)
    SqliteService(path).close()
    SqliteService(tmp_path / "new").close()
    assert shape(path) == shape(tmp_path / "new")


def shape(path: Path) -> tuple[dict[str, set[str]], dict[str, str]]:
    """The columns of each table, whose order a migration does not change, and the SQL of each index."""
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        columns = {
            name: {row[1] for row in db.execute(f"PRAGMA table_info({name})")}
            for kind, name, _ in rows
            if kind == "table"
        }
        return columns, {name: " ".join(sql.split()) for kind, name, sql in rows if kind == "index"}


def test_due_timer_fires_and_heartbeat_times_out_after_a_migration(tmp_path: Path) -> None:
    path = restored(tmp_path, "schema-3")
    with SqliteService(path, clock=lambda: SHORTLY_AFTER) as service:
        task = service.poll_for_decision_task("floto", "decider", 0)
        assert task is not None
        assert task.execution.workflow_id == "due"
        ended = [event for event in service.history(task.execution) if event.id > 7]
        assert [type(event.data).__name__ for event in ended] == [
            "TimerFired",
            "DecisionTaskScheduled",
            "ActivityTaskTimedOut",
            "DecisionTaskStarted",
        ]
        assert ended[0].data.timer_id == "soon"
        assert (ended[2].data.timeout_type, ended[2].data.details) == ("HEARTBEAT", "half")
        timers = [event for event in service.history(task.execution) if event.id == 6]
        assert [event.data.timer_id for event in timers] == ["soon"]


@pytest.mark.parametrize("name", EARLIER)
def test_runs_of_a_migrated_file_can_be_listed_by_tag(tmp_path: Path, name: str) -> None:
    path = restored(tmp_path, name)
    with SqliteService(path, clock=lambda: SHORTLY_AFTER) as service:
        service.terminate_workflow_execution("open")
    with closing(database.connect_reading(str(path))) as db:
        oldest = datetime(2026, 1, 1, tzinfo=UTC)
        for tag, workflow_ids in (("open", {"open"}), ("old", {"closed"})):
            listing = ListingQuery(domain="floto", is_closed=True, oldest=oldest, tag=tag)
            found = Listings(db).listed(listing, 10, None)
            assert {record.info.execution.workflow_id for record in found} == workflow_ids
            assert Listings(db).count_listed(listing) == 1


def test_failed_migration_leaves_the_file_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = restored(tmp_path, "schema-1")
    broken = (*schema._INDICES, "ALTER TABLE nothing ADD COLUMN x")  # noqa: SLF001 - to fail late
    before = dump(path)
    with monkeypatch.context() as patch:
        patch.setattr(schema, "_INDICES", broken)
        with pytest.raises(ServiceError):
            SqliteService(path)
    assert dump(path) == before
    SqliteService(path).close()


def dump(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    lines = [*db.iterdump(), str(db.execute("PRAGMA user_version").fetchone()[0])]
    db.close()
    return lines


def test_file_of_a_newer_version_is_refused_and_unchanged(tmp_path: Path) -> None:
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


def test_new_files_are_owner_only(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        for name in ("db", "db-wal", "db-shm"):
            assert mode(tmp_path / name) == 0o600, name
        assert mode(tmp_path / "db.leases") == 0o700
        assert {mode(path) for path in (tmp_path / "db.leases").iterdir()} == {0o600}


def test_leases_inherit_the_group_permissions_of_the_database(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        leases = Leases(tmp_path / "leases", 0o100660)
        assert mode(tmp_path / "leases") & 0o777 == 0o770
        assert {mode(path) for path in (tmp_path / "leases").iterdir()} == {0o660}
        leases.close()
    finally:
        os.umask(old)


def test_leases_require_write_permission_on_the_database(tmp_path: Path) -> None:
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


def test_another_user_cannot_own_the_lease_of_a_crashed_worker() -> None:
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


#: Opens a database as a user whom modes bind, and prints what can be done with it.
READER = """
import os, sys
import urllib.parse  # pathlib imports it late, when this user may not read the standard library
from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceError
from floto.core.swf.shapes import WorkflowExecution
# What is loaded late may be in a place that another user may not enter.
SqliteService(":memory:").close()
path, run_id = sys.argv[1:]
if os.getuid() == 0 and os.access(path, os.W_OK):
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    # That it cannot be written is a fact, and not what floto thinks.
    with open(path, "r+b"), open(path + ".new", "xb"):
        print("writable")
except OSError:
    print("read-only")
with SqliteService(path) as backup:
    print(backup.latest_execution("wf").close_status)
    print(len(backup.history(WorkflowExecution("wf", run_id))))
    try:
        backup.signal_workflow_execution("wf", "s")
        print("changed")
    except ServiceError as error:
        print(error)
"""


@pytest.fixture
def backup() -> Iterator[tuple[Path, str]]:
    """A copy of a database with a closed run, in a directory that every user may enter; the run's id."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "place"
        place.mkdir()
        with SqliteService(Path(name) / "db") as service:
            run = start(service)
            service.terminate_workflow_execution("wf")
        back_up(str(Path(name) / "db"), place / "backup")
        Path(name).chmod(0o755)
        yield place / "backup", run.run_id
        place.chmod(0o700)


def check_read_only(backup: tuple[Path, str], *before: str) -> None:
    """Check what a process says that reads a backup, and that nothing of it has changed."""
    path, run_id = backup
    content = path.read_bytes()
    command = [*before, sys.executable, "-c", READER, str(path), run_id]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kind, status, events, error = done.stdout.splitlines()
    assert (kind, status, events) == ("read-only", "TERMINATED", "3")
    assert "is read-only" in error
    assert path.read_bytes() == content
    assert not Path(f"{path}.leases").exists()


@pytest.mark.parametrize(
    ("directory", "file"), [(0o555, 0o444), (0o555, 0o666), (0o777, 0o444)], ids=["both", "directory", "file"]
)
def test_read_only_backup_is_listed_and_refuses_changes(
    backup: tuple[Path, str], directory: int, file: int
) -> None:
    path, _ = backup
    path.chmod(file)
    path.parent.chmod(directory)
    check_read_only(backup)
    if directory == 0o555:
        assert [each.name for each in path.parent.iterdir()] == ["backup"]


#: Runs a command in a mount namespace of its own, in which a directory can only be read, also by root.
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def namespace() -> list[str]:
    """The beginning of a command that may mount; root needs no user namespace for it."""
    return ["unshare", "--mount", *([] if os.getuid() == 0 else ["--user", "--map-root-user"])]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = [*namespace(), "mount", "-t", "tmpfs", "tmpfs", "/tmp"]  # noqa: S108 - in its own namespace
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="needs a system on which this user may mount")
def test_backup_on_a_read_only_disk_is_listed_and_refuses_changes(
    backup: tuple[Path, str],
) -> None:
    path, _ = backup
    check_read_only(backup, *namespace(), "sh", "-c", READ_ONLY, str(path.parent))
    assert [each.name for each in path.parent.iterdir()] == ["backup"]
