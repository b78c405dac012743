"""A storage error at any statement: every request ends, nothing acknowledged is lost, work goes on."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.errors import ServiceError
from floto.core.swf.decisions import ScheduleActivityTask, StartTimer
from floto.core.swf.events import WorkflowExecutionSignaled
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType

WORKFLOW = WorkflowType("work", "1")
#: Seconds of each poll.
_POLL = 0.1


def sqlite_error(kind: type[sqlite3.Error], code: int) -> sqlite3.Error:
    error = kind("injected")
    error.sqlite_errorcode = code
    return error


FAULTS: dict[str, Callable[[], BaseException]] = {
    "disk full": lambda: sqlite_error(sqlite3.OperationalError, sqlite3.SQLITE_FULL),
    "busy": lambda: sqlite_error(sqlite3.OperationalError, sqlite3.SQLITE_BUSY),
    "constraint": lambda: sqlite_error(sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT),
    "no file descriptor": lambda: OSError(24, "Too many open files"),
    "no memory": MemoryError,
}


class Faulty(sqlite3.Connection):
    """Raises an error instead of executing the statements that are counted down to."""

    left = -1
    fault: Callable[[], BaseException] = MemoryError

    def execute(self, *arguments: Any) -> Any:
        self._count()
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> Any:
        self._count()
        return super().executemany(*arguments)

    @classmethod
    def _count(cls) -> None:
        cls.left -= 1
        if cls.left == 0:
            raise cls.fault()


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Faulty))
    Faulty.left = -1
    return Faulty


def start(service: SqliteService, workflow_id: str) -> str:
    return service.start_workflow_execution(
        StartRequest(workflow_id=workflow_id, workflow_type=WORKFLOW, task_list="decide")
    )


def tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (ServiceError, MemoryError, sqlite3.Error) as error:
        return error


def workload(service: SqliteService, number: int) -> tuple[list[str], list[Callable[[], Any]]]:
    """Calls of every kind that are made at once; the names of signals that were acknowledged are noted."""
    acknowledged: list[str] = []

    def signal(name: str) -> None:
        service.signal_workflow_execution("base", name)
        acknowledged.append(name)

    def decide() -> None:
        task = service.poll_for_decision_task("decide", "test", _POLL)
        if task is not None:
            timer = StartTimer(timer_id="t", start_to_fire_timeout="0")
            work = ScheduleActivityTask(
                activity_type=ActivityType("a", "1"), activity_id="a", task_list=TaskList("work")
            )
            service.respond_decision_task_completed(task.token, [timer, work])

    calls: list[Callable[[], Any]] = [
        decide,
        lambda: service.poll_for_activity_task("work", "test", _POLL),
        lambda: service.poll_for_activity_task("nothing here", "test", _POLL),
        lambda: service.latest_execution("base"),
        lambda: start(service, f"w{number}"),
        *(partial(signal, f"{number}-{each}") for each in range(3)),
    ]
    return acknowledged, calls


@pytest.mark.parametrize("name", FAULTS)
def test_every_request_returns_after_a_fault_at_any_statement(
    tmp_path: Path, faulty: type[Faulty], name: str
) -> None:
    faulty.fault = staticmethod(FAULTS[name])
    with SqliteService(tmp_path / "db", durability="normal") as service, ThreadPoolExecutor(8) as threads:
        start(service, "base")
        noted: list[str] = []
        for statement in range(1, 60):
            acknowledged, calls = workload(service, statement)
            faulty.left = statement
            _, stuck = wait([threads.submit(tried, call) for call in calls], timeout=20)
            assert not stuck, f"{len(stuck)} requests never ended after a fault at statement {statement}"
            faulty.left = -1
            noted += acknowledged
        info = service.latest_execution("base")
        assert info is not None
        found = [
            event.data.signal_name
            for event in service.history(info.execution)
            if isinstance(event.data, WorkflowExecutionSignaled)
        ]
        assert set(noted) <= set(found)
        assert len(found) == len(set(found))
        start(service, "after")
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            task = service.poll_for_decision_task("decide", "test", 1)
            assert task is not None
            if task.execution.workflow_id == "after":
                break


def test_poll_returns_in_time_if_reading_deadlines_fails_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service:
        failed: list[Any] = []
        is_due = service._host.store.is_due  # noqa: SLF001 - the moment before polls are in line

        def failing(now: Any) -> bool:
            if not failed:
                failed.append(now)
                raise sqlite_error(sqlite3.OperationalError, sqlite3.SQLITE_FULL)
            return is_due(now)

        monkeypatch.setattr(service._host.store, "is_due", failing)  # noqa: SLF001
        began = time.monotonic()
        tried(lambda: service.poll_for_decision_task("decide", "test", 0.5))
        assert time.monotonic() - began < 5


def test_polls_are_served_after_an_os_error_in_the_watcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        host, met = service._host, threading.Event()  # noqa: SLF001 - the thread that looks out for others
        look = host.look

        def failing() -> None:
            if not met.is_set():
                met.set()
                raise OSError(24, "Too many open files")
            look()

        monkeypatch.setattr(host, "look", failing)
        with ThreadPoolExecutor(1) as threads:
            polled = threads.submit(service.poll_for_decision_task, "decide", "test", 20)
            assert met.wait(20)
            start(other, "w")
            assert polled.result(20) is not None


def test_queries_succeed_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "w")
        db = sqlite3.connect(tmp_path / "db", isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        info = service.latest_execution("w")
        assert info is not None
        assert service.history(info.execution)
        assert time.monotonic() - began < 2
        db.execute("ROLLBACK")
        db.close()


def test_query_includes_every_acknowledged_call(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "w")
        for number in range(50):
            service.signal_workflow_execution("w", f"s{number}")
            info = service.latest_execution("w")
            assert info is not None
            assert (
                sum(
                    isinstance(event.data, WorkflowExecutionSignaled)
                    for event in service.history(info.execution)
                )
                == number + 1
            )


def test_close_ends_the_wait_for_the_lock_of_another_process(tmp_path: Path) -> None:
    service = SqliteService(tmp_path / "db")
    start(service, "w")
    db = sqlite3.connect(tmp_path / "db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(tried, lambda: service.signal_workflow_execution("w", "s"))
        time.sleep(0.3)
        began = time.monotonic()
        service.close()
        assert isinstance(call.result(10), ServiceError)
        assert time.monotonic() - began < 3
    db.execute("ROLLBACK")
    db.close()


def test_long_write_ahead_log_is_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("floto.adapters.sqlite.storage.database._LONG_LOG", 200_000)
    monkeypatch.setattr("floto.adapters.sqlite.recovery._RECOVER_SECONDS", 0.0)
    with SqliteService(tmp_path / "db", durability="normal") as service:
        start(service, "w")
        for number in range(300):
            service.signal_workflow_execution("w", f"s{number}", "x" * 5_000)
        assert Path(f"{tmp_path / 'db'}-wal").stat().st_size < 1_000_000


def test_error_after_a_commit_does_not_repeat_its_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "w")
        failed: list[int] = []
        keep = SqliteStore._keep  # noqa: SLF001 - what follows the commit

        def failing(store: SqliteStore) -> None:
            if not failed:
                failed.append(1)
                raise MemoryError
            keep(store)

        monkeypatch.setattr(SqliteStore, "_keep", failing)
        tried(lambda: service.signal_workflow_execution("w", "once"))
        info = service.latest_execution("w")
        assert info is not None
        signals = [
            e for e in service.history(info.execution) if isinstance(e.data, WorkflowExecutionSignaled)
        ]
        assert len(signals) == 1


def test_file_is_opened_and_read_while_another_process_holds_the_lock(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "w")
    db = sqlite3.connect(tmp_path / "db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with SqliteService(tmp_path / "db") as service:
        assert service.latest_execution("w") is not None
        assert service.poll_for_decision_task("decide", "test", 0.5) is None
        assert time.monotonic() - began < 4
        db.execute("ROLLBACK")
        assert service.poll_for_decision_task("decide", "test", 5) is not None
    db.close()


def test_first_query_after_a_timer_is_due_includes_timer_fired(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service, "w")
        task = service.poll_for_decision_task("decide", "test", 5)
        assert task is not None
        service.respond_decision_task_completed(
            task.token, [StartTimer(timer_id="t", start_to_fire_timeout="1")]
        )
        service.history(task.execution)
        time.sleep(1.2)
        names = [type(event.data).__name__ for event in service.history(task.execution)]
        assert "TimerFired" in names
