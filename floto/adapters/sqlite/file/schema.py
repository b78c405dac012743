"""The schema of a floto database, its identification, and its migrations.

``runs``, ``events`` and ``heartbeats`` are the data. The tasks and deadlines of open runs are in memory
(``floto.core.engine.stores.open_runs``); the column ``work`` of a run keeps them for the next process.

Each version of the schema has a number, in ``PRAGMA user_version``, and an entry in ``MIGRATIONS``. A file is
migrated when it is opened, with all steps in one transaction. The first two versions both have the number 1;
a column distinguishes them.
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

VERSION = 5
#: The application id "flot", by which ``file`` and floto recognise a database of floto.
_APPLICATION = 0x666C6F74

#: ``domain``, ``started_at`` and ``closed_at`` repeat columns of the run, for the indices of listings by tag.
_RUN_TAGS = """
    CREATE TABLE run_tags (
        run INTEGER NOT NULL, tag TEXT NOT NULL, domain TEXT NOT NULL, started_at INTEGER NOT NULL,
        closed_at INTEGER, PRIMARY KEY (run, tag)
    ) WITHOUT ROWID
    """

_DOMAINS = """
    CREATE TABLE domains (
        name TEXT PRIMARY KEY, retention TEXT, description TEXT, is_deprecated INTEGER NOT NULL,
        tags TEXT NOT NULL
    ) WITHOUT ROWID
    """

#: How processes find what others have committed. ``forgotten`` has one row: the largest number of a commit
#: that changed a run which was deleted since.
_COMMITS = (
    "CREATE INDEX runs_by_revision ON runs (revision)",
    "CREATE INDEX runs_by_expiry ON runs (expires_at, number) WHERE expires_at IS NOT NULL",
    "CREATE TABLE forgotten (revision INTEGER NOT NULL)",
    "INSERT INTO forgotten VALUES (0)",
)

_TABLES = (
    _DOMAINS,
    """
    CREATE TABLE types (
        domain TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        defaults TEXT NOT NULL, description TEXT, created_at INTEGER NOT NULL, deprecated_at INTEGER,
        PRIMARY KEY (domain, kind, name, version)
    ) WITHOUT ROWID
    """,
    # Other tables refer to a run by ``number``; ``revision`` is the number of the commit that changed it
    # last; ``work`` has the tasks and deadlines of an open run (``sql.work``); a closed run is deleted at
    # ``expires_at``.
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, domain TEXT NOT NULL,
        workflow_id TEXT NOT NULL, type_name TEXT NOT NULL, type_version TEXT NOT NULL,
        started_at INTEGER NOT NULL, closed_at INTEGER, close_status TEXT,
        parent_workflow_id TEXT, parent_run_id TEXT, tags TEXT NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0, execution_context TEXT, activity_at INTEGER,
        revision INTEGER NOT NULL DEFAULT 0, work TEXT, expires_at INTEGER
    )
    """,
    *_COMMITS,
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
)

#: The statements that migrate each version to the next one.
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
    4: (
        "ALTER TABLE domains RENAME TO domains_4",
        _DOMAINS,
        "INSERT INTO domains SELECT name, retention, description, is_deprecated, tags FROM domains_4",
        "DROP TABLE domains_4",
        "ALTER TABLE runs ADD COLUMN work TEXT",
        "ALTER TABLE runs ADD COLUMN expires_at INTEGER",
        """
        UPDATE runs SET work = (
            SELECT json_group_array(json(entry)) FROM (
                SELECT json_array(tasks.event_id, deadlines.at, rank, kind, task_list, priority, events.at,
                                  started, nullif(lease, 'aside'), releases) AS entry
                FROM tasks JOIN events ON events.run = tasks.run AND id = tasks.event_id
                LEFT JOIN deadlines USING (run, event_id) WHERE tasks.run = number
                UNION ALL
                SELECT json_array(event_id, at, rank) FROM deadlines WHERE run = number
                AND NOT EXISTS (SELECT 1 FROM tasks WHERE tasks.run = number
                                AND tasks.event_id = deadlines.event_id)
            )
        ) WHERE closed_at IS NULL
        """,
        """
        UPDATE runs SET expires_at = (SELECT at FROM deadlines WHERE run = number AND event_id = 0)
        WHERE closed_at IS NOT NULL
        """,
        "DROP TABLE tasks",
        "DROP TABLE deadlines",
        *_COMMITS,
    ),
}

