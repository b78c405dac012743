"""The tables of a floto database, which files are one, and how those of earlier versions become it.

``runs``, ``events`` and ``heartbeats`` are what is known; ``tasks`` and ``deadlines`` can
be made from them at any time.

Each change of a table has a number of its own, in ``PRAGMA user_version``, and a row in ``MIGRATIONS``. A
file is migrated when it is opened, all steps in one transaction. The first two shapes both say 1, and are
told apart by a column.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Literal

from floto.adapters.sqlite.file import problems
from floto.adapters.sqlite.file.indices import LISTING_INDICES
from floto.core.errors import ServiceError, ServiceUnavailable

log = logging.getLogger("floto")

Durability = Literal["full", "normal"]

VERSION = 4
#: "flot", so that ``file`` and floto itself can tell.
_APPLICATION = 0x666C6F74

#: ``domain``, ``started_at`` and ``closed_at`` are those of the run, for the indices of listings by tag.
_RUN_TAGS = """
    CREATE TABLE run_tags (
        run INTEGER NOT NULL, tag TEXT NOT NULL, domain TEXT NOT NULL, started_at INTEGER NOT NULL,
        closed_at INTEGER, PRIMARY KEY (run, tag)
    ) WITHOUT ROWID
    """

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
    _RUN_TAGS,
    *LISTING_INDICES,
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

#: What turns a version into the next one.
MIGRATIONS: dict[int, Sequence[str]] = {
    1: (
        "ALTER TABLE domains ADD COLUMN retention TEXT",
        "ALTER TABLE domains ADD COLUMN description TEXT",
        "ALTER TABLE domains ADD COLUMN is_deprecated INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE domains ADD COLUMN tags TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE domains ADD COLUMN open_runs INTEGER NOT NULL DEFAULT 0",
        """
        UPDATE domains SET open_runs =
            (SELECT count(*) FROM runs WHERE runs.domain = domains.name AND closed_at IS NULL)
        """,
        "ALTER TABLE types ADD COLUMN description TEXT",
        "ALTER TABLE types ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE types ADD COLUMN deprecated_at INTEGER",
        "ALTER TABLE runs ADD COLUMN parent_workflow_id TEXT",
        "ALTER TABLE runs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE runs ADD COLUMN cancel_requested INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN activity_at INTEGER",
        """
        UPDATE runs SET
            tags = coalesce((SELECT json_extract(attributes, '$.tagList') FROM events
                             WHERE run = number AND id = 1), '[]'),
            parent_workflow_id = (SELECT json_extract(attributes, '$.parentWorkflowExecution.workflowId')
                                  FROM events WHERE run = number AND id = 1),
            cancel_requested = EXISTS (SELECT 1 FROM events
                                       WHERE run = number AND type = 'WorkflowExecutionCancelRequested'),
            activity_at = (SELECT max(at) FROM events WHERE run = number AND type = 'ActivityTaskScheduled')
        """,
        "CREATE INDEX open_by_start ON runs (domain, started_at, number) WHERE closed_at IS NULL",
        "CREATE INDEX closed_by_start ON runs (domain, started_at, number) WHERE closed_at IS NOT NULL",
        "CREATE INDEX closed_by_close ON runs (domain, closed_at, number) WHERE closed_at IS NOT NULL",
        """
        CREATE TABLE run_tags (run INTEGER NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (run, tag))
        WITHOUT ROWID
        """,
        "CREATE INDEX runs_by_tag ON run_tags (tag, run)",
        "INSERT OR IGNORE INTO run_tags (run, tag) SELECT number, value FROM runs, json_each(runs.tags)",
    ),
    2: (
        """
        CREATE INDEX closed_by_type ON runs (domain, type_name, started_at, number)
        WHERE closed_at IS NOT NULL
        """,
        """
        CREATE INDEX closed_by_status ON runs (domain, close_status, started_at, number)
        WHERE closed_at IS NOT NULL
        """,
    ),
    3: (
        "DROP INDEX open_by_start",
        "DROP INDEX closed_by_start",
        "DROP INDEX closed_by_close",
        "DROP INDEX closed_by_type",
        "DROP INDEX closed_by_status",
        "DROP INDEX runs_by_tag",
        "ALTER TABLE run_tags RENAME TO run_tags_3",
        _RUN_TAGS,
        """
        INSERT INTO run_tags (run, tag, domain, started_at, closed_at)
        SELECT run, tag, domain, started_at, closed_at FROM run_tags_3 JOIN runs ON number = run
        """,
        "DROP TABLE run_tags_3",
        *LISTING_INDICES,
    ),
}

#: Seconds that opening a file waits for another process that has the lock.
_OPEN_SECONDS = 30.0
#: Seconds that SQLite itself waits for a lock; longer waits are made of such slices, so that they can be
#: ended.
SLICE_SECONDS = 0.2
#: Bytes of the write-ahead log that are kept between checkpoints.
_LOG_BYTES = 16 * 2**20
_OWNER_ONLY = 0o600


def connect(path: str, durability: Durability) -> sqlite3.Connection:
    """Open a floto database for writing: make one of an empty file, migrate one of an earlier version.

    A new file is readable and writable by its owner only.

    Raises:
        ServiceError: if it is something else, of a newer version, or damaged.
        ServiceUnavailable: if the file is in use by another process for too long, or the disk fails.
    """
    if path != ":memory:":
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
    return _opened(path, lambda db: _prepare(db, path, durability), path)


def connect_reading(path: str) -> sqlite3.Connection:
    """Open a floto database for reading only; nothing of the file is changed.

    A file in a place where nothing can be written, such as a backup, is read as it is.

    Raises:
        ServiceError: if it is not a floto database, or of another version.
    """
    name, log_file = Path(path).absolute().as_uri(), Path(f"{path}-wal")
    as_it_is = f"{name}?mode=ro&immutable=1"
    # Whoever has the database open has a log. SQLite would make one that belongs to this user, and the
    # owner of the database could not write to that.
    if not os.access(path, os.W_OK) and not log_file.exists():
        return _opened(as_it_is, lambda db: _check_reading(db, path), path)
    try:
        return _opened(f"{name}?mode=ro", lambda db: _check_reading(db, path), path)
    except ServiceError as error:
        if os.access(Path(path).parent, os.W_OK):
            raise
        if log_file.exists() and log_file.stat().st_size:
            message = f"{error}; open it once as a user who may write there: {log_file} has to be read"
            raise type(error)(message) from error
        return _opened(as_it_is, lambda db: _check_reading(db, path), path)


def _opened(name: str, prepare: Callable[[sqlite3.Connection], None], path: str) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(
            name,
            timeout=SLICE_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            uri=name.startswith("file:"),
        )
    except sqlite3.OperationalError as error:
        message = f"cannot open {path}: {error}"
        raise ServiceError(message) from error
    try:
        prepare(db)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise _cannot_open(error, path) from error
        raise
    return db


def _cannot_open(error: sqlite3.DatabaseError, path: str) -> ServiceError:
    if problems.code_of(error) == sqlite3.SQLITE_NOTADB:
        return ServiceError(f"{path} is no floto database: {error}")
    kind = ServiceUnavailable if problems.code_of(error) in problems.PASSING else ServiceError
    return kind(f"cannot open {path}: {error}")


def _check_reading(db: sqlite3.Connection, path: str) -> None:
    db.execute("PRAGMA query_only = ON")
    db.execute("BEGIN")
    version = _check(db, path)
    db.execute("COMMIT")
    if version != VERSION:
        message = f"{path} has version {version} of floto's tables; open it for writing once to migrate it"
        raise ServiceError(message)


def _prepare(db: sqlite3.Connection, path: str, durability: Durability) -> None:
    # In a transaction, or another process may make the tables between two looks.
    db.execute("BEGIN")
    version = _check(db, path)
    db.execute("COMMIT")
    _write_ahead(db, path)
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    if version == VERSION:
        # To open a file need not wait for whoever writes to it.
        return
    begin(db, _OPEN_SECONDS)
    # Again, in the transaction: another process may have been faster. An error rolls back with the close.
    version = _check(db, path)
    if version == 0:
        for statement in _TABLES:
            db.execute(statement)
        db.execute(f"PRAGMA application_id = {_APPLICATION}")
    for step in range(version, VERSION) if version else ():
        for statement in MIGRATIONS[step]:
            db.execute(statement)
    if version != VERSION:
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")
    if 0 < version < VERSION:
        log.info("%s: migrated from version %d of floto's tables to version %d", path, version, VERSION)


def begin(db: sqlite3.Connection, seconds: float, is_given_up: Callable[[], bool] = lambda: False) -> None:
    """Begin to write, waiting up to ``seconds`` for another process that has the lock.

    Raises:
        sqlite3.OperationalError: when the time is over, or at most a slice after it is given up.
    """
    end = monotonic() + seconds
    leave(db)
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not problems.is_busy(error) or is_given_up() or monotonic() >= end:
                raise
        else:
            return


def leave(db: sqlite3.Connection) -> None:
    """Roll back what a transaction left whose end failed."""
    if db.in_transaction:
        db.rollback()


def _check(db: sqlite3.Connection, path: str) -> int:
    """Return the version of the tables in the file, 0 if there are none."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    application: int = db.execute("PRAGMA application_id").fetchone()[0]
    tables: int = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if version == application == tables == 0:
        return 0
    if application != _APPLICATION:
        message = f"{path} is no floto database: it is a SQLite database of something else"
        raise ServiceError(message)
    if not 0 < version <= VERSION:
        message = (
            f"{path} has version {version} of floto's tables, and this floto knows versions up to {VERSION}; "
            "open it with a newer floto"
        )
        raise ServiceError(message)
    return _second_shape(db) if version == 1 else version


def _second_shape(db: sqlite3.Connection) -> int:
    """Return the version of tables that say 1, as those of the second shape do too."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(domains)")]
    return 2 if "open_runs" in columns else 1


def _write_ahead(db: sqlite3.Connection, path: str) -> None:
    # Changing to WAL does not wait for other connections as everything else does.
    end = monotonic() + _OPEN_SECONDS
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
