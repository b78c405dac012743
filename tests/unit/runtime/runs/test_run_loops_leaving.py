"""Time that ``floto.run`` waits for running activities before it returns."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.swf import events as e
from floto.runtime.deciders.decider import Decider
from floto.runtime.runs import run_loops
from floto.runtime.runs.run import run
from floto.runtime.workers.activities import Activities
from tests.runs import spec, task


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_loops, "_STOP_SECONDS", 0.4)
    monkeypatch.setattr(run_loops, "_QUIET_SECONDS", 0.1)


def until_canceled() -> None:
    """Return once the activity's cancellation is requested; fail if it is not."""
    end = time.monotonic() + 60
    while not floto.current().cancel_requested:
        assert time.monotonic() < end, "nobody asked"
        time.sleep(0.02)


@pytest.mark.usefixtures("short_waits")
def test_failed_run_does_not_wait_long_for_running_activities(
    service: SqliteService, activities: Activities, caplog: pytest.LogCaptureFixture
) -> None:
    gone = threading.Event()
    activities.activity(name="stuck", version="1")(lambda: gone.wait(60))
    with pytest.raises(floto.WorkflowFailed):
        run(spec(task("stuck"), task("fail")), service=service, activities=activities)
    assert caplog.text.count("waiting for 1 activity") == 1
    assert caplog.text.count("not waiting any longer") == 1
    gone.set()


@pytest.mark.usefixtures("short_waits")
def test_timeout_does_not_wait_long_for_running_activities_and_loses_no_work(
    service: SqliteService, activities: Activities
) -> None:
    gone = threading.Event()
    activities.activity(name="stuck", version="1")(lambda: gone.wait(60))
    tasks = spec(task("stuck"))
    with pytest.raises(TimeoutError):
        run(tasks, service=service, activities=activities, workflow_id="w", timeout=1)
    gone.set()
    assert run(tasks, service=service, activities=activities, workflow_id="w", timeout=60) == {"stuck": True}
    info = service.latest_execution("w")
    assert info is not None
    data = [event.data for event in service.history(info.execution)]
    assert sum(isinstance(item, e.ActivityTaskStarted) for item in data) == 1


@pytest.mark.usefixtures("short_waits")
def test_running_activity_is_canceled_when_the_service_is_closed(
    tmp_path: Path, activities: Activities
) -> None:
    told = threading.Event()

    @activities.activity(name="long", version="1")
    def long() -> None:
        until_canceled()
        told.set()

    with pytest.raises(TimeoutError):
        run(spec(task("long")), service=f"sqlite:///{tmp_path / 'f.db'}", activities=activities, timeout=1)
    assert told.wait(60)


def test_running_activity_is_canceled_when_its_run_closes(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("floto.runtime.runs.run_loops._HEARTBEAT_SECONDS", 0)

    @activities.activity(name="long", version="1")
    def long() -> None:
        until_canceled()
        told.set()

    told = threading.Event()
    with pytest.raises(floto.WorkflowFailed):
        run(spec(task("long"), task("fail")), service=service, activities=activities)
    assert told.is_set()


@pytest.mark.parametrize("deciding", ["at once", "after the poll"])
def test_run_ends_its_polls_instead_of_waiting_for_them(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch, deciding: str
) -> None:
    monkeypatch.setattr(run_loops, "WAKE_SECONDS", 60)
    if deciding == "after the poll":
        monkeypatch.setattr(Decider, "_may_decide_at_once", lambda _self: False)
    before = set(threading.enumerate())
    run(spec(task("echo")), service=service, activities=activities)
    left = set(threading.enumerate()) - before
    # One looks for other processes as long as the service is open, one is told to end without a wait.
    assert {thread.name for thread in left} <= {"floto-watch", "floto-heartbeats"}


def test_ended_poll_returns_no_task_and_leaves_others_waiting(service: SqliteService) -> None:
    with ThreadPoolExecutor(2) as threads:
        ended = threads.submit(service.poll_for_activity_task, "here", "worker", 60)
        other = threads.submit(service.poll_for_activity_task, "there", "worker", 60)
        # A poll that has not begun to wait is not ended.
        while not ended.done():
            service.end_polls("here")
            time.sleep(0.01)
        assert ended.result() is None
        assert not other.done()
        while not other.done():
            service.end_polls("there")
            time.sleep(0.01)
