"""A decider in the process of the embedded engine: one fold of each event, one step for each decision."""

from __future__ import annotations

import inspect
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from attrs import evolve, frozen

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.batches import Batches
from floto.adapters.sqlite.storage.store import SqliteStore
from floto.core.decide.progress import Progress, begin
from floto.core.engine import step_context
from floto.core.engine.stores.changes import Changes
from floto.core.state import fold
from floto.core.swf import events as e
from floto.core.swf.events import Event
from tests.integration.test_sqlite_helpers import SOON, WORKFLOW

TASKS = tuple(
    floto.ActivityTask(name="act", version="1", id_=str(number), requires=[str(number - 1)] if number else [])
    for number in range(3)
)
SPEC = floto.DeciderSpec(activity_tasks=TASKS, task_list="decide", default_activity_task_list="work")


@contextmanager
def deciding(service: SqliteService, spec: floto.DeciderSpec = SPEC) -> Iterator[floto.Decider]:
    """A decider in a thread of its own, until the run is closed or the block ends."""
    own = floto.Decider(spec, service=service, poll_seconds=0.2)
    thread = threading.Thread(target=own.run, daemon=True)
    thread.start()
    try:
        yield own
    finally:
        own.stop()
        thread.join(SOON)


def start(service: SqliteService) -> str:
    request = floto.StartRequest(workflow_id="wf", workflow_type=WORKFLOW, task_list="decide")
    return service.start_workflow_execution(request)


def work(service: SqliteService) -> None:
    """Complete the next activity."""
    task = service.poll_for_activity_task("work", "", SOON)
    assert task is not None
    service.respond_activity_task_completed(task.token, "1")


def history(service: SqliteService, run_id: str) -> tuple[Event, ...]:
    return service.history(floto.WorkflowExecution("wf", run_id))


def wait_until_closed(service: SqliteService) -> None:
    end = time.monotonic() + SOON
    while True:
        info = service.latest_execution("wf")
        if info is not None and info.close_status is not None:
            return
        assert time.monotonic() < end
        time.sleep(0.01)


def test_each_event_is_folded_once_for_the_engine_and_its_decider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded: Counter[int] = Counter()
    add = fold.add

    def counting(draft: Any, event: Event) -> None:
        folded[event.id] += 1
        add(draft, event)

    for module in (fold, step_context):
        monkeypatch.setattr(module, "add", counting)
    with SqliteService(tmp_path / "db") as service, deciding(service):
        run_id = start(service)
        for _ in TASKS:
            work(service)
        events = history(service, run_id)
        while type(events[-1].data) is not e.WorkflowExecutionCompleted:
            events = history(service, run_id)
    assert folded == {event.id: 1 for event in events}


def test_decision_task_is_started_and_completed_in_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[list[type]] = []
    save = SqliteStore.save

    def recording(store: SqliteStore, changes: Changes) -> None:
        steps.append([type(event.data) for event in changes.events])
        save(store, changes)

    monkeypatch.setattr(SqliteStore, "save", recording)
    with SqliteService(tmp_path / "db") as service, deciding(service):
        start(service)
        work(service)
        service.poll_for_activity_task("work", "", SOON)
    decided = [e.DecisionTaskStarted, e.DecisionTaskCompleted, e.ActivityTaskScheduled]
    assert steps == [
        [e.WorkflowExecutionStarted, e.DecisionTaskScheduled],
        decided,
        [e.ActivityTaskStarted],
        [e.ActivityTaskCompleted, e.DecisionTaskScheduled],
        decided,
        [e.ActivityTaskStarted],
    ]


def test_progress_is_that_of_the_history_where_another_process_works(tmp_path: Path) -> None:
    """Another service on the file stands for the other process."""
    with SqliteService(tmp_path / "db") as service, SqliteService(tmp_path / "db") as other:
        with deciding(service) as own:
            run_id = start(service)
            work(other)
            work(other)
            task = other.poll_for_activity_task("work", "", SOON)
            assert task is not None
        known: Progress = own._cache._runs[run_id]  # noqa: SLF001 - it shows nowhere else
        events = history(service, run_id)[: known.state.last_event_id]
        execution = floto.WorkflowExecution("wf", run_id)
        assert known == floto.begin(SPEC, floto.History(events, execution))
        assert len(known.outcomes) == 2


@frozen
class Recording(floto.RetryStrategy):
    """A strategy of a user that records, for each call, whether a commit waits for it."""

    calls: list[bool]

    def delay(self, retry: floto.Retry) -> float | None:
        self.calls.append(any(frame.f_code is Batches.execute.__code__ for frame in frames()))
        return 0 if retry.number < 3 else None


def frames() -> Iterator[FrameType]:
    frame = inspect.currentframe()
    while frame is not None:
        yield frame
        frame = frame.f_back


def test_no_commit_waits_for_the_retry_strategy_of_a_user(tmp_path: Path) -> None:
    calls: list[bool] = []
    task = floto.ActivityTask(name="act", version="1", id_="a", retry_strategy=Recording(calls))
    with SqliteService(tmp_path / "db") as service, deciding(service, evolve(SPEC, activity_tasks=(task,))):
        start(service)
        for _ in range(3):
            polled = service.poll_for_activity_task("work", "", SOON)
            assert polled is not None
            service.respond_activity_task_failed(polled.token, "", "")
        wait_until_closed(service)
    assert calls
    assert not any(calls)


def test_no_commit_waits_for_a_large_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []

    def recording(*given: Any) -> Progress:
        begun.append(any(frame.f_code is Batches.execute.__code__ for frame in frames()))
        return begin(*given)

    monkeypatch.setattr("floto.runtime.deciders.decider.begin", recording)
    tasks = [floto.ActivityTask(name="act", version="1", id_=str(number)) for number in range(501)]
    spec = evolve(SPEC, activity_tasks=tasks)
    with SqliteService(tmp_path / "db") as service, deciding(service, spec):
        start(service)
        work(service)
    assert begun
    assert not any(begun)
