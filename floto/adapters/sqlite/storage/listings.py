"""The lists of SWF in SQL: runs (a condition for each filter of a ``ListingQuery``), domains and types."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from floto.adapters.sqlite.storage.rows import from_json, from_text, to_text
from floto.adapters.sqlite.storage.schema import index_name
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.registration.type_settings import ActivityDefaults, WorkflowDefaults
from floto.core.engine.stores.records import ListingQuery, Position, Record
from floto.core.swf.service import ExecutionInfo
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.core.swf.wire import from_ms, to_ms, write_json

_Type = ActivityType | WorkflowType
_DEFAULTS: Mapping[type, type] = {ActivityType: ActivityDefaults, WorkflowType: WorkflowDefaults}
_COLUMNS = (
    "runs.number, runs.domain, workflow_id, run_id, type_name, type_version, runs.started_at, runs.closed_at,"
    " close_status, parent_workflow_id, parent_run_id, tags, cancel_requested, execution_context, activity_at"
)

#: Filters for equality with a column of ``runs`` that has an index; the first that is set chooses the index.
_KEYS = ("workflow_id", "type_name", "close_status")
#: All filters for equality with a column of ``runs``.
_EQUAL = (*_KEYS, "type_version")


class Listings:
    """Runs, domains and types of a file: the part of a ``RunStore`` that SWF's lists show.

    Args:
        db: The connection.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._connect(db)

    def _connect(self, db: sqlite3.Connection) -> None:
        self._db = db
        #: Number of times that this has written to the database.
        self._writes = 0
        # The following caches are valid until another process commits.
        self._domains: dict[str, Domain] = {}
        self._types: dict[tuple[str, _Type], RegisteredType] = {}

    def _written(self) -> sqlite3.Connection:
        """Return the connection; a store that writes first writes all changes of its transaction so far."""
        return self._db

    def _write_now(self, sql: str, *values: Any) -> None:
        self._writes += 1
        self._db.execute(sql, values)

    def latest(self, domain: str, workflow_id: str) -> Record | None:
        """Return the run of a workflow id that started last, or None."""
        which = "FROM runs WHERE domain = ? AND workflow_id = ? ORDER BY number DESC LIMIT 1"
        return next(self.records(which, domain, workflow_id), None)

    def record(self, run_id: str) -> Record | None:
        """Return the record of a run, open or closed, or None."""
        return next(self.records("FROM runs WHERE run_id = ?", run_id), None)

    def listed(self, listing: ListingQuery, most: int, after: Position | None = None) -> Sequence[Record]:
        """Return at most ``most`` runs of a listing, in its order, after a position."""
        found = _Source.of(listing)
        conditions, values = found.where(listing, after)
        way = "DESC" if listing.newest_first else "ASC"
        order = f"ORDER BY {found.at} {way}, {found.number} {way} LIMIT ?"
        which = f"FROM {found.indexed} {found.joined} WHERE {conditions} {order}"
        return list(self.records(which, *values, most))

    def count_listed(self, listing: ListingQuery) -> int:
        """Return the number of runs of a listing."""
        found = _Source.of(listing)
        conditions, values = found.where(listing)
        joined = found.joined if any(getattr(listing, name) is not None for name in _EQUAL) else ""
        sql = f"SELECT count(*) FROM {found.indexed} {joined} WHERE {conditions}"  # noqa: S608 - SQL of ours
        return int(self._written().execute(sql, values).fetchone()[0])

    def records(self, which: str, *values: Any) -> Iterator[Record]:
        """Yield the runs that a query selects; ``which`` is the SELECT statement without its columns."""
        return map(_record, self._written().execute(f"SELECT {_COLUMNS} {which}", values))

    def domain(self, name: str) -> Domain | None:
        """Return a registered domain, or None."""
        if name not in self._domains:
            self._domains.update((name, each) for each in self._select_domains("WHERE name = ?", name))
        return self._domains.get(name)

    def domains(self) -> Sequence[Domain]:
        """Return all domains, ordered by name."""
        return self._select_domains("ORDER BY name")

    def _select_domains(self, which: str, *values: str) -> list[Domain]:
        """Return the domains that a query selects; ``which`` is the rest of the SELECT statement."""
        columns = "name, retention, description, is_deprecated, tags"
        rows = self._db.execute(f"SELECT {columns} FROM domains {which}", values)  # noqa: S608 - SQL of ours
        return [
            Domain(
                name=name,
                retention=retention,
                description=from_text(description),
                is_deprecated=bool(is_deprecated),
                tags=json.loads(tags),
            )
            for name, retention, description, is_deprecated, tags in rows
        ]

    def put_domain(self, domain: Domain) -> None:
        """Insert a domain, or update its status and tags."""
        self._domains.pop(domain.name, None)
        self._write_now(
            "INSERT INTO domains (name, retention, description, is_deprecated, tags) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (name) DO UPDATE SET is_deprecated = excluded.is_deprecated, tags = excluded.tags",
            domain.name,
            domain.retention,
            to_text(domain.description),
            domain.is_deprecated,
            json.dumps(domain.tags),
        )

    def registered(self, domain: str, type_: _Type) -> RegisteredType | None:
        """Return a registered type, or None."""
        key = domain, type_
        if key not in self._types:
            which = "AND name = ? AND version = ?"
            found = self._select_types(domain, type(type_), which, type_.name, type_.version)
            self._types.update((key, each) for each in found)
        return self._types.get(key)

    def types(self, domain: str, kind: type[_Type], name: str | None = None) -> Sequence[RegisteredType]:
        """Return the types of a kind, or those with one name, ordered by name and version."""
        if name is None:
            return self._select_types(domain, kind, "ORDER BY name, version")
        return self._select_types(domain, kind, "AND name = ? ORDER BY version", name)

    def _select_types(self, domain: str, kind: type[_Type], which: str, *values: str) -> list[RegisteredType]:
        """Return the types of a class and a domain; ``which`` is the rest of the SELECT statement."""
        columns = "name, version, defaults, description, created_at, deprecated_at"
        sql = f"SELECT {columns} FROM types WHERE domain = ? AND kind = ? {which}"  # noqa: S608 - SQL of ours
        rows = self._db.execute(sql, (domain, kind.__name__, *values))
        return [
            RegisteredType(
                type=kind(name, version),
                defaults=from_json(_DEFAULTS[kind], defaults),
                description=from_text(description),
                created_at=from_ms(created_at),
                deprecated_at=None if deprecated_at is None else from_ms(deprecated_at),
            )
            for name, version, defaults, description, created_at, deprecated_at in rows
        ]

    def put_type(self, domain: str, registered: RegisteredType) -> None:
        """Insert a type, or update its status."""
        type_, deprecated_at = registered.type, registered.deprecated_at
        self._types.pop((domain, type_), None)
        self._write_now(
            "INSERT INTO types"
            " (domain, kind, name, version, defaults, description, created_at, deprecated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET deprecated_at = excluded.deprecated_at",
            domain,
            type(type_).__name__,
            type_.name,
            type_.version,
            write_json(registered.defaults),
            to_text(registered.description),
            to_ms(registered.created_at),
            None if deprecated_at is None else to_ms(deprecated_at),
        )

    def drop_type(self, domain: str, type_: _Type) -> None:
        """Delete a type."""
        self._types.pop((domain, type_), None)
        self._write_now(
            "DELETE FROM types WHERE domain = ? AND kind = ? AND name = ? AND version = ?",
            domain,
            type(type_).__name__,
            type_.name,
            type_.version,
        )


