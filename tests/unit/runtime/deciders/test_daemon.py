"""The daemon as a process: whom it serves, what it logs, and how it ends."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from floto import CODEC, DeciderSpec, Timer
from floto.adapters.sqlite import SqliteService
from floto.core.decide.child_requests import CHILD_TYPE
from floto.core.decide.daemon import DAEMON_TYPE, SIGNAL
from floto.core.errors import ServiceError, ServiceUnavailable
from floto.core.swf.decisions import StartChildWorkflowExecution
from floto.core.swf.service import StartRequest
from floto.runtime import retrying as resilient
from floto.runtime.deciders import daemon as module
from floto.runtime.deciders.daemon import Daemon
from tests.unit.runtime.deciders.test_decider import Odd

ID, LIST = "floto_daemon", "floto_daemon"


@pytest.fixture
def service() -> Iterator[SqliteService]:
    with SqliteService(":memory:") as service:
        service.start_workflow_execution(
            StartRequest(workflow_id=ID, workflow_type=DAEMON_TYPE, task_list=LIST)
        )
        yield service


def ask(service: SqliteService, workflow_id: str, **spec: Any) -> None:
    tasks = [Timer(id_="t", delay_in_seconds=0)]
    value = CODEC.unstructure(DeciderSpec(activity_tasks=tasks, **spec))
    text = json.dumps({"decider_spec": value, "workflow_id": workflow_id})
    service.signal_workflow_execution(ID, SIGNAL, text)


@contextmanager
def running(*daemons: Daemon) -> Iterator[None]:
    threads = [threading.Thread(target=daemon.run) for daemon in daemons]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for daemon in daemons:
            daemon.stop()
        for thread in threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in threads)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_completed(service: SqliteService, *workflow_ids: str) -> Callable[[], bool]:
    def look() -> bool:
        infos = [service.latest_execution(workflow_id) for workflow_id in workflow_ids]
        return all(info is not None and info.close_status == "COMPLETED" for info in infos)

    return look


def made(service: Any, **more: Any) -> Daemon:
    return Daemon(service=service, poll_seconds=0.05, **more)


def test_child_on_its_own_task_list_is_served(service: SqliteService) -> None:
    with running(made(service)):
        ask(service, "child", task_list="side")
        until(is_completed(service, "child"))


def test_daemon_serves_children_of_an_earlier_daemon(service: SqliteService) -> None:
    ask(service, "child", task_list="side")
    task = service.poll_for_decision_task(LIST, "", 5)
    assert task is not None
    found = made(service)._decider_of(LIST).decide(task)  # noqa: SLF001
    assert [type(decision) for decision in found] == [StartChildWorkflowExecution]
    service.respond_decision_task_completed(task.token, found)
    with running(made(service)):
        until(is_completed(service, "child"))


def test_daemon_serves_task_lists_found_by_scanning(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SCAN_SECONDS", 0.05)
    with running(made(service)):
        time.sleep(0.2)
        other = made(service)
        monkeypatch.setattr(other, "_serve_children", lambda *_: None)
        monkeypatch.setattr(other, "_scan_open_daemons", lambda: None)
        with running(other):
            ask(service, "child", task_list="side")
            until(is_completed(service, "child"))


def test_daemons_on_other_task_lists_are_ignored(service: SqliteService) -> None:
    other = made(service, task_list="other")
    ask(service, "child", task_list="side")
    with running(made(service)):
        until(is_completed(service, "child"))
        ask(service, "second", task_list="side")
        other._scan_open_daemons()  # noqa: SLF001
    assert other._served == set()  # noqa: SLF001


def test_a_bad_signal_is_logged_and_recorded(
    service: SqliteService, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "floto"), running(made(service)):
        service.signal_workflow_execution(ID, SIGNAL, "nonsense")
        ask(service, "child")
        until(is_completed(service, "child"))
    assert "starts no child" in caplog.text
    assert "'nonsense'" in caplog.text


def test_served_task_lists_are_bounded(
    service: SqliteService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_LISTS", 1)
    with caplog.at_level(logging.WARNING, "floto"), running(made(service)):
        ask(service, "first", task_list="side")
        until(is_completed(service, "first"))
        ask(service, "second", task_list="another")
        until(lambda: "serves its maximum of task lists" in caplog.text)
        ask(service, "third")
        until(is_completed(service, "third"))


def test_failed_scan_is_repeated(service: SqliteService, caplog: pytest.LogCaptureFixture) -> None:
    def forbidden(*_: Any) -> None:
        msg = "not allowed"
        raise ServiceError(msg)

    with caplog.at_level(logging.WARNING, "floto"):
        odd: Any = Odd(service, "open_executions", [forbidden])
        with running(made(odd)):
            ask(service, "child", task_list="side")
            until(is_completed(service, "child"))
    assert "not allowed" in caplog.text


def test_a_daemon_of_a_closed_service_ends(service: SqliteService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_FIRST_WAIT", 0.001)
    daemon = made(service)
    service.close()
    monkeypatch.setattr(service, "prepare", lambda *_: None)

    def closed(*_: Any) -> None:
        msg = "the service is closed"
        raise ServiceError(msg)

    monkeypatch.setattr(service, "poll_for_decision_task", closed)
    with pytest.raises(ServiceError, match="closed"):
        daemon.run()


def test_daemon_can_be_stopped_while_connecting(service: SqliteService) -> None:
    def unreachable(*_: Any) -> None:
        daemon.stop()
        problem = "nobody there"
        raise ServiceUnavailable(problem)

    odd: Any = Odd(service, "prepare", [unreachable] * 9)
    daemon = made(odd)
    daemon.run()


def test_a_service_from_a_url_is_closed_with_the_daemon_and_has_a_domain(tmp_path: Path) -> None:
    daemon = Daemon("shop", service=f"sqlite:///{tmp_path / 'f.db'}", poll_seconds=0.05)
    with running(daemon):
        until(lambda: bool(daemon._served))  # noqa: SLF001
    with pytest.raises(ServiceError, match="closed"):
        daemon._service.latest_execution("w")  # noqa: SLF001
    assert daemon._domain == "shop"  # noqa: SLF001
    other = Daemon(service="memory:")
    assert other._domain == "floto"  # noqa: SLF001
    with running(other):
        pass


def test_types_of_the_daemon_are_registered(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "f.db") as service:
        seen: list[Any] = []
        odd: Any = Odd(service, "prepare", [lambda *given: seen.append(given)])
        daemon = made(odd)
        with running(daemon):
            until(lambda: bool(seen))
    assert seen == [((DAEMON_TYPE, CHILD_TYPE), ())]
