"""The thread that sends the heartbeats of running activities."""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager, nullcontext
from queue import SimpleQueue

import pytest

from floto.core.spec.activity_timeouts import Timeouts
from floto.runtime.workers.heartbeats import Heartbeats
from floto.runtime.workers.running_activity import RunningActivity


class Beats:
    """Counts the heartbeats of one activity; those in ``bad`` fail in an unexpected way."""

    def __init__(self, *bad: int) -> None:
        self.bad, self.seen = bad, 0
        self.id, self.gone = "a", False
        self.timeouts, self.is_over, self.lost_to_service = Timeouts(), False, False

    def logged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def beat(self) -> bool:
        self.seen += 1
        if self.seen in self.bad:
            raise ZeroDivisionError
        return True


def activity(beats: Beats) -> RunningActivity:
    return beats  # type: ignore[return-value]  # all that is used of one


def test_each_running_activity_sends_heartbeats() -> None:
    heartbeats, beats = Heartbeats(0.02), [Beats(), Beats(1)]
    with heartbeats.sending():
        for each in beats:
            heartbeats.watch(activity(each))
        end = time.monotonic() + 60
        while min(each.seen for each in beats) < 5 and time.monotonic() < end:
            time.sleep(0.01)
        for each in beats:
            heartbeats.unwatch(activity(each))
        # One may be under way.
        time.sleep(0.05)
        before = [each.seen for each in beats]
        time.sleep(0.1)
        assert [each.seen for each in beats] == before
    before = [each.seen for each in beats]
    assert min(before) >= 5
    time.sleep(0.1)
    assert [each.seen for each in beats] == before


def test_heartbeats_are_sent_in_a_later_block_too() -> None:
    heartbeats = Heartbeats(0.02)
    for _ in range(2):
        beats, before = Beats(), set(threading.enumerate())
        with heartbeats.sending():
            heartbeats.watch(activity(beats))
            end = time.monotonic() + 30
            while beats.seen < 3 and time.monotonic() < end:
                time.sleep(0.01)
            names = {"floto-heartbeats", "floto-beat"}
            started = [each for each in set(threading.enumerate()) - before if each.name in names]
            heartbeats.unwatch(activity(beats))
        assert beats.seen >= 3
        assert len(started) == 2
        for thread in started:
            thread.join(30)
        assert not any(thread.is_alive() for thread in started)


def test_sender_that_is_busy_at_the_end_ends_afterwards() -> None:
    heartbeats, beats = Heartbeats(0.01), Beats()
    sending, release = SimpleQueue[threading.Thread](), threading.Event()

    def hang() -> bool:
        sending.put(threading.current_thread())
        return release.wait(30)

    beats.beat = hang  # type: ignore[method-assign]
    with heartbeats.sending():
        heartbeats.watch(activity(beats))
        sender = sending.get(timeout=30)
    release.set()
    sender.join(30)
    assert not sender.is_alive()


def test_interval_zero_sends_no_heartbeats() -> None:
    heartbeats, beats = Heartbeats(0), Beats()
    with heartbeats.sending():
        heartbeats.watch(activity(beats))
        time.sleep(0.1)
    assert beats.seen == 0


def test_closed_activity_sends_no_heartbeats() -> None:
    heartbeats, beats = Heartbeats(0.01), Beats()
    beats.gone = True
    with heartbeats.sending():
        heartbeats.watch(activity(beats))
        time.sleep(0.2)
    assert beats.seen == 0


def test_activity_wakes_the_loop_only_for_an_earlier_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    notified: list[None] = []

    class CountedCondition(threading.Condition):
        def notify_all(self) -> None:
            notified.append(None)
            super().notify_all()

    with monkeypatch.context() as patched:
        patched.setattr("threading.Condition", CountedCondition)
        heartbeats = Heartbeats(60)
    with heartbeats.sending():
        for _ in range(50):
            beats = activity(Beats())
            heartbeats.watch(beats)
            heartbeats.set_timeouts(beats, Timeouts(start_to_close=30))
            heartbeats.unwatch(beats)
        assert 1 <= len(notified) <= 2
        heartbeats.watch(beats)
        heartbeats.set_timeouts(beats, Timeouts(start_to_close=10))
        assert len(notified) <= 3
