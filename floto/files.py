"""Files written whole: a reader finds the old file or the new one, never a part.

The content goes into a new file beside the target, with a name that cannot be guessed, and is renamed over
the target when it is on the disk. A planted link under either name is not followed: the new file must not
exist yet, and renaming replaces a link as it replaces a file.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK, opening a pipe waits for a writer.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when the block ends without an error; it survives a power cut then.

    A file of one's own that is replaced passes on its permissions; otherwise they are the usual ones. Raises
    ``OSError``, also where something that is not a regular file, such as a device, has the name.
    """
    mode = _mode_of(path)
    new = path.with_name(f".floto-{os.urandom(16).hex()}")
    try:
        with os.fdopen(os.open(new, _NEW, 0o666), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, as ``whole_file`` does."""
    with whole_file(path) as file:
        file.write(data)


def read_regular(path: Path, most: int) -> bytes:
    """Read at most so many bytes of a regular file; raises ``OSError`` for a pipe, which would never end."""
    with os.fdopen(os.open(path, _READ), "rb") as file:
        _check_regular(path, os.fstat(file.fileno()).st_mode)
        return file.read(most)


def sync_directory(directory: Path) -> None:
    """Write the names in a directory to the disk."""
    opened = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _mode_of(path: Path) -> int | None:
    """Return the permissions of the file that is replaced; None for a link, another user's or no file."""
    with suppress(FileNotFoundError):
        _check_regular(path, path.stat().st_mode)
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            return stat.S_IMODE(found.st_mode)
    return None


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
