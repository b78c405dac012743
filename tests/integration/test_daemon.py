"""Daemons as real processes, on the embedded file and a real server: five at once, killed, started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

import floto
from floto import CODEC, ActivityTask, ActivityWorker, ChildWorkflow, DeciderSpec
from floto.core.decide.child_requests import CHILD_TYPE
from floto.core.decide.daemon import DAEMON_TYPE, SIGNAL
from floto.core.payloads import payload
from floto.core.swf import events as e
from floto.core.swf.service import Service
from floto.runtime.connect import client, connect
from floto.runtime.workers.activities import Activities
from tests.integration.test_server import ROOT, serving

DOMAIN, LIST, ID = "floto_test", "floto_daemon", "floto_daemon"
PATIENCE = 90.0
RUN = f"from floto.runtime.deciders.daemon import Daemon; Daemon(domain={DOMAIN!r}, task_list={LIST!r}).run()"


def task(id_: str, **more: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name="echo", version="v1", **more)


def spec(*tasks: Any, **more: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, activity_task_list="work", **more)


CHAIN = spec(a := task("a"), task("b", requires=[a]))
#: A first activity, and then a child of the child, each on a separate task list.
NESTED = spec(
    held := task("held"),
    ChildWorkflow(
        id_="inner",
        workflow_type_name=CHILD_TYPE.name,
        workflow_type_version=CHILD_TYPE.version,
        spec=spec(task("c"), task_list="deep"),
        requires=[held],
    ),
    task_list="side",
)


@define
class Place:
    """A service with a daemon workflow on it, and the daemons that serve it."""

    url: str
    swf: Any
    service: Service
    #: Ends the server, where there is one, and with it the polls that would take a minute to end.
    hang_up: Callable[[], None]
    daemons: list[subprocess.Popen[str]] = field(factory=list)

    def start(self) -> subprocess.Popen[str]:
        inherited = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        process = subprocess.Popen(
            [sys.executable, "-c", RUN],
            env={**inherited, "PYTHONPATH": str(ROOT), "FLOTO_SERVICE": self.url},
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.daemons.append(process)
        return process

    def end(self, number: signal.Signals) -> list[int]:
        """End all daemons that run; what they exit with."""
        ended, self.daemons = self.daemons, []
        for process in ended:
            process.send_signal(number)
        for process in ended:
            process.communicate(timeout=PATIENCE)
        return [process.returncode for process in ended]

    def signal(self, input: Any) -> None:
        text = input if isinstance(input, str) else json.dumps(input)
        self.swf.signal_workflow_execution(domain=DOMAIN, workflowId=ID, signalName=SIGNAL, input=text)

    def ask(self, number: int, spec: DeciderSpec = CHAIN) -> None:
        self.signal({"decider_spec": CODEC.unstructure(spec), "input": {"number": number}})

    def events(self, workflow_id: str = ID) -> tuple[e.Event, ...]:
        info = self.service.latest_execution(workflow_id)
        assert info is not None
        return self.service.history(info.execution)

    def data(self, kind: type) -> list[Any]:
        return [event.data for event in self.events() if isinstance(event.data, kind)]

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, Counter(type(event.data).__name__ for event in self.events())
            time.sleep(0.1)


def prepare(swf: Any) -> None:
    """Register everything, such that a decision task of a daemon that was killed comes again soon."""
    for kind in (DAEMON_TYPE, CHILD_TYPE):
        swf.register_workflow_type(
            domain=DOMAIN,
            name=kind.name,
            version=kind.version,
            defaultTaskList={"name": LIST},
            defaultExecutionStartToCloseTimeout="3600",
            defaultTaskStartToCloseTimeout="2",
            defaultChildPolicy="TERMINATE",
        )
    swf.register_activity_type(
        domain=DOMAIN,
        name="echo",
        version="v1",
        defaultTaskList={"name": "work"},
        defaultTaskHeartbeatTimeout="NONE",
        defaultTaskScheduleToStartTimeout="NONE",
        defaultTaskScheduleToCloseTimeout="NONE",
        defaultTaskStartToCloseTimeout="NONE",
    )
    swf.start_workflow_execution(
        domain=DOMAIN,
        workflowId=ID,
        workflowType={"name": DAEMON_TYPE.name, "version": DAEMON_TYPE.version},
        taskList={"name": LIST},
    )


@contextmanager
def working(place: Place, echo: Callable[[Any], Any]) -> Iterator[None]:
    activities = Activities()
    activities.activity(name="echo", version="v1")(echo)
    worker = ActivityWorker(
        service=place.service, task_list="work", activities=activities, concurrency=4, poll_seconds=0.2
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        place.hang_up()
        thread.join()


@pytest.fixture(params=["file", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        url, server = f"sqlite:///{tmp_path / 'floto.db'}", stack.enter_context(ExitStack())
        if request.param == "server":
            url = server.enter_context(serving(tmp_path / "swf.db")).url
        swf, service = client(url), connect(url, DOMAIN)
        stack.callback(service.close)
        stack.callback(swf.close)
        place = Place(url, swf, service, server.close)
        stack.callback(lambda: place.end(signal.SIGKILL))
        service.prepare((), ())
        prepare(swf)
        yield place


def test_ten_signals_start_ten_children_although_daemons_are_killed(place: Place) -> None:
    """Also a bad one among them, children on other task lists, and all daemons dead for a while."""
    gate = threading.Event()

    def echo(context: Any) -> Any:
        if floto.current().id == "held":
            assert gate.wait(PATIENCE)
        return context["workflow"].get("number")

    with working(place, echo):
        for _ in range(5):
            place.start()
        for number in range(3):
            place.ask(number)
        place.ask(3, NESTED)
        place.signal("this is no JSON")
        place.until(lambda: len(place.data(e.StartChildWorkflowExecutionInitiated)) >= 2)
        victim = place.daemons.pop(0)
        victim.kill()
        victim.communicate()
        for number in range(4, 8):
            place.ask(number)
        place.until(lambda: len(place.data(e.ChildWorkflowExecutionStarted)) >= 4)
        assert place.end(signal.SIGKILL) == [-signal.SIGKILL] * 4
        for number in range(8, 10):
            place.ask(number)
        gate.set()
        place.start()
        place.start()
        place.until(lambda: len(place.data(e.ChildWorkflowExecutionCompleted)) == 10)
        check(place)
    assert place.end(signal.SIGTERM) == [0, 0]


def check(place: Place) -> None:
    """Every good signal has had one child, which has its result; the bad one has a note."""
    started = place.data(e.StartChildWorkflowExecutionInitiated)
    assert len({data.workflow_id for data in started}) == len(started) == 10
    results = [payload.loads(data.result) for data in place.data(e.ChildWorkflowExecutionCompleted)]
    assert sorted(result["b"] for result in results if "b" in result) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert [result for result in results if "b" not in result] == [{"inner": {"c": None}}]
    (marker,) = place.data(e.MarkerRecorded)
    assert "must be a JSON object" in marker.details
