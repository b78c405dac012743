"""The activity worker on the embedded engine, with real threads."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable
from floto.core.state.failures import split_details
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision, RequestCancelActivityTask, ScheduleActivityTask
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.worker import ActivityWorker
from tests.integration.commands import wait_for

WORKFLOW = WorkflowType("order", "v1")
HALF_DONE = floto.Canceled("half done")
LATER = ServiceUnavailable("come back later")


def scheduled(service: SqliteService, *ids: str, **settings: Any) -> WorkflowExecution:
    """A run with these activities scheduled."""
    request = StartRequest(workflow_id="order-1", workflow_type=WORKFLOW, task_list="orders")
    run_id = service.start_workflow_execution(request)
    decide(
        service,
        *(
            ScheduleActivityTask(
                activity_type=ActivityType("work", "v1"),
                activity_id=id_,
                task_list=TaskList("work"),
                **settings,
            )
            for id_ in ids
        ),
    )
    return WorkflowExecution("order-1", run_id)


def decide(service: SqliteService, *decisions: Decision) -> None:
    task = service.poll_for_decision_task("orders", "test", 5)
    assert task is not None
    service.respond_decision_task_completed(task.token, decisions)


def ended(service: SqliteService, execution: WorkflowExecution) -> list[Any]:
    kinds = (e.ActivityTaskCompleted, e.ActivityTaskFailed, e.ActivityTaskCanceled, e.ActivityTaskTimedOut)
    return [event.data for event in service.history(execution) if isinstance(event.data, kinds)]


class Proxy:
    """A service some of whose calls are replaced; it is no embedded service, whose calls are combined."""

    def __init__(self, service: SqliteService, **calls: Callable[..., Any]) -> None:
        self._service = service
        vars(self).update(calls)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@contextmanager
def working(service: Any, function: Callable[..., Any], **settings: Any) -> Iterator[ActivityWorker]:
    activities = Activities()
    activities.activity(name="work", version="v1")(function)
    worker = ActivityWorker(
        task_list="work", service=service, activities=activities, poll_seconds=0.05, **settings
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()


def test_concurrent_activities_are_limited_by_slots(service: SqliteService) -> None:
    running, most = [], []

    def work() -> None:
        running.append(1)
        most.append(len(running))
        wait_for(lambda: max(most) >= 3)
        time.sleep(0.05)
        running.pop()

    execution = scheduled(service, *"abcdefg")
    with working(service, work, concurrency=3):
        wait_for(lambda: len(ended(service, execution)) == 7)
    assert max(most) == 3


def test_task_is_claimed_only_with_a_free_slot(service: SqliteService) -> None:
    done = threading.Event()
    execution = scheduled(service, "a", "b")
    with working(service, lambda: done.wait(60)):
        wait_for(
            lambda: any(isinstance(event.data, e.ActivityTaskStarted) for event in service.history(execution))
        )
        time.sleep(0.2)
        started = [
            event for event in service.history(execution) if isinstance(event.data, e.ActivityTaskStarted)
        ]
        done.set()
        assert len(started) == 1


def test_async_activity_completes(service: SqliteService) -> None:
    async def work(context: dict[str, Any]) -> list[Any]:
        return [context, floto.current().id]

    execution = scheduled(service, "a", input='{"n": 1}')
    with working(service, work):
        wait_for(lambda: ended(service, execution))
    assert ended(service, execution)[0].result == '[{"n":1},"a"]'


def test_exception_of_an_activity_is_its_failure(service: SqliteService) -> None:
    def work() -> None:
        raise KeyError("x" * 40_000)

    execution = scheduled(service, "a")
    with working(service, work):
        wait_for(lambda: ended(service, execution))
    (failed,) = ended(service, execution)
    assert failed.reason == "KeyError"
    assert len(failed.details) == 32_768
    assert "characters" in failed.details


def test_system_exit_of_an_activity_is_a_failure(service: SqliteService) -> None:
    def work() -> None:
        raise SystemExit(3)

    execution = scheduled(service, "a")
    with working(service, work):
        wait_for(lambda: ended(service, execution))
    (failed,) = ended(service, execution)
    assert (failed.reason, split_details(failed.details)[0]) == ("SystemExit", "3")


def worked(service: SqliteService, execution: WorkflowExecution, **settings: Any) -> list[Any]:
    """Have a worker that knows another version work until something has ended."""
    activities = Activities()
    activities.activity(name="work", version="v2")(lambda: None)
    worker = ActivityWorker(
        task_list="work", service=service, activities=activities, poll_seconds=0.05, **settings
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    wait_for(lambda: ended(service, execution))
    worker.stop()
    thread.join()
    return ended(service, execution)


def test_unknown_activity_version_is_given_back_and_logged_once(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    execution = scheduled(service, "a", "b", "c")
    (failed, *_) = worked(service, execution, identity="host:7")
    assert failed.reason == "floto.NotServed"
    assert "no activity 'work' version 'v1'" in failed.details
    assert "host:7" in failed.details
    assert "work v2" in failed.details
    assert sum("no activity 'work' version 'v1'" in each for each in caplog.messages) == 1


def test_unknown_activity_fails_if_no_other_worker_is_possible(service: SqliteService) -> None:
    (failed,) = worked(service, scheduled(service, "a"), sole=True)
    assert failed.reason == "UnknownActivity"
    assert "no activity 'work' version 'v1'" in failed.details
    assert "work v2" in failed.details


def with_timeouts(**seconds: int) -> dict[str, str]:
    """Time-outs of a task, as a decider sets them and tells them to the worker."""
    told = {"floto.timeouts": {name.removesuffix("_timeout"): value for name, value in seconds.items()}}
    return {"input": json.dumps(told), **{name: str(value) for name, value in seconds.items()}}


def test_heartbeat_timeout_of_a_task_overrides_a_longer_interval(
    service: SqliteService,
) -> None:
    execution = scheduled(service, "a", **with_timeouts(heartbeat_timeout=2))
    with working(service, lambda: time.sleep(2.5)):
        wait_for(lambda: ended(service, execution))
    assert isinstance(ended(service, execution)[0], e.ActivityTaskCompleted)


def test_cancel_request_reaches_the_activity_within_its_heartbeat_timeout(service: SqliteService) -> None:
    began, seen = threading.Event(), []

    def work() -> None:
        began.set()
        wait_for(lambda: floto.current().cancel_requested)
        seen.append(time.monotonic())
        raise HALF_DONE

    scheduled(service, "a", **with_timeouts(heartbeat_timeout=2))
    with working(service, work):
        began.wait()
        service.request_cancel_workflow_execution("order-1")
        decide(service, RequestCancelActivityTask(activity_id="a"))
        asked = time.monotonic()
        wait_for(lambda: seen)
    assert seen[0] - asked < 2


def test_hanging_heartbeat_does_not_delay_other_activities(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, hanging = service.record_activity_task_heartbeat, threading.Event()
    first: list[str] = []

    def slow(token: str, details: str | None = None) -> bool:
        if not first:
            first.append(token)
            hanging.wait(5)
        return record(token, details)

    monkeypatch.setattr(service, "record_activity_task_heartbeat", slow)
    execution = scheduled(service, "a", "b", **with_timeouts(heartbeat_timeout=2))
    with working(service, lambda: time.sleep(3), concurrency=2):
        wait_for(lambda: len(ended(service, execution)) == 2)
        hanging.set()
    names = sorted(type(each).__name__ for each in ended(service, execution))
    assert names == ["ActivityTaskCompleted", "ActivityTaskTimedOut"]


def test_timeouts_are_not_part_of_the_context(service: SqliteService) -> None:
    seen: list[Any] = []
    execution = scheduled(service, "a", **with_timeouts(heartbeat_timeout=30))
    with working(service, seen.append):
        wait_for(lambda: ended(service, execution))
    assert seen == [{}]


def test_worker_without_heartbeats_warns_about_a_task_that_needs_them(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    execution = scheduled(service, "a", "b", **with_timeouts(heartbeat_timeout=30))
    with working(service, lambda: None, task_heartbeat_in_seconds=0):
        wait_for(lambda: len(ended(service, execution)) == 2)
    assert sum("sends no heartbeats" in each for each in caplog.messages) == 1


def test_worker_logs_its_interval_if_a_task_may_have_timed_out(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    execution = scheduled(service, "a", heartbeat_timeout="1")
    with working(service, lambda: time.sleep(2.2), task_heartbeat_in_seconds=1.5):
        wait_for(lambda: "1.5 s between the heartbeats" in caplog.text)
    assert isinstance(ended(service, execution)[0], e.ActivityTaskTimedOut)


def test_log_names_the_end_of_the_run_and_no_heartbeat_timeout_if_the_run_has_ended(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    scheduled(service, "a")
    with working(
        service, lambda: wait_for(lambda: floto.current().cancel_requested), task_heartbeat_in_seconds=1
    ) as worker:
        wait_for(lambda: worker.running)
        service.terminate_workflow_execution("order-1")
        wait_for(lambda: not worker.running)
    assert "activity a: its run has ended; its result will be dropped" in caplog.text
    assert "set heartbeat_timeout" not in caplog.text


@pytest.mark.parametrize("how", ["beat", "start_to_close"])
def test_hung_attempt_frees_its_slot_and_does_not_delay_stopping(
    service: SqliteService, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    hang, began = threading.Event(), []
    timeouts = {
        "beat": {"start_to_close_timeout": "1"},
        "start_to_close": with_timeouts(start_to_close_timeout=1),
    }
    execution = scheduled(service, "a", **timeouts[how])

    def work() -> None:
        began.append(floto.current().id)
        if len(began) == 1:
            hang.wait(60)

    worker_seconds = 0.2 if how == "beat" else 0
    started = time.monotonic()
    with working(service, work, task_heartbeat_in_seconds=worker_seconds):
        wait_for(lambda: ended(service, execution))
        decide(
            service,
            ScheduleActivityTask(
                activity_type=ActivityType("work", "v1"), activity_id="b", task_list=TaskList("work")
            ),
        )
        wait_for(lambda: len(ended(service, execution)) == 2)
    # The block has stopped the worker, and the first attempt still hangs.
    assert time.monotonic() - started < 20
    assert not hang.is_set()
    hang.set()
    assert began == ["a", "b"]
    assert "not waiting for activities whose tasks are closed: a" in caplog.text


def test_worker_claims_no_tasks_while_too_many_hang(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("floto.runtime.workers.worker._LEAST_ABANDONED", 4)
    hang, began = threading.Event(), []

    def work() -> None:
        began.append(floto.current().id)
        hang.wait(60)

    ids = [str(number) for number in range(6)]
    execution = scheduled(service, *ids, start_to_close_timeout="1")
    with working(service, work, task_heartbeat_in_seconds=0.2) as worker:
        wait_for(lambda: "claiming no more tasks" in caplog.text)
        assert len(began) == 4
        hang.set()
        wait_for(lambda: len(began) == 6)
        wait_for(lambda: not worker.running)
    assert len(ended(service, execution)) == 6


REFUSAL = ServiceFault("ValidationException", "Value at 'result' failed: \N{SNOWMAN} is too long")


@pytest.mark.parametrize("outcome", ["completed", "failed", "canceled"])
def test_refused_result_becomes_a_failure_with_the_message_of_the_service(
    service: SqliteService, outcome: str
) -> None:
    fail, asked = service.respond_activity_task_failed, threading.Event()

    def refuse(*_: Any) -> None:
        raise REFUSAL

    def refuse_first(token: str, reason: str | None, details: str | None) -> None:
        if reason != "ReportRefused":
            raise REFUSAL
        fail(token, reason, details)

    def work() -> None:
        if outcome == "canceled":
            asked.set()
            wait_for(lambda: floto.current().heartbeat())
            raise HALF_DONE
        if outcome == "failed":
            raise ValueError(outcome)

    proxy = Proxy(
        service,
        respond_activity_task_completed=refuse,
        respond_activity_task_canceled=refuse,
        respond_activity_task_failed=refuse_first,
    )
    execution = scheduled(service, "a")
    with working(proxy, work):
        if outcome == "canceled":
            asked.wait()
            service.request_cancel_workflow_execution("order-1")
            decide(service, RequestCancelActivityTask(activity_id="a"))
        wait_for(lambda: ended(service, execution))
    (failed,) = ended(service, execution)
    assert failed.reason == "ReportRefused"
    assert "Value at 'result' failed" in failed.details


def test_heartbeat_with_refused_details_is_sent_without_details(service: SqliteService) -> None:
    record, sent = service.record_activity_task_heartbeat, []

    class Picky:
        def __getattr__(self, name: str) -> Any:
            return getattr(service, name)

        def record_activity_task_heartbeat(self, token: str, details: str | None = None) -> bool:
            sent.append(details)
            if details is not None:
                raise REFUSAL
            return record(token, details)

    execution = scheduled(service, "a")
    with working(Picky(), lambda: floto.current().heartbeat("a note")):
        wait_for(lambda: ended(service, execution))
    assert isinstance(ended(service, execution)[0], e.ActivityTaskCompleted)
    assert sent == ["a note", None]


def test_invalid_identity_is_refused_at_once(service: SqliteService) -> None:
    for kind in (ActivityWorker, floto.Decider):
        with pytest.raises(ValueError, match="identity is 257 characters long"):
            kind(service=service, identity="x" * 257)


def test_result_after_a_heartbeat_timeout_is_dropped(service: SqliteService) -> None:
    execution = scheduled(service, "a", heartbeat_timeout="1")
    with working(service, lambda: time.sleep(1.5), task_heartbeat_in_seconds=0):
        wait_for(lambda: ended(service, execution))
    (timed_out,) = ended(service, execution)
    assert timed_out.timeout_type == "HEARTBEAT"


def test_activity_sees_its_cancel_request(service: SqliteService) -> None:
    began = threading.Event()

    def work() -> None:
        began.set()
        wait_for(lambda: floto.current().cancel_requested)
        raise HALF_DONE

    execution = scheduled(service, "a")
    with working(service, work, task_heartbeat_in_seconds=0.05):
        began.wait()
        service.request_cancel_workflow_execution("order-1")
        decide(service, RequestCancelActivityTask(activity_id="a"))
        wait_for(lambda: ended(service, execution))
    (canceled,) = ended(service, execution)
    assert isinstance(canceled, e.ActivityTaskCanceled)
    assert canceled.details == "half done"


def test_stop_finishes_running_activities_and_claims_none(service: SqliteService) -> None:
    began, stopped = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        stopped.wait(60)

    execution = scheduled(service, "a", "b")
    with working(service, work) as worker:
        began.wait()
        worker.stop()
        stopped.set()
    assert len(ended(service, execution)) == 1
    assert service.poll_for_activity_task("work", "test", 0) is not None


def test_signal_stops_a_worker_and_handlers_are_restored(service: SqliteService) -> None:
    def work() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)

    before = signal.getsignal(signal.SIGTERM)
    execution = scheduled(service, "a")
    activities = Activities()
    activities.activity(name="work", version="v1")(work)
    ActivityWorker(task_list="work", service=service, activities=activities, poll_seconds=0.05).run()
    assert isinstance(ended(service, execution)[0], e.ActivityTaskCompleted)
    assert signal.getsignal(signal.SIGTERM) is before


class Shaky:
    """A service of which every call fails the first two times."""

    def __init__(self, service: SqliteService) -> None:
        self._service = service
        self._left: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._service, name)

        def shaky(*args: Any, **kwargs: Any) -> Any:
            self._left[name] = self._left.get(name, 2) - 1
            if self._left[name] >= 0:
                raise LATER
            return call(*args, **kwargs)

        return shaky


def test_transient_service_errors_lose_no_work(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    calls = []
    execution = scheduled(service, "a")
    with working(Shaky(service), lambda: calls.append(1)):
        wait_for(lambda: ended(service, execution))
    assert isinstance(ended(service, execution)[0], e.ActivityTaskCompleted)
    assert calls == [1]
    assert "come back later" in caplog.text


def test_heartbeat_concurrent_with_the_report_is_not_logged(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Send a heartbeat after the report and before its response."""
    respond = service.respond_activity_task_completed

    def slow(*arguments: Any) -> None:
        respond(*arguments)
        time.sleep(0.3)

    monkeypatch.setattr(service, "respond_activity_task_completed", slow)
    execution = scheduled(service, "a")
    with working(service, lambda: None, task_heartbeat_in_seconds=0.05):
        wait_for(lambda: ended(service, execution))
        time.sleep(0.2)
    assert "dropped" not in caplog.text


