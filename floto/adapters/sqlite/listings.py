"""Runs as listings show them, in SQL: each restriction of a ``Listing`` is a condition."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from floto.adapters.sqlite.rows import from_ms, from_text, to_ms
from floto.core.ports import ExecutionInfo
from floto.core.service.records import Listing, Position, Record
from floto.core.shapes import WorkflowExecution, WorkflowType

_COLUMNS = (
    "number, domain, workflow_id, run_id, type_name, type_version, started_at, closed_at, close_status,"
    " parent_workflow_id, parent_run_id, tags, cancel_requested, execution_context, activity_at"
)

#: Fields of a listing that a column must equal.
_EQUAL = ("workflow_id", "type_name", "type_version", "close_status")


def records(db: sqlite3.Connection, which: str, *values: Any) -> Iterator[Record]:
    """The runs that the rest of a SELECT names."""
    for row in db.execute(f"SELECT {_COLUMNS} FROM runs {which}", values):  # noqa: S608 - SQL of ours
        yield _record(row)


def listed(db: sqlite3.Connection, listing: Listing, most: int, after: Position | None) -> list[Record]:
    """The first runs of a listing behind a position."""
    conditions, values = _where(listing)
    by, way, sign = listing.ordered_by, *(("DESC", "<") if listing.newest_first else ("ASC", ">"))
    if after is not None:
        conditions.append(f"({by}, number) {sign} (?, ?)")
        values.extend((to_ms(after.at), after.number))
    which = f"{_index(listing)} WHERE {' AND '.join(conditions)} ORDER BY {by} {way}, number {way} LIMIT ?"
    return list(records(db, which, *values, most))


def count(db: sqlite3.Connection, listing: Listing) -> int:
    """How many runs a listing has."""
    conditions, values = _where(listing)
    which = f"{_index(listing)} WHERE {' AND '.join(conditions)}"
    sql = f"SELECT count(*) FROM runs {which}"  # noqa: S608 - SQL of ours
    return int(db.execute(sql, values).fetchone()[0])


def _index(listing: Listing) -> str:
    """Return the index that finds few runs; SQLite would take one that has them in order instead."""
    if listing.workflow_id is not None:
        return "INDEXED BY runs_by_workflow"
    if listing.tag is not None:
        # By the primary key, from the tag's own index.
        return "NOT INDEXED"
    if not listing.is_closed:
        return "INDEXED BY open_by_start"
    if listing.close_status is not None:
        return "INDEXED BY closed_by_status"
    if listing.type_name is not None:
        return "INDEXED BY closed_by_type"
    return f"INDEXED BY closed_by_{'start' if listing.ordered_by == 'started_at' else 'close'}"


def _where(listing: Listing) -> tuple[list[str], list[Any]]:
    """Conditions on columns, and the values of their placeholders in the same order."""
    conditions = ["domain = ?", f"closed_at IS {'NOT ' if listing.is_closed else ''}NULL"]
    values: list[Any] = [listing.domain]
    for name in _EQUAL:
        wanted = getattr(listing, name)
        if wanted is not None:
            conditions.append(f"{name} = ?")
            values.append(wanted)
    conditions.append(f"{listing.ordered_by} >= ?")
    values.append(to_ms(listing.oldest))
    if listing.latest is not None:
        conditions.append(f"{listing.ordered_by} <= ?")
        values.append(to_ms(listing.latest))
    if listing.tag is not None:
        conditions.append("number IN (SELECT run FROM run_tags WHERE tag = ?)")
        values.append(listing.tag)
    return conditions, values


def _record(row: tuple[Any, ...]) -> Record:
    number, domain, workflow_id, run_id, name, version, started_at, closed_at, close_status = row[:9]
    parent_workflow_id, parent_run_id, tags, cancel_requested, context, activity_at = row[9:]
    return Record(
        number=number,
        domain=domain,
        info=ExecutionInfo(
            execution=WorkflowExecution(workflow_id, run_id),
            workflow_type=WorkflowType(name, version),
            started_at=from_ms(started_at),
            closed_at=None if closed_at is None else from_ms(closed_at),
            close_status=close_status,
        ),
        parent=None if parent_run_id is None else WorkflowExecution(parent_workflow_id, parent_run_id),
        tags=tuple(json.loads(tags)),
        cancel_requested=bool(cancel_requested),
        execution_context=from_text(context),
        activity_at=None if activity_at is None else from_ms(activity_at),
    )
