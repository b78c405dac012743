"""Leases: lock files that show which of the processes on one database are alive.

A process owns the tasks that it claims by the name of its lease, and holds a lock on the file of that name
while it has the database open. The kernel releases the lock when the process ends, however it ends, so its
tasks can be redelivered within seconds, without heartbeats. Leases that expire by time, the alternative, need
a commit per process every few seconds, and a process that was suspended for longer loses its tasks although
it still runs. The price is that all processes must be on one machine, which SQLite's write-ahead log
requires anyway.

A rewrite must keep these properties:

- The lock is ``flock``, not ``lockf``: ``lockf`` belongs to the process, so a process with several leases
  would see its own as free, and would lose one when it closes another descriptor of the file.
- A forked child closes its copy of the descriptor at once (``floto.forks``), without unlocking: the lock
  belongs to the open file, which both share, and would stay locked after the parent's end. Other programs do
  not inherit the descriptor.
- The lease of another process is deleted only while this one holds its lock and no task names it. A process
  that creates a lease checks that it still exists, because another one may have deleted it before it was
  locked.
- If the directory was deleted, all owners count as alive: redelivering a running task is worse than waiting
  for its time-out.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4
from weakref import finalize

from floto import forks
from floto.core.errors import ServiceError

_NAME = re.compile("[0-9a-f]{32}")
#: Permissions to read and write: of the owner, and of the group and the others.
_OWNER, _OTHERS = 0o600, (0o060, 0o006)
_WRITTEN_BY_OTHERS = 0o022
_NO_LEASE = (
    "{} may not be written to by this user; give it the group and the permissions of the database, or remove "
    "it while no process has the database open"
)


class Leases:
    """The lease of this process, and the check which other leases are free.

    Args:
        directory: The directory of the leases, which is created if it is missing.
        mode: The permissions of the database. A user without permission to write to it must not be able to
            open a lease either: by locking the lease of a crashed process, it would keep it alive for ever.
        owner: The owner of the database, who may own the directory beside root and this user; anybody may if
            others may write to the database, or this is None.

    Raises:
        ServiceError: if the directory is a symbolic link, belongs to somebody else, or may not be written to.
    """

    def __init__(self, directory: Path, mode: int = 0, owner: int | None = None) -> None:
        self._directory = directory
        #: Permissions of the files in the directory.
        self.mode = _OWNER | sum(others for others in _OTHERS if mode & others == others)
        sole_owner = None if mode & _WRITTEN_BY_OTHERS else owner
        _make(directory, self.mode | (self.mode & 0o444) >> 2, sole_owner)
        #: Closes the locked file: also if this is collected unclosed, as the connections of the database are.
        self._held: finalize[[int], Leases] | None = None
        while self._held is None:
            self.name = uuid4().hex
            opened = self._acquire(self.name)
            if opened is not None:
                self._held = finalize(self, os.close, opened)
                # At exit, threads may still use the database.
                self._held.atexit = False
            # A process that cleans up may have deleted the new file before it was locked.
            if self._held is not None and not self._path(self.name).exists():
                self.after_fork()
        forks.let_go_in_children(self)

    def after_fork(self) -> None:
        """Close the file without unlocking it: the lock belongs to the parent."""
        held, self._held = self._held, None
        if held is not None:
            held()

    @property
    def path(self) -> Path:
        """The lock file of this process."""
        return self._path(self.name)

    def dead(self, held: Iterable[str]) -> frozenset[str]:
        """Return the leases among ``held`` whose process has ended."""
        return frozenset(name for name in held if name != self.name and self._is_free(name))

    def clean(self, held: Iterable[str]) -> None:
        """Delete the files of ended processes, except of the leases among ``held``, which still own tasks."""
        keep = {self.name, *held}
        for path in self._directory.glob("*.lock"):
            if path.stem not in keep and _NAME.fullmatch(path.stem):
                with self._take(path.stem) as taken:
                    if taken:
                        _remove(path)

    def write(self, suffix: str, data: bytes) -> None:
        """Write a file beside the lease of this process, atomically; it is deleted with the lease.

        Args:
            suffix: The suffix of its name, which is otherwise that of the lease.
            data: Its content.

        Raises:
            OSError: if it cannot be written.
        """
        if self._held is None:
            return
        target = self._path(self.name).with_suffix(suffix)
        new = target.with_suffix(".new")
        opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, self.mode)
        try:
            with os.fdopen(opened, "wb") as file:
                file.write(data)
            new.replace(target)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Delete and unlock the lease of this process."""
        if self._held is not None:
            with suppress(OSError):
                _remove(self._path(self.name))
            self._held()
            self._held = None

    def _is_free(self, name: str) -> bool:
        # A malformed name in the database was never a lease, and must not become a path.
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
            opened = os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, self.mode)
        except PermissionError:
            if name == self.name:
                raise ServiceError(_NO_LEASE.format(self._directory)) from None
            # The lease of another user, whose processes must find out that its owner crashed.
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
    """Return the directory of a database's leases."""
    return Path(f"{path}.leases")


def is_any_held(directory: Path) -> bool:
    """Return True if a process has the database of these leases open."""
    return any(is_held(path) for path in directory.glob("*.lock"))


def is_held(path: Path) -> bool:
    """Return True if a process holds this lease, or the file cannot be read and one may hold it."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    try:
        # A shared lock, so that two processes that check do not see each other as the owner.
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(opened)
    return False


def _remove(path: Path) -> None:
    """Delete a lease and the files beside it."""
    for each in path.parent.glob(f"{path.stem}.*"):
        each.unlink(missing_ok=True)


def _make(directory: Path, mode: int, owner: int | None) -> None:
    """Create a directory, or restrict the permissions of an existing one of our own to ``mode``."""
    directory.mkdir(parents=True, exist_ok=True, mode=mode)
    found = directory.lstat()
    if stat.S_ISLNK(found.st_mode):
        msg = f"{directory} is a symbolic link; remove it"
        raise ServiceError(msg)
    if owner is not None and found.st_uid not in {0, os.geteuid(), owner}:
        # Who owns the directory may delete the lease of a running process, whose tasks would start again.
        if os.geteuid():
            msg = (
                f"{directory} belongs to another user (uid {found.st_uid}), who may not write to the "
                "database; remove it while no process has the database open"
            )
            raise ServiceError(msg)
        # For example after the owner of the database has changed.
        os.chown(directory, owner, -1, follow_symlinks=False)
        found = directory.lstat()
    if os.geteuid() in {0, found.st_uid} and found.st_mode & 0o777 & ~mode:
        directory.chmod(found.st_mode & 0o7000 | found.st_mode & mode)
