"""A trouble that lasts is logged once, then at growing intervals with its count, then as over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceUnavailable
from floto.core.swf.service import PolledActivityTask
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.runtime.workers.running_activity import RunningActivity
from floto.trouble_log import TroubleLog, trouble_log_of
from tests.unit.adapters.http.asgi import PATIENCE, FakeOperations, ask
from tests.unit.adapters.http.test_app import to, within

KEY = "disk"
SIGNAL = b'{"domain": "d", "workflowId": "w", "signalName": "s"}'


class Clock:
    """Seconds, set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines(clock: Clock, caplog: pytest.LogCaptureFixture) -> Callable[..., list[str]]:
    """Play failures (numbers: seconds) and successes (negative numbers); returns what was logged."""
    log = TroubleLog(clock=clock)

    def play(*moments: float) -> list[str]:
        before = len(caplog.messages)
        for moment in moments:
            clock.now = abs(moment)
            if moment < 0:
                log.over(KEY)
            else:
                log.failed(KEY, "no room on %s", "sda")
        return caplog.messages[before:]

    return play


def test_the_first_failure_is_logged_at_once_and_the_next_are_counted(
    lines: Callable[..., list[str]],
) -> None:
    assert lines(1, 2, 3) == ["no room on sda"]
    assert lines(*range(4, 71)) == [
        "no room on sda (11 failures in 10.0 s)",
    ]
    assert lines(71, 72, 670, 671, 672) == [
        "no room on sda (71 failures in 70.0 s)",
        "no room on sda (74 failures in 670.0 s)",
    ]


def test_success_after_failures_logs_the_recovery_once(lines: Callable[..., list[str]]) -> None:
    assert lines(-1) == []
    assert lines(1, 2, -5, -6) == ["no room on sda", "disk: over after 2 failures in 4.0 s"]


def test_intermittent_failure_writes_few_lines(lines: Callable[..., list[str]]) -> None:
    moments = [sign * second / 10 for second in range(10, 600) for sign in (1, -1)]
    assert len(lines(*moments)) <= 2 * 6


def test_lasting_failure_writes_one_line_per_ten_minutes(lines: Callable[..., list[str]]) -> None:
    assert len(lines(*(1 + second / 2 for second in range(2 * 7200)))) <= 3 + 12


def test_keys_are_logged_separately_and_bounded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = TroubleLog()
    for number in range(10_000):
        log.failed(number, "%d", number)
    assert len(caplog.messages) == 10_000
    assert len(log._troubles) < 1_000  # noqa: SLF001


def test_failures_of_many_threads_are_counted_together(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    log = TroubleLog(clock=clock)

    def fail() -> None:
        for _ in range(1_000):
            log.failed(KEY, "no")

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.over(KEY)
    assert caplog.messages == ["no", "disk: over after 8000 failures in 0.0 s"]


class Remote:
    def call(self) -> None: ...


def test_calls_of_one_service_share_a_log() -> None:
    service, other = Remote(), Remote()
    assert trouble_log_of(service.call) is trouble_log_of(service.call)
    assert trouble_log_of(service.call) is not trouble_log_of(other.call)


def test_requests_to_a_full_disk_are_logged_once_for_each_operation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    operations = FakeOperations()
    full = [True]

    def answer(*_: object) -> dict[str, object]:
        if full[0]:
            problem = "database or disk is full"
            raise ServiceUnavailable(problem)
        return {}

    operations.answer = answer

    async def play(app: object) -> None:
        for _ in range(300):
            assert (await ask(app, to("SignalWorkflowExecution"), SIGNAL)).status == 503  # type: ignore[arg-type]
            health = await ask(app, {"Host": "localhost"}, method="GET", path="/health")  # type: ignore[arg-type]
            assert health.status == 503
        full[0] = False
        assert (await ask(app, to("SignalWorkflowExecution"), SIGNAL)).status == 200  # type: ignore[arg-type]

    with caplog.at_level(logging.WARNING, "floto"):
        within(operations, play)
    assert len(caplog.messages) == 3
    assert caplog.messages[-1].startswith("SignalWorkflowExecution: over after 300 failures in ")


def test_failed_heartbeats_of_all_activities_are_logged_together(caplog: pytest.LogCaptureFixture) -> None:
    class Service:
        def record(self, _token: str, _details: str | None = None) -> bool:
            problem = "connection refused"
            raise ServiceUnavailable(problem)

    record = Service().record
    execution, kind = WorkflowExecution("w", "r"), ActivityType("pay", "1")
    for number in range(100):
        task = PolledActivityTask(
            token=str(number),
            execution=execution,
            activity_id=str(number),
            activity_type=kind,
            started_event_id=3,
        )
        assert not RunningActivity(task, record).beat()
    assert caplog.messages == ["activity 0: heartbeat failed (connection refused)"]


def test_failing_watcher_is_logged_once_and_on_recovery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [ServiceUnavailable("full")] * 5
    with SqliteService(tmp_path / "db") as service, ThreadPoolExecutor(1) as threads:
        host = service._host  # noqa: SLF001 - the thread that looks for tasks of other processes
        look = host.look

        def failing() -> None:
            if failures:
                raise failures.pop()
            look()

        monkeypatch.setattr(host, "look", failing)
        threads.submit(service.poll_for_decision_task, "decide", "me", PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while len(caplog.messages) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        service.close()
    assert caplog.messages[0] == "cannot look for new tasks, retrying: full"
    assert caplog.messages[1].startswith("looking for new tasks: over after 5 failures in ")
    assert len(caplog.messages) == 2
