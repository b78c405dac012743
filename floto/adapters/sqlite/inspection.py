"""The state of an engine and its file: health checks, and the backlog and pollers of every task list."""

from __future__ import annotations

import itertools
from contextlib import closing

from floto.adapters.processes.leases import lease_directory
from floto.adapters.processes.presence import may_see, pollers, redeliveries
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.adapters.sqlite.storage.database import MEMORY, connect_reading, write_problem
from floto.core.engine.stores.backlogs import backlogs, redelivered
from floto.core.engine.stores.open_runs import OpenRuns
from floto.core.swf.pollers import Backlog, Live


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
    waiting, again = host.query(lambda store, _now: _standing(store.open_runs()))
    if host.path == MEMORY:
        return Live(backlogs=waiting)
    directory = lease_directory(host.path)
    if not may_see(directory):
        problem = f"who polls is not known: {directory} may be read by another user only"
        return Live(backlogs=waiting, problem=problem)
    by_lease = pollers(directory)
    return Live(
        backlogs=waiting,
        pollers=tuple(itertools.chain.from_iterable(by_lease.values())),
        problem="" if host.is_read_only else write_problem(host.path),
        redeliveries=redeliveries(again, by_lease),
    )


def _standing(runs: OpenRuns) -> tuple[tuple[Backlog, ...], list[tuple[str, int, str | None]]]:
    return backlogs(runs), redelivered(runs)
