"""The threads of a worker."""

from __future__ import annotations

import threading
import time
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
    threads.finish(lambda: False)


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
    for _ in range(2):
        threads.go_on(activity(), threads.end)
    threads.finish(lambda: False)
    for thread in (first, busy):
        # One that still executes its last step is not waited for.
        thread.join(SOON)
        assert not thread.is_alive()


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
    threads.finish(lambda: False)
    assert not used.pop().is_alive()
    # Later activities do not wait for a thread that has ended.
    threads.begin(activity(), only)
    assert seen.get(timeout=SOON).is_alive()


def test_finish_does_not_wait_for_abandoned_activities() -> None:
    threads, began, release = ActivityThreads(), SimpleQueue[threading.Thread](), threading.Event()

    def hang() -> None:
        began.put(threading.current_thread())
        release.wait(SOON)
        threads.end()

    threads.begin(activity(), hang)
    hangs = began.get(timeout=SOON)
    threads.finish(lambda: False)
    assert hangs.is_alive()
    # It ends with its activity.
    release.set()
    hangs.join(SOON)
    assert not hangs.is_alive()


def test_finish_waits_for_an_activity_that_goes_on_in_the_thread_of_an_abandoned_one() -> None:
    threads, began, gate = ActivityThreads(), SimpleQueue[threading.Thread](), threading.Semaphore(0)
    is_busy = True

    def hang() -> None:
        began.put(threading.current_thread())
        gate.acquire(timeout=SOON)
        threads.end()

    def last() -> None:
        nonlocal is_busy
        began.put(threading.current_thread())
        gate.acquire(timeout=SOON)
        # In this order, as the worker does: a thread that has ended its activity is waited for.
        threads.end()
        is_busy = False

    waits = activity()
    threads.begin(waits, lambda: None)
    threads.begin(activity(), hang)
    hangs = began.get(timeout=SOON)
    finishing = threading.Thread(target=threads.finish, args=(lambda: is_busy,), daemon=True)
    finishing.start()
    # The other thread ends instead of the one of the abandoned activity.
    gate.release()
    end = time.monotonic() + SOON
    while sum(thread.is_alive() for thread in threads._threads) > 1:  # noqa: SLF001 - they show nowhere else
        assert time.monotonic() < end
        time.sleep(0.01)
    threads.go_on(waits, last)
    began.get(timeout=SOON)
    assert finishing.is_alive()
    gate.release()
    finishing.join(SOON)
    assert not finishing.is_alive()
    assert not hangs.is_alive()


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
