"""The shipped strategies, number by number."""

from __future__ import annotations

import pytest

from floto import ExponentialBackoff, Failure, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.state.state import Status
from floto.testing.simulation.context import BEGINNING


def retry(number: int, reason: str = "", task_id: str = "t", seed: str = "s") -> Retry:
    failure = Failure(status=Status.FAILED, at=BEGINNING, event_id=1, reason=reason)
    return Retry(task_id=task_id, seed=seed, failures=(failure,) * number)


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [
        (InstantRetry(0), [None]),
        (InstantRetry(2), [0, 0, None, None]),
        (FixedDelay(5, 2), [5, 5, None]),
        (ExponentialBackoff(retries=5, initial=2, factor=3, cap=20), [2, 6, 18, 20, 20, None]),
        (ExponentialBackoff(retries=3), [1, 2, 4, None]),
    ],
)
def test_each_strategy_returns_its_delays(strategy: RetryStrategy, delays: list[float | None]) -> None:
    assert [strategy.delay(retry(number)) for number in range(1, len(delays) + 1)] == delays


def test_non_retryable_reasons_are_not_retried() -> None:
    strategy = ExponentialBackoff(retries=3, non_retryable=("ValueError",))
    assert strategy.delay(retry(1, "ValueError")) is None
    assert strategy.delay(retry(1, "OSError")) == 1


def test_overflowing_backoff_is_capped() -> None:
    assert ExponentialBackoff(retries=10**6, factor=1e300, cap=60).delay(retry(1_000)) == 60


def test_jitter_differs_by_task_and_run_and_is_deterministic() -> None:
    strategy = ExponentialBackoff(retries=3, initial=100, jitter=0.5)
    waits = [strategy.delay(retry(1, task_id=f"t{n}", seed=f"s{n % 7}")) for n in range(200)]
    assert waits == [strategy.delay(retry(1, task_id=f"t{n}", seed=f"s{n % 7}")) for n in range(200)]
    assert all(wait is not None and 50 <= wait <= 100 for wait in waits)
    assert len(set(waits)) > 190
