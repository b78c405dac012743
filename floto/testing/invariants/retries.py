"""What floto promises of retries: how long, how often, and that it is never less."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from attrs import evolve

from floto.core.failures import failure_of
from floto.core.identifiers import shown
from floto.core.retry import (
    REFUSED,
    REFUSED_TIMER,
    ExponentialBackoff,
    FixedDelay,
    InstantRetry,
    Retry,
    RetryStrategy,
)
from floto.testing.invariants import waits
from floto.testing.invariants.own_code import retry
from floto.testing.invariants.violation import broken
from floto.testing.reading.identity import once
from floto.testing.reading.moment import Moment
from floto.testing.reading.standing import Due, after, wish_of

#: More than enough to see where each of floto's own strategies gives up.
_MOST = 12
#: What no strategy may be made of, by its field.
_NONSENSE: dict[str, tuple[Any, ...]] = {
    "retries": (-1, 1.5, True, "3", None),
    "seconds": (-1, float("nan"), float("inf"), True, "1"),
    "initial": (-0.5, float("nan"), float("inf"), None),
    "factor": (-1, float("inf"), "2"),
    "cap": (-1, float("nan"), False),
    "jitter": (-0.1, 1.1, float("nan"), True),
    "non_retryable": ((1,), ("Final", None)),
}
#: What each may be made of, at its bounds.
_SENSE: dict[str, tuple[Any, ...]] = {
    "retries": (0, 1),
    "seconds": (0, 0.5, 10**9),
    "initial": (0, 1.5),
    "factor": (0, 0.5),
    "cap": (0, 10**9),
    "jitter": (0, 0.5, 1),
    "non_retryable": ((), ("Final",)),
}
_SHIPPED = (InstantRetry, FixedDelay, ExponentialBackoff)


def waits_are_as_promised(moment: Moment) -> None:
    """Floto's own strategies wait as long as they say, and give up when they say."""
    for id_, task in moment.known.items():
        strategy: Any = task.retry_strategy
        problem = _problem(strategy) if type(strategy) in _SHIPPED else None
        if problem:
            broken(f"task {id_!r}: {shown(strategy)} {problem}")


@lru_cache(maxsize=1024)
def _problem(strategy: Any) -> str | None:
    steep = [evolve(strategy, retries=5, jitter=0)] if isinstance(strategy, ExponentialBackoff) else []
    finals = getattr(strategy, "non_retryable", ())
    for each in (strategy, *steep):
        numbers = sorted({*range(1, _MOST), each.retries or 1, each.retries + 1})
        for asked in (retry(number, reason) for number in numbers for reason in ("Failure", *finals)):
            said, expected = each.delay(asked), waits.wait(each, asked)
            if said != expected:
                return f"answers {said} to failure {asked.number}, and should answer {expected}"
    return _nonsense(strategy)


def _nonsense(strategy: Any) -> str | None:
    if list(strategy.problems()):
        return f"is refused for no reason: {list(strategy.problems())}"
    for name in (name for name in _SENSE if hasattr(strategy, name)):
        for value in _SENSE[name]:
            if list(evolve(strategy, **{name: value}).problems()):
                return f"refuses {name}={value!r}, which makes sense"
        for value in _NONSENSE[name]:
            found = list(evolve(strategy, **{name: value}).problems())
            if len(found) != 1 or name not in found[0]:
                return f"does not say that {name}={value!r} makes no sense, but {found}"
    return None


def refusals_are_asked_again_as_promised(moment: Moment) -> None:  # noqa: ARG001 - it is so at every moment
    """What SWF refuses for now is asked for again, for so long and so often."""
    problem = _refused_problem(REFUSED, REFUSED_TIMER)
    if problem:
        broken(problem)


@once
def _refused_problem(refused: RetryStrategy, refused_timer: RetryStrategy) -> str | None:
    for strategy, is_timer in ((refused, False), (refused_timer, True)):
        for number in (*range(1, 25), 99, 100, 101):
            asked: Retry = retry(number)
            expected = waits.refused_wait(asked.failures, asked.task_id, asked.seed, is_timer=is_timer)
            found = strategy.delay(asked)
            if found != expected:
                return f"after {number} refusals, {shown(strategy)} waits {found}, not {expected}"
    return None


def retries_were_due(moment: Moment) -> None:
    """Every retry in the history was due: one more than the strategy allows, or too early, is wrong."""
    read, seed = moment.account, moment.reading.seed
    for id_, task in moment.known.items():
        for before, attempt in zip(
            read.attempts.get(task.key, ()), read.attempts.get(task.key, ())[1:], strict=False
        ):
            failures = [each for each in read.failures[task.key] if each.id < attempt.opened.id]
            if before.completed or not failures:
                broken(f"task {id_!r} was started once more after it had completed")
            look = after(failures, wish_of(task), read, seed)
            if look != Due():
                broken(f"task {id_!r} was tried again after {failure_of(failures[-1]).message!r}: {look}")
