"""How long each wait for a retry must be: a second table, beside the strategies themselves.

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
#: How often something is tried again that SWF refused for now; timers cannot wait for a timer.
_REFUSED, _REFUSED_TIMER = 100, 20
#: The same of what a worker gave back, and the longest wait, in seconds.
_NOT_SERVED, _NOT_SERVED_WAIT = 1000, 600.0
#: The event from which on nothing that was given back is offered again.
_FULL = 20_000


def wait(strategy: RetryStrategy | None, retry: Retry) -> float | None:
    """Seconds before the retry, or None; a strategy of the user's own is asked."""
    if strategy is None:
        return None
    known = _WAITS.get(type(strategy))
    if known is not None:
        return known(strategy, retry)
    answer: float | None = strategy.delay(retry)
    return answer


def refused_wait(failures: Sequence[Failure], task_id: str, seed: str, *, is_timer: bool) -> float | None:
    """The wait after the latest of so many passing refusals in a row."""
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
    """A wait as SWF takes it: whole seconds, a year at the most."""
    return min(ceil(delay), _YEAR)


def share(seed: str, task_id: str, number: int) -> float:
    """Which part of the jitter a wait takes, from 0 to 1."""
    digest = sha1(
        "\n".join((seed, task_id, str(number))).encode(errors="backslashreplace"), usedforsecurity=False
    )
    return int(digest.hexdigest()[:12], 16) / 2**48


def seed_of(began: Event) -> str:
    """What tells this run's jitter from that of others: what SWF's events say of how it began."""
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
