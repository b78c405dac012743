"""A copy of a database that other processes write to meanwhile: SQLite's own backup, whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import uuid4

from floto.adapters.sqlite.problems import translated
from floto.adapters.sqlite.schema import connect_reading
from floto.core.errors import ServiceError
from floto.files import sync_directory

#: The lease of tasks that clients of a server have: they are theirs until a time-out ends them.
_CLIENTS = "clients"


def back_up(source: str, target: Path, *, replace: bool = False) -> int:
    """Copy a database to a file for its owner only; return the size of the copy in bytes.

    The copy has everything that was acknowledged before this was called. Nothing is overwritten unless
    ``replace`` is set, and only by a copy that is whole and sound. Tasks that processes own can be polled
    again in the copy.

    Raises:
        ServiceError: if the source cannot be read, or the copy not be written.
    """
    new = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600))
        _copy(source, new)
        if replace:
            new.replace(target)
        else:
            # Unlike a look before, this leaves alone what was made meanwhile.
            os.link(new, target)
        sync_directory(target.parent)
        return target.stat().st_size
    except FileExistsError as error:
        message = f"{target} exists; choose another name, or replace it with --force"
        raise ServiceError(message) from error
    except (sqlite3.Error, OSError) as error:
        known = translated(error, str(target))
        raise (known or ServiceError(str(error))) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{new}{suffix}").unlink(missing_ok=True)


def _copy(source: str, new: Path) -> None:
    with closing(connect_reading(source)) as old, closing(sqlite3.connect(new, isolation_level=None)) as copy:
        old.backup(copy)
        # The leases of this file's processes mean nothing beside another file.
        copy.execute("UPDATE tasks SET lease = NULL WHERE lease IS NOT NULL AND lease != ?", (_CLIENTS,))
        found = copy.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            message = f"the copy of {source} is damaged: {found}"
            raise ServiceError(message)
    with new.open("rb") as file:
        os.fsync(file.fileno())
