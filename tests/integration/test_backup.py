"""Copies of a database that is in use."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage.backup import back_up
from floto.core.errors import ServiceError
from floto.core.swf.events import WorkflowExecutionSignaled
from tests.integration.commands import Shell
from tests.integration.test_sqlite_helpers import activity, schedule, start


def signals(path: Path) -> set[str]:
    with SqliteService(path) as service:
        info = service.latest_execution("wf")
        assert info is not None
        data = [event.data for event in service.history(info.execution)]
    return {each.signal_name for each in data if isinstance(each, WorkflowExecutionSignaled)}


def test_backup_under_load_contains_every_call_acknowledged_before_it(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()
    with SqliteService(tmp_path / "db", durability="normal") as service:
        start(service)

        def write() -> None:
            while not stop.is_set():
                name = f"s{len(acknowledged)}"
                service.signal_workflow_execution("wf", name)
                acknowledged.append(name)

        writer = threading.Thread(target=write)
        writer.start()
        before: list[set[str]] = []
        for number in range(8):
            while len(acknowledged) < 20 * number:
                stop.wait(0.01)
            before.append(set(acknowledged))
            back_up(str(tmp_path / "db"), tmp_path / f"copy{number}")
        stop.set()
        writer.join()
    for number, expected in enumerate(before):
        assert expected <= signals(tmp_path / f"copy{number}")


def test_restored_backup_redelivers_claimed_tasks(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, "a")
        activity(service)
        back_up(str(tmp_path / "db"), tmp_path / "copy")
        with SqliteService(tmp_path / "copy") as copy:
            task = activity(copy)
            copy.respond_activity_task_completed(task.token, "1")
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600


def test_backup_refuses_to_overwrite_without_force(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "floto.db") as service:
        start(service)
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(ServiceError, match="--force"):
        back_up(str(tmp_path / "floto.db"), tmp_path / "copy")
    shell = Shell(tmp_path)
    assert "--force" in shell("backup", "copy", code=2).stderr
    assert (tmp_path / "copy").read_text() == "precious"
    assert "copied floto.db to copy" in shell("backup", "copy", "--force").stderr
    assert signals(tmp_path / "copy") == set()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [("nowhere/x.db", "No such file or directory"), ("floto.db/x.db", "Not a directory")],
)
def test_backup_that_cannot_be_written_names_its_file_and_the_reason(
    name: str, problem: str, tmp_path: Path
) -> None:
    with SqliteService(tmp_path / "floto.db") as service:
        start(service)
    shell = Shell(tmp_path)
    assert shell.here("backup", name, code=2)[1] == f"floto: cannot write {name}: {problem}\n"
    (tmp_path / "taken").mkdir()
    with pytest.raises(ServiceError) as caught:
        back_up(str(tmp_path / "floto.db"), tmp_path / "taken", replace=True)
    assert str(caught.value) == f"cannot write {tmp_path / 'taken'}: Is a directory"


def test_backup_replaces_no_pipe(tmp_path: Path) -> None:
    SqliteService(tmp_path / "db").close()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ServiceError, match="pipe: not a regular file"):
        back_up(str(tmp_path / "db"), tmp_path / "pipe", replace=True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_backup_is_written_where_files_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_names: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with SqliteService(tmp_path / "db") as service:
        start(service)
        service.signal_workflow_execution("wf", "s")
    assert back_up(str(tmp_path / "db"), tmp_path / "copy")
    assert signals(tmp_path / "copy") == {"s"}
    with pytest.raises(ServiceError, match="copy exists; choose another name"):
        back_up(str(tmp_path / "db"), tmp_path / "copy")


def test_backup_removes_leftover_log_files_of_the_copy(tmp_path: Path) -> None:
    copy, log_file = tmp_path / "copy", tmp_path / "copy-wal"
    with SqliteService(copy) as old:
        start(old)
        old.signal_workflow_execution("wf", "old")
        left = log_file.read_bytes()
    copy.unlink()
    log_file.write_bytes(left)
    with SqliteService(tmp_path / "db") as service:
        start(service)
        with pytest.raises(ServiceError, match="copy-wal holds commits of another database"):
            back_up(str(tmp_path / "db"), copy)
        assert not copy.exists()
        log_file.unlink()
        back_up(str(tmp_path / "db"), copy)
    assert signals(copy) == set()


@pytest.mark.parametrize("is_logged", [True, False])
def test_neither_the_database_itself_nor_one_in_use_is_replaced(tmp_path: Path, *, is_logged: bool) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "used") as used:
        start(service)
        start(used)
        if not is_logged:
            used._host._database.need_writing().execute("PRAGMA wal_checkpoint(TRUNCATE)")  # noqa: SLF001
        (tmp_path / "link").symlink_to("db")
        for name, problem in {"db": "database itself", "link": "database itself", "used": "in use"}.items():
            with pytest.raises(ServiceError, match=problem):
                back_up(str(tmp_path / "db"), tmp_path / name, replace=True)
        for each in (service, used):
            each.signal_workflow_execution("wf", "s")
    assert signals(tmp_path / "db") == signals(tmp_path / "used") == {"s"}


def test_backup_of_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "floto.db").write_text("no database, but text that is long enough to look at")
    with pytest.raises(ServiceError):
        back_up(str(tmp_path / "floto.db"), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
