"""Connections of SQLite that kill their process with SIGKILL right before or after one of its commits.

No code of floto is involved: commits are counted at the connection.
"""

from __future__ import annotations

import os
import signal
import sqlite3
from functools import partial
from typing import Any


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


def kill_at(number: int, when: str) -> None:
    """Kill this process before or after its commit of this number; 0 kills at no commit."""
    Mortal.left, Mortal.when = number, when
    sqlite3.connect = partial(sqlite3.connect, factory=Mortal)  # type: ignore[assignment]
