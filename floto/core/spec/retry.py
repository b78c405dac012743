"""Retry strategies: those that floto ships, and the protocol of custom ones.

A strategy is a frozen value with one method. It depends only on its fields and one ``Retry``, so the same
history always gives the same delay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import sha1
from typing import Any, Protocol

from attrs import field, frozen

from floto.core.quick_init import quick_init
from floto.core.state.failures import Failure
from floto.core.swf.identifiers import shown


@quick_init
@frozen(kw_only=True)
class Retry:
    """The argument of a retry strategy: a task whose attempts have failed.

    ``failures`` are all failed attempts, the latest last, without refusals by SWF. ``seed`` differs between
    runs and is constant within one.
    """

    task_id: str
    seed: str
    failures: tuple[Failure, ...]

    @property
    def number(self) -> int:
        """The number of the next retry, 1 for the first."""
        return len(self.failures)

    @property
    def failure(self) -> Failure:
        """The latest failure."""
        return self.failures[-1]


class RetryStrategy(Protocol):
    """The delay between the attempts at a task. Implementations are frozen and pure."""

    def delay(self, retry: Retry) -> float | None:
        """Return the seconds to wait before a retry, 0 for none; None if the task has failed.

        Args:
            retry: The task and its failed attempts.
        """
        ...


def _retries_problems(retries: Any) -> Iterable[str]:
    if type(retries) is not int or retries < 0:
        yield f"retries must be an integer of 0 or more, not {shown(retries)}"


def _number_problems(name: str, value: Any, least: float, most: float = math.inf) -> Iterable[str]:
    number = type(value) in (int, float) and least <= value <= most and value < math.inf
    if not number:
        span = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
        yield f"{name} must be a number of {span}, not {shown(value)}"


def _texts(values: Iterable[str] | str) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


@frozen
class InstantRetry(RetryStrategy):
    """A retry strategy without delay, for at most ``retries`` retries."""

    retries: int

    def delay(self, retry: Retry) -> float | None:
        """Return 0; None once all retries are used."""
        return 0 if retry.number <= self.retries else None

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        yield from _retries_problems(self.retries)


@frozen
class FixedDelay(RetryStrategy):
    """A retry strategy with a delay of ``seconds``, for at most ``retries`` retries."""

    seconds: float
    retries: int

    def delay(self, retry: Retry) -> float | None:
        """Return ``seconds``; None once all retries are used."""
        return self.seconds if retry.number <= self.retries else None

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        yield from _retries_problems(self.retries)
        yield from _number_problems("seconds", self.seconds, 0)


@frozen(kw_only=True)
class ExponentialBackoff(RetryStrategy):
    """A retry strategy with growing delays.

    The delay before the n-th retry is ``min(cap, initial * factor ** (n - 1))`` seconds, less a share of up
    to ``jitter``. The share is a hash of run, task and retry: tasks differ, and every replay is the same.

    Args:
        retries: The maximum number of retries.
        initial: Seconds before the first retry; 1 by default.
        factor: Growth of the delay from retry to retry; 2 by default.
        cap: Maximum seconds of a delay; 300 by default.
        jitter: The largest share of a delay to subtract, from 0 to 1; 0 by default.
        non_retryable: Failure reasons after which the task is not retried, such as the name of an exception's
            type; none by default.
    """

    retries: int
    initial: float = 1
    factor: float = 2
    cap: float = 300
    jitter: float = 0
    non_retryable: tuple[str, ...] = field(default=(), converter=_texts)

    def delay(self, retry: Retry) -> float | None:
        """Return the delay in seconds; None once all retries are used, or for a reason not to be retried."""
        if retry.number > self.retries or retry.failure.reason in self.non_retryable:
            return None
        return self._wait(retry.number) * (1 - self.jitter * _share(retry))

    def problems(self) -> Iterable[str]:
        """Yield the problems of the fields, one line each."""
        yield from _retries_problems(self.retries)
        for name, least, most in (
            ("initial", 0, math.inf),
            ("factor", 0, math.inf),
            ("cap", 0, math.inf),
            ("jitter", 0, 1),
        ):
            yield from _number_problems(name, getattr(self, name), least, most)
        if not all(isinstance(reason, str) for reason in self.non_retryable):
            yield f"non_retryable must hold strings, not {shown(self.non_retryable)}"

    def _wait(self, number: int) -> float:
        try:
            return min(self.cap, self.initial * self.factor ** (number - 1))
        except OverflowError:
            return self.cap


def _share(retry: Retry) -> float:
    text = f"{retry.seed}\n{retry.task_id}\n{retry.number}"
    return (
        int.from_bytes(sha1(text.encode(errors="backslashreplace"), usedforsecurity=False).digest()[:6])
        / 2**48
    )


#: Strategy after a transient refusal by SWF, because of a limit or a rate.
REFUSED = ExponentialBackoff(retries=100, initial=1, factor=2, cap=300, jitter=0.5)
#: Strategy after a worker gave back an activity that it has no function for. The retries, ten minutes apart,
#: leave a week to start a worker with the function, and fill less than half of the events that SWF allows.
NOT_SERVED_BACKOFF = ExponentialBackoff(retries=1000, initial=1, factor=2, cap=600, jitter=0.5)
#: Strategy without any retry.
NO_RETRY = InstantRetry(retries=0)
#: Strategy after a refused timer: retry at once, as waiting would need another timer.
REFUSED_TIMER = InstantRetry(retries=20)
