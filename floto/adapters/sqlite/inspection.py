"""The state of an engine and its file.

Health checks, the backlog and pollers of every task list, and notice of changes by any process.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from threading import Lock

from floto.adapters.processes.leases import lease_directory
from floto.adapters.processes.presence import may_see, pollers, redeliveries
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.adapters.sqlite.storage.database import MEMORY, connect_reading
from floto.adapters.sqlite.storage.rows import CLIENTS
from floto.adapters.sqlite.storage.schema import Sql
from floto.adapters.sqlite.storage.sqlite_errors import is_busy
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.engine.stores.backlogs import backlogs, redelivered
from floto.core.engine.tokens import TaskKind
from floto.core.errors import ServiceError
from floto.core.swf.events import Event
from floto.core.swf.pollers import Backlog, Live, Poller, PollKind

#: Minimum free bytes of a disk, for a write-ahead log to grow.
_LITTLE_ROOM = 2**20
#: Seconds for which no process of floto holds the lock.
_LOCK_SECONDS = 2.0
#: Most tasks of clients of which it is read who has them.
_MOST_BUSY = 200


def check(host: SqliteEngine) -> None:
    """Read a row of every table from the file itself, past the caches of this process.

    A new connection reads, so that this does not wait for calls of this process.

    Raises:
        ServiceUnavailable: if the file cannot be read now.
        ServiceError: if the file is damaged, or is not the one that was opened.
    """
    if host.path == MEMORY:
        host.read(lambda _now: host.store.domains())
        return
    with host.usable(), closing(connect_reading(host.path)) as db:
        host.check_file()
        tables = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - names of our tables


def live(host: SqliteEngine) -> Live:
    """Return the backlog and the pollers of every task list, in all processes on the file."""
    waiting, again, busy = host.query(lambda store, _now: _standing(store))
    if host.path == MEMORY:
        return Live(backlogs=waiting)
    directory = lease_directory(host.path)
    if not may_see(directory):
        problem = f"who polls is not known: {directory} may be read by another user only"
        return Live(backlogs=waiting, problem=problem)
    by_lease = pollers(directory)
    polling = tuple(chain.from_iterable(by_lease.values()))
    keys = {each.key for each in polling}
    return Live(
        backlogs=waiting,
        pollers=(*polling, *(each for each in busy if each.key not in keys)),
        problem="" if host.is_read_only else _write_problem(host.path),
        redeliveries=redeliveries(again, by_lease),
    )


def _standing(
    store: SqliteStore,
) -> tuple[tuple[Backlog, ...], list[tuple[str, int, str | None]], tuple[Poller, ...]]:
    runs = store.open_runs()
    busy = islice(_busy_clients(store), _MOST_BUSY)
    return backlogs(runs), redelivered(runs), tuple({each.key: each for each in busy}.values())


def _busy_clients(store: SqliteStore) -> Iterator[Poller]:
    """Yield who has the open tasks of clients: one that has no free slot does not poll."""
    for run, _, task in store.open_runs().tasks():
        if task.started and task.lease == CLIENTS and task.kind is not TaskKind.LAMBDA:
            start = _start_of(store, run.execution.run_id, task.started)
            if start is not None:
                yield Poller(
                    domain=run.domain,
                    kind=PollKind(task.kind),
                    task_list=task.task_list,
                    identity=getattr(start.data, "identity", None) or "",
                    seen=start.at,
                )


def _start_of(store: SqliteStore, run_id: str, event_id: int) -> Event | None:
    """Return the event of a task's start; None if the run cannot be read."""
    try:
        return next(iter(store.history(run_id, event_id - 1, 1)), None)
    except ServiceError:
        return None


def _write_problem(path: str) -> str:
    """Return why a database cannot be written to now; an empty string if it can."""
    if shutil.disk_usage(Path(path).parent).free < _LITTLE_ROOM:
        return f"the disk of {path} is full"
    # mode=rw, so that a file that was just deleted is not created again.
    name = f"{Path(path).as_uri()}?mode=rw"
    with closing(sqlite3.connect(name, timeout=_LOCK_SECONDS, isolation_level=None, uri=True)) as db:
        try:
            db.execute(Sql.BEGIN)
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return (
                    f"a process has been writing to {path} for more than {_LOCK_SECONDS:.0f} s without an "
                    "end; it may have been stopped"
                )
            return f"{path} cannot be written to: {error}"
        db.execute("ROLLBACK")
    return ""


class FileChanges:
    """The changes of one file, for the price of one read of its header; any thread may ask.

    Args:
        path: The file.

    Raises:
        ServiceError: if it is not a floto database, or of another version.
    """

    def __init__(self, path: str) -> None:
        self._db = connect_reading(path)
        self._lock = Lock()

    def version(self) -> int:
        """Return a number that is another one after each commit of another connection."""
        with self._lock:
            found: int = self._db.execute(Sql.VERSION).fetchone()[0]
        return found
