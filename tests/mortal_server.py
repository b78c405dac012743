"""``floto server`` with a clock in a file, killed by SIGKILL right before or after one of its commits.

    python tests/mortal_server.py DB PORT CLOCK NUMBER before|after

No code of floto is involved: commits are counted at the connection. 0 kills at no commit.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from floto.adapters.sqlite.operations import SqliteOperations
from floto.runtime import server

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class Mortal(sqlite3.Connection):
    """Counts the transactions that write."""

    left, when = 0, "before"
    _writes = False

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        if sql.startswith("BEGIN"):
            self._writes = sql == "BEGIN IMMEDIATE"
        if sql != "COMMIT" or not self._writes:
            return super().execute(sql, *arguments)
        Mortal.left -= 1
        if Mortal.left == 0 and Mortal.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        cursor = super().execute(sql, *arguments)
        if Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return cursor


def main(db: str, port: str, clock: str, number: str, when: str) -> None:
    """Serve until killed, one way or the other."""
    Mortal.left, Mortal.when = int(number), when

    def now() -> datetime:
        return BEGINNING + timedelta(seconds=float(Path(clock).read_text(encoding="utf-8")))

    def operations(settings: server.Settings) -> SqliteOperations:
        return SqliteOperations(settings.db, clock=now)

    sqlite3.connect = partial(sqlite3.connect, factory=Mortal)  # type: ignore[assignment]
    server._operations = operations  # noqa: SLF001 - all that differs is the clock
    settings = server.Settings(db=Path(db), host="127.0.0.1", port=int(port), durability="full")
    server.serve(settings, lambda url: print(url, flush=True))  # noqa: T201 - whoever started it waits for this


if __name__ == "__main__":
    main(*sys.argv[1:])
