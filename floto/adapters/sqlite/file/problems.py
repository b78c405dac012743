"""What is wrong with a database file, in the port's words: one table of the errors of SQLite that pass."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from attrs import define

from floto.core.engine import faults
from floto.core.errors import ServiceError, ServiceFault, ServiceGone, ServiceUnavailable

#: Primary codes of what may work later: another process has the lock, the disk is full or fails for a moment,
#: memory or file descriptors are short. Everything else is wrong with the file, the database in it or the
#: call.
PASSING = frozenset(
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
#: The codes among them with which no statement of a transaction can be carried out, whichever it is.
OF_ALL = PASSING | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: Bytes of a disk that are too few for a write-ahead log to grow.
_LITTLE_ROOM = 2**20
#: Seconds that no process of floto has the lock for.
_LOCK_SECONDS = 2.0


@define
class DatabaseGone(ServiceGone):
    """A database file, or its write-ahead log, that was deleted or replaced while it was open.

    What is written to it now is lost with the process, so nothing is acknowledged any more.
    """

    path: str

    def __str__(self) -> str:
        """Name the file, and say what to do."""
        return (
            f"{self.path} was deleted or replaced while it was open; nothing more is written to it: "
            "put the database back, with its -wal, or restore a backup, and start again"
        )


def standstill(path: str) -> str:
    """Return what keeps a database from being written to now; empty if nothing is known to."""
    if shutil.disk_usage(Path(path).parent).free < _LITTLE_ROOM:
        return f"the disk of {path} is full"
    # Not to be made anew, should it be deleted just now.
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
    """Return SQLite's primary error code, 0 if there is none."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Return True if another process has the lock."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: Exception, path: str) -> ServiceError | None:
    """Return what the port calls an error of SQLite or of the file; None for every other error."""
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
    # Without a code, it was not SQLite that raised the error, and nothing says that it stays.
    passes = code in PASSING or (not code and isinstance(error, sqlite3.OperationalError))
    return ServiceUnavailable if passes else ServiceError


def _not_unicode(error: UnicodeEncodeError) -> ServiceFault:
    return faults.invalid(f"Value {error.object!a} failed to satisfy constraint: Member must be Unicode text")
