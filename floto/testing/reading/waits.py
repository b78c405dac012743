"""The delay before each retry: a second table, beside the strategies themselves.

The jitter's formula is part of what floto promises: a saved history is only decided again
as it was if the same run, task and attempt always give the same share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha1
from math import ceil
from typing import Any

from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.state.failures import Failure
from floto.core.swf.events import Event

_YEAR = 365 * 24 * 60 * 60
#: Retries after transient refusals; timers have fewer, as their retries cannot wait for a timer.
_REFUSED, _REFUSED_TIMER = 100, 20
#: Retries of what a worker gave back, and the longest delay in seconds.
_NOT_SERVED, _NOT_SERVED_WAIT = 1000, 600.0
#: Event id from which on what was given back is not scheduled again.
_FULL = 20_000


def wait(strategy: RetryStrategy | None, retry: Retry) -> float | None:
    """Return the seconds before the retry, or None; calls the strategy if it is user-defined."""
    if strategy is None:
        return None
    known = _WAITS.get(type(strategy))
    if known is not None:
        return known(strategy, retry)
    answer: float | None = strategy.delay(retry)
    return answer


def refused_wait(failures: Sequence[Failure], task_id: str, seed: str, *, is_timer: bool) -> float | None:
    """Return the backoff after that many consecutive transient refusals, or None to give up."""
    number = len(failures)
    if is_timer:
        return 0 if number <= _REFUSED_TIMER else None
    given_back = failures[-1].reason == "floto.NotServed"
    most, longest = (_NOT_SERVED, _NOT_SERVED_WAIT) if given_back else (_REFUSED, 300.0)
    if number > most or (given_back and failures[-1].event_id >= _FULL):
        return None
    return min(longest, 2.0 ** (number - 1)) * (1 - 0.5 * share(seed, task_id, number))


def _exponential(strategy: Any, retry: Retry) -> float | None:
    failed = len(retry.failures)
    if failed > strategy.retries or retry.failures[-1].reason in strategy.non_retryable:
        return None
    try:
        most = strategy.initial * strategy.factor ** (failed - 1)
    except OverflowError:
        most = strategy.cap
    return float(min(strategy.cap, most) * (1 - strategy.jitter * share(retry.seed, retry.task_id, failed)))


_WAITS: dict[type, Callable[[Any, Retry], float | None]] = {
    InstantRetry: lambda strategy, retry: 0 if len(retry.failures) <= strategy.retries else None,
    FixedDelay: lambda strategy, retry: strategy.seconds if len(retry.failures) <= strategy.retries else None,
    ExponentialBackoff: _exponential,
}


def seconds(delay: float) -> int:
    """Return a delay as SWF takes it: whole seconds, a year at the most."""
    return min(ceil(delay), _YEAR)


def share(seed: str, task_id: str, number: int) -> float:
    """Return the share of the jitter that a delay takes, from 0 to 1."""
    digest = sha1(
        "\n".join((seed, task_id, str(number))).encode(errors="backslashreplace"), usedforsecurity=False
    )
    return int(digest.hexdigest()[:12], 16) / 2**48


def seed_of(began: Event) -> str:
    """Return the seed of a run's jitter, from the fields of its start that differ between runs."""
    names = (
        "workflow_type",
        "input",
        "tag_list",
        "continued_execution_run_id",
        "parent_workflow_execution",
        "parent_initiated_event_id",
    )
    said = (began.at, *(getattr(began.data, each) for each in names))
    return sha1(repr(said).encode(errors="backslashreplace"), usedforsecurity=False).hexdigest()
