"""Listings of runs: what they hold, and that each is found by an index that has it in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage import database
from floto.adapters.sqlite.storage.listings import Listings
from floto.core.engine.stores.records import ListingQuery, Position, Record
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.core.swf.wire import to_ms

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
#: Each filter of SWF, as fields of a listing, and the columns by which its index finds runs.
FILTERS: dict[str, tuple[dict[str, str], str]] = {
    "none": ({}, ""),
    "workflow id": ({"workflow_id": "wf-1"}, " AND workflow_id=?"),
    "type": ({"type_name": "one"}, " AND type_name=?"),
    "type and version": ({"type_name": "one", "type_version": "1"}, " AND type_name=?"),
    "tag": ({"tag": "even"}, " AND tag=?"),
    "close status": ({"close_status": "TERMINATED"}, " AND close_status=?"),
}
#: Open runs by the start, and closed ones by the start or the close.
TIMES = {"open": (False, "started_at"), "by start": (True, "started_at"), "by close": (True, "closed_at")}
ALL = [(name, time) for name, time in product(FILTERS, TIMES) if (name, time) != ("close status", "open")]


def variants(name: str, time: str) -> Iterator[ListingQuery]:
    """The listings that SWF's calls can ask for with a filter and a time, one by one."""
    is_closed, ordered_by = TIMES[time]
    for latest, newest_first in product((None, BEGAN + timedelta(minutes=40)), (True, False)):
        rest: dict[str, Any] = {**FILTERS[name][0], "ordered_by": ordered_by, "is_closed": is_closed}
        oldest = BEGAN + timedelta(minutes=3)
        yield ListingQuery(domain="floto", oldest=oldest, latest=latest, newest_first=newest_first, **rest)


def executed(db: sqlite3.Connection, listing: ListingQuery) -> list[str]:
    """The statements that two pages and a count of a listing execute, with their values."""
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    Listings(db).listed(listing, 10, None)
    Listings(db).listed(listing, 10, Position(BEGAN + timedelta(minutes=20), 7))
    Listings(db).count_listed(listing)
    db.set_trace_callback(None)
    return statements


@pytest.mark.parametrize(("name", "time"), ALL)
def test_every_combination_of_filter_time_and_order_uses_an_index(
    tmp_path: Path, name: str, time: str
) -> None:
    columns, by = FILTERS[name][1], TIMES[time][1]
    # A workflow id has one open run, which needs no range of times.
    has_range = (name, time) != ("workflow id", "open")
    with closing(database.connect(str(tmp_path / "db"), "full")) as db:
        for listing in variants(name, time):
            statements = executed(db, listing)
            assert len(statements) == 3
            for sql in statements:
                plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
                assert f"(domain=?{columns}" in plan[0], plan
                assert not has_range or f"AND {by}>" in plan[0] or f"AND ({by}," in plan[0], plan
                assert not [step for step in plan if "SCAN" in step or "TEMP B-TREE" in step], plan
                if "count(" in sql:
                    assert len(plan) == 1
                    assert not has_range or "COVERING INDEX" in plan[0], plan


def insert_many(db: sqlite3.Connection, count: int) -> None:
    """Enter open and closed runs by turns, of one second each, that nearly every filter passes."""
    rows = (
        (
            number,
            "wf-1" if number % 2 else f"open-{number}",
            (start := 1000 * number + to_ms(BEGAN)),
            start + 500 if number % 2 else None,
            "TERMINATED" if number % 2 else None,
        )
        for number in range(1, count + 1)
    )
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO runs (number, run_id, domain, workflow_id, type_name, type_version, started_at,"
        " closed_at, close_status, tags)"
        " VALUES (?1, 'run' || ?1, 'floto', ?2, 'one', '1', ?3, ?4, ?5, '[\"even\"]')",
        rows,
    )
    db.execute(
        "INSERT INTO run_tags (run, tag, domain, started_at, closed_at)"
        " SELECT number, 'even', domain, started_at, closed_at FROM runs"
    )
    db.execute("COMMIT")


