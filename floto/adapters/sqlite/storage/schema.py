"""The schema of a floto database: its tables and indices, the statements of a step, and migrations.

``runs``, ``events`` and ``heartbeats`` are the data. The tasks and deadlines of open runs are in memory
(``floto.core.engine.stores.open_runs``); the column ``work`` of a run keeps them for the next process.

A listing has an index for each combination of state, filter and time that SWF's calls allow. It contains the
runs of a filter ordered by time, so that a page reads as many entries as it shows. It covers every column
that a count needs, so that a count reads no rows. The indices are partial: open and closed runs are in
different ones. A workflow id has at most one open run, which the index ``open_runs`` finds.

``VERSION`` is in ``PRAGMA user_version``. A file of an earlier version is migrated when it is opened: its
rows are copied into new tables, whose new columns are computed (``_ADDED``). ``events`` and ``heartbeats``
have not changed since the first version, and are not copied.
"""

from __future__ import annotations

import sqlite3
from itertools import product

VERSION = 5
#: The part of the index's name for each filtered column.
_KEYS = {"workflow_id": "workflow", "type_name": "type", "tag": "tag", "close_status": "status"}
_TIMES = {"started_at": "start", "closed_at": "close"}


def index_name(key: str | None, ordered_by: str, *, is_closed: bool) -> str:
    """Return the name of an index of listings.

    Args:
        key: The filtered column; None for no filter.
        ordered_by: The column of the time.
        is_closed: True for closed runs, False for open ones.
    """
    if key == "workflow_id" and not is_closed:
        return "open_runs"
    parts = [_KEYS[key]] if key else []
    return "_".join([f"{'closed' if is_closed else 'open'}_by", *parts, _TIMES[ordered_by]])


def _index(key: str | None, ordered_by: str, *, is_closed: bool) -> str:
    table, number = ("run_tags", "run") if key == "tag" else ("runs", "number")
    columns = ["domain", *([key] if key else []), ordered_by, number]
    if key == "type_name":
        columns.append("type_version")
    if ordered_by != "closed_at":
        # SQLite needs the column for the condition, although every row of the index fulfils it.
        columns.append("closed_at")
    name = index_name(key, ordered_by, is_closed=is_closed)
    state = f"closed_at IS {'NOT ' if is_closed else ''}NULL"
    return f"CREATE INDEX {name} ON {table} ({', '.join(columns)}) WHERE {state}"


