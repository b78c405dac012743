"""Flags and signals that stop a loop."""

from __future__ import annotations

import math
import threading

import pytest

from floto.runtime.shutdown import StopFlag, stop_on_signals


def test_set_wakes_waiters() -> None:
    flag = StopFlag()
    assert flag.wait(0.01) is False
    threading.Timer(0.05, flag.set).start()
    assert flag.wait(10) is True
    assert flag.wait(10) is True
    flag.set()
    assert flag.is_set()


@pytest.mark.parametrize("seconds", [1e10, 1e300, math.inf])
def test_wait_of_any_length_ends_when_the_flag_is_set(seconds: float) -> None:
    flag = StopFlag()
    threading.Timer(0.05, flag.set).start()
    assert flag.wait(seconds) is True


def test_signal_handlers_are_not_installed_outside_the_main_thread() -> None:
    done = []

    def use() -> None:
        with stop_on_signals(lambda: None):
            done.append(1)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [1]


class Contended:
    """A lock that another thread releases as soon as it is acquired."""

    def __init__(self, flag: StopFlag) -> None:
        self._flag, self._lock = flag, threading.Lock()

    def acquire(self, timeout: float = -1) -> bool:
        held = self._lock.acquire(timeout=timeout)
        self._flag._is_set = False  # noqa: SLF001 - as the second of two set() calls saw it
        self._flag.set()
        return held

    def release(self) -> None:
        self._lock.release()


def test_concurrent_set_does_not_break_waiters() -> None:
    flag = StopFlag()
    flag.set()
    flag._unset_lock = Contended(flag)  # type: ignore[assignment]  # noqa: SLF001
    assert flag.wait(1)
