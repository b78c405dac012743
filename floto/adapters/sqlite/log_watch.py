"""Notices that something other than SQLite truncated the write-ahead log of an open database.

SQLite goes on appending to such a log, leaves a hole where the log was, and reports success for commits that
no process can read back. SQLite itself makes a log shorter only when all of it is in the database and the
index of the log says so. The index (``-shm``) must not be opened here: to close it would drop the locks
that SQLite holds on it in this process. So a log that became shorter is compared with what SQLite says
that it holds, which happens rarely.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from time import sleep

#: Bytes of the log's header, and of the header of each frame in it.
_HEADER, _FRAME_HEADER = 32, 24
#: Another process may empty the log between two looks: so many looks, seconds apart, must agree.
_LOOKS, _APART_SECONDS = 3, 0.005


class LogWatch:
    """What is known of the log of one database: its size and its header."""

    def __init__(self, path: str) -> None:
        self._path, self._log = path, f"{path}-wal"
        self._size, self._header = self._length(), self._read()
        self._is_truncated = False

    def is_truncated(self) -> bool:
        """Return True once committed frames are missing from the log."""
        size = self._length()
        if self._is_truncated or size == self._size:
            return self._is_truncated
        header = self._read()
        if _is_hole(header) and not _is_hole(self._header):
            self._is_truncated = all(_is_hole(self._read()) for _ in _looks())
        elif size < self._size:
            self._is_truncated = all(self._lacks_frames() for _ in _looks())
        if not self._is_truncated:
            self._size, self._header = size, header
        return self._is_truncated

    def _lacks_frames(self) -> bool:
        size = self._length()
        try:
            with closing(sqlite3.connect(self._path, timeout=0, isolation_level=None)) as db:
                # In this order: only the first of them reads the file.
                frames: int = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
                page_size: int = db.execute("PRAGMA page_size").fetchone()[0]
        except sqlite3.Error as error:
            return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHORT_READ
        needed = _HEADER + frames * (_FRAME_HEADER + page_size) if frames > 0 else 0
        return max(size, self._length()) < needed

    def _length(self) -> int:
        try:
            return os.stat(self._log).st_size  # noqa: PTH116 - twice for each commit, and pathlib takes longer
        except OSError:
            return 0

    def _read(self) -> bytes:
        try:
            opened = os.open(self._log, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(opened, _HEADER)
        except OSError:
            return b""
        finally:
            os.close(opened)


def _looks() -> Iterator[None]:
    for number in range(_LOOKS):
        if number:
            sleep(_APART_SECONDS)
        yield


def _is_hole(header: bytes) -> bool:
    """Return True for the zeros that reading gives where nothing was written."""
    return bool(header) and not header.strip(b"\0")
