"""Waits before a failed call is retried."""

from __future__ import annotations

from typing import cast

from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from tenacity import RetryCallState

from floto.core.errors import Throttled
from floto.runtime.retrying import _FIRST_BUSY, _FIRST_WAIT, _LONGEST_AWAY, _LONGEST_WAIT, _wait


class Failed:
    """The outcome of a call that the service asked to retry later."""

    def exception(self) -> Throttled:
        return Throttled("slow down")


@define
class Call:
    """The state of the retries that a wait depends on."""

    attempt_number: int = 1
    seconds_since_start: float = 0.0
    outcome: Failed | None = None

    def wait(self) -> float:
        return _wait(cast("RetryCallState", self))


@given(st.floats(0, 7_200), st.floats(0, 10))
def test_recovery_is_noticed_within_the_duration_of_the_outage(away: float, answers: float) -> None:
    """Each attempt takes some time to fail; the first after the service is back is not long after."""
    call = Call()
    while call.seconds_since_start < away:
        wait = call.wait()
        assert 0 <= wait <= min(_LONGEST_WAIT, max(_FIRST_WAIT, call.seconds_since_start))
        found = call.seconds_since_start + wait
        call = Call(call.attempt_number + 1, found + answers / 1_000)
        assert found <= away + max(_FIRST_WAIT, away)
    # A long outage is not asked about all the time.
    assert call.attempt_number < 40 + away


@given(st.integers(1, 1_000), st.floats(0, 7_200))
def test_waits_of_throttled_calls_are_spread_and_grow_from_1_to_30_seconds(attempt: int, away: float) -> None:
    most = min(_LONGEST_WAIT, _FIRST_BUSY * 2.0 ** min(attempt - 1, 10))
    waits = [Call(attempt, away, Failed()).wait() for _ in range(100)]
    assert (_FIRST_BUSY, _LONGEST_WAIT) == (1, 30)
    assert 0 <= min(waits) < most / 2 < max(waits) <= most


def test_waits_for_an_unavailable_service_are_spread_over_a_few_seconds() -> None:
    """A locked or unavailable service is used again within five seconds after it recovers."""
    waits = [Call(12, 3600.0).wait() for _ in range(500)]
    assert min(waits) < 1
    assert 3 < max(waits) <= _LONGEST_AWAY
