"""The threads of a worker."""

from __future__ import annotations

import threading
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from floto.runtime.workers.activity_threads import ActivityThreads

#: Long enough for a busy machine.
SOON = 30.0


class Activity:
    """All that the threads use of an activity."""

    id = "a"


def activity() -> Any:
    return Activity()


def test_each_activity_has_a_thread_also_for_its_later_steps() -> None:
    threads, met = ActivityThreads(), threading.Barrier(4, timeout=SOON)
    done = threading.Semaphore(0)

    def last() -> None:
        met.wait()
        threads.end()
        done.release()

    # Each of the three waits for the others, at first and again.
    for each in [activity() for _ in range(3)]:
        threads.begin(each, partial(threads.go_on, each, last))
    met.wait()
    for _ in range(3):
        assert done.acquire(timeout=SOON)
    threads.finish(())


def test_a_thread_does_the_steps_of_others_while_its_own_activity_waits() -> None:
    threads, seen = ActivityThreads(), SimpleQueue[threading.Thread]()
    release = threading.Event()

    def note() -> None:
        seen.put(threading.current_thread())

    def hang() -> None:
        note()
        release.wait(SOON)

    threads.begin(activity(), note)
    first = seen.get(timeout=SOON)
    threads.begin(activity(), hang)
    busy = seen.get(timeout=SOON)
    # Neither activity has ended, and the thread that does not hang takes the steps of both.
    for _ in range(3):
        threads.go_on(activity(), note)
        assert seen.get(timeout=SOON) is not busy
    assert not threads.has_steps
    assert first.is_alive()
    release.set()
    threads.finish(())


def test_the_thread_of_an_activity_that_has_ended_is_used_again() -> None:
    threads, seen = ActivityThreads(), SimpleQueue[threading.Thread]()

    def only() -> None:
        threads.end()
        seen.put(threading.current_thread())

    used = set()
    for _ in range(20):
        threads.begin(activity(), only)
        used.add(seen.get(timeout=SOON))
    assert len(used) == 1
    threads.finish(())
    assert not used.pop().is_alive()


def test_finish_does_not_wait_for_abandoned_activities() -> None:
    threads, hangs, release = ActivityThreads(), activity(), threading.Event()
    began = threading.Event()

    def hang() -> None:
        began.set()
        release.wait(SOON)

    threads.begin(hangs, hang)
    assert began.wait(SOON)
    threads.finish([hangs])
    assert not release.is_set()
    release.set()


def test_activity_for_which_no_thread_starts_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = ActivityThreads()

    def refuse(_thread: threading.Thread) -> None:
        problem = "can't start new thread"
        raise RuntimeError(problem)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.begin(activity(), lambda: None)
    assert not threads.has_steps
