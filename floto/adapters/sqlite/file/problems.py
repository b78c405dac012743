"""Translation of SQLite's errors to those of the port: one table of the transient ones."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from attrs import define

from floto.core.engine import faults
from floto.core.errors import ServiceError, ServiceFault, ServiceGone, ServiceUnavailable

#: Primary codes of transient errors: another process has the lock, the disk is full or fails temporarily, or
#: memory or file descriptors are short. All others are permanent errors of the file, its content or the call.
TRANSIENT = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
#: Codes of errors with which every statement would fail, not only the current one.
WHOLE_DATABASE = TRANSIENT | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: Minimum free bytes of a disk, for a write-ahead log to grow.
_LITTLE_ROOM = 2**20
#: Seconds for which no process of floto holds the lock.
_LOCK_SECONDS = 2.0


@define
class DatabaseGone(ServiceGone):
    """A database file, or its write-ahead log, was deleted or replaced while it was open.

    Later writes would be lost with the process, so no call is acknowledged any more.
    """

    path: str

    def __str__(self) -> str:
        """Return a message that names the file and says what to do."""
        return (
            f"{self.path} was deleted or replaced while it was open; nothing more is written to it: "
            "put the database back, with its -wal, or restore a backup, and start again"
        )


def write_problem(path: str) -> str:
    """Return why a database cannot be written to now; an empty string if it can."""
    if shutil.disk_usage(Path(path).parent).free < _LITTLE_ROOM:
        return f"the disk of {path} is full"
    # mode=rw, so that a file that was just deleted is not created again.
    name = f"{Path(path).as_uri()}?mode=rw"
    with closing(sqlite3.connect(name, timeout=_LOCK_SECONDS, isolation_level=None, uri=True)) as db:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return (
                    f"a process has been writing to {path} for more than {_LOCK_SECONDS:.0f} s without an "
                    "end; it may have been stopped"
                )
            return f"{path} cannot be written to: {error}"
        db.execute("ROLLBACK")
    return ""


def code_of(error: BaseException) -> int:
    """Return SQLite's primary error code, 0 if the error has none."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Return True if another process has the lock."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: Exception, path: str) -> ServiceError | None:
    """Return the port's error for an error of SQLite or of the file; None for any other error."""
    if isinstance(error, UnicodeEncodeError):
        return _not_unicode(error)
    if isinstance(error, OSError):
        return ServiceUnavailable(f"{path}: {error}")
    if not isinstance(error, sqlite3.DatabaseError):
        return None
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
        return DatabaseGone(path)
    return _kind_of(error)(f"{path}: {error}")


def _kind_of(error: sqlite3.DatabaseError) -> type[ServiceError]:
    code = code_of(error)
    # Without a code, Python and not SQLite raised the error; treat it as transient.
    is_transient = code in TRANSIENT or (not code and isinstance(error, sqlite3.OperationalError))
    return ServiceUnavailable if is_transient else ServiceError


def _not_unicode(error: UnicodeEncodeError) -> ServiceFault:
    return faults.invalid(f"Value {error.object!a} failed to satisfy constraint: Member must be Unicode text")
