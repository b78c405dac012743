"""SWF on one SQLite file: transactions around the pure model in ``floto.core.service``."""

from __future__ import annotations

from floto.adapters.sqlite.service import SqliteService

__all__ = ["SqliteService"]
