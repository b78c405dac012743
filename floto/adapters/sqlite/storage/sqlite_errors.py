"""Errors of SQLite and of a database file, and those of the port in their place."""

from __future__ import annotations

import sqlite3

from attrs import define, frozen

from floto.core.engine import faults
from floto.core.errors import ServiceError, ServiceGone, ServiceUnavailable

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


def code_of(error: BaseException) -> int:
    """Return SQLite's primary error code, 0 if the error has none."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Return True if another process has the lock."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: Exception, path: str) -> ServiceError | None:
    """Return the port's error for an error of SQLite or of the file; None for any other error."""
    if isinstance(error, UnicodeEncodeError):
        problem = f"Value {error.object!a} failed to satisfy constraint: Member must be Unicode text"
        return faults.invalid(problem)
    if isinstance(error, OSError):
        return ServiceUnavailable(f"{path}: {error}")
    if not isinstance(error, sqlite3.DatabaseError):
        return None
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
        return DatabaseGone(path)
    return kind_of(error)(f"{path}: {error}")


def kind_of(error: sqlite3.DatabaseError) -> type[ServiceError]:
    """Return the class of the port's error for an error of SQLite."""
    code = code_of(error)
    # Without a code, Python and not SQLite raised the error; treat it as transient.
    is_transient = code in TRANSIENT or (not code and isinstance(error, sqlite3.OperationalError))
    return ServiceUnavailable if is_transient else ServiceError


@frozen
class Translating:
    """A block whose errors of SQLite and of the file become those of the port."""

    path: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, Exception):
            known = translated(error, self.path)
            if known is not None:
                raise known from error
