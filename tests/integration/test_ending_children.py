"""Children that a failed run leaves open: they end, and what they complete is kept by the next run."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import floto
from floto import ActivityTask, ChildWorkflow, DeciderSpec
from floto.adapters.sqlite import SqliteService
from floto.runtime.cli.run import state_after
from floto.runtime.runs import run_loops
from floto.runtime.runs.time_limit import NotStarted
from tests.integration.commands import PATIENCE, wait_for

LOAD = ActivityTask(id_="load", name="load", version="1")
INNER = DeciderSpec(
    activity_tasks=[LOAD, ActivityTask(id_="next", name="next", version="1", requires=[LOAD])]
)
SPEC = DeciderSpec(
    activity_tasks=[
        ActivityTask(id_="boom", name="boom", version="1"),
        ChildWorkflow(id_="sub", workflow_type_name="sub", workflow_type_version="1", spec=INNER),
    ]
)


class Work:
    """Activities: one fails until it is repaired, while another one of a child goes on for a time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.is_broken = seconds, True
        self.begun: list[float] = []
        #: Ends what goes on, before its seconds are over.
        self.over = threading.Event()

    @property
    def activities(self) -> floto.Activities:
        found = floto.Activities()

        @found.activity(name="boom", version="1")
        def boom(_context: Mapping[str, Any]) -> int:
            while not self.begun:
                time.sleep(0.01)
            if self.is_broken:
                raise ValueError
            return 1

        @found.activity(name="load", version="1")
        def load(_context: Mapping[str, Any]) -> int:
            self.begun.append(time.monotonic())
            # It does not look whether its cancellation is requested.
            self.over.wait(self.seconds)
            return 2

        @found.activity(name="next", version="1")
        def following(context: Mapping[str, Any]) -> Any:
            return context["load"]

        return found


def run(service: SqliteService, work: Work, **settings: Any) -> Any:
    return floto.run(SPEC, service=service, workflow_id="w", activities=work.activities, **settings)


def status(service: SqliteService) -> str | None:
    info = service.latest_execution("w:sub")
    assert info is not None
    return info.close_status


def test_child_of_a_failed_run_ends_and_its_completed_task_is_kept(tmp_path: Path) -> None:
    work = Work(seconds=0.5)
    with SqliteService(tmp_path / "db") as service:
        with pytest.raises(floto.WorkflowFailed):
            run(service, work)
        assert status(service) == "CANCELED"
        work.is_broken = False
        assert run(service, work, redrive=True) == {"boom": 1, "sub": {"next": 2}}
    assert len(work.begun) == 1


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that does not wait long when it ends."""
    monkeypatch.setattr(run_loops, "_STOP_SECONDS", 0.2)


@pytest.mark.usefixtures("hasty")
def test_redrive_waits_for_a_child_that_takes_longer_and_keeps_what_it_completes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(seconds=PATIENCE)
    with SqliteService(tmp_path / "db") as service:
        with pytest.raises(floto.WorkflowFailed):
            run(service, work)
        assert status(service) is None
    assert "not waiting any longer; still open, and to be canceled: w:sub" in caplog.text
    caplog.clear()
    work.is_broken = False
    with (
        caplog.at_level(logging.INFO),
        SqliteService(tmp_path / "db") as service,
        ThreadPoolExecutor(1) as threads,
    ):
        redriven = threads.submit(run, service, work, redrive=True)
        wait_for(lambda: "waiting for canceled children to end: w:sub" in caplog.text)
        wait_for(lambda: len(work.begun) == 2)
        work.over.set()
        assert redriven.result() == {"boom": 1, "sub": {"next": 2}}
    # Its process had closed the file, so the task was redelivered once; the new child did not repeat it.
    assert len(work.begun) == 2


@pytest.mark.usefixtures("hasty")
def test_redrive_that_times_out_while_it_waits_names_the_children_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, left, leave = Work(seconds=PATIENCE), [], run_loops.RunLoops.leave

    def counted(loops: run_loops.RunLoops, *given: Any) -> None:
        left.append(loops)
        leave(loops, *given)

    monkeypatch.setattr(run_loops.RunLoops, "leave", counted)
    with SqliteService(tmp_path / "db") as service:
        with pytest.raises(floto.WorkflowFailed):
            run(service, work)
        last = service.latest_execution("w")
        with pytest.raises(TimeoutError, match="timed out; still open, and to be canceled: w:sub"):
            run(service, work, redrive=True, timeout=0.3)
        assert service.latest_execution("w") == last
        # Each call waits once for the running activities.
        assert len(left) == 2
        work.over.set()


def test_failed_run_returns_at_once_if_the_cancellation_of_its_open_child_was_not_requested(
    tmp_path: Path,
) -> None:
    """A terminated run whose child policy abandons children leaves them open for good."""
    waits = DeciderSpec(activity_tasks=[floto.Signal(id_="never", signal_name="never")])
    child = ChildWorkflow(id_="sub", workflow_type_name="sub", workflow_type_version="1", spec=waits)
    spec = DeciderSpec(activity_tasks=[child], child_policy="ABANDON")
    with SqliteService(tmp_path / "db") as service:

        def terminate(state: floto.State) -> None:
            if state.children and not terminated:
                terminated.append(time.monotonic())
                service.terminate_workflow_execution("w")

        terminated: list[float] = []
        with pytest.raises(floto.WorkflowEnded):
            floto.run(spec, service=service, workflow_id="w", listener=terminate)
        assert time.monotonic() - terminated[0] < run_loops._STOP_SECONDS / 2  # noqa: SLF001 - the time it would wait
        assert status(service) is None


def test_second_signal_while_a_failed_run_waits_ends_the_wait_and_not_the_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_loops.RunLoops, "leave", interrupted)
    with SqliteService(tmp_path / "db") as service, pytest.raises(floto.WorkflowFailed):
        run(service, Work(seconds=0))


def test_command_that_times_out_while_it_waits_for_children_says_that_no_run_was_started() -> None:
    error = NotStarted("timed out; still open, and to be canceled: w:sub")
    assert state_after(error, "w") == "; still open, and to be canceled: w:sub; no run was started"
