"""The cache of open runs: bounded in bytes, and without the runs that other processes closed."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage.reads import Cache
from floto.adapters.sqlite.storage.rows import CachedRun
from floto.core.engine.run import EngineRun
from floto.core.swf.shapes import WorkflowExecution
from tests.integration.test_sqlite_helpers import activity, decision, hear, names, process, schedule, start

MIB = 2**20
#: A character that makes Python keep the whole text in four bytes for each character.
WIDE = "\N{ROCKET}"


def cache_of(service: SqliteService) -> Cache:
    """The cache of the connection that writes."""
    return service._host.store._cache  # noqa: SLF001 - what a process keeps shows nowhere else


def kept_entries(service: SqliteService) -> list[CachedRun]:
    return [entry for entry, _ in cache_of(service)._entries.values()]  # noqa: SLF001 - as above


def test_cached_runs_with_large_payloads_use_bounded_memory(tmp_path: Path) -> None:
    text = WIDE + "x" * 32_000
    with SqliteService(tmp_path / "db", durability="normal") as service:
        for number in range(75):
            start(service, str(number))
            for _ in range(10):
                service.signal_workflow_execution(str(number), "s", text)
        inputs = [
            sys.getsizeof(event.data.input)
            for entry in kept_entries(service)
            for event in entry.events
            if hasattr(event.data, "input") and event.data.input
        ]
        # 750 of them were written, which are 92 MiB.
        assert 32 * MIB < sum(inputs) < 64 * MIB


def test_cache_evicts_the_least_recently_used_runs() -> None:
    cache = Cache(most_bytes=3 * 10**6)
    entries = {
        id: CachedRun(number, 0, EngineRun.fresh("d", WorkflowExecution(id, id)), [], size=900_000)
        for number, id in enumerate("abcd")
    }
    for id in "abc":
        cache.put(id, entries[id])
    assert cache.get("a") is entries["a"]
    cache.put("d", entries["d"])
    assert [id for id in "abcd" if cache.get(id)] == ["a", "c", "d"]
    cache.drop("a")
    assert cache.get("a") is None


def test_run_larger_than_the_cache_is_kept_while_most_recently_used() -> None:
    cache = Cache(most_bytes=1000)
    for id in "ab":
        cache.put(id, CachedRun(1, 0, EngineRun.fresh("d", WorkflowExecution(id, id)), [], size=10**6))
    assert [id for id in "ab" if cache.get(id)] == ["b"]


def work(service: SqliteService, workflow_id: str, text: str, rounds: int) -> None:
    """Send signals, and schedule and complete activities, each with a text of its own."""
    for number in range(rounds):
        service.signal_workflow_execution(workflow_id, "s", f"{text}{number}")
        schedule(service, f"a{number}", input=f"{number}{text}")
        service.respond_activity_task_completed(activity(service).token, f"{number}{text}{number}")
    decision(service)


@pytest.mark.parametrize("text", ["", "x" * 32_000, WIDE + "x" * 8_000], ids=["small", "large", "wide"])
@pytest.mark.parametrize("origin", ["written", "read"])
def test_estimate_is_between_actual_and_a_small_multiple_of_allocated_bytes(
    tmp_path: Path, text: str, origin: str
) -> None:
    rounds = 40 if text else 200
    with SqliteService(tmp_path / "db", durability="normal") as service:
        start(service)
        if origin == "read":
            work(service, "wf", text, rounds)
        service._host.store._cache = Cache()  # noqa: SLF001 - as a process that has read nothing yet
        gc.collect()
        tracemalloc.start()
        try:
            if origin == "written":
                work(service, "wf", text, rounds)
            else:
                service.signal_workflow_execution("wf", "s", text)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            (entry,) = kept_entries(service)
            estimate = entry.weight()
            service._host.store._cache = Cache()  # noqa: SLF001 - as above
            del entry
            gc.collect()
            actual = before - tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert actual < estimate < 4 * actual


def test_estimate_includes_events_of_other_processes(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        start(service)
        for _ in range(3):
            other.signal_workflow_execution("wf", "s", "x" * 10_000)
        service.signal_workflow_execution("wf", "s")
        (entry,) = kept_entries(service)
        assert len(entry.events) == 6
        assert entry.size > 30_000


def test_runs_closed_by_another_process_are_evicted(tmp_path: Path) -> None:
    count = 100
    with SqliteService(tmp_path / "db", durability="normal") as service:
        for number in range(count):
            start(service, str(number))
        start(service, "open")
        assert len(kept_entries(service)) == count + 1
        script = f"for n in range({count}): service.terminate_workflow_execution(str(n))\nsay('done')"
        with process(tmp_path / "db", script) as other:
            assert hear(other) == "done"
        for _ in range(count // 10):
            service.poll_for_activity_task("nothing", "worker", 0)
        assert [entry.run.execution.workflow_id for entry in kept_entries(service)] == ["open"]


def test_refresh_reads_the_changed_runs_by_an_index(tmp_path: Path) -> None:
    statements: list[str] = []
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        for number in range(3):
            start(service, str(number))
        other.terminate_workflow_execution("0")
        db = service._host.store._db  # noqa: SLF001 - to see its statements
        db.set_trace_callback(statements.append)
        service._host.store.refresh()  # noqa: SLF001 - what each batch begins with
        db.set_trace_callback(None)
        (changed,) = [sql for sql in statements if "revision >" in sql]
        assert len(db.execute(changed).fetchall()) == 1
        plan = str(db.execute(f"EXPLAIN QUERY PLAN {changed}").fetchall())
        assert "SEARCH runs USING INDEX runs_by_revision (revision>?)" in plan


def test_open_run_stays_cached_after_commits_of_other_processes(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        run = start(service)
        before = kept_entries(service)[0].events[0]
        for _ in range(3):
            start(other, "other")
            other.terminate_workflow_execution("other")
            service.signal_workflow_execution("wf", "s")
        assert kept_entries(service)[0].events[0] is before
        assert names(service, run).count("WorkflowExecutionSignaled") == 3