#: A condition, and the values of its placeholders.
_Condition = tuple[str, Sequence[Any]]


@frozen
class _Source:
    """The table and the index that contain a listing in its order, and their columns."""

    table: str
    index: str
    at: str
    number: str

    @classmethod
    def of(cls, listing: ListingQuery) -> _Source:
        """Choose the table and the index by the filters of a listing."""
        keys = [name for name in ("tag", *_KEYS) if getattr(listing, name) is not None]
        # Open runs have no close status, and so no index on it.
        key = next((name for name in keys if listing.is_closed or name != "close_status"), None)
        table, number = ("run_tags", "run") if key == "tag" else ("runs", "number")
        index = index_name(key, listing.ordered_by, is_closed=listing.is_closed)
        return cls(table, index, f"{table}.{listing.ordered_by}", f"{table}.{number}")

    @property
    def indexed(self) -> str:
        """The beginning of the FROM clause: the table with its index."""
        return f"{self.table} INDEXED BY {self.index}"

    @property
    def joined(self) -> str:
        """The rest of the FROM clause; CROSS makes SQLite read the tags first and look up their runs."""
        return "" if self.table == "runs" else f"CROSS JOIN runs ON runs.number = {self.number}"

    def where(self, listing: ListingQuery, after: Position | None = None) -> tuple[str, list[Any]]:
        """Return all conditions, and the values of their placeholders in the same order."""
        conditions: list[_Condition] = [
            (f"{self.table}.domain = ?", [listing.domain]),
            (f"{self.table}.closed_at IS {'NOT ' if listing.is_closed else ''}NULL", []),
            *((f"{name} = ?", [getattr(listing, name)]) for name in ("tag", *_EQUAL)),
            *self._span(listing, after),
        ]
        given = [(text, values) for text, values in conditions if list(values) != [None]]
        return " AND ".join(text for text, _ in given), [value for _, values in given for value in values]

    def _span(self, listing: ListingQuery, after: Position | None) -> Iterator[_Condition]:
        """Yield the conditions on the time of runs."""
        # The position is the narrower bound; the plus keeps SQLite from seeking to the wider one.
        is_oldest_wider = after is not None and not listing.newest_first
        is_latest_wider = after is not None and listing.newest_first
        yield f"{'+' * is_oldest_wider}{self.at} >= ?", [to_ms(listing.oldest)]
        if listing.latest is not None:
            yield f"{'+' * is_latest_wider}{self.at} <= ?", [to_ms(listing.latest)]
        if after is not None:
            sign = "<" if listing.newest_first else ">"
            yield f"({self.at}, {self.number}) {sign} (?, ?)", [to_ms(after.at), after.number]


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
