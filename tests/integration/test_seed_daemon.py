"""The documented behaviour of floto's daemon, on floto's server and on a file; moto has no children."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import floto
import floto.api
from floto.core.swf import events as e
from tests.integration.playing import DOMAIN, Stage, eventually, playing
from tests.integration.seed import Program, block, run

WORKER = """
import floto

@floto.activity(name='ActivityA', version='v1')
def activity_a():
    return {'your': 'result_activity_a'}

floto.ActivityWorker(domain='floto_test').run()
"""


@pytest.fixture(params=["embedded", "server"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with playing(request.param, tmp_path) as stage:
        yield stage


# From Python 3.13 on, SQLite's connections complain when they are collected unclosed, as users leave them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_starts_a_child(
    stage: Stage, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("daemon", block(10)), ("worker", WORKER)):
        stage.enter(Program(tmp_path_factory.mktemp(name), stage.url, text))
    stage.swf.register_activity_type(floto.api.ActivityType(domain=DOMAIN, name="ActivityA", version="v1"))
    monkeypatch.setenv("FLOTO_SERVICE", stage.url)

    def started() -> Any:
        try:
            return run(block(11), {})
        except floto.UnknownResource:
            return None  # the daemon registers its type as it begins

    daemon = eventually(started)
    run(block(12), {})

    def child() -> Any:
        ends = (e.ChildWorkflowExecutionCompleted, e.ChildWorkflowExecutionFailed)
        return next(
            (event.data for event in stage.service.history(daemon) if isinstance(event.data, ends)), None
        )

    ended = eventually(child)
    assert isinstance(ended, e.ChildWorkflowExecutionCompleted), ended
    assert list(json.loads(ended.result or "").values()) == [{"your": "result_activity_a"}]
    info = stage.service.latest_execution("floto_daemon")
    assert info is not None
    assert info.close_status is None
    gc.collect()