def instructions(db: sqlite3.Connection, listing: ListingQuery, after: Position | None) -> int:
    """How many hundreds of instructions of SQLite's virtual machine a page of a listing takes."""
    found = [0]

    def count() -> int:
        found[0] += 1
        return 0

    db.set_progress_handler(count, 100)
    assert len(Listings(db).listed(listing, 10, after)) == 10
    db.set_progress_handler(None, 0)
    return found[0]


@pytest.mark.parametrize(("name", "time"), [one for one in ALL if one != ("workflow id", "open")])
def test_page_reads_only_the_rows_it_returns(tmp_path: Path, name: str, time: str) -> None:
    with closing(database.connect(str(tmp_path / "db"), "normal")) as db:
        insert_many(db, 4000)
        for listing in variants(name, time):
            first = instructions(db, listing, None)
            later = instructions(db, listing, Position(BEGAN + timedelta(minutes=20), 1200))
            # To walk 2000 runs takes some hundred hundreds.
            assert max(first, later) < 20


def fill(path: Path) -> None:
    """Make runs of two types, versions and close statuses, in two domains, with tags and equal times."""
    now = BEGAN
    with (
        SqliteService(path, clock=lambda: now, durability="normal") as service,
        SqliteService(path, "other", clock=lambda: now, durability="normal") as other,
    ):
        for number in range(48):
            type_ = WorkflowType(("one", "two")[number % 2], str(number // 2 % 2))
            tags = (("even", "odd")[number % 2], "all", "all")
            workflow_id = f"wf-{number % 5}" if number < 40 else f"open-{number}"
            request = StartRequest(workflow_id=workflow_id, workflow_type=type_, tags=tags)
            service.start_workflow_execution(request)
            other.start_workflow_execution(request)
            # Two runs have each time.
            now += timedelta(minutes=number % 2)
            if number < 40:
                cancels = number % 3 == 0
                for each in (service, other):
                    if cancels:
                        each.request_cancel_workflow_execution(workflow_id)
                    each.terminate_workflow_execution(workflow_id)


@pytest.mark.parametrize(("name", "time"), ALL)
def test_pages_and_counts_equal_a_linear_scan(tmp_path: Path, name: str, time: str) -> None:
    fill(tmp_path / "db")
    with closing(database.connect_reading(str(tmp_path / "db"))) as db:
        records = list(Listings(db).records("FROM runs"))
        sizes = set()
        for listing in variants(name, time):

            def position(record: Record, listing: ListingQuery = listing) -> tuple[datetime, int]:
                return listing.moment(record) or BEGAN, record.number

            expected = sorted(filter(listing.has, records), key=position, reverse=listing.newest_first)
            found: list[Record] = []
            while page := Listings(db).listed(listing, 3, Position(*position(found[-1])) if found else None):
                found.extend(page)
            assert found == expected
            assert Listings(db).count_listed(listing) == len(expected)
            sizes.add(len(expected))
        assert max(sizes) > 0 or (name, time) == ("workflow id", "open")


def test_combined_filters_all_restrict(tmp_path: Path) -> None:
    fill(tmp_path / "db")
    with closing(database.connect_reading(str(tmp_path / "db"))) as db:
        records = list(Listings(db).records("FROM runs"))
        for is_closed, fields in product((True, False), ({"workflow_id": "wf-2"}, {"type_name": "two"})):
            for tag, status in product(("even", "odd", None), ("TERMINATED", None)):
                more: dict[str, Any] = {**fields, "tag": tag, "close_status": status}
                listing = ListingQuery(domain="other", is_closed=is_closed, oldest=BEGAN, **more)
                expected = {record.number for record in filter(listing.has, records)}
                assert {record.number for record in Listings(db).listed(listing, 100, None)} == expected
                assert Listings(db).count_listed(listing) == len(expected)