_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS domains (
        name TEXT PRIMARY KEY, retention TEXT, description TEXT, is_deprecated INTEGER NOT NULL,
        tags TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS types (
        domain TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
        defaults TEXT NOT NULL, description TEXT, created_at INTEGER NOT NULL, deprecated_at INTEGER,
        PRIMARY KEY (domain, kind, name, version)
    ) WITHOUT ROWID
    """,
    # Other tables refer to a run by ``number``; ``revision`` is the number of the commit that changed it
    # last; ``work`` has the tasks and deadlines of an open run (``rows``); a closed run is deleted at
    # ``expires_at``.
    """
    CREATE TABLE IF NOT EXISTS runs (
        number INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, domain TEXT NOT NULL,
        workflow_id TEXT NOT NULL, type_name TEXT NOT NULL, type_version TEXT NOT NULL,
        started_at INTEGER NOT NULL, closed_at INTEGER, close_status TEXT,
        parent_workflow_id TEXT, parent_run_id TEXT, tags TEXT NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0, execution_context TEXT, activity_at INTEGER,
        revision INTEGER NOT NULL DEFAULT 0, work TEXT, expires_at INTEGER
    )
    """,
    # ``domain``, ``started_at`` and ``closed_at`` repeat columns of the run, for the indices.
    """
    CREATE TABLE IF NOT EXISTS run_tags (
        run INTEGER NOT NULL, tag TEXT NOT NULL, domain TEXT NOT NULL, started_at INTEGER NOT NULL,
        closed_at INTEGER, PRIMARY KEY (run, tag)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS events (
        run INTEGER NOT NULL, id INTEGER NOT NULL, at INTEGER NOT NULL, type TEXT NOT NULL,
        attributes TEXT NOT NULL,
        PRIMARY KEY (run, id)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS heartbeats (
        run INTEGER NOT NULL, event_id INTEGER NOT NULL, at INTEGER NOT NULL, details TEXT,
        PRIMARY KEY (run, event_id)
    ) WITHOUT ROWID
    """,
    # One row: the largest number of a commit that changed a run which was deleted since.
    "CREATE TABLE IF NOT EXISTS forgotten (revision INTEGER NOT NULL)",
    "INSERT INTO forgotten SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM forgotten)",
)

_INDICES = (
    "CREATE INDEX runs_by_revision ON runs (revision)",
    "CREATE INDEX runs_by_expiry ON runs (expires_at, number) WHERE expires_at IS NOT NULL",
    "CREATE UNIQUE INDEX open_runs ON runs (domain, workflow_id) WHERE closed_at IS NULL",
    "CREATE INDEX runs_by_workflow ON runs (domain, workflow_id, number)",
    """
    CREATE INDEX open_children ON runs (parent_run_id, number)
    WHERE closed_at IS NULL AND parent_run_id IS NOT NULL
    """,
    *(_index(key, "started_at", is_closed=False) for key in (None, "type_name", "tag")),
    *(_index(key, by, is_closed=True) for key, by in product((None, *_KEYS), _TIMES)),
)

#: The columns of an open run that a process keeps in memory.
RUNS = "SELECT number, run_id, domain, workflow_id, parent_run_id, revision, closed_at, work FROM runs"


class Sql:
    """The statements of steps: those of a transaction, and those that read what other processes commit.

    Queries, the registration of types, and the retention of closed runs have statements of their own.
    """

    BEGIN = "BEGIN IMMEDIATE"
    COMMIT = "COMMIT"
    VERSION = "PRAGMA data_version"
    #: The last commit, the last run, the first time at which a closed run is deleted, and ``forgotten``.
    STANDING = (
        "SELECT max(coalesce((SELECT max(revision) FROM runs), 0), forgotten.revision),"
        " coalesce((SELECT max(number) FROM runs), 0),"
        " (SELECT min(expires_at) FROM runs WHERE expires_at IS NOT NULL), forgotten.revision FROM forgotten"
    )
    CHANGED_RUNS = f"{RUNS} WHERE revision > ?"
    EVENTS = "SELECT id, at, type, attributes FROM events WHERE run = ? AND id > ? AND id <= ? ORDER BY id"
    CONTEXT_AND_HEARTBEATS = (
        "SELECT execution_context, event_id, at, details FROM runs LEFT JOIN heartbeats ON run = number"
        " WHERE number = ?"
    )
    INSERT_RUN = (
        "INSERT INTO runs (number, run_id, domain, workflow_id, type_name, type_version, started_at,"
        " parent_workflow_id, parent_run_id, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    #: Of a run that steps have changed, or only the owners or deadlines of its tasks: NULL changes nothing.
    UPDATE_RUN = (
        "UPDATE runs SET revision = ?, work = ?, execution_context = coalesce(?, execution_context),"
        " cancel_requested = coalesce(?, cancel_requested), activity_at = coalesce(?, activity_at)"
        " WHERE number = ?"
    )
    CLOSE_RUN = "UPDATE runs SET closed_at = ?, close_status = ?, expires_at = ? WHERE number = ?"
    PUT_TAG = (
        "INSERT OR REPLACE INTO run_tags (run, tag, domain, started_at, closed_at)"
        " SELECT number, ?, domain, started_at, closed_at FROM runs WHERE number = ?"
    )
    #: With as many rows as there are events.
    INSERT_EVENTS = "INSERT INTO events (run, id, at, type, attributes) VALUES (?, ?, ?, ?, ?)"
    PUT_HEARTBEAT = "INSERT OR REPLACE INTO heartbeats (run, event_id, at, details) VALUES (?, ?, ?, ?)"
    DELETE_HEARTBEAT = "DELETE FROM heartbeats WHERE run = ? AND event_id = ?"


#: Columns that earlier versions do not have, by table and name, with their values.
_ADDED = {
    ("domains", "is_deprecated"): "0",
    ("domains", "tags"): "'{}'",
    ("types", "created_at"): "0",
    ("runs", "tags"): """
        coalesce((SELECT json_extract(attributes, '$.tagList')
                  FROM events WHERE run = number AND id = 1), '[]')
    """,
    ("runs", "parent_workflow_id"): """
        (SELECT json_extract(attributes, '$.parentWorkflowExecution.workflowId')
         FROM events WHERE run = number AND id = 1)
    """,
    ("runs", "cancel_requested"): """
        EXISTS (SELECT 1 FROM events WHERE run = number AND type = 'WorkflowExecutionCancelRequested')
    """,
    ("runs", "activity_at"): """
        (SELECT max(at) FROM events WHERE run = number AND type = 'ActivityTaskScheduled')
    """,
    ("runs", "work"): """
        CASE WHEN closed_at IS NULL THEN (
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
        ) END
    """,
    ("runs", "expires_at"): """
        CASE WHEN closed_at IS NOT NULL THEN
            (SELECT at FROM deadlines WHERE run = number AND event_id = 0)
        END
    """,
}


def create(db: sqlite3.Connection) -> None:
    """Create the tables, those that are missing, and the indices."""
    for statement in (*_TABLES, *_INDICES):
        db.execute(statement)


def migrate(db: sqlite3.Connection) -> None:
    """Copy the rows of an earlier version into new tables, in the transaction of the caller."""
    indices = db.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()
    for (index,) in indices:
        db.execute(f"DROP INDEX {index}")
    copied = dict.fromkeys(table for table, _ in _ADDED)
    for table in copied:
        db.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    db.execute("DROP TABLE IF EXISTS run_tags")
    create(db)
    for table in copied:
        old, columns = _columns(db, f"old_{table}"), _columns(db, table)
        values = [name if name in old else _ADDED.get((table, name), "NULL") for name in columns]
        names, found = ", ".join(columns), ", ".join(values)
        db.execute(f"INSERT INTO {table} ({names}) SELECT {found} FROM old_{table}")  # noqa: S608 - of ours
        db.execute(f"DROP TABLE old_{table}")
    db.execute(
        "INSERT OR IGNORE INTO run_tags (run, tag, domain, started_at, closed_at)"
        " SELECT number, value, domain, started_at, closed_at FROM runs, json_each(runs.tags)"
    )
    for table in ("tasks", "deadlines"):
        db.execute(f"DROP TABLE IF EXISTS {table}")


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
