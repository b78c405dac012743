"""Activities and short specs for tests that run workflows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import floto
from floto.adapters.sqlite import SqliteService
from floto.core.state.state import Kind, State
from floto.runtime.runs.run import run
from floto.runtime.workers.activities import Activities


@pytest.fixture
def service() -> Iterator[SqliteService]:
    with SqliteService(":memory:") as service:
        yield service


#: Logged by ``floto.run`` once it has stopped its deciders and workers.
LEAVING = ("finishing running activities", "waiting for 1 activity")


@pytest.fixture
def leaving() -> Iterator[threading.Event]:
    """Set as soon as a ``floto.run`` stops its deciders and workers and logs it."""
    told = threading.Event()

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if any(words in record.getMessage() for words in LEAVING):
                told.set()

    listening, log = Listening(), logging.getLogger("floto")
    log.addHandler(listening)
    yield told
    log.removeHandler(listening)


@pytest.fixture
def activities(leaving: threading.Event) -> Activities:
    """``echo`` returns its context, ``fail`` fails, ``nap`` takes as long as its input says.

    ``linger`` takes until a run has given up waiting for it; a run that comes after need not wait.
    """
    known = Activities()

    @known.activity(name="echo", version="1")
    def echo(context: dict[str, Any]) -> dict[str, Any]:
        return context

    @known.activity(name="fail", version="1")
    def fail() -> None:
        msg = "on purpose"
        raise ValueError(msg)

    @known.activity(name="nap", version="1")
    def nap(context: dict[str, Any]) -> None:
        time.sleep(context["activity_task"])

    @known.activity(name="linger", version="1")
    def linger() -> bool:
        return leaving.wait(10)

    return known


class _LeftOpen(Exception):
    """Raised by a listener to leave a run that is still open."""


def left_open(
    spec: floto.DeciderSpec, service: SqliteService, activities: Activities, workflow_id: str = "w"
) -> None:
    """Run a workflow until its first activity, timer or child is under way, and leave it open."""

    def listener(state: State) -> None:
        if any(item.started is not None or item.key[0] is Kind.TIMER for item in state.items.values()):
            raise _LeftOpen

    with pytest.raises(_LeftOpen):
        run(spec, service=service, activities=activities, workflow_id=workflow_id, listener=listener)


def task(name: str, id_: str | None = None, **more: Any) -> floto.ActivityTask:
    return floto.ActivityTask(id_=id_ or name, name=name, version="1", **more)


def spec(*tasks: Any, **more: Any) -> floto.DeciderSpec:
    return floto.DeciderSpec(activity_tasks=tasks, **more)
