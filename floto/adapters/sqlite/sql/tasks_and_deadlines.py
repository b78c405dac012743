"""Tasks that can be claimed, and deadlines, in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from floto.core.engine.stores.records import Place
from floto.core.engine.stores.store import EXPIRY_RANK, Deadline, Ready
from floto.core.engine.tokens import Token
from floto.core.swf.pollers import Backlog, PollKind
from floto.core.swf.wire import from_ms, to_ms

#: Maximum number of redelivered tasks that are listed.
_MOST_REDELIVERIES = 1000
_OF_RUN = "run = (SELECT number FROM runs WHERE run_id = ?)"


def next_task(db: sqlite3.Connection, place: Place) -> Ready | None:
    """Return the next task of a task queue: highest priority first, then oldest."""
    sql = (
        "SELECT run_id, event_id, started, releases FROM tasks JOIN runs ON number = run"
        " WHERE tasks.domain = ? AND kind = ? AND task_list = ? AND lease IS NULL"
        " ORDER BY priority DESC, arrival LIMIT 1"
    )
    row = db.execute(sql, (place.domain, str(place.kind), place.task_list)).fetchone()
    return None if row is None else Ready(*row)


def count_tasks(db: sqlite3.Connection, place: Place) -> int:
    """Return the number of tasks of a task queue that wait to be claimed."""
    sql = (
        "SELECT count(*) FROM tasks"
        " WHERE domain = ? AND kind = ? AND task_list = ? AND lease IS NULL AND started = 0"
    )
    row = db.execute(sql, (place.domain, str(place.kind), place.task_list)).fetchone()
    return int(row[0])


def backlogs(db: sqlite3.Connection) -> Iterator[Backlog]:
    """Yield the number of tasks of every task list of every domain, and the time of its oldest task."""
    rows = db.execute(
        "SELECT found.domain, found.kind, found.task_list, waiting, taken, at FROM ("
        " SELECT domain, kind, task_list, count(*) - count(lease) AS waiting, count(lease) AS taken,"
        " min(CASE WHEN lease IS NULL THEN arrival END) AS first"
        " FROM tasks WHERE kind IN (?, ?) GROUP BY domain, kind, task_list"
        ") AS found LEFT JOIN tasks ON arrival = first"
        " LEFT JOIN events ON events.run = tasks.run AND id = event_id ORDER BY 1, 2, 3",
        tuple(PollKind),
    )
    for domain, kind, task_list, waiting, taken, at in rows:
        yield Backlog(
            domain=domain,
            kind=PollKind(kind),
            task_list=task_list,
            waiting=waiting,
            taken=taken,
            oldest=None if at is None else from_ms(at),
        )


def redeliveries(db: sqlite3.Connection) -> list[tuple[str, int, str | None]]:
    """Return run id, event id and current lease of every task that was redelivered after a crash."""
    rows = db.execute(
        "SELECT run_id, event_id, lease FROM tasks JOIN runs ON number = run WHERE releases > 0"
        " ORDER BY arrival LIMIT ?",
        (_MOST_REDELIVERIES,),
    )
    return rows.fetchall()


def reclaim(db: sqlite3.Connection, ready: Ready, lease: str) -> None:
    """Make a lease the owner of a redelivered task."""
    sql = f"UPDATE tasks SET lease = ? WHERE event_id = ? AND {_OF_RUN}"  # noqa: S608 - SQL of ours
    db.execute(sql, (lease, ready.event_id, ready.run_id))


def claim_pending(db: sqlite3.Connection, run_id: str, lease: str) -> bool:
    """Make a lease the owner of all claimable tasks of a run; return False if there are none."""
    sql = f"UPDATE tasks SET lease = ? WHERE lease IS NULL AND {_OF_RUN}"  # noqa: S608 - SQL of ours
    return db.execute(sql, (lease, run_id)).rowcount > 0


def owners(db: sqlite3.Connection) -> list[str]:
    """Return the leases that own tasks."""
    rows = db.execute("SELECT DISTINCT lease FROM tasks WHERE lease IS NOT NULL")
    return [row[0] for row in rows]


def redeliver(db: sqlite3.Connection, lease: str, crashes: int) -> bool:
    """Redeliver the tasks of a lease; return False if it owns none."""
    sql = "UPDATE tasks SET lease = NULL, releases = releases + ? WHERE lease = ?"
    return db.execute(sql, (crashes, lease)).rowcount > 0


def give_back(db: sqlite3.Connection, token: Token) -> bool:
    """Redeliver one started task; return False if it has ended or has no owner."""
    which = f"event_id = ? AND started = ? AND lease IS NOT NULL AND {_OF_RUN}"
    sql = f"UPDATE tasks SET lease = NULL WHERE {which}"  # noqa: S608 - SQL of ours
    return db.execute(sql, (token.scheduled_event_id, token.started_event_id, token.run_id)).rowcount > 0


def next_deadline(db: sqlite3.Connection) -> Deadline | None:
    """Return the earliest deadline of all runs, or None."""
    row = db.execute(
        "SELECT at, run_id, event_id FROM deadlines JOIN runs ON number = run"
        " ORDER BY at, rank, run, event_id LIMIT 1"
    ).fetchone()
    return None if row is None else Deadline(from_ms(row[0]), row[1], row[2])


def postpone(db: sqlite3.Connection, deadline: Deadline, until: datetime) -> None:
    """Move a deadline to a later time."""
    sql = f"UPDATE deadlines SET at = ? WHERE event_id = ? AND {_OF_RUN}"  # noqa: S608 - SQL of ours
    db.execute(sql, (to_ms(until), deadline.event_id, deadline.run_id))


def ahead(db: sqlite3.Connection, now: datetime) -> list[str]:
    """Return the ids of the open runs whose last event is later than ``now``."""
    rows = db.execute(
        "SELECT run_id FROM runs WHERE closed_at IS NULL"
        " AND (SELECT at FROM events WHERE run = number ORDER BY id DESC LIMIT 1) > ?",
        (to_ms(now),),
    )
    return [row[0] for row in rows]


def bring_forward(db: sqlite3.Connection, run_id: str, event_id: int, at: datetime) -> None:
    """Move a deadline to ``at`` if it is later."""
    sql = f"UPDATE deadlines SET at = min(at, ?) WHERE event_id = ? AND {_OF_RUN}"  # noqa: S608 - SQL of ours
    db.execute(sql, (to_ms(at), event_id, run_id))


def expire(db: sqlite3.Connection, run_id: str, at: datetime) -> None:
    """Insert the deadline at which a closed run is deleted."""
    db.execute(
        "INSERT INTO deadlines (run, event_id, at, rank) SELECT number, 0, ?, ? FROM runs WHERE run_id = ?",
        (to_ms(at), EXPIRY_RANK, run_id),
    )
