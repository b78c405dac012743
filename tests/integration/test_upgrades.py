"""Files of an earlier floto that a newer one opens, beside processes of the earlier one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from floto.adapters.processes.leases import Leases, lease_directory
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import schema
from floto.core.errors import ServiceError
from tests.integration.commands import Shell

DATA = Path(__file__).parents[1] / "data"
EARLIER = schema.VERSION - 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database of the version of the tables before this one."""
    found = tmp_path / "floto.db"
    with closing(sqlite3.connect(found)) as db:
        db.executescript((DATA / f"schema-{EARLIER}.sql").read_text())
    return found


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        found: int = db.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_file_that_an_earlier_floto_has_open_is_not_migrated(path: Path) -> None:
    # The process of the earlier floto: since the first version, each process has a lease.
    other = Leases(lease_directory(path))
    with pytest.raises(ServiceError, match=r"in use: stop the processes .* file in .*floto\.db\.leases"):
        SqliteService(path)
    assert version(path) == EARLIER
    other.close()
    SqliteService(path).close()
    assert version(path) == schema.VERSION


def test_command_that_migrates_a_file_says_so(path: Path, shell: Shell) -> None:
    for said in (f"migrated from version {EARLIER} of floto's tables to version {schema.VERSION}", ""):
        done = shell("list", "--open", "--service", f"sqlite:///{path}")
        assert "open" in done.stdout
        assert said in done.stderr
        assert bool(done.stderr) == bool(said)


def test_backup_of_an_earlier_version_in_use_is_that_version(path: Path, shell: Shell) -> None:
    other = Leases(lease_directory(path))
    shell("backup", "before.db")
    other.close()
    copy = path.with_name("before.db")
    assert (version(path), version(copy)) == (EARLIER, EARLIER)
    assert "open" in shell("list", "--open", "--service", "sqlite:///before.db").stdout
    assert version(path) == EARLIER
