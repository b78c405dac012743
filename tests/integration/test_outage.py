"""A short outage of a server: every waiting caller recovers soon after."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve
from botocore.exceptions import EndpointConnectionError

from floto.adapters import pending_calls, swf_calls, swf_client
from floto.adapters.pending_calls import PendingCalls
from floto.adapters.swf_client import make_client
from floto.core.errors import NotListening, ServiceError, ServiceUnavailable, Unreachable
from floto.core.spec.activity_timeouts import Timeouts
from floto.core.swf.decisions import RecordMarker
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, Service
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.runtime import retrying
from floto.runtime.connect import client, connect, connect_loop
from floto.runtime.retrying import persist, report, retry_read
from floto.runtime.shutdown import StopFlag
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.heartbeats import Heartbeats
from floto.runtime.workers.running_activity import RunningActivity
from floto.runtime.workers.worker import ActivityWorker
from tests.integration.commands import wait_for
from tests.integration.scripted import HANGING, IDLE, LOGIN, Answer, connected, refusing, saying, scripted
from tests.integration.test_bad_answers import outcome
from tests.integration.test_server import PATIENCE, register, serving
from tests.integration.test_server import client as client_of

CALLERS = 12


def test_all_callers_succeed_within_seconds_after_an_outage(tmp_path: Path) -> None:
    db = tmp_path / "swf.db"
    with serving(db) as server:
        with client_of(server) as swf:
            register(swf)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        away = time.monotonic()
    port, url = str(server.address[1]), server.url
    answered: list[float] = []

    def call() -> None:
        service = connect(url, "shop")
        persist(StopFlag(), service.latest_execution, "nobody")
        answered.append(time.monotonic())
        service.close()

    callers = [threading.Thread(target=call, daemon=True) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    time.sleep(1)
    with serving(db, "--port", port):
        back = time.monotonic()
        for caller in callers:
            caller.join(PATIENCE)
    assert len(answered) == CALLERS
    # As long again as it was away, and some for a machine that is busy.
    assert max(answered) - back < (back - away) + 3


@pytest.mark.parametrize("hangs_at", [1, 2])
def test_report_without_a_response_ends_in_time_after_a_stop(
    hangs_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "_LAST_REPORT_SECONDS", 0.5)
    monkeypatch.setattr(retrying, "_LAST_ATTEMPT_SECONDS", 1.0)
    answers = [*[refusing("InternalFailure", status=500)] * (hangs_at - 1), HANGING]
    stop = StopFlag()
    stop.set()
    with scripted(*answers) as (url, seen):
        service = connect_loop(url, "shop")
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            report(stop, service.respond_activity_task_completed, "token", "result")
        assert time.monotonic() - began < 3
        service.close()
    assert len(seen) == hangs_at


def test_command_that_reads_gives_up_in_time_on_a_response_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retrying, "READ", evolve(retrying.READ, seconds=0.5))
    with scripted(refusing("InternalFailure", status=500), HANGING) as (url, _):
        service = connect_loop(url, "shop")
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            retry_read(service.latest_execution, "w")
        assert time.monotonic() - began < 5
        service.close()


def test_result_whose_confirmation_was_lost_is_not_called_late_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    activities = Activities()
    activities.activity(name="work", version="1")(lambda: "done")
    task = {
        "taskToken": "token",
        "startedEventId": 6,
        "activityId": "a",
        "activityType": {"name": "work", "version": "1"},
        "workflowExecution": {"workflowId": "w", "runId": "r"},
    }
    with connected(saying(task), LOGIN, refusing("UnknownResourceFault"), IDLE) as (service, seen):
        worker = ActivityWorker(service=service, activities=activities)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        wait_for(lambda: len(seen) > 3)
        worker.stop()
        thread.join(PATIENCE)
    assert seen[:3] == ["PollForActivityTask", *["RespondActivityTaskCompleted"] * 2]
    assert "its result came too late, or an earlier attempt to report it succeeded" in caplog.text


def page(event: int, **more: str) -> Answer:
    """The response to a poll for a decision task with one event."""
    return saying(
        {
            "taskToken": "token",
            "startedEventId": 2,
            "workflowExecution": {"workflowId": "w", "runId": "r"},
            "workflowType": {"name": "order", "version": "v1"},
            "events": [{"eventId": event, "eventTimestamp": 0, "eventType": "New"}],
            **more,
        }
    )


FIRST = page(1, nextPageToken="second")


def test_poll_that_cannot_connect_leaves_no_connection_behind() -> None:
    swf = make_client(None, "http://127.0.0.1:9", on_this_machine=True)
    calls = PendingCalls(swf)
    with pytest.raises(EndpointConnectionError):
        swf.poll_for_activity_task(domain="shop", taskList={"name": "list"})
    assert calls._waiting == set()  # noqa: SLF001 - a leak has no other effect
    swf.close()


def test_later_page_of_a_task_without_a_response_is_requested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_calls, "RESPONSE_SECONDS", 0.2)
    found: list[PolledDecisionTask | None] = []
    with scripted(FIRST, HANGING, page(2)) as (url, _):
        service = connect_loop(url, "shop")
        poll = threading.Thread(
            target=lambda: found.append(service.poll_for_decision_task("list", "me", 60)), daemon=True
        )
        poll.start()
        poll.join(5)
        service.close()
    assert [task and [event.id for event in task.events] for task in found] == [[1, 2]]


@pytest.mark.parametrize("failed", [HANGING, refusing("InternalFailure", status=500)])
def test_later_pages_of_a_task_are_requested_for_a_limited_time(
    failed: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swf_calls, "_TASK_SECONDS", 0.5)
    with scripted(FIRST, failed) as (url, _):
        service = connect_loop(url, "shop")
        began = time.monotonic()
        task = service.poll_for_decision_task("list", "me", 60)
        assert time.monotonic() - began < 3
        service.close()
    # The decider reads the history itself.
    assert task is not None
    assert task.events == ()


def test_close_ends_the_request_for_a_later_page_of_a_task() -> None:
    with scripted(HANGING) as (url, seen):
        swf = client(url)
        request = {"domain": "shop", "taskList": {"name": "list"}, "nextPageToken": "second"}
        poll = threading.Thread(target=outcome, args=(partial(swf.poll_for_decision_task, **request),))
        poll.start()
        while not seen:
            time.sleep(0.01)
        swf.close()
        poll.join(5)
        assert not poll.is_alive()


def test_later_page_of_a_history_is_requested_again() -> None:
    """A long history that began anew after each error would never end."""
    first, last = saying({"events": [], "nextPageToken": "second"}), saying({"events": []})
    with scripted(first, refusing("InternalFailure", status=500), last) as (url, seen):
        service = connect_loop(url, "shop")
        assert len(service.history(WorkflowExecution("w", "r"))) == 0
        service.close()
    assert len(seen) == 3


def test_later_page_of_a_history_is_requested_for_a_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swf_calls, "_LIST_SECONDS", 0.3)
    first = saying({"events": [], "nextPageToken": "second"})
    with scripted(first, refusing("InternalFailure", status=500)) as (url, seen):
        service = connect_loop(url, "shop")
        began = time.monotonic()
        with pytest.raises(ServiceUnavailable):
            service.history(WorkflowExecution("w", "r"))
        assert time.monotonic() - began < 3
        service.close()
    assert len(seen) >= 2


def test_connection_to_an_address_that_ignores_packets_fails_within_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert make_client("us-east-1").meta.config.connect_timeout <= 10
    monkeypatch.setattr(swf_client, "_CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as waiting:
        for _ in range(4):
            other = waiting.enter_context(socket.socket())
            other.settimeout(0)
            other.connect_ex(full.getsockname())
        service = connect_loop(f"http://127.0.0.1:{full.getsockname()[1]}", "shop")
        with pytest.raises(Unreachable) as caught:
            service.latest_execution("w")
        service.close()
    # A command goes on trying: it is not said that no program listens.
    assert not isinstance(caught.value, NotListening)


def test_long_request_may_take_longer_than_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also over a connection that was used before."""
    monkeypatch.setattr(swf_client, "_CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as slow:
        service = connect_loop(f"http://127.0.0.1:{slow.getsockname()[1]}", "shop")

        def answer() -> None:
            connection, _ = slow.accept()
            with connection, connection.makefile("rb") as received:
                for _ in range(2):
                    time.sleep(0.5)
                    heads: list[bytes] = []
                    while (line := received.readline()) != b"\r\n":
                        heads.append(line)
                    received.read(next(int(line.split()[1]) for line in heads if b"Content-Length" in line))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        for _ in range(2):
            marker = RecordMarker(marker_name="m", details="x" * 10**7)
            service.respond_decision_task_completed("token", [marker])
        service.close()


def cancel_request_arrives(*answers: Answer, within: float) -> tuple[bool, list[str]]:
    """Return True if a heartbeat tells of a cancel request within the seconds, and the requests until then.

    The activity has a heartbeat time-out of 3 s.
    """
    task = PolledActivityTask(
        token="token",  # noqa: S106 - not a password
        execution=WorkflowExecution("w", "r"),
        activity_id="a",
        activity_type=ActivityType("work", "1"),
        started_event_id=6,
    )
    heartbeats = Heartbeats(120)
    with scripted(*answers) as (url, seen), heartbeats.sending():
        service = connect_loop(url, "shop")
        activity = RunningActivity(task, service.record_activity_task_heartbeat)
        heartbeats.watch(activity)
        end = time.monotonic() + within
        heartbeats.set_timeouts(activity, Timeouts(heartbeat=3))
        while not activity.cancel_requested and time.monotonic() < end:
            time.sleep(0.01)
        service.close()
    return activity.cancel_requested, seen


def test_heartbeat_without_a_response_is_followed_by_another_before_the_heartbeat_timeout() -> None:
    is_requested, seen = cancel_request_arrives(HANGING, saying({"cancelRequested": True}), within=3)
    assert is_requested
    assert seen == ["RecordActivityTaskHeartbeat"] * 2


def test_heartbeats_of_a_service_that_responds_late_tell_of_a_cancel_request() -> None:
    slow = evolve(saying({"cancelRequested": True}), seconds=1.3)
    is_requested, seen = cancel_request_arrives(slow, within=8)
    assert is_requested
    # The third may be sent before this thread sees the request.
    assert seen[:2] == ["RecordActivityTaskHeartbeat"] * 2
    assert len(seen) <= 3


@pytest.mark.parametrize("call", [Service.latest_execution, Service.poll_for_decision_task])
def test_only_a_poll_waits_as_long_as_swf_holds_polls_for_a_service_that_never_answers(
    call: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_calls, "RESPONSE_SECONDS", 0.2)
    errors: list[ServiceError] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", "shop")
        arguments = ("w",) if call is Service.latest_execution else ("list", "me", 60.0)

        def wait() -> None:
            try:
                getattr(service, call.__name__)(*arguments)
            except ServiceError as error:
                errors.append(error)

        caller = threading.Thread(target=wait, daemon=True)
        caller.start()
        caller.join(PATIENCE if call is Service.latest_execution else 2)
        assert caller.is_alive() is (call is Service.poll_for_decision_task)
        service.close()
        caller.join(PATIENCE)
    assert [type(error) for error in errors] == [ServiceUnavailable]
