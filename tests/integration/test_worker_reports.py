"""Reports that a worker does not wait for: those of the embedded engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.engine.embedded import NextTask
from floto.core.errors import ServiceUnavailable
from floto.core.swf.decisions import ScheduleActivityTask
from floto.core.swf.service import ReportsActivities
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    SOON,
    activity,
    decision,
    names,
    start,
    store_of,
    until,
)

LIST = "work"


def flow(many: int) -> floto.DeciderSpec:
    tasks = [
        floto.ActivityTask(name=ACTIVITY.name, version=ACTIVITY.version, id_=f"{n}") for n in range(many)
    ]
    return floto.DeciderSpec(activity_tasks=tasks, activity_task_list=LIST)


class Held(SqliteService):
    """A file whose reports are committed when ``release`` is called, with an error if one is given."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.held: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.problems: list[Exception] = []
        self.beats = 0

    def begin_report(
        self, report: Any, token: str, poll_as: Any, done: Callable[[NextTask], None], **options: Any
    ) -> None:
        def commit() -> None:
            if self.problems:
                done(self.fail)
            else:
                super(Held, self).begin_report(report, token, poll_as, done, **options)

        self.held.put(commit)

    def fail(self) -> None:
        raise self.problems.pop()

    def record_activity_task_heartbeat(self, token: str, details: str | None = None) -> bool:
        self.beats += 1
        return super().record_activity_task_heartbeat(token, details)

    def release(self) -> None:
        self.held.get(timeout=SOON)()


@contextmanager
def working(
    service: SqliteService, spec: floto.DeciderSpec, work: Callable[[], object] = lambda: 1, **options: Any
) -> Iterator[tuple[floto.ActivityWorker, threading.Thread]]:
    """Run a decider and a worker during the block; yield the worker and its thread."""
    activities = floto.Activities()
    activities.activity(name=ACTIVITY.name, version=ACTIVITY.version)(work)
    worker = floto.ActivityWorker(service=service, task_list=LIST, activities=activities, **options)
    decider = floto.Decider(spec, service=service)
    threads = [threading.Thread(target=each.run, daemon=True) for each in (decider, worker)]
    for thread in threads:
        thread.start()
    try:
        yield worker, threads[1]
    finally:
        decider.stop()
        worker.stop()
        for thread in threads:
            thread.join(SOON)


def test_heartbeats_go_on_until_a_report_is_committed(tmp_path: Path) -> None:
    with Held(tmp_path / "db") as service, working(service, flow(1), task_heartbeat_in_seconds=0.02):
        run = start(service)
        until(lambda: service.beats >= 5 and not service.held.empty())
        service.release()
        until(lambda: names(service, run)[-1] == "WorkflowExecutionCompleted")
        before = service.beats
        time.sleep(0.2)
        assert service.beats <= before + 1


def test_worker_that_is_stopped_waits_for_the_commit_of_its_report(tmp_path: Path) -> None:
    with Held(tmp_path / "db") as service, working(service, flow(1)) as (worker, thread):
        run = start(service)
        until(lambda: not service.held.empty())
        worker.stop()
        thread.join(1)
        assert thread.is_alive()
        assert worker.is_busy
        service.release()
        thread.join(SOON)
        assert not thread.is_alive()
        assert not worker.is_busy
        assert "ActivityTaskCompleted" in names(service, run)


def test_report_that_fails_in_its_commit_is_sent_again(tmp_path: Path) -> None:
    with Held(tmp_path / "db") as service, working(service, flow(1)):
        service.problems.append(ServiceUnavailable("the disk is full"))
        run = start(service)
        service.release()
        until(lambda: names(service, run)[-1] == "WorkflowExecutionCompleted")
        assert names(service, run).count("ActivityTaskCompleted") == 1


