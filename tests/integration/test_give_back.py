"""Tasks that were claimed for a client that is gone: polled again at once, by the same token, uncounted."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from floto.adapters.local import LocalClient
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.operations import SqliteOperations
from floto.adapters.sqlite.sqlite_engine import SqliteEngine
from floto.core.engine.crashes import MAX_REDELIVERIES
from tests.integration.test_server import client, register, send_poll, serving, start
from tests.integration.test_sqlite_helpers import start as start_run

POLLED = {"domain": "shop", "taskList": {"name": "orders"}}
RUNS = 100


def schedule(token: str) -> dict[str, Any]:
    attributes = {
        "activityType": {"name": "pay", "version": "1"},
        "activityId": "a",
        "taskList": {"name": "orders"},
        "scheduleToCloseTimeout": "60",
        "scheduleToStartTimeout": "60",
        "startToCloseTimeout": "60",
        "heartbeatTimeout": "NONE",
    }
    kind = "ScheduleActivityTask"
    return {
        "taskToken": token,
        "decisions": [{"decisionType": kind, "scheduleActivityTaskDecisionAttributes": attributes}],
    }


@pytest.fixture(params=["file", ":memory:"])
def operations(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteOperations]:
    path = tmp_path / "swf.db" if request.param == "file" else ":memory:"
    with closing(SqliteOperations(path, poll_seconds=0)) as operations:
        yield operations


@pytest.fixture
def swf(operations: SqliteOperations) -> Any:
    swf = LocalClient(operations)
    register(swf)
    swf.register_activity_type(domain="shop", name="pay", version="1")
    start(swf, "w")
    return swf


@pytest.mark.parametrize("kind", ["decision", "activity"])
def test_given_back_task_is_redelivered_with_the_same_token(
    swf: Any, operations: SqliteOperations, kind: str
) -> None:
    if kind == "activity":
        swf.respond_decision_task_completed(**schedule(swf.poll_for_decision_task(**POLLED)["taskToken"]))
    poll = getattr(swf, f"poll_for_{kind}_task")
    first = poll(**POLLED)
    for _ in range(MAX_REDELIVERIES + 3):
        assert not poll(**POLLED).get("taskToken")
        operations.give_back(first["taskToken"])
        again = poll(**POLLED)
        assert (again["taskToken"], again["startedEventId"]) == (first["taskToken"], first["startedEventId"])


def test_give_back_of_a_completed_task_has_no_effect(swf: Any, operations: SqliteOperations) -> None:
    token = swf.poll_for_decision_task(**POLLED)["taskToken"]
    swf.respond_decision_task_completed(taskToken=token, decisions=[])
    operations.give_back(token)
    assert not swf.poll_for_decision_task(**POLLED).get("taskToken")
    with pytest.raises(swf.exceptions.UnknownResourceFault):
        swf.respond_decision_task_completed(taskToken=token, decisions=[])


def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Interrupt polls just when their task has been claimed, until the result is called."""
    original = SqliteEngine._await  # noqa: SLF001

    def wait(self: SqliteEngine, *arguments: Any) -> None:
        original(self, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(SqliteEngine, "_await", wait)
    return lambda: monkeypatch.setattr(SqliteEngine, "_await", original)


def test_an_interrupted_local_poll_gives_its_task_back(swf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    end = interrupted(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        swf.poll_for_decision_task(**POLLED)
    end()
    assert swf.poll_for_decision_task(**POLLED)["taskToken"]


def test_an_interrupted_poll_of_a_service_gives_its_task_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteService(tmp_path / "swf.db")) as service:
        start_run(service)
        end = interrupted(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            service.poll_for_decision_task("floto", "me", 1)
        end()
        assert service.poll_for_decision_task("floto", "me", 1) is not None


@pytest.mark.parametrize("first", [[], [ZeroDivisionError]], ids=["together", "one by one"])
def test_interrupted_call_keeps_pending_polls_of_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: list[type[BaseException]]
) -> None:
    """The interrupt comes while the main thread claims the task that its call made for another thread."""
    errors: list[type[BaseException]] = [KeyboardInterrupt, *first]
    with closing(SqliteService(tmp_path / "swf.db")) as service, ThreadPoolExecutor(1) as threads:
        polled = threads.submit(service.poll_for_decision_task, "floto", "me", 20)
        while not service._host._wait_queue._polls:  # noqa: SLF001
            time.sleep(0.01)

        def interrupt(*_: object, **__: object) -> None:
            raise errors.pop()

        with monkeypatch.context() as patch:
            patch.setattr(service._engine, "poll_decision", interrupt)  # noqa: SLF001
            with pytest.raises(KeyboardInterrupt):
                start_run(service, "interrupted")
        start_run(service, "next")
        assert polled.result(10) is not None


def test_abandoned_polls_lose_no_tasks(tmp_path: Path) -> None:
    """Each client leaves within 20 ms, unless it sees a response; another gets what it did not see."""
    chance = random.Random(1)
    with serving(tmp_path / "swf.db") as server, client(server) as swf:
        register(swf)

        def arrive() -> None:
            with client(server) as starter:
                for number in range(RUNS):
                    start(starter, f"w{number}")
                    time.sleep(0.01)

        arriving = threading.Thread(target=arrive)
        arriving.start()
        received = 0
        for _ in range(RUNS):
            with send_poll(server) as poll:
                time.sleep(chance.uniform(0, 0.02))
                # A close would lose a response that is on its way.
                poll.shutdown(socket.SHUT_WR)
                received += bool(poll.recv(65_536))
        arriving.join()
        while received < RUNS:
            with send_poll(server) as poll:
                poll.settimeout(2)
                try:
                    received += bool(poll.recv(65_536))
                except TimeoutError:
                    break
        assert received == RUNS
