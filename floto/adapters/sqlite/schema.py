"""The tables of a floto database, and which files are one.

``runs``, ``events`` and ``heartbeats`` are what is known; ``tasks`` and ``deadlines`` can
be made from them at any time.
"""

from __future__ import annotations

import sqlite3
from time import monotonic, sleep
from typing import Literal

from floto.core.errors import ServiceError, ServiceUnavailable

Durability = Literal["full", "normal"]

VERSION = 1
#: "flot", so that ``file`` and floto itself can tell.
_APPLICATION = 0x666C6F74

_TABLES = (
    # ``open_runs`` counts them: with many, counting would make every start dearer.
    """
    CREATE TABLE domains (
        name TEXT PRIMARY KEY, retention TEXT, description TEXT, is_deprecated INTEGER NOT NULL,
        tags TEXT NOT NULL, open_runs INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE types (
        domain TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        defaults TEXT NOT NULL, description TEXT, created_at INTEGER NOT NULL, deprecated_at INTEGER,
        PRIMARY KEY (domain, kind, name, version)
    ) WITHOUT ROWID
    """,
    # A run's number stands for its id everywhere else; ``revision`` counts its changes.
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, domain TEXT NOT NULL,
        workflow_id TEXT NOT NULL, type_name TEXT NOT NULL, type_version TEXT NOT NULL,
        started_at INTEGER NOT NULL, closed_at INTEGER, close_status TEXT,
        parent_workflow_id TEXT, parent_run_id TEXT, tags TEXT NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0, execution_context TEXT, activity_at INTEGER,
        revision INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE UNIQUE INDEX open_runs ON runs (domain, workflow_id) WHERE closed_at IS NULL",
    "CREATE INDEX runs_by_workflow ON runs (domain, workflow_id, number)",
    "CREATE INDEX open_by_start ON runs (domain, started_at, number) WHERE closed_at IS NULL",
    "CREATE INDEX closed_by_start ON runs (domain, started_at, number) WHERE closed_at IS NOT NULL",
    "CREATE INDEX closed_by_close ON runs (domain, closed_at, number) WHERE closed_at IS NOT NULL",
    "CREATE TABLE run_tags (run INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (run, tag)) WITHOUT ROWID",
    "CREATE INDEX runs_by_tag ON run_tags (tag, run)",
    """
    CREATE INDEX open_children ON runs (parent_run_id, number)
    WHERE closed_at IS NULL AND parent_run_id IS NOT NULL
    """,
    """
    CREATE TABLE events (
        run INTEGER NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL,
        attributes TEXT NOT NULL,
        PRIMARY KEY (run, id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE heartbeats (
        run INTEGER NOT NULL, event_id INTEGER NOT NULL, at INTEGER NOT NULL, details TEXT,
        PRIMARY KEY (run, event_id)
    ) WITHOUT ROWID
    """,
    # ``lease`` names the process that has the task; a task without one can be polled, and if it
    # was ``started`` all the same, its process died. ``releases`` counts the processes that did.
    """
    CREATE TABLE tasks (
        arrival INTEGER PRIMARY KEY, run INTEGER NOT NULL, event_id INTEGER NOT NULL,
        domain TEXT NOT NULL, kind TEXT NOT NULL, task_list TEXT NOT NULL, priority INTEGER NOT NULL,
        started INTEGER NOT NULL, lease TEXT, releases INTEGER NOT NULL DEFAULT 0,
        UNIQUE (run, event_id)
    )
    """,
    """
    CREATE INDEX pollable ON tasks (domain, kind, task_list, priority DESC, arrival)
    WHERE lease IS NULL
    """,
    "CREATE INDEX held ON tasks (lease) WHERE lease IS NOT NULL",
    """
    CREATE TABLE deadlines (
        run INTEGER NOT NULL, event_id INTEGER NOT NULL, at INTEGER NOT NULL, rank INTEGER NOT NULL,
        PRIMARY KEY (run, event_id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX next_deadline ON deadlines (at, rank, run, event_id)",
)

_BUSY_SECONDS = 30.0


def connect(path: str, durability: Durability) -> sqlite3.Connection:
    """Open a floto database, or make one of an empty file; a ``ServiceError`` if it is something else."""
    try:
        db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as error:
        message = f"cannot open {path}: {error}"
        raise ServiceError(message) from error
    try:
        _prepare(db, path, durability)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.OperationalError):
            problem = f"cannot open {path}: {error}"
            raise ServiceUnavailable(problem) from error
        if isinstance(error, sqlite3.DatabaseError):
            message = f"{path} is no floto database: {error}"
            raise ServiceError(message) from error
        raise
    return db


def _prepare(db: sqlite3.Connection, path: str, durability: Durability) -> None:
    # In a transaction, or somebody else may make the tables between two looks.
    db.execute("BEGIN")
    _check(db, path)
    db.execute("COMMIT")
    _write_ahead(db, path)
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    db.execute("BEGIN IMMEDIATE")
    # Again, in the transaction: somebody else may have been faster. An error rolls back with the close.
    if _check(db, path) == 0:
        for statement in _TABLES:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")


def _check(db: sqlite3.Connection, path: str) -> int:
    """The version of the tables in the file, 0 if there are none."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == application == tables == 0:
        return 0
    if application != _APPLICATION:
        message = f"{path} is no floto database: it is a SQLite database of something else"
        raise ServiceError(message)
    if version != VERSION:
        message = f"{path} has version {version} of floto's tables; this floto knows version {VERSION}"
        raise ServiceError(message)
    return version


def _write_ahead(db: sqlite3.Connection, path: str) -> None:
    # Changing to WAL does not wait for other connections as everything else does.
    end = monotonic() + _BUSY_SECONDS
    while True:
        try:
            if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] in {"wal", "memory"}:
                return
        except sqlite3.OperationalError:
            if monotonic() > end:
                raise
        # SQLite changes nothing, and says nothing, where it cannot share memory between processes.
        if monotonic() > end:
            message = f"cannot use a write-ahead log on {path}"
            raise ServiceError(message)
        sleep(0.01)