def test_failed_thread_start_frees_its_slot(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start
    refused: list[threading.Thread] = []

    def refusing(thread: threading.Thread) -> None:
        if thread.name.startswith("floto-a") and not refused:
            refused.append(thread)
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)

    execution = scheduled(service, "a1", "a2")
    monkeypatch.setattr(threading.Thread, "start", refusing)
    with working(service, lambda: None):
        wait_for(lambda: ended(service, execution))
    assert "no thread to run it" in caplog.text


def test_a_service_from_a_url_is_closed_with_the_worker(tmp_path: Path) -> None:
    worker = ActivityWorker(task_list="work", service=f"sqlite:///{tmp_path / 'f.db'}", poll_seconds=0.05)
    worker.stop()
    worker.run()
    with pytest.raises(ServiceError, match="closed"):
        worker._service.latest_execution("w")  # noqa: SLF001


def test_worker_of_a_closed_service_ends(service: SqliteService, monkeypatch: pytest.MonkeyPatch) -> None:
    polls = []
    poll = service.poll_for_activity_task

    def counted(*arguments: Any) -> Any:
        polls.append(1)
        return poll(*arguments)

    monkeypatch.setattr(service, "poll_for_activity_task", counted)
    worker = ActivityWorker(task_list="work", service=service, poll_seconds=0.05)
    service.close()
    threading.Timer(0.5, worker.stop).start()
    with contextlib.suppress(ServiceError):
        worker.run()
    assert len(polls) < 20
