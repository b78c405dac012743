"""Deciders in processes of their own, and several side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client import CollectorRegistry

import floto
from floto.core.swf import events as e
from floto.core.swf.shapes import WorkflowType
from floto.decider import CannotSeparate, Decider, DynamicDecider
from tests.integration.playing import DOMAIN, PATIENCE, TYPE, Played, Stage, eventually, playing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with playing("embedded", tmp_path) as stage:
        yield stage


def nap(seconds: int = 0, **more: Any) -> floto.DeciderSpec:
    timer = floto.Timer(id_="nap", delay_in_seconds=seconds)
    return floto.DeciderSpec(activity_tasks=[timer], domain=DOMAIN, **more)


def deciders(played: Played) -> set[str]:
    return {event.identity for event in played.of(e.DecisionTaskStarted)}


def test_decider_runs_in_a_separate_process_until_stopped(stage: Stage) -> None:
    began = time.monotonic()
    with Decider(decider_spec=nap(task_list="own"), service=stage.url).run(separate_process=True) as process:
        assert time.monotonic() - began < 5
        played = stage.ended(stage.start("own"))
        assert isinstance(played.end, e.WorkflowExecutionCompleted)
        # The separate process decided, not this one.
        assert {identity.rpartition(":")[2] for identity in deciders(played)} == {str(process.pid)}
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_all_arguments_of_a_decider_reach_the_separate_process(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTO_SERVICE", stage.url)
    text = nap(task_list="elsewhere", terminate_decider_after_completion=True).to_json()
    made = Decider(text, task_list="here", identity="me", poll_seconds=0.1)
    with made.run(separate_process=True) as process:
        played = stage.ended(stage.start("here"))
        assert isinstance(played.end, e.WorkflowExecutionCompleted)
        assert deciders(played) == {"me"}
        # As the spec says.
        assert process.wait(PATIENCE) == 0


def test_specs_by_type_reach_the_separate_process(stage: Stage) -> None:
    made = Decider(
        specs={WorkflowType(TYPE, "v1"): nap()}, service=stage.url, domain=DOMAIN, task_list="typed"
    )
    with made.run(separate_process=True) as process:
        assert isinstance(stage.ended(stage.start("typed")).end, e.WorkflowExecutionCompleted)
    assert process.returncode == 0


def test_dynamic_decider_runs_in_a_separate_process(stage: Stage) -> None:
    with DynamicDecider(DOMAIN, "dynamic", service=stage.url).run(separate_process=True) as process:
        played = stage.ended(stage.start("dynamic", {"decider_spec": nap()}))
        assert isinstance(played.end, e.WorkflowExecutionCompleted)
    assert process.returncode == 0


def test_several_separate_processes_share_the_decisions(stage: Stage) -> None:
    spec = nap(1, task_list="shared")
    processes = [
        Decider(spec, service=stage.url, identity=f"decider {number}").run(separate_process=True)
        for number in range(2)
    ]
    seen: set[str] = set()
    end = time.monotonic() + PATIENCE
    while len(seen) < 2:
        assert time.monotonic() < end
        for played in [stage.ended(execution) for execution in [stage.start("shared") for _ in range(6)]]:
            assert isinstance(played.end, e.WorkflowExecutionCompleted)
            assert len(played.of(e.TimerStarted)) == 1
            seen |= deciders(played)
    assert seen == {"decider 0", "decider 1"}
    for process in processes:
        with process:
            process.terminate()
        assert process.returncode == 0


PARENT = """
import time
from floto import Decider, DeciderSpec, Timer
spec = DeciderSpec(activity_tasks=[Timer(id_='t', delay_in_seconds=0)], task_list='orphan')
print(Decider(spec).run(separate_process=True).pid, flush=True)
time.sleep(600)
"""


def test_separate_process_ends_with_its_parent(stage: Stage) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FLOTO_SERVICE": stage.url}
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.is_running()
        # A killed parent cannot notify its child.
        parent.send_signal(signal.SIGKILL)
        eventually(lambda: True if not child.is_running() or child.status() == "zombie" else None)


def test_unpicklable_arguments_are_refused(stage: Stage) -> None:
    def refused(match: str, **more: Any) -> None:
        decider = Decider(nap(), **{"service": stage.url, **more})
        with pytest.raises(CannotSeparate, match=match):
            decider.run(separate_process=True)
        # It can still run here, and close its service.
        decider.stop()
        decider.run()

    refused("a service given as an object", service=stage.service)
    refused("service 'memory:'", service="memory:")
    refused("a listener", listener=lambda *_: None)
    refused("metrics", metrics=floto.Metrics(CollectorRegistry()))
    refused("a codec of its own", codec=floto.CODEC.with_type("mine.Timer", type(nap())))
