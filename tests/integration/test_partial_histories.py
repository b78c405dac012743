"""Deciders over SWF's protocol: they are shown what is new, and read only histories they do not know."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import floto
from floto.adapters.swf import SwfService
from floto.adapters.swf_client import make_client
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowType
from floto.runtime.deciders import decider
from tests.integration.contract.backends import Server
from tests.integration.contract.clock import Clock

FLOW = WorkflowType("flow", "1")
LENGTH = 4
SPEC = floto.DeciderSpec(
    activity_tasks=[
        floto.ActivityTask(
            id_=str(number), name="n", version="1", requires=[str(number - 1)] if number else []
        )
        for number in range(LENGTH)
    ],
    activity_task_list="work",
)


class Counting:
    """A boto3 client that counts what is asked, and the events that decision tasks bring."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()
        self.events = 0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        if name == "close":
            return call

        def counted(**arguments: Any) -> Any:
            self.calls[name] += 1
            reply = call(**arguments)
            self.events += len(reply.get("events", ())) if name == "poll_for_decision_task" else 0
            return reply

        return counted


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Counting]:
    server = Server(tmp_path / "swf.db", Clock())
    server.open()
    client = Counting(make_client("us-east-1", "http://{}:{}".format(*server.address), on_this_machine=True))
    yield client
    client.close()
    server.close()


def finish(client: Counting, *deciders: floto.Decider, runs: int) -> None:
    """Run workflows side by side; the deciders take turns, and there is never more than one to decide."""
    service = SwfService(client, "shop")
    service.prepare([FLOW], [floto.ActivityType("n", "1")])
    for number in range(runs):
        service.start_workflow_execution(
            StartRequest(workflow_id=str(number), workflow_type=FLOW, task_list="floto")
        )
    turns = itertools.cycle(deciders)
    while service.open_executions(FLOW):
        while (task := service.poll_for_decision_task("floto", "me", 0)) is not None:
            service.respond_decision_task_completed(task.token, next(turns).decide(task))
        while (work := service.poll_for_activity_task("work", "me", 0)) is not None:
            service.respond_activity_task_completed(work.token, "1")
    for number in range(runs):
        info = service.latest_execution(str(number))
        assert info is not None
        assert info.close_status == "COMPLETED"


def test_a_decider_is_shown_each_event_about_once(client: Counting) -> None:
    finish(client, floto.Decider(SPEC, service=SwfService(client, "shop")), runs=2)
    # From the start of the task before to the next, with an activity between; whole: 3 + 9 + ... + 27.
    assert client.events == 2 * (3 + LENGTH * 7)
    assert client.calls["get_workflow_execution_history"] == 0


@pytest.mark.parametrize("remembered", [0, 1, 9])
def test_what_a_decider_does_not_remember_it_reads(
    client: Counting, remembered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decider, "_REMEMBERED", remembered)
    deciders = [floto.Decider(SPEC, service=SwfService(client, "shop")) for _ in range(2)]
    finish(client, *deciders, runs=3)
    assert client.calls["get_workflow_execution_history"] > 0
