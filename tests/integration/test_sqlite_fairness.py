"""Queries rest beside calls that write, so that those get their part of the processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.fairness import Fairness
from tests.integration.test_sqlite_helpers import start


class Stopwatch:
    """A clock that a test sets, and the rests that were taken by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.rests: list[float] = []
        self.fairness = Fairness(self.clock, self.rest)

    def clock(self) -> float:
        return self.now

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds

    def query(self, seconds: float, *, writes: bool) -> None:
        with self.fairness.query():
            self.now += seconds / 2
            if writes:
                self.fairness.note_write()
            self.now += seconds / 2


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


def test_queries_without_writes_never_pause(watch: Stopwatch) -> None:
    watch.fairness.note_write()
    watch.now += 1
    for _ in range(3):
        watch.query(0.02, writes=False)
    assert watch.rests == []


def test_query_pauses_as_long_as_the_previous_one_took_during_writes(watch: Stopwatch) -> None:
    for seconds in (0.02, 0.01, 0.03):
        watch.query(seconds, writes=True)
    assert watch.rests == pytest.approx([0.02, 0.01])


def test_time_between_queries_counts_as_pause(watch: Stopwatch) -> None:
    watch.query(0.02, writes=True)
    watch.now += 0.015
    watch.query(0.02, writes=True)
    watch.now += 1
    watch.query(0.02, writes=True)
    assert watch.rests == pytest.approx([0.005])


def test_pause_after_a_long_query_is_bounded(watch: Stopwatch) -> None:
    watch.query(30, writes=True)
    watch.query(0.01, writes=False)
    watch.query(0.01, writes=False)
    assert watch.rests == pytest.approx([0.05])


def test_failed_query_is_followed_by_a_pause(watch: Stopwatch) -> None:
    def fail() -> None:
        with watch.fairness.query():
            watch.fairness.note_write()
            watch.now += 0.02
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    watch.query(0.01, writes=False)
    assert watch.rests == pytest.approx([0.02])


@pytest.mark.parametrize("writes", [True, False])
def test_queries_of_a_service_pause_during_its_own_writes(
    tmp_path: Path,
    watch: Stopwatch,
    writes: bool,  # noqa: FBT001 - by name
) -> None:
    with SqliteService(tmp_path / "db") as service:
        host = service._host  # noqa: SLF001 - to make a query take time
        host._fairness = watch.fairness  # noqa: SLF001 - as above

        def count(*_: object) -> None:
            if writes:
                start(service)
            watch.now += 0.02

        host.query(count)
        assert service.latest_execution("other") is None
        assert watch.rests == pytest.approx([0.02] if writes else [])
