"""How long ``floto.run`` waits for activities that still run when it has what it came for."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.swf import events as e
from floto.runtime.runs import run_loops
from floto.runtime.runs.run import run
from floto.runtime.workers.activities import Activities
from tests.runs import spec, task


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_loops, "_STOP_SECONDS", 0.4)
    monkeypatch.setattr(run_loops, "_QUIET_SECONDS", 0.1)


def until_told() -> None:
    """Return once the activity is asked to stop; fail if nobody asks."""
    end = time.monotonic() + 60
    while not floto.current().cancel_requested:
        assert time.monotonic() < end, "nobody asked"
        time.sleep(0.02)


@pytest.mark.usefixtures("hasty")
def test_a_failed_run_does_not_wait_long_for_what_runs(
    service: SqliteService, activities: Activities, caplog: pytest.LogCaptureFixture
) -> None:
    gone = threading.Event()
    activities.activity(name="stuck", version="1")(lambda: gone.wait(60))
    with pytest.raises(floto.WorkflowFailed):
        run(spec(task("stuck"), task("fail")), service=service, activities=activities)
    assert caplog.text.count("waiting for 1 activity") == 1
    assert caplog.text.count("not waiting any longer") == 1
    gone.set()


@pytest.mark.usefixtures("hasty")
def test_a_time_out_does_not_wait_long_for_what_runs_and_loses_nothing(
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


@pytest.mark.usefixtures("hasty")
def test_what_still_runs_is_told_when_the_service_is_closed(tmp_path: Path, activities: Activities) -> None:
    told = threading.Event()

    @activities.activity(name="long", version="1")
    def long() -> None:
        until_told()
        told.set()

    with pytest.raises(TimeoutError):
        run(spec(task("long")), service=f"sqlite:///{tmp_path / 'f.db'}", activities=activities, timeout=1)
    assert told.wait(60)


def test_what_runs_is_asked_to_stop_when_its_run_is_closed(
    service: SqliteService, activities: Activities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("floto.runtime.runs.run_loops._HEARTBEAT_SECONDS", 0)

    @activities.activity(name="long", version="1")
    def long() -> None:
        until_told()
        told.set()

    told = threading.Event()
    with pytest.raises(floto.WorkflowFailed):
        run(spec(task("long"), task("fail")), service=service, activities=activities)
    assert told.is_set()
