"""Metrics of real deciders, workers and servers, as Prometheus reads them."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision
from floto.core.swf.service import PolledDecisionTask
from floto.runtime.metrics.live_metrics import LiveMetrics
from floto.runtime.metrics.metrics import Metrics
from tests.integration.commands import PATIENCE, ROOT, Shell, wait_for

ENDS = {
    e.ActivityTaskCompleted: "completed",
    e.ActivityTaskFailed: "failed",
    e.ActivityTaskTimedOut: "timed out",
}


class Apart(floto.Decider):
    """A decider with code of a user's own, which does not decide in the commit of a call."""

    def decide(self, task: PolledDecisionTask) -> Sequence[Decision]:
        return super().decide(task)


def activities() -> floto.Activities:
    found, calls = floto.Activities(), Counter[str]()

    @found.activity(name="work", version="1")
    def work() -> None:
        current = floto.current()
        name = f"{current.execution.workflow_id} {current.id}"
        calls[name] += 1
        if calls[name] == 1:
            raise ValueError(name)

    return found


@pytest.mark.parametrize("kind", [floto.Decider, Apart])
def test_attempts_and_runs_are_counted_once_each(tmp_path: Path, kind: type[floto.Decider]) -> None:
    registry = CollectorRegistry()
    metrics = floto.Metrics(registry)
    retries = floto.InstantRetry(3)
    tasks = [
        floto.ActivityTask(id_=str(number), name="work", version="1", retry_strategy=retries)
        for number in range(7)
    ]
    spec = floto.DeciderSpec(activity_tasks=tasks, activity_task_list="work")
    with SqliteService(tmp_path / "db") as service:
        deciders: list[floto.Decider] = [
            kind(spec, service=service, metrics=metrics, poll_seconds=0.2) for _ in range(2)
        ]
        worker = floto.ActivityWorker(
            task_list="work",
            service=service,
            activities=activities(),
            concurrency=3,
            metrics=metrics,
            poll_seconds=0.2,
        )
        loops: list[floto.Decider | floto.ActivityWorker] = [*deciders, worker]
        threads = [threading.Thread(target=each.run) for each in loops]
        for thread in threads:
            thread.start()
        executions = [start(service, str(number)) for number in range(4)]
        try:
            wait_for(lambda: all(is_closed(service, each) for each in executions))
            assert registry.get_sample_value("floto_worker_slots", {"task_list": "work"}) == 3
        finally:
            for loop in loops:
                loop.stop()
            for thread in threads:
                thread.join(PATIENCE)
        histories = [service.history(each) for each in executions]
    assert registry.get_sample_value("floto_worker_slots", {"task_list": "work"}) is None
    ends = Counter(
        ENDS[type(event.data)] for history in histories for event in history if type(event.data) in ENDS
    )
    assert ends == {"failed": 28, "completed": 28}
    for status, count in ends.items():
        labels = {"activity_type": "work", "activity_version": "1", "status": status}
        assert registry.get_sample_value("floto_activity_attempts_total", labels) == count
    names = {"workflow_type": "flow", "workflow_version": "1"}
    assert registry.get_sample_value("floto_runs_started_total", names) == 4
    assert registry.get_sample_value("floto_run_seconds_count", names) == 4
    responses = sum(
        isinstance(event.data, e.DecisionTaskCompleted) for history in histories for event in history
    )
    answered = {**names, "result": "response"}
    assert registry.get_sample_value("floto_decision_tasks_total", answered) == responses


def start(service: SqliteService, workflow_id: str) -> floto.WorkflowExecution:
    request = floto.StartRequest(
        workflow_id=workflow_id, workflow_type=floto.WorkflowType("flow", "1"), task_list="floto"
    )
    return floto.WorkflowExecution(workflow_id, service.start_workflow_execution(request))


def is_closed(service: SqliteService, execution: floto.WorkflowExecution) -> bool:
    found = service.latest_execution(execution.workflow_id)
    return found is not None and found.closed_at is not None


def scraped(process: subprocess.Popen[str]) -> dict[tuple[str, str], float]:
    """The samples of a command, by name and task list."""
    assert process.stderr is not None
    line = next(line for line in process.stderr if "metrics on" in line)
    url = re.search(r"http://\S+", line)
    assert url is not None
    return samples(url[0])


def samples(url: str) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE) as response:  # noqa: S310 - on loopback
        text = response.read().decode()
    return {
        (sample.name, sample.labels.get("task_list", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_commands_serve_their_metrics_until_they_are_stopped(shell: Shell) -> None:
    shell.here("register", "spec", "flow.py:spec")
    decider, worker = ("decider", "flow.py:spec"), ("worker", "--activities", "acts.py")
    with (
        shell.loop(*decider, "--metrics", "0") as deciding,
        shell.loop(*worker, "--metrics", "127.0.0.1:0", "--concurrency", "3") as working,
    ):
        assert ("floto_decision_wait_seconds_count", "") not in scraped(deciding)
        assert working.stderr is not None
        found = scraped(working)
        assert found.get(("floto_worker_slots", "floto"), 3) == 3
        for process in (deciding, working):
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0


def test_server_shows_what_waits(shell: Shell) -> None:
    shell.here("start", "--spec", "flow.py:spec", "--workflow-id", "w", "--task-list", "others")
    with shell.loop("server", "--db", "floto.db", "--port", "0", "--metrics", "0") as server:
        found = scraped(server)
        assert found["floto_waiting_tasks", "others"] == 1
        assert found["floto_oldest_waiting_task_seconds", "others"] > 0
        assert server.stdout is not None
        assert "floto server on" in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE) == 0
    with shell.loop("ui", "--port", "0", "--metrics", "0") as pages:
        assert scraped(pages)["floto_waiting_tasks", "others"] == 1


@pytest.mark.parametrize("address", ["x", "70000", "1.2.3.4:", ":80", "::1:80", "-1"])
def test_address_that_is_none_is_a_usage_error(shell: Shell, address: str) -> None:
    shell.here("register", "domain", "floto")
    assert "[HOST:]PORT" in shell.here("decider", f"--metrics={address}", code=2)[1]


def test_port_that_is_in_use_ends_the_command(shell: Shell) -> None:
    shell.here("register", "domain", "floto")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, said = shell.here("worker", "--activities", "acts.py", "--metrics", str(port), code=2)
    assert f"cannot listen on 127.0.0.1:{port}" in said


def test_without_the_extra_the_option_says_what_to_install(shell: Shell) -> None:
    shell.here("register", "domain", "floto")
    for command in (("decider",), ("server",), ("ui",)):
        assert "pip install 'floto[metrics]'" in shell.without(
            "prometheus_client", *command, "--metrics", "0"
        )


def test_document_lists_every_metric() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    named = set(re.findall(r"^\| `(floto_\w+)`", text, re.MULTILINE))
    registry = CollectorRegistry()
    Metrics(registry)
    registry.register(LiveMetrics(floto.core.swf.pollers.Live))
    kinds: dict[str, Any] = {family.name: family.type for family in registry.collect()}
    assert named == {f"{name}_total" if kind == "counter" else name for name, kind in kinds.items()}