#: Seconds that opening a file waits for the lock, if another process has it.
_OPEN_SECONDS = 30.0
#: Seconds that SQLite itself waits for a lock; longer waits consist of such slices, so that they can end.
SLICE_SECONDS = 0.2
#: Bytes to which a checkpoint truncates the write-ahead log.
_LOG_BYTES = 16 * 2**20
_OWNER_ONLY = 0o600


def connect(path: str, durability: Durability) -> sqlite3.Connection:
    """Open a floto database for writing; create the tables in an empty file, migrate an earlier version.

    Only the owner can read and write a new file.

    Args:
        path: The file, which is created if it is missing, or ``:memory:``.
        durability: ``"full"`` syncs the disk with every commit; ``"normal"`` may lose the latest commits in a
            power cut.

    Raises:
        ServiceError: if it is not a floto database, of a newer version, or damaged.
        ServiceUnavailable: if another process has the lock for too long, or the disk fails.
    """
    if path != ":memory:":
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _OWNER_ONLY))
    return _opened(path, lambda db: _prepare(db, path, durability), path)


def connect_reading(path: str) -> sqlite3.Connection:
    """Open a floto database for reading only; the file is not changed.

    A file in a read-only directory, such as a backup, can be read, too.

    Args:
        path: The file.

    Raises:
        ServiceError: if it is not a floto database, or of another version.
    """
    name, log_file = Path(path).absolute().as_uri(), Path(f"{path}-wal")
    as_it_is = f"{name}?mode=ro&immutable=1"
    # A process that has the database open has a log. SQLite would make one that belongs to this user, and the
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
        return ServiceError(f"{path} is not a floto database: {error}")
    kind = ServiceUnavailable if problems.code_of(error) in problems.TRANSIENT else ServiceError
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
    # In a transaction: otherwise another process may create the tables between two reads.
    db.execute("BEGIN")
    version = _check(db, path)
    db.execute("COMMIT")
    _write_ahead(db, path)
    db.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
    db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    if version == VERSION:
        # Opening a file with current tables does not wait for writers.
        return
    begin(db, _OPEN_SECONDS)
    # Again, with the lock: another process may have been faster. After an error, closing rolls back.
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
    """Begin a write transaction, waiting for the lock if another process has it.

    Args:
        db: The connection.
        seconds: Maximum seconds to wait.
        is_given_up: Returns True to end the wait, within ``SLICE_SECONDS``.

    Raises:
        sqlite3.OperationalError: if there is no lock in time.
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
    """Roll back a transaction that is still open."""
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
        message = f"{path} is not a floto database: it is a SQLite database of another program"
        raise ServiceError(message)
    if not 0 < version <= VERSION:
        message = (
            f"{path} has version {version} of floto's tables, and this floto knows versions up to {VERSION}; "
            "open it with a newer floto"
        )
        raise ServiceError(message)
    return _second_shape(db) if version == 1 else version


def _second_shape(db: sqlite3.Connection) -> int:
    """Return 2 for tables of the second version, which has the number 1, too; else 1."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(domains)")]
    return 2 if "open_runs" in columns else 1


def _write_ahead(db: sqlite3.Connection, path: str) -> None:
    # Unlike other statements, changing to WAL does not wait for other connections.
    end = monotonic() + _OPEN_SECONDS
    while True:
        try:
            if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] in {"wal", "memory"}:
                return
        except sqlite3.OperationalError:
            if monotonic() > end:
                raise
        # SQLite silently keeps the old mode if processes cannot share memory on this file system.
        if monotonic() > end:
            message = f"cannot use a write-ahead log on {path}"
            raise ServiceError(message)
        sleep(0.01)
