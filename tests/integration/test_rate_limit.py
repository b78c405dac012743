"""A worker that starts at most so many activities per second, on the embedded engine."""

from __future__ import annotations

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.sqlite import SqliteService
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.worker import ActivityWorker
from tests.integration.test_sqlite_helpers import ACTIVITY, schedule, start

RATE, TASKS = 20.0, 6


def test_activities_start_at_the_given_rate_although_many_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, done = Activities(), threading.Semaphore(0)

    @known.activity(name=ACTIVITY.name, version=ACTIVITY.version)
    def work() -> None:
        done.release()

    with SqliteService(tmp_path / "db") as service:
        start(service)
        schedule(service, *map(str, range(TASKS)))
        poll, taken = service.poll_for_activity_task, []

        def timed(*arguments: Any) -> Any:
            began = time.monotonic()
            task = poll(*arguments)
            if task is not None:
                taken.append((began, time.monotonic()))
            return task

        monkeypatch.setattr(service, "poll_for_activity_task", timed)
        worker = ActivityWorker(service=service, activities=known, concurrency=TASKS, max_per_second=RATE)
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert all(done.acquire(timeout=20) for _ in range(TASKS))
        worker.stop()
        thread.join(20)
    # Each was polled for: none was claimed with the report of another.
    assert len(taken) == TASKS
    for (_, started), (began, _) in itertools.pairwise(taken):
        assert began - started >= 1 / RATE - 1e-3
