"""SWF on one SQLite file: transactions around the pure engine in ``floto.core.engine``."""

from __future__ import annotations

from floto.adapters.sqlite.service import SqliteService
from floto.logs import guard_logs

__all__ = ["SqliteService"]

guard_logs()
