"""Registered domains and types, in SQL."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping

from floto.adapters.sqlite.sql.rows import from_json, from_text, to_json, to_text
from floto.core.engine.registration.registered_types import Domain, RegisteredType
from floto.core.engine.registration.type_settings import ActivityDefaults, WorkflowDefaults
from floto.core.swf.shapes import ActivityType, WorkflowType
from floto.core.swf.wire import from_ms, to_ms


def domains(db: sqlite3.Connection, which: str, *values: str) -> Iterator[Domain]:
    """Yield the domains that a query selects.

    Args:
        db: The connection.
        which: The rest of the SELECT statement.
        values: The values of its placeholders.
    """
    columns = "name, retention, description, is_deprecated, tags"
    for row in db.execute(f"SELECT {columns} FROM domains {which}", values):  # noqa: S608 - SQL of ours
        yield _domain(row)


def put_domain(db: sqlite3.Connection, domain: Domain) -> None:
    """Insert a domain, or update its status and tags."""
    db.execute(
        "INSERT INTO domains (name, retention, description, is_deprecated, tags) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET is_deprecated = excluded.is_deprecated, tags = excluded.tags",
        (
            domain.name,
            domain.retention,
            to_text(domain.description),
            domain.is_deprecated,
            json.dumps(domain.tags),
        ),
    )


def types(
    db: sqlite3.Connection, domain: str, kind: type[ActivityType | WorkflowType], which: str, *values: str
) -> Iterator[RegisteredType]:
    """Yield the types of a domain that a query selects.

    Args:
        db: The connection.
        domain: The domain.
        kind: The class of the types.
        which: The rest of the SELECT statement.
        values: The values of its placeholders.
    """
    columns = "name, version, defaults, description, created_at, deprecated_at"
    sql = f"SELECT {columns} FROM types WHERE domain = ? AND kind = ? {which}"  # noqa: S608 - SQL of ours
    for row in db.execute(sql, (domain, kind.__name__, *values)):
        yield _type(kind, row)


def put_type(db: sqlite3.Connection, domain: str, registered: RegisteredType) -> None:
    """Insert a type, or update its status."""
    db.execute(
        "INSERT INTO types (domain, kind, name, version, defaults, description, created_at, deprecated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET deprecated_at = excluded.deprecated_at",
        (domain, *_type_row(registered)),
    )


def drop_type(db: sqlite3.Connection, domain: str, type_: ActivityType | WorkflowType) -> None:
    """Delete a type."""
    db.execute(
        "DELETE FROM types WHERE domain = ? AND kind = ? AND name = ? AND version = ?",
        (domain, type(type_).__name__, type_.name, type_.version),
    )


def _domain(row: tuple[str, str | None, str | None, int, str]) -> Domain:
    name, retention, description, is_deprecated, tags = row
    return Domain(
        name=name,
        retention=retention,
        description=from_text(description),
        is_deprecated=bool(is_deprecated),
        tags=json.loads(tags),
    )


def _type_row(registered: RegisteredType) -> tuple[str, str, str, str, str | None, int, int | None]:
    """Return the row of a type, without its domain."""
    type_, deprecated_at = registered.type, registered.deprecated_at
    return (
        type(type_).__name__,
        type_.name,
        type_.version,
        to_json(registered.defaults),
        to_text(registered.description),
        to_ms(registered.created_at),
        None if deprecated_at is None else to_ms(deprecated_at),
    )


def _type(
    kind: type[ActivityType | WorkflowType], row: tuple[str, str, str, str | None, int, int | None]
) -> RegisteredType:
    name, version, defaults, description, created_at, deprecated_at = row
    return RegisteredType(
        type=kind(name, version),
        defaults=from_json(_DEFAULTS[kind], defaults),
        description=from_text(description),
        created_at=from_ms(created_at),
        deprecated_at=None if deprecated_at is None else from_ms(deprecated_at),
    )


_DEFAULTS: Mapping[type, type] = {ActivityType: ActivityDefaults, WorkflowType: WorkflowDefaults}
