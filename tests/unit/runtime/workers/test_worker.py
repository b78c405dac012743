"""The loop of a worker."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from attrs import evolve

import floto
from floto.core.errors import ServiceGone, ServiceUnavailable, UnknownResource
from floto.core.swf.service import PolledActivityTask
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.core.swf.wire import WireError
from floto.runtime import retrying
from floto.runtime.workers import worker as workers
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.worker import ActivityWorker

TASK = PolledActivityTask(
    token="token",  # noqa: S106 - not a password
    execution=WorkflowExecution("order-1", "run-1"),
    activity_id="a",
    activity_type=ActivityType("work", "1"),
    started_event_id=6,
)


def test_worker_continues_after_an_unreadable_task(caplog: pytest.LogCaptureFixture) -> None:
    polls: list[Exception] = [WireError("activityId must be a string")]

    class Odd:
        def poll_for_activity_task(self, *_: Any) -> None:
            if polls:
                raise polls.pop()
            worker.stop()

    odd: Any = Odd()
    worker = ActivityWorker(service=odd)
    worker.run()
    assert polls == []
    assert "activityId must be a string" in caplog.text


def test_each_result_that_is_lost_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retrying, "REPORT", evolve(retrying.REPORT, seconds=0.1))
    both = threading.Barrier(2)
    tasks = [evolve(TASK, activity_id=name) for name in ("a", "b")]

    class Away:
        def poll_for_activity_task(self, *_: Any) -> PolledActivityTask | None:
            if tasks:
                return tasks.pop()
            worker.stop()
            return None

        def record_activity_task_heartbeat(self, *_: Any) -> bool:
            return False

        def respond_activity_task_completed(self, *_: Any) -> None:
            problem = "no route to host"
            raise ServiceUnavailable(problem)

    away: Any = Away()
    activities = Activities()
    activities.activity(name="work", version="1")(both.wait)
    monkeypatch.setattr(retrying, "_LAST_REPORT_SECONDS", 0.1)
    worker = ActivityWorker(service=away, activities=activities, concurrency=3)
    worker.run()
    lost = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert {record.getMessage()[:11] for record in lost} == {"activity a:", "activity b:"}
    assert not any(record.exc_info for record in lost)
    assert all("no route to host" in record.getMessage() for record in lost)


def test_worker_runs_again_after_an_error_of_its_service() -> None:
    polls: list[Any] = [TASK, ServiceGone("the file is gone"), evolve(TASK, activity_id="b"), None]
    completed: list[Any] = []

    class Flaky:
        def poll_for_activity_task(self, *_: Any) -> Any:
            found = polls.pop(0)
            if isinstance(found, ServiceGone):
                raise found
            if found is None:
                worker.stop()
            return found

        def record_activity_task_heartbeat(self, *_: Any) -> bool:
            return False

        def respond_activity_task_completed(self, _token: str, result: str) -> None:
            completed.append(result)

    flaky: Any = Flaky()
    activities = Activities()
    activities.activity(name="work", version="1")(lambda: floto.current().id)
    worker = ActivityWorker(service=flaky, activities=activities)
    with pytest.raises(ServiceGone):
        worker.run()
    assert completed == ['"a"']
    # In a thread, which hangs if a slot or a thread is missing.
    for _ in range(2):
        again = threading.Thread(target=worker.run, daemon=True)
        again.start()
        again.join(30)
        assert not again.is_alive()
        assert completed == ['"a"', '"b"']


def test_worker_with_very_many_slots_stops_at_once() -> None:
    class Idle:
        def poll_for_activity_task(self, *_: Any) -> None:
            worker.stop()

    idle: Any = Idle()
    worker = ActivityWorker(service=idle, concurrency=10**12)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


CLOSED = UnknownResource("UnknownResourceFault", "Unknown activity")


@pytest.mark.parametrize(
    ("seconds", "heartbeat", "calls"),
    [
        (0.2, CLOSED, ["heartbeat"]),
        (0.2, ServiceUnavailable("no route to host"), ["heartbeat", "work", "completed"]),
        (0.2, None, ["heartbeat", "work", "completed"]),
        (0.0, CLOSED, ["work", "completed"]),
    ],
)
def test_task_that_was_closed_while_the_worker_was_suspended_is_not_begun(
    seconds: float, heartbeat: Exception | None, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_LONGEST_POLL_SECONDS", 0.1)
    seen: list[str] = []
    tasks = [TASK]

    class Suspended:
        def poll_for_activity_task(self, *_: Any) -> PolledActivityTask | None:
            if tasks:
                clock[0] += seconds
                return tasks.pop()
            worker.stop()
            return None

        def record_activity_task_heartbeat(self, *_: Any) -> bool:
            seen.append("heartbeat")
            if heartbeat is not None:
                raise heartbeat
            return False

        def respond_activity_task_completed(self, *_: Any) -> None:
            seen.append("completed")

    clock = [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    suspended: Any = Suspended()
    activities = Activities()
    activities.activity(name="work", version="1")(lambda: seen.append("work"))
    worker = ActivityWorker(service=suspended, activities=activities)
    worker.run()
    assert seen == calls
