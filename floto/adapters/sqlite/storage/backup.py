"""Online backup: a consistent copy of a database to which other processes write meanwhile."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from uuid import uuid4

from floto.adapters.processes.leases import is_any_held, lease_directory
from floto.adapters.sqlite.storage.database import connect_reading
from floto.adapters.sqlite.storage.rows import without_leases
from floto.adapters.sqlite.storage.schema import VERSION
from floto.adapters.sqlite.storage.sqlite_errors import translated
from floto.core.errors import ServiceError
from floto.files import sync_directory


def back_up(source: str, target: Path, *, replace: bool = False) -> int:
    """Copy a database to a file that only its owner can read; return the size of the copy in bytes.

    The copy contains all commits that were acknowledged before this call. The target is written only after
    the copy is complete and checked. Tasks that processes own can be claimed in the copy.
    A database of an earlier version is copied as it is.

    Args:
        source: The path of the database.
        target: The path of the copy, which must not be the source or a database that is in use.
        replace: Overwrite an existing target.

    Raises:
        ServiceError: if the source cannot be read, or the target cannot be written or exists.
    """
    new = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        _copy(source, new)
        _check_free(source, target)
        if replace:
            new.replace(target)
        else:
            _place(new, target)
        sync_directory(target.parent)
        return target.stat().st_size
    except FileExistsError as error:
        message = f"{target} exists; choose another name, or replace it with --force"
        raise ServiceError(message) from error
    except OSError as error:
        # The error itself names the new file, which the caller did not choose.
        message = f"cannot write {target}: {error.strerror or error}"
        raise ServiceError(message) from error
    except sqlite3.Error as error:
        raise (translated(error, str(target)) or ServiceError(str(error))) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError, NotADirectoryError):
                Path(f"{new}{suffix}").unlink()


def _place(new: Path, target: Path) -> None:
    """Give a file another name. Unlike a check before, this replaces no file that was created meanwhile."""
    try:
        os.link(new, target)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))
        new.replace(target)


#: Errors of file systems that have no hard links, such as FAT.
_WITHOUT_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def _check_free(source: str, target: Path) -> None:
    """Raise ``ServiceError`` if the copy would replace a used database, or get the log of another one."""
    log_file = Path(f"{target}-wal")
    if target.exists() and not (target.is_file() or target.is_dir()):
        message = f"cannot write {target}: not a regular file"
    elif target.exists() and target.samefile(source):
        message = f"{target} is the database itself"
    elif is_any_held(lease_directory(target)):
        message = f"{target} is in use; stop the processes that have it open, or choose another name"
    elif log_file.exists() and log_file.stat().st_size:
        message = (
            f"{log_file} holds commits of another database, which would be read into the copy; delete it"
        )
    else:
        return
    raise ServiceError(message)


def _copy(source: str, new: Path) -> None:
    with (
        closing(connect_reading(source, any_version=True)) as old,
        closing(sqlite3.connect(new, isolation_level=None)) as copy,
    ):
        old.backup(copy)
        if copy.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            _remove_leases(copy)
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            message = f"the copy of {source} is damaged: {found}"
            raise ServiceError(message)
    with new.open("rb") as file:
        os.fsync(file.fileno())


def _remove_leases(copy: sqlite3.Connection) -> None:
    """Remove the leases of processes on the source, which have no meaning for the copy."""
    rows = copy.execute("SELECT number, work FROM runs WHERE work IS NOT NULL").fetchall()
    works = [(without_leases(work), number) for number, work in rows]
    copy.executemany("UPDATE runs SET work = ? WHERE number = ?", works)
