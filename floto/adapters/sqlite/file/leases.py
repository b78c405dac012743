"""Which of the processes on one database are alive, by locks that the kernel drops with the process.

``flock`` and not ``lockf``: a process may hold several leases, and must see its own as held. Such a lock
belongs to the open file, which a forked child shares, so the child closes it at once (``floto.forks``).
File descriptors are not inherited by other programs.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from floto import forks

_NAME = re.compile("[0-9a-f]{32}")
#: Permission to read and write: of the owner, and of the others that a database may let in.
_OWNER, _OTHERS = 0o600, (0o060, 0o006)


class Leases:
    """A lock file of one's own, and a way to see whose lock is free.

    ``mode`` is that of the database: whoever may not write to it may not open a lease either, or could hold
    the lock of a dead process, which would look alive for ever.
    """

    def __init__(self, directory: Path, mode: int = 0) -> None:
        self._directory = directory
        self._mode = _OWNER | sum(others for others in _OTHERS if mode & others == others)
        _make(directory, self._mode | (self._mode & 0o444) >> 2)
        self._held: int | None = None
        while self._held is None:
            self.name = uuid4().hex
            self._held = self._acquire(self.name)
            # A process that cleans up may take the new file for a dead one.
            if self._held is not None and not self._path(self.name).exists():
                self.after_fork()
        forks.let_go_in_children(self)

    def after_fork(self) -> None:
        """Close the file without giving up the lock, which belongs to the parent."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def dead(self, held: Iterable[str]) -> frozenset[str]:
        """Return which of the leases that own tasks no process holds any more."""
        return frozenset(name for name in held if name != self.name and self._is_free(name))

    def clean(self, held: Iterable[str]) -> None:
        """Remove the files that dead processes left, except of leases that still own tasks."""
        keep = {self.name, *held}
        for path in self._directory.glob("*.lock"):
            if path.stem not in keep and _NAME.fullmatch(path.stem):
                with self._take(path.stem) as taken:
                    if taken:
                        _remove(path)

    def write(self, suffix: str, data: bytes) -> None:
        """Write a file beside one's own lease, as a whole; it goes with the lease. Raises ``OSError``."""
        if self._held is None:
            return
        target = self._path(self.name).with_suffix(suffix)
        new = target.with_suffix(".new")
        opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, self._mode)
        try:
            with os.fdopen(opened, "wb") as file:
                file.write(data)
            new.replace(target)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Give up one's own lease."""
        if self._held is not None:
            with suppress(OSError):
                _remove(self._path(self.name))
            os.close(self._held)
            self._held = None

    def _is_free(self, name: str) -> bool:
        # Whatever else the database says was never a lease, and must not become a path.
        if not _NAME.fullmatch(name):
            return True
        if not self._path(name).exists():
            # If our own lock file is missing too, the whole directory was deleted: assume the owners are
            # alive.
            return self._path(self.name).exists()
        with self._take(name) as taken:
            return taken

    @contextmanager
    def _take(self, name: str) -> Iterator[bool]:
        lock = self._acquire(name)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                os.close(lock)

    def _acquire(self, name: str) -> int | None:
        """Return a descriptor that holds the lock of a lease; None if another process holds it."""
        try:
            opened = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, self._mode)
        except PermissionError:
            # Another user's: only they can say that its process is dead.
            return None
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return None
        except BaseException:
            os.close(opened)
            raise
        return opened

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.lock"


def lease_directory(path: str | Path) -> Path:
    """Return where the leases of a database are."""
    return Path(f"{path}.leases")


def is_any_held(directory: Path) -> bool:
    """Return True if a process is alive that has the database of these leases open."""
    return any(is_held(path) for path in directory.glob("*.lock"))


def is_held(path: Path) -> bool:
    """Return True if a process is alive that holds the lease of this file, or may be: it cannot be read."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    try:
        # Shared, so that two who look do not take each other for the owner.
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False


def _remove(path: Path) -> None:
    """Remove a lease, and what its process wrote beside it."""
    for each in path.parent.glob(f"{path.stem}.*"):
        each.unlink(missing_ok=True)


def _make(directory: Path, mode: int) -> None:
    """Make a directory, or take the permission that ``mode`` does not give from one of our own."""
    directory.mkdir(parents=True, exist_ok=True, mode=mode)
    found = directory.stat()
    if found.st_uid == os.geteuid() and found.st_mode & 0o777 & ~mode:
        directory.chmod(found.st_mode & 0o7000 | found.st_mode & mode)
