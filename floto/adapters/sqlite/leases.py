"""Who of the processes on one database is alive, by locks that the kernel drops with the process."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

_NAME = re.compile("[0-9a-f]{32}")


class Leases:
    """A lock file of one's own, and a way to see whose lock is free."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        while True:
            self.name = uuid4().hex
            self._lock = self._file(self.name)
            # Somebody who cleans up may take the new file for a dead one.
            with suppress(Timeout):
                self._lock.acquire(timeout=0)
                if self._path(self.name).exists():
                    return
                self._lock.release()

    def dead(self, held: Iterable[str]) -> frozenset[str]:
        """Which of the leases that hold tasks nobody keeps any more."""
        return frozenset(name for name in held if name != self.name and self._is_free(name))

    def clean(self, held: Iterable[str]) -> None:
        """Remove the files that dead processes left, except of leases that still hold tasks."""
        keep = {self.name, *held}
        for path in self._directory.glob("*.lock"):
            if path.stem not in keep and _NAME.fullmatch(path.stem):
                with self._take(path.stem) as taken:
                    if taken:
                        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give up one's own lease."""
        with suppress(OSError):
            self._path(self.name).unlink(missing_ok=True)
        self._lock.release()

    def _is_free(self, name: str) -> bool:
        # Whatever else the database says was never a lease, and must not become a path.
        if not _NAME.fullmatch(name):
            return True
        if not self._path(name).exists():
            # Where one's own file is gone too, the directory is, and nobody need be dead.
            return self._path(self.name).exists()
        with self._take(name) as taken:
            return taken

    @contextmanager
    def _take(self, name: str) -> Iterator[bool]:
        lock = self._file(name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.lock"

    def _file(self, name: str) -> FileLock:
        # Polling threads come and go; the lease belongs to all of them.
        return FileLock(self._path(name), thread_local=False)
