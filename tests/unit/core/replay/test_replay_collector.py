"""The garbage collector while a long history is read and replayed, and after it."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Barrier, Thread
from typing import Any

import pytest

from floto import ActivityTask, DeciderSpec, History, HistoryError, replay
from floto.core.swf.history import collector_paused
from floto.testing import simulate

TASKS = 900
IDS = [f"task {number}" for number in range(TASKS)]
SPEC = DeciderSpec(
    activity_tasks=[
        ActivityTask(name="work", version="v1", id_=id_, requires=before)
        for id_, before in zip(IDS, [[], *([id_] for id_ in IDS)], strict=False)
    ]
)


@pytest.fixture(scope="module")
def history() -> History:
    return simulate(SPEC, patience=10 * TASKS).main


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.enable()


@contextmanager
def collections() -> Iterator[list[int]]:
    """Collect the generations of the garbage collections of the block."""
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    try:
        yield found
    finally:
        gc.callbacks.remove(note)


def test_no_garbage_is_collected_during_a_replay_and_the_collector_is_resumed(history: History) -> None:
    with collections() as found:
        done = replay(SPEC, history)
    assert done.divergence is None
    assert len(done.steps) > TASKS
    # One may begin when the collector is resumed.
    assert len(found) <= 1
    assert gc.isenabled()


def test_no_garbage_is_collected_while_a_long_history_is_read(history: History) -> None:
    raw = history.to_swf()
    assert len(raw) > 5_000
    with collections() as found:
        read = History.from_swf(raw, history.execution)
    assert read == history
    # The copies of the list of events, after it was read, may start some.
    assert len(found) <= 2
    assert gc.isenabled()


def test_the_collector_is_resumed_after_an_error(history: History) -> None:
    raw: list[dict[str, Any]] = history.to_swf()
    raw[-1] = {**raw[-1], "eventId": "last"}
    with pytest.raises(HistoryError):
        History.from_swf(raw)
    assert gc.isenabled()
    with pytest.raises(HistoryError):
        replay(SPEC, History([*history.events[:5], *history.events[6:20]]))
    assert gc.isenabled()


def test_a_collector_that_the_user_disabled_stays_disabled(history: History) -> None:
    gc.disable()
    replay(SPEC, history)
    History.from_swf(history.to_swf())
    assert not gc.isenabled()


def test_the_last_of_two_threads_that_overlap_leaves_the_collector_enabled() -> None:
    both = Barrier(2, timeout=30)

    def first() -> None:
        with collector_paused():
            both.wait()
        both.wait()

    def second() -> None:
        both.wait()
        with collector_paused():
            both.wait()

    threads = [Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert gc.isenabled()
