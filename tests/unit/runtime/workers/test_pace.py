"""The pace of a worker, on a clock of its own."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto.runtime.workers import pace
from floto.runtime.workers.pace import Pace


class Clock:
    """A clock that advances only in ``wait``, and a flag that is set at some time."""

    def __init__(self, stops_at: float = float("inf")) -> None:
        self.now, self.stops_at = 1000.0, 1000.0 + stops_at

    def is_set(self) -> bool:
        return self.now >= self.stops_at

    def wait(self, seconds: float) -> bool:
        self.now = max(self.now, min(self.now + seconds, self.stops_at))
        return self.is_set()


def paced(per_second: float | None, clock: Clock, polls: list[float]) -> list[float]:
    """Return the times of starts of a worker whose polls take so long."""
    times, paced = [], Pace(per_second)
    flag: Any = clock
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pace, "monotonic", lambda: clock.now)
        for seconds in polls:
            if not paced.wait(flag):
                break
            clock.now += seconds
            paced.start()
            times.append(clock.now - 1000)
    return times


@given(st.floats(1e-3, 1e3), st.lists(st.floats(0, 10), max_size=20))
def test_starts_are_at_least_the_distance_apart_and_wait_no_longer(rate: float, polls: list[float]) -> None:
    times = paced(rate, Clock(), polls)
    assert len(times) == len(polls)
    for (first, second), seconds in zip(itertools.pairwise(times), polls[1:], strict=False):
        assert second - first == pytest.approx(1 / rate + seconds, abs=1e-6)


def test_worker_without_a_limit_never_waits() -> None:
    assert paced(None, Clock(), [0] * 100) == [0] * 100


@pytest.mark.parametrize("rate", [1e-9, 5e-324])
def test_stop_ends_the_wait_of_any_rate(rate: float) -> None:
    assert paced(rate, Clock(stops_at=10_000), [0, 0]) == [0]


@pytest.mark.parametrize("rate", [1e308, float("inf")])
def test_huge_rates_are_no_limit(rate: float) -> None:
    assert paced(rate, Clock(), [0] * 10) == pytest.approx([0] * 10)