@pytest.mark.parametrize("concurrency", [1, 3])
def test_slots_bound_the_activities_whose_reports_are_not_committed(tmp_path: Path, concurrency: int) -> None:
    with (
        Held(tmp_path / "db") as service,
        working(service, flow(6), concurrency=concurrency) as (worker, _),
    ):
        run = start(service)
        until(lambda: service.held.qsize() == concurrency)
        time.sleep(0.1)
        assert names(service, run).count("ActivityTaskStarted") == concurrency
        assert len(worker.running) == concurrency
        for _ in range(6):
            service.release()
        until(lambda: names(service, run)[-1] == "WorkflowExecutionCompleted")


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_task_that_cannot_be_given_back_is_left_to_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[str] = []

    def fails(token: str) -> None:
        given_back.append(token)
        problem = "the file is locked"
        raise ServiceUnavailable(problem)

    with Held(tmp_path / "db") as service, working(service, flow(2)) as (worker, thread):
        monkeypatch.setattr(service, "give_back", fails)
        run = start(service)
        until(lambda: not service.held.empty())
        # Its slot is freed while its report waits, and with that the next task is claimed.
        worker.stop()
        worker._abandon(worker.running[0])  # noqa: SLF001 - a heartbeat that is refused just before the report
        service.release()
        until(lambda: given_back)
        thread.join(SOON)
        assert not thread.is_alive()
        assert names(service, run).count("ActivityTaskStarted") == 2


def test_threads_of_the_worker_commit_its_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SqliteService(tmp_path / "db") as service:
        host, leaders = service._host, set()  # noqa: SLF001 - who commits shows nowhere else
        execute = host._batches.execute  # noqa: SLF001 - as above

        def noted(batch: Any) -> None:
            leaders.add(threading.current_thread().name)
            time.sleep(0.002)
            execute(batch)

        monkeypatch.setattr(host._batches, "execute", noted)  # noqa: SLF001 - as above
        with working(service, flow(50), concurrency=8):
            run = start(service)
            until(lambda: names(service, run)[-1] == "WorkflowExecutionCompleted")
        assert "floto-writer" not in leaders


@pytest.mark.parametrize("hanging", ["runs", "is abandoned", "is waited for"])
def test_call_that_waits_for_the_commit_of_a_report_does_not_wait_for_activities(
    tmp_path: Path, hanging: str
) -> None:
    began, quick, slow = SimpleQueue[str](), threading.Event(), threading.Event()

    def work() -> None:
        began.put(floto.current().id)
        (slow if floto.current().id == "0" else quick).wait(SOON)

    def signal() -> threading.Thread:
        thread = threading.Thread(target=service.signal_workflow_execution, args=("wf", "s"), daemon=True)
        thread.start()
        return thread

    with (
        SqliteService(tmp_path / "db") as service,
        working(service, flow(2), work, concurrency=2) as (worker, _),
    ):
        queue = service._host._commits  # noqa: SLF001 - the jobs show nowhere else
        start(service)
        assert {began.get(timeout=SOON) for _ in range(2)} == {"0", "1"}
        with service._host._using:  # noqa: SLF001 - no commit ends meanwhile
            callers = [signal()]
            until(lambda: queue._has_leader)  # noqa: SLF001 - as above
            quick.set()
            until(lambda: any(job.lead_in for job in queue._queue))  # noqa: SLF001 - as above
            callers.append(signal())
            if hanging == "is abandoned":
                worker._abandon(next(each for each in worker.running if each.id == "0"))  # noqa: SLF001 - as by a heartbeat
            elif hanging == "is waited for":
                worker.stop()
        for caller in callers:
            caller.join(SOON)
        assert not any(caller.is_alive() for caller in callers)
        assert not slow.is_set()
        slow.set()


def test_reports_that_no_thread_waits_for_share_commits(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        start(service)
        task = decision(service)
        activities = [ScheduleActivityTask(activity_type=ACTIVITY, activity_id=str(n)) for n in range(64)]
        service.respond_decision_task_completed(task.token, activities)
        tokens = [activity(service).token for _ in activities]
        before = store_of(service)._revision  # noqa: SLF001 - the number of commits
        found: SimpleQueue[NextTask] = SimpleQueue()
        with service._host._using:  # noqa: SLF001 - no commit ends meanwhile
            for token in tokens:
                service.begin_report(_complete, token, (LIST, "w"), found.put, leads=False)
        assert [found.get(timeout=SOON)() for _ in tokens] == [None] * 64
        # The writer took the first alone, or some with it.
        assert store_of(service)._revision - before <= 2  # noqa: SLF001 - as above


def _complete(reports: ReportsActivities, token: str) -> None:
    reports.respond_activity_task_completed(token, None)
