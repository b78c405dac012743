"""The pollers of a database: each process lists its own in a file beside its lease.

They are not in the database because they change with every poll, and are not worth a commit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from floto.adapters.processes.leases import Leases, is_held
from floto.core.swf.pollers import Poller, Redelivery, as_json, poller_from_json
from floto.files import read_regular

SUFFIX = ".json"
#: Minimum seconds between two writes if only times have changed.
_WRITE_SECONDS = 5.0
#: Maximum number of pollers that a process writes, latest first, and bytes that are read of its file.
_MOST, _MOST_BYTES = 1000, 2**20
#: Age at which a poller is dropped: a client of a server polls for a minute, or is busy with a task.
_FORGET = timedelta(minutes=15)

#: Shown as the owner of a task if its process lists no poller.
_UNNAMED = "another process"


class Presence:
    """The pollers of this process, in a file for other processes.

    Args:
        leases: The lease of this process; None (no file) for a database in memory.
    """

    def __init__(self, leases: Leases | None) -> None:
        self._leases = leases
        #: Ordered by time, latest last.
        self._pollers: dict[tuple[str, ...], Poller] = {}
        self._written = 0.0
        self._lock = Lock()

    def saw(self, poller: Poller) -> None:
        """Record a poller."""
        key = poller.key
        with self._lock:
            before = self._pollers.pop(key, None)
            self._pollers[key] = poller
            is_new = before is None or before.serves != poller.serves
            if is_new or monotonic() - self._written >= _WRITE_SECONDS:
                self._write(poller.seen)

    def left(self, poller: Poller) -> None:
        """Remove a poller."""
        with self._lock:
            if self._pollers.pop(poller.key, None) is not None:
                self._write(poller.seen)

    def _forget(self, now: datetime | None) -> None:
        if now is not None:
            old = [key for key, each in self._pollers.items() if each.seen and each.seen < now - _FORGET]
            for key in old:
                del self._pollers[key]
        for key in list(self._pollers)[:-_MOST]:
            del self._pollers[key]

    def _write(self, now: datetime | None) -> None:
        self._written = monotonic()
        self._forget(now)
        if self._leases is None:
            return
        # A missing update is no reason to fail a poll; a later one is written.
        with suppress(OSError):
            self._leases.write(SUFFIX, f"[{','.join(self._texts())}]".encode())

    def _texts(self) -> Iterator[str]:
        """Yield the pollers as JSON, latest first, as many as are read again."""
        size = 1
        for each in reversed(self._pollers.values()):
            text = json.dumps(as_json(each))
            size += len(text) + 1
            if size > _MOST_BYTES:
                return
            yield text


def may_see(directory: Path) -> bool:
    """Return True if this user may see who polls; False where another user's leases say it."""
    return not directory.exists() or os.access(directory, os.R_OK | os.X_OK)


def pollers(directory: Path) -> dict[str, list[Poller]]:
    """Return the pollers of a database, by the leases of its living processes."""
    return {
        path.stem: list(_pollers(path))
        for path in sorted(directory.glob(f"*{SUFFIX}"))
        if is_held(path.with_suffix(".lock"))
    }


def redeliveries(
    tasks: Iterable[tuple[str, int, str | None]], by_lease: Mapping[str, Sequence[Poller]]
) -> tuple[Redelivery, ...]:
    """Return the redelivered tasks with the identity of their current owners.

    Args:
        tasks: Run id, event id and current lease of each task.
        by_lease: The pollers by lease.
    """
    return tuple(
        Redelivery(run_id=run_id, event_id=event_id, identity=_identity(lease, by_lease))
        for run_id, event_id, lease in tasks
    )


def _identity(lease: str | None, by_lease: Mapping[str, Sequence[Poller]]) -> str | None:
    if lease is None:
        return None
    return next((each.identity for each in by_lease.get(lease, ())), _UNNAMED)


def _pollers(path: Path) -> Iterator[Poller]:
    for value in _read(path):
        with suppress(ValueError):
            yield poller_from_json(value)


def _read(path: Path) -> list[Any]:
    """Return the list that a process wrote; an empty list if the file is not valid."""
    try:
        value = json.loads(read_regular(path, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return []
    return value[:_MOST] if isinstance(value, list) else []
