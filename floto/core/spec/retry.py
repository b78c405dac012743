"""When to try again: the strategies floto ships, and the protocol that users implement.

A strategy is a frozen value with one method. It sees everything it may depend on in one
``Retry``, so the same history always gives the same answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from hashlib import sha1
from typing import Any, Protocol

from attrs import field, frozen

from floto.core.state.failures import Failure
from floto.core.swf.identifiers import shown


@frozen(kw_only=True)
class Retry:
    """What a strategy is asked: whether a task may have its ``number``-th retry, and when.

    ``failures`` are all the attempts that did not work, the latest last; refusals by SWF
    are not among them. ``seed`` differs between runs and stays the same within one.
    """

    task_id: str
    seed: str
    failures: tuple[Failure, ...]

    @property
    def number(self) -> int:
        """1 for the first retry."""
        return len(self.failures)

    @property
    def failure(self) -> Failure:
        """The latest failure."""
        return self.failures[-1]


class RetryStrategy(Protocol):
    """Says when a failed task is tried again. Implementations are frozen and pure."""

    def delay(self, retry: Retry) -> float | None:
        """Seconds to wait before the retry, 0 for at once, None to give up."""
        ...


def _retries_problems(retries: Any) -> Iterable[str]:
    if type(retries) is not int or retries < 0:
        yield f"retries must be a whole number of 0 or more, not {shown(retries)}"


def _number_problems(name: str, value: Any, least: float, most: float = math.inf) -> Iterable[str]:
    number = type(value) in (int, float) and least <= value <= most and value < math.inf
    if not number:
        span = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
        yield f"{name} must be a number of {span}, not {shown(value)}"


def _texts(values: Iterable[str] | str) -> tuple[str, ...]:
    return (values,) if isinstance(values, str) else tuple(values)


@frozen
class InstantRetry(RetryStrategy):
    """Try again at once, ``retries`` times."""

    retries: int

    def delay(self, retry: Retry) -> float | None:
        """0 until the retries are used up."""
        return 0 if retry.number <= self.retries else None

    def problems(self) -> Iterable[str]:
        """What makes no sense."""
        yield from _retries_problems(self.retries)


@frozen
class FixedDelay(RetryStrategy):
    """Try again after ``seconds``, ``retries`` times."""

    seconds: float
    retries: int

    def delay(self, retry: Retry) -> float | None:
        """The same wait until the retries are used up."""
        return self.seconds if retry.number <= self.retries else None

    def problems(self) -> Iterable[str]:
        """What makes no sense."""
        yield from _retries_problems(self.retries)
        yield from _number_problems("seconds", self.seconds, 0)


@frozen(kw_only=True)
class ExponentialBackoff(RetryStrategy):
    """Wait ``initial`` seconds, then ``factor`` times longer each time, never longer than ``cap``.

    ``jitter`` (0 to 1) takes up to that share off each wait, by a hash of run, task and
    attempt: spread over tasks, yet the same in every replay. An attempt that failed for a
    reason in ``non_retryable`` (for an activity: the name of the exception's type) is
    final.
    """

    retries: int
    initial: float = 1
    factor: float = 2
    cap: float = 300
    jitter: float = 0
    non_retryable: tuple[str, ...] = field(default=(), converter=_texts)

    def delay(self, retry: Retry) -> float | None:
        """The wait before this retry, None when it is one too many or the reason is final."""
        if retry.number > self.retries or retry.failure.reason in self.non_retryable:
            return None
        return self._wait(retry.number) * (1 - self.jitter * _share(retry))

    def problems(self) -> Iterable[str]:
        """What makes no sense."""
        yield from _retries_problems(self.retries)
        for name, least, most in (
            ("initial", 0, math.inf),
            ("factor", 0, math.inf),
            ("cap", 0, math.inf),
            ("jitter", 0, 1),
        ):
            yield from _number_problems(name, getattr(self, name), least, most)
        if not all(isinstance(reason, str) for reason in self.non_retryable):
            yield f"non_retryable must hold texts, not {shown(self.non_retryable)}"

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


#: How often and when to ask again for what SWF refused because of a limit or a rate.
REFUSED = ExponentialBackoff(retries=100, initial=1, factor=2, cap=300, jitter=0.5)
#: How often and when to offer an activity again that a worker gave back. At ten minutes each, a worker that
#: has the activity may come within a week; by then the task alone has filled less than half of the events
#: that SWF allows.
NOT_SERVED_BACKOFF = ExponentialBackoff(retries=1000, initial=1, factor=2, cap=600, jitter=0.5)
#: No further attempt.
NO_RETRY = InstantRetry(retries=0)
#: How often to ask again, at once, for what cannot wait for a timer: timers themselves.
REFUSED_TIMER = InstantRetry(retries=20)
