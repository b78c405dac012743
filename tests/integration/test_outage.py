"""A short outage of a server: every waiting caller recovers soon after."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from floto.adapters import pending_calls, swf_client
from floto.adapters.swf_client import make_client
from floto.core.errors import NotListening, ServiceError, ServiceUnavailable, Unreachable
from floto.core.spec.activity_timeouts import Timeouts
from floto.core.swf.decisions import RecordMarker
from floto.core.swf.service import PolledActivityTask, Service
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.runtime.connect import connect, connect_loop
from floto.runtime.retrying import persist
from floto.runtime.shutdown import StopFlag
from floto.runtime.workers.activities import RunningActivity
from floto.runtime.workers.heartbeats import Heartbeats
from tests.integration.scripted import HANGING, saying, scripted
from tests.integration.test_server import PATIENCE, client, register, serving

CALLERS = 12


def test_all_callers_succeed_within_seconds_after_an_outage(tmp_path: Path) -> None:
    db = tmp_path / "swf.db"
    with serving(db) as server:
        with client(server) as swf:
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
    monkeypatch.setattr(swf_client, "_CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as slow:
        service = connect_loop(f"http://127.0.0.1:{slow.getsockname()[1]}", "shop")
        heads: list[bytes] = []

        def answer() -> None:
            connection, _ = slow.accept()
            with connection, connection.makefile("rb") as received:
                time.sleep(0.5)
                while (line := received.readline()) != b"\r\n":
                    heads.append(line)
                received.read(next(int(line.split()[1]) for line in heads if b"Content-Length" in line))
                connection.sendall(b"HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        service.respond_decision_task_completed("token", [RecordMarker(marker_name="m", details="x" * 10**7)])
        service.close()


def test_heartbeat_without_a_response_is_followed_by_another_before_the_heartbeat_timeout() -> None:
    task = PolledActivityTask(
        token="token",  # noqa: S106 - not a password
        execution=WorkflowExecution("w", "r"),
        activity_id="a",
        activity_type=ActivityType("work", "1"),
        started_event_id=6,
    )
    heartbeats, timeout = Heartbeats(120), 3
    with scripted(HANGING, saying({"cancelRequested": True})) as (url, seen), heartbeats.sending():
        service = connect_loop(url, "shop")
        activity = RunningActivity(task, service.record_activity_task_heartbeat)
        with heartbeats.watching(activity):
            end = time.monotonic() + timeout
            heartbeats.set_timeouts(activity, Timeouts(heartbeat=timeout))
            while not activity.cancel_requested and time.monotonic() < end:
                time.sleep(0.01)
        service.close()
    assert activity.cancel_requested
    assert seen == ["RecordActivityTaskHeartbeat"] * 2


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
