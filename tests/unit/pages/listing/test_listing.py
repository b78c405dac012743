"""The list of runs: what a look reads, how it is brought up to date, and its pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import define, evolve, field

from floto.core.errors import ServiceError
from floto.core.swf.events import Event
from floto.core.swf.pollers import Live
from floto.core.swf.shapes import WorkflowExecution
from floto.core.swf.wire import events_from_swf
from floto.pages.listing.filters import parse
from floto.pages.listing.listing import MOST_RUNS, PAGE, Listing, Query
from floto.pages.listing.rows import totals
from floto.pages.runs import RunRow
from floto.pages.source import Pace


@define
class Fake:
    """A service in memory that counts how often it is read."""

    opens: dict[str, RunRow] = field(factory=dict)
    closed: dict[str, RunRow] = field(factory=dict)
    changed: int = 0
    read: list[str] = field(factory=list)
    problem: Exception | None = None
    pace: Pace = field(factory=lambda: Pace(every=1, histories=1, lag=2, idle=5))
    on_history: Callable[[], None] = lambda: None

    def start(self, *names: str, at: int = 0) -> None:
        self.changed += 1
        for number, name in enumerate(names):
            self.opens[name] = RunRow(
                workflow_id=name,
                run_id=name,
                type_name="t",
                type_version="1",
                status="RUNNING",
                started=at + number,
            )

    def close(self, name: str, at: int) -> None:
        self.changed += 1
        self.closed[name] = evolve(self.opens.pop(name), status="COMPLETED", closed=at)

    def version(self) -> object:
        return self.changed

    def open_runs(self, _domain: str) -> Iterable[RunRow]:
        self.read.append("open")
        if self.problem is not None:
            raise self.problem
        return sorted(self.opens.values(), key=lambda run: -run.started)

    def closed_runs(self, _domain: str, since: int | None) -> Iterable[RunRow]:
        self.read.append(f"closed since {since}")
        return [run for run in self.closed.values() if since is None or (run.closed or 0) >= since]

    def live(self) -> Live | None:
        self.read.append("live")
        return None

    def events_since(self, _domain: str, run: WorkflowExecution, known: Event) -> tuple[Event, ...]:
        self.read.append(f"history of {run.workflow_id} after {known.id}")
        self.on_history()
        return ()

    def history(self, _domain: str, run: WorkflowExecution) -> tuple[Event, ...]:
        self.read.append(f"history of {run.workflow_id}")
        self.on_history()
        started: Any = {
            "eventId": 1,
            "eventType": "WorkflowExecutionStarted",
            "eventTimestamp": datetime(2026, 1, 1, tzinfo=UTC),
            "workflowExecutionStartedEventAttributes": {
                "childPolicy": "TERMINATE",
                "taskList": {"name": "l"},
                "workflowType": {"name": "t", "version": "1"},
            },
        }
        return tuple(events_from_swf([started]))


@define
class Clock:
    now: float = 0

    def __call__(self) -> float:
        return self.now


def listing(source: Any, clock: Clock | None = None) -> Listing:
    return Listing(source, "floto", clock or Clock())


def shown(found: Listing, **query: Any) -> list[str]:
    return [run.workflow_id for run in found.page(Query(domain="floto", **query), 0).rows]


def test_nothing_is_read_again_while_nothing_changes() -> None:
    source, clock = Fake(), Clock()
    source.start("a", "b")
    found = listing(source, clock)
    assert found.refresh()
    source.read.clear()
    assert not found.refresh()
    assert source.read == []
    clock.now = 6
    assert not found.refresh()
    assert source.read == ["live"]


def test_after_a_change_only_new_closings_are_read() -> None:
    source = Fake()
    source.start("a", "b", "c")
    source.close("a", at=50_000)
    found = listing(source)
    found.refresh()
    source.close("b", at=60_000)
    source.read.clear()
    assert found.refresh()
    assert source.read == ["open", "closed since 48000", "history of c after 1"]
    assert shown(found) == ["c", "b", "a"]
    assert shown(found, filter=parse("status:completed")) == ["b", "a"]


def test_run_that_closes_between_two_listings_is_listed_once() -> None:
    source = Fake()
    source.start("a")
    source.closed["a"] = evolve(source.opens["a"], status="FAILED", closed=5)
    found = listing(source)
    found.refresh()
    assert [run.status for run in found.page(Query(domain="floto"), 0).rows] == ["FAILED"]


def test_error_of_the_service_leaves_the_list_and_the_next_look_reads_again() -> None:
    source = Fake()
    source.start("a")
    found = listing(source)
    found.refresh()
    source.start("b", at=9)
    source.problem = ServiceError("down")
    with pytest.raises(ServiceError):
        found.refresh()
    assert shown(found) == ["a"]
    source.problem = None
    assert found.refresh()
    assert shown(found) == ["b", "a"]


def test_all_closed_runs_are_read_again_after_a_while() -> None:
    source, clock = Fake(), Clock()
    source.start("a")
    source.close("a", at=5)
    found = listing(source, clock)
    found.refresh()
    source.closed.clear()  # their retention is over
    source.changed += 1
    found.refresh()
    assert shown(found) == ["a"]
    clock.now = 1_000
    source.changed += 1
    found.refresh()
    assert shown(found) == []


def test_histories_are_read_for_the_time_that_the_pace_allows() -> None:
    source, clock = Fake(), Clock()
    source.start(*(f"run-{number}" for number in range(5)))
    found = listing(source, clock)

    def wait() -> None:
        clock.now += 0.6

    source.on_history = wait
    counts: list[int] = []
    while not counts or found.is_behind:
        source.read.clear()
        found.refresh()
        counts.append(sum(each.startswith("history") for each in source.read))
    assert counts == [2, 2, 1]


def test_pages_and_counts() -> None:
    source = Fake()
    source.start(*(f"run-{number:03}" for number in range(2 * PAGE + 1)))
    source.close("run-000", at=9)
    found = listing(source)
    found.refresh()
    page = found.page(Query(domain="floto", page=3, filter=parse("run")), 0)
    assert (page.total, page.number, page.pages, len(page.rows)) == (2 * PAGE + 1, 3, 3, 1)
    assert (page.counts["RUNNING"], page.counts["COMPLETED"], page.is_cut) == (2 * PAGE, 1, False)
    page = found.page(Query(domain="floto", page=99, filter=parse("status:completed")), 0)
    assert (page.total, page.number, page.counts["RUNNING"]) == (1, 1, 2 * PAGE)


def test_list_is_bounded() -> None:
    source = Fake()
    source.start(*map(str, range(MOST_RUNS + 5)))
    found = listing(source)
    found.refresh()
    page = found.page(Query(domain="floto"), 0)
    assert page.total == MOST_RUNS


def test_open_runs_whose_histories_are_not_read_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("floto.pages.listing.listing.MOST_STATES", 3)
    source = Fake()
    source.start("a", "b", "c")
    found = listing(source)
    found.refresh()
    assert totals(found.page(Query(domain="floto"), 0))["summary"] == "3 runs"
    source.start("d", "e")
    found.refresh()
    note = "; 2 open runs that started earlier may be retrying or stuck: too many to read"
    assert totals(found.page(Query(domain="floto"), 0))["summary"] == f"5 runs{note}"
    stuck = Query(domain="floto", filter=parse("status:stuck"))
    assert totals(found.page(stuck, 0))["summary"] == f"no run{note}"


def test_closings_are_read_from_the_last_look_on_by_the_clock_of_the_service() -> None:
    source, clock = Fake(), Clock()
    source.start("a", "b")
    source.close("a", at=50_000)
    found = listing(source, clock)
    found.refresh()
    for now, since in ((10, 48_000), (30, 58_000), (40, 78_000)):
        clock.now = now
        source.changed += 1
        source.read.clear()
        found.refresh()
        assert f"closed since {since}" in source.read
