"""Directories of leases that somebody else controls."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from floto.adapters.processes.leases import Leases, is_held
from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceError


def test_linked_directory_of_leases_is_refused_and_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(0o755)
    (tmp_path / "db.leases").symlink_to(victim)
    with pytest.raises(ServiceError, match=r"db\.leases is a symbolic link; remove it"):
        SqliteService(tmp_path / "db")
    assert victim.stat().st_mode & 0o777 == 0o755
    assert not list(victim.iterdir())


def test_directory_of_leases_of_a_user_who_may_not_write_to_the_database_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "db.leases").mkdir(0o777)
    stranger = os.geteuid() or 65_534
    os.chown(tmp_path / "db.leases", stranger, -1)
    # Seen from a third user; the database is of a fourth one.
    monkeypatch.setattr("floto.adapters.processes.leases.os.geteuid", lambda: stranger + 1)
    with pytest.raises(ServiceError, match=rf"belongs to another user \(uid {stranger}\), who may not write"):
        Leases(tmp_path / "db.leases", 0o600, stranger + 2)
    for owner in (stranger, None):
        Leases(tmp_path / "db.leases", 0o600, owner).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change owners")
def test_root_gives_the_directory_of_leases_to_the_owner_of_the_database(tmp_path: Path) -> None:
    SqliteService(tmp_path / "db").close()
    os.chown(tmp_path / "db.leases", 65_534, -1)
    (tmp_path / "db.leases").chmod(0o777)
    SqliteService(tmp_path / "db").close()
    found = (tmp_path / "db.leases").stat()
    assert (found.st_uid, found.st_mode & 0o777) == (0, 0o700)


def test_directory_of_leases_that_may_not_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _flags: int, _mode: int) -> int:
        raise PermissionError(path)

    # Root may write to every directory.
    monkeypatch.setattr("floto.adapters.processes.leases.os.open", refuse)
    with pytest.raises(
        ServiceError, match=r"db\.leases may not be written to by this user; give it the group"
    ):
        Leases(tmp_path / "db.leases")


# From Python 3.13 on, SQLite's connections complain when they are collected unclosed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_lease_of_a_service_that_is_dropped_unclosed_is_free(tmp_path: Path) -> None:
    service = SqliteService(tmp_path / "db")
    (lock,) = (tmp_path / "db.leases").glob("*.lock")
    assert is_held(lock)
    del service
    gc.collect()
    assert not is_held(lock)
    # The next process deletes it.
    SqliteService(tmp_path / "db").close()
    assert not lock.exists()
