"""Who polls a database: a file beside each lease says what the process polls for that holds it.

Not in the database: it changes with every poll, and nothing of it is worth a commit.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from floto.adapters.sqlite.file.leases import Leases, is_held
from floto.core.swf.pollers import Poller, Redelivery, as_json, poller_from_json

SUFFIX = ".json"
#: Seconds between two writes of nothing but later times.
_WRITE_SECONDS = 5.0
#: Pollers of one process that are written, the latest first, and bytes of them that are read.
_MOST, _MOST_BYTES = 1000, 2**20
#: A client of a server polls for a minute, or has its hands full.
_FORGET = timedelta(minutes=15)

#: Who has a task of a process that does not say who it is.
_SOMEBODY = "another process"

_Key = tuple[str, ...]


class Presence:
    """What this process polls for, as other processes read it. ``leases``: None for a database in memory."""

    def __init__(self, leases: Leases | None) -> None:
        self._leases = leases
        #: The latest last.
        self._pollers: dict[_Key, Poller] = {}
        self._written = 0.0
        self._lock = Lock()

    def saw(self, poller: Poller) -> None:
        """Note that someone polls."""
        key = _key(poller)
        with self._lock:
            before = self._pollers.pop(key, None)
            self._pollers[key] = poller
            self._forget(poller.seen)
            is_new = before is None or before.serves != poller.serves
            if is_new or monotonic() - self._written >= _WRITE_SECONDS:
                self._write()

    def left(self, poller: Poller) -> None:
        """Note that someone polls no more."""
        with self._lock:
            if self._pollers.pop(_key(poller), None) is not None:
                self._write()

    def _forget(self, now: datetime | None) -> None:
        if now is not None:
            old = [key for key, each in self._pollers.items() if each.seen and each.seen < now - _FORGET]
            for key in old:
                del self._pollers[key]
        for key in list(self._pollers)[:-_MOST]:
            del self._pollers[key]

    def _write(self) -> None:
        self._written = monotonic()
        if self._leases is None:
            return
        text = json.dumps([as_json(each) for each in reversed(self._pollers.values())])
        # Who polls is worth no error: whoever wants to know asks again later.
        with suppress(OSError):
            self._leases.write(SUFFIX, text.encode())


def _key(poller: Poller) -> _Key:
    return poller.domain, poller.kind, poller.task_list, poller.identity


def may_see(directory: Path) -> bool:
    """Return True if this user may see who polls; False where another user's leases say it."""
    return not directory.exists() or os.access(directory, os.R_OK | os.X_OK)


def pollers(directory: Path) -> dict[str, list[Poller]]:
    """Return who polls the database of these leases, by the leases of the processes that are alive."""
    return {
        path.stem: list(_pollers(path))
        for path in sorted(directory.glob(f"*{SUFFIX}"))
        if is_held(path.with_suffix(".lock"))
    }


def redeliveries(
    tasks: Iterable[tuple[str, int, str | None]], by_lease: Mapping[str, Sequence[Poller]]
) -> tuple[Redelivery, ...]:
    """Return who has the tasks now whose processes died, each given as its run, event and lease."""
    return tuple(
        Redelivery(run_id=run_id, event_id=event_id, identity=_identity(lease, by_lease))
        for run_id, event_id, lease in tasks
    )


def _identity(lease: str | None, by_lease: Mapping[str, Sequence[Poller]]) -> str | None:
    if lease is None:
        return None
    return next((each.identity for each in by_lease.get(lease, ())), _SOMEBODY)


def _pollers(path: Path) -> Iterator[Poller]:
    for value in _read(path):
        with suppress(ValueError):
            yield poller_from_json(value)


def _read(path: Path) -> list[Any]:
    """Return what a process wrote; nothing where it is not what floto writes."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    with os.fdopen(opened, "rb") as file:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return []
        try:
            value = json.loads(file.read(_MOST_BYTES))
        except (ValueError, RecursionError):
            return []
    return value[:_MOST] if isinstance(value, list) else []
