"""An open database file: its connections, the lease of this process, and its identity."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Literal

from floto.adapters.processes.leases import Leases, is_any_held, lease_directory
from floto.adapters.processes.wakeups import Wakeups
from floto.adapters.sqlite.storage.schema import VERSION, Sql, create, migrate
from floto.adapters.sqlite.storage.sqlite_errors import DatabaseGone, code_of, is_busy, kind_of
from floto.core.errors import ServiceError

log = logging.getLogger("floto")

Durability = Literal["full", "normal"]

MEMORY = ":memory:"
#: The application id "flot", by which ``file`` and floto recognise a database of floto.
_APPLICATION = 0x666C6F74
#: Bytes above which a write-ahead log is truncated, after it was copied into the database.
_LONG_LOG = 32 * 2**20
#: Nanoseconds that are longer than a tick of every file system's clock.
_TICK_NS = 2 * 10**9

#: Seconds that opening a file waits for the lock, if another process has it.
_OPEN_SECONDS = 30.0
#: Seconds that SQLite itself waits for a lock; longer waits consist of such slices, so that they can end.
SLICE_SECONDS = 0.2
#: Bytes to which a checkpoint truncates the write-ahead log.
_LOG_BYTES = 16 * 2**20

_Identity = tuple[int, int]


class Database:
    """The connections of one process to one file.

    A read-only file has no connection for writing and no lease; a database in memory has only the connection
    for writing, and no lease.

    Args:
        path: The file, or ``:memory:``.
        durability: ``"full"`` syncs the disk with every commit.
    """

    def __init__(self, path: str, durability: Durability) -> None:
        self.path = path
        self._files = (Path(path), Path(f"{path}-wal"), Path(f"{path}-shm"))
        self._directory = self._files[0].parent
        self.is_file = path != MEMORY
        self.leases: Leases | None = None
        self.wakeups = Wakeups(None)
        self.reading: sqlite3.Connection | None = None
        self.writing: sqlite3.Connection | None = None
        try:
            self._open(durability)
            self._known = self._look()
        except BaseException:
            self.close()
            self.wakeups.close()
            raise
        #: The state of the directory at a check: until it changes, no file in it was created or deleted.
        self._unchanged: tuple[int, int, int] | None = None

    def _open(self, durability: Durability) -> None:
        if self.is_file and _is_read_only(self.path):
            self.reading = connect_reading(self.path)
            return
        self.writing = connect(self.path, durability)
        if self.is_file:
            file = self._files[0].stat()
            self.leases = Leases(lease_directory(self.path), file.st_mode, file.st_uid)
            self.wakeups = Wakeups(self.leases)
            self.reading = connect_reading(self.path)

    @property
    def lease(self) -> str:
        """The name of this process as the owner of tasks."""
        return self.leases.name if self.leases else MEMORY

    def check(self) -> None:
        """Raise ``DatabaseGone`` if the file, its log or the index of the log is not the one that was opened.

        Processes see each other's writes and locks through these three files. A process that has another one
        of them open could overwrite acknowledged commits.
        """
        if not self.is_file or self.writing is None:
            return
        try:
            directory = self._directory.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DatabaseGone(self.path) from error
        state = directory.st_dev, directory.st_ino, directory.st_mtime_ns
        if state == self._unchanged:
            return
        found = self._look()
        if found != self._known:
            # A missing file may have been created; an existing one is deleted only with the last connection.
            if any(old not in {None, new} for old, new in zip(self._known, found, strict=True)):
                raise DatabaseGone(self.path)
            self._known = found
        # Two changes within one tick of the file system's clock have one time.
        if time.time_ns() - directory.st_mtime_ns > _TICK_NS:
            self._unchanged = state

    def need_writing(self) -> sqlite3.Connection:
        """Return the connection for writing; raise ``ServiceError`` if the file is read-only."""
        if self.writing is None:
            message = f"{self.path} is read-only: the file or its directory is not writable"
            raise ServiceError(message)
        return self.writing

    def cut_log(self) -> None:
        """Truncate a long write-ahead log, if no process is reading from it."""
        if self.is_file and self.writing is not None and self._files[1].stat().st_size > _LONG_LOG:
            self.writing.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def close(self) -> None:
        """Close the connections and the lease."""
        for connection in (self.reading, self.writing):
            if connection is not None:
                connection.close()
        if self.leases is not None:
            self.leases.close()

    def _look(self) -> tuple[_Identity | None, ...]:
        return tuple(map(_identity, self._files)) if self.is_file else ()


def _is_read_only(path: str) -> bool:
    return Path(path).exists() and not (os.access(path, os.W_OK) and os.access(Path(path).parent, os.W_OK))


def _identity(path: Path) -> _Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def connect(path: str, durability: Durability) -> sqlite3.Connection:
    """Open a floto database for writing; create the tables in an empty file, migrate an earlier version.

    Only the owner can read and write a new file.

    Args:
        path: The file, which is created if it is missing, or ``:memory:``.
        durability: ``"full"`` syncs the disk with every commit; ``"normal"`` may lose the latest commits in a
            power cut.

    Raises:
        ServiceError: if it is not a floto database, of a newer version, or damaged.
        ServiceUnavailable: if another process has the lock for too long, or the disk fails.
    """
    if path != MEMORY:
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return _opened(path, lambda db: _prepare(db, path, durability), path)


def connect_reading(path: str, *, any_version: bool = False) -> sqlite3.Connection:
    """Open a floto database for reading only; the file is not changed.

    A file in a read-only directory, such as a backup, can be read, too.

    Args:
        path: The file.
        any_version: Open a file of an earlier version, too.

    Raises:
        ServiceError: if it is not a floto database, or of another version.
    """

    def check(db: sqlite3.Connection) -> None:
        _check_reading(db, path, any_version=any_version)

    name, log_file = Path(path).absolute().as_uri(), Path(f"{path}-wal")
    as_it_is = f"{name}?mode=ro&immutable=1"
    # A process that has the database open has a log. SQLite would make one that belongs to this user, and the
    # owner of the database could not write to that.
    if not os.access(path, os.W_OK) and not log_file.exists():
        return _opened(as_it_is, check, path)
    try:
        return _opened(f"{name}?mode=ro", check, path)
    except ServiceError as error:
        if os.access(Path(path).parent, os.W_OK):
            raise
        if log_file.exists() and log_file.stat().st_size:
            message = f"{error}; open it once as a user who may write there: {log_file} has to be read"
            raise type(error)(message) from error
        return _opened(as_it_is, check, path)


def _opened(name: str, prepare: Callable[[sqlite3.Connection], None], path: str) -> sqlite3.Connection:
    is_uri = name.startswith("file:")
    try:
        db = sqlite3.connect(
            name, timeout=SLICE_SECONDS, isolation_level=None, check_same_thread=False, uri=is_uri
        )
    except sqlite3.OperationalError as error:
        message = f"cannot open {path}: {error}"
        raise ServiceError(message) from error
    try:
        prepare(db)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise _cannot_open(error, path) from error
        raise
    return db


def _cannot_open(error: sqlite3.DatabaseError, path: str) -> ServiceError:
    if code_of(error) == sqlite3.SQLITE_NOTADB:
        return ServiceError(f"{path} is not a floto database: {error}")
    return kind_of(error)(f"cannot open {path}: {error}")


def _check_reading(db: sqlite3.Connection, path: str, *, any_version: bool) -> None:
    db.execute("PRAGMA query_only = ON")
    version = _version(db, path)
    if version != VERSION and not (version and any_version):
        message = f"{path} has version {version} of floto's tables; open it for writing once to migrate it"
        raise ServiceError(message)


def _prepare(db: sqlite3.Connection, path: str, durability: Durability) -> None:
    version = _version(db, path)
    _write_ahead(db, path)
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    if version == VERSION:
        # Opening a file with current tables does not wait for writers.
        return
    begin(db, _OPEN_SECONDS)
    # Again, with the lock: another process may have been faster. After an error, closing rolls back.
    version = _check(db, path)
    if version != VERSION:
        if version:
            _check_unused(path)
        (migrate if version else create)(db)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute(Sql.COMMIT)
    if 0 < version < VERSION:
        # A command shows warnings alone, and from now on no earlier floto can open the file.
        log.warning("%s: migrated from version %d of floto's tables to version %d", path, version, VERSION)


def _check_unused(path: str) -> None:
    """Raise ``ServiceError`` if a process has the file of an earlier version open.

    Its statements would fail after a migration, so that the results of its activities would be lost.
    """
    directory = lease_directory(path)
    if is_any_held(directory):
        message = (
            f"{path} has to be migrated to version {VERSION} of floto's tables, and is in use: "
            f"stop the processes of the earlier floto that have it open; each locks a file in {directory}"
        )
        raise ServiceError(message)


def begin(db: sqlite3.Connection, seconds: float, is_given_up: Callable[[], bool] = lambda: False) -> None:
    """Begin a write transaction, waiting for the lock if another process has it.

    Args:
        db: The connection.
        seconds: Maximum seconds to wait.
        is_given_up: Returns True to end the wait, within ``SLICE_SECONDS``.

    Raises:
        sqlite3.OperationalError: if there is no lock in time.
    """
    end = monotonic() + seconds
    leave(db)
    while True:
        try:
            db.execute(Sql.BEGIN)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or is_given_up() or monotonic() >= end:
                raise
        else:
            return


def leave(db: sqlite3.Connection) -> None:
    """Roll back a transaction that is still open."""
    if db.in_transaction:
        db.rollback()


def _version(db: sqlite3.Connection, path: str) -> int:
    """Return the version of the tables in the file, 0 if there are none."""
    # In a transaction: otherwise another process may create the tables between two reads.
    db.execute("BEGIN")
    version = _check(db, path)
    db.execute("COMMIT")
    return version


def _check(db: sqlite3.Connection, path: str) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == application == tables == 0:
        return 0
    if application != _APPLICATION:
        message = f"{path} is not a floto database: it is a SQLite database of another program"
        raise ServiceError(message)
    if not 0 < version <= VERSION:
        message = (
            f"{path} has version {version} of floto's tables, and this floto knows versions up to {VERSION}; "
            "open it with a newer floto"
        )
        raise ServiceError(message)
    return version


def _write_ahead(db: sqlite3.Connection, path: str) -> None:
    # Unlike other statements, changing to WAL does not wait for other connections.
    end = monotonic() + _OPEN_SECONDS
    while True:
        try:
            if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] in {"wal", "memory"}:
                return
        except sqlite3.OperationalError:
            if monotonic() > end:
                raise
        # SQLite silently keeps the old mode if processes cannot share memory on this file system.
        if monotonic() > end:
            message = f"cannot use a write-ahead log on {path}"
            raise ServiceError(message)
        sleep(0.01)
