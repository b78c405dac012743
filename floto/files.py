"""Atomic writing of files: a reader finds the old file or the new one, never a part.

The content is written to a new file with a random name in the directory of the target, synced, and renamed to
the target. Symbolic links that an attacker created under either name are not followed: the new file must not
exist yet, and renaming replaces a link like a file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

#: Directory of floto's own files, with the separator after it: what the names of its code begin with.
OWN_FILES = str(Path(__file__).parent) + os.sep
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK, opening a pipe waits for a writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OWNER_ONLY = 0o700
#: Bits that a new subdirectory inherits: setgid, sticky, and the permissions of group and others.
_SHARED = stat.S_ISGID | stat.S_ISVTX | 0o077


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing; it gets its name, synced, when the block ends without an error.

    The new file gets the permissions of a file that it replaces, if that belongs to the same user, else the
    default ones.

    Args:
        path: The name of the file.

    Raises:
        OSError: if the file cannot be written, or ``path`` exists and is not a regular file.
    """
    with open_directory(path.parent) as directory, whole_file_in(directory, path.name) as file:
        yield file


@contextmanager
def whole_file_in(directory: int, name: str, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a new file as ``whole_file`` does, in an open directory.

    Args:
        directory: The descriptor of the directory.
        name: The name of the file in it.
        mode: The permissions of the file; default: as for ``whole_file``.

    Raises:
        OSError: if the file cannot be written; it names ``name``.
    """
    kept = _mode_of(directory, name)
    if mode is None:
        mode = kept
    new = f".floto-{os.urandom(16).hex()}"
    try:
        with os.fdopen(os.open(new, _NEW, 0o666 if mode is None else 0o600, dir_fd=directory), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        if error.filename != new:
            raise
        raise OSError(error.errno, error.strerror, name) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(new, dir_fd=directory)
    os.fsync(directory)


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically, as ``whole_file`` does."""
    with whole_file(path) as file:
        file.write(data)


def read_regular(path: str | Path, most: int, within: int | None = None) -> bytes:
    """Return at most ``most`` bytes of a regular file.

    Args:
        path: The file, or its name in the directory ``within``.
        most: Maximum number of bytes.
        within: The descriptor of a directory.

    Raises:
        OSError: if the file cannot be read, or is a symbolic link or not a regular file.
    """
    with os.fdopen(os.open(path, _READ, dir_fd=within), "rb") as file:
        _check_regular(str(path), os.fstat(file.fileno()).st_mode)
        return file.read(most)


def make_private(directory: Path) -> None:
    """Create a directory and its missing parents with permissions for their owner only."""
    if not directory.is_dir():
        make_private(directory.parent)
        with suppress(FileExistsError):
            directory.mkdir(_OWNER_ONLY)
        sync_directory(directory.parent)


@contextmanager
def open_directory(path: str | Path, within: int | None = None) -> Iterator[int]:
    """Open a directory and return its descriptor.

    Args:
        path: The path of the directory, or its name in the directory ``within``.
        within: The descriptor of a directory; then ``path`` must not be a symbolic link.
    """
    opened = os.open(path, _DIRECTORY if within is None else _DIRECTORY | os.O_NOFOLLOW, dir_fd=within)
    try:
        yield opened
    finally:
        os.close(opened)


@contextmanager
def shared_directory(name: str, within: int) -> Iterator[int]:
    """Open a subdirectory; create a missing one with the permissions of its parent.

    Args:
        name: The name of the subdirectory.
        within: The descriptor of its parent.
    """
    made = False
    with suppress(FileExistsError):
        os.mkdir(name, _OWNER_ONLY, dir_fd=within)
        made = True
    with open_directory(name, within) as opened:
        if made:
            os.fchmod(opened, _OWNER_ONLY | os.fstat(within).st_mode & _SHARED)
        yield opened


def shared_mode(directory: int) -> int:
    """Return the permissions of a new file: those of its directory, to read and write.

    In a sticky directory, users may only read the files of others.
    """
    mode = os.fstat(directory).st_mode
    return 0o600 | mode & (0o044 if mode & stat.S_ISVTX else 0o066)


def sync_directory(directory: Path) -> None:
    """Sync the entries of a directory to the disk."""
    with open_directory(directory) as opened:
        os.fsync(opened)


def _mode_of(directory: int, name: str) -> int | None:
    """Return the permissions of the file to replace; None for a link, another user's or a missing file."""
    with suppress(FileNotFoundError):
        _check_regular(name, os.stat(name, dir_fd=directory).st_mode)
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            return stat.S_IMODE(found.st_mode)
    return None


def _check_regular(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", path)
