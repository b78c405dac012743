"""An open database file: its connections, the lease of this process, and its identity."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from floto.adapters.sqlite.file.leases import Leases, lease_directory
from floto.adapters.sqlite.file.problems import DatabaseGone
from floto.adapters.sqlite.file.schema import Durability, connect, connect_reading
from floto.adapters.sqlite.file.wakeups import Wakeups
from floto.core.errors import ServiceError

MEMORY = ":memory:"
#: Bytes above which a write-ahead log is truncated, after it was copied into the database.
_LONG_LOG = 32 * 2**20
#: Nanoseconds that are longer than a tick of every file system's clock.
_TICK_NS = 2 * 10**9

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
        self.is_file = path != MEMORY
        self.leases: Leases | None = None
        self.wakeups = Wakeups(None)
        self.writing: sqlite3.Connection | None = None
        if self.is_file and _is_read_only(path):
            self.reading: sqlite3.Connection | None = connect_reading(path)
            return
        self.writing = connect(path, durability)
        self.reading = None
        if self.is_file:
            self.leases = Leases(lease_directory(path), self._files[0].stat().st_mode)
            self.wakeups = Wakeups(self.leases)
            self.reading = connect_reading(path)
        self._known = self._look()
        #: The state of the directory at a check: until it changes, no file in it was created or deleted.
        self._unchanged: tuple[int, int, int] | None = None

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
        directory = self._files[0].parent.stat()
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
