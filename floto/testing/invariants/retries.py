"""Invariants of retries: their number, and delays that are never shorter than promised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, cast

from attrs import evolve, frozen

from floto.core.decide.decide import decide
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.retry import (
    NOT_SERVED_BACKOFF,
    REFUSED,
    REFUSED_TIMER,
    ExponentialBackoff,
    FixedDelay,
    InstantRetry,
    Retry,
    RetryStrategy,
)
from floto.core.spec.tasks import Task
from floto.core.state.failures import failure_of
from floto.core.state.state import Kind, Status
from floto.core.swf.events import Event
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import NOT_SERVED, RETRY_PREFIX
from floto.testing.invariants.own_code import is_own, retry
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle, waits
from floto.testing.reading.expected_status import Due, delay_after, status_after, subject_of
from floto.testing.reading.identity_cache import cached_by_identity
from floto.testing.reading.moment import Moment

#: Failures after which the strategies are compared; more than their retries in most specs.
_MOST = 12
#: Invalid values of the fields of strategies.
_NONSENSE: dict[str, tuple[Any, ...]] = {
    "retries": (-1, 1.5, True, "3", None),
    "seconds": (-1, float("nan"), float("inf"), True, "1"),
    "initial": (-0.5, float("nan"), float("inf"), None),
    "factor": (-1, float("inf"), "2"),
    "cap": (-1, float("nan"), False),
    "jitter": (-0.1, 1.1, float("nan"), True),
    "non_retryable": ((1,), ("Final", None)),
}
#: Valid values of the fields, at their bounds.
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
#: Defaults of the fields; a single reason is accepted as a string.
_DEFAULT = (
    (
        ExponentialBackoff(retries=1),
        {"initial": 1, "factor": 2, "cap": 300, "jitter": 0, "non_retryable": ()},
    ),
    (ExponentialBackoff(retries=1, non_retryable="Final"), {"non_retryable": ("Final",)}),
)


def waits_are_as_promised(moment: Moment) -> None:
    """Floto's own strategies wait as long as they say, and give up when they say."""
    odd = _default_problem()
    if odd:
        broken(odd)
    for id_, task in moment.known.items():
        strategy: Any = task.retry_strategy
        problem = _problem(strategy) if type(strategy) in _SHIPPED else None
        if problem:
            broken(f"task {id_!r}: {shown(strategy)} {problem}")


@lru_cache(maxsize=1024)
def _problem(strategy: Any) -> str | None:
    steep: list[Any] = []
    if isinstance(strategy, ExponentialBackoff):
        # The last of these delays overflows a float.
        steep = [evolve(strategy, retries=5, jitter=0), evolve(strategy, retries=2_000, factor=2.5, jitter=0)]
    finals = getattr(strategy, "non_retryable", ())
    for each in (strategy, *steep):
        numbers = sorted({*range(1, _MOST), each.retries or 1, each.retries + 1})
        for asked in (retry(number, reason) for number in numbers for reason in ("Failure", *finals)):
            said, expected = each.delay(asked), waits.wait(each, asked)
            if said != expected:
                return f"returns {said} after failure {asked.number}, expected {expected}"
    return _nonsense(strategy)


def _default_problem() -> str | None:
    for strategy, fields in _DEFAULT:
        for name, expected in fields.items():
            if getattr(strategy, name) != expected:
                return f"{shown(strategy)} has {name}={getattr(strategy, name)!r}, not {expected!r}"
    return None


def _nonsense(strategy: Any) -> str | None:
    if list(strategy.problems()):
        return f"is refused although it is valid: {list(strategy.problems())}"
    for name in (name for name in _SENSE if hasattr(strategy, name)):
        for value in _SENSE[name]:
            if list(evolve(strategy, **{name: value}).problems()):
                return f"refuses {name}={value!r}, which is valid"
        for value in _NONSENSE[name]:
            found = list(evolve(strategy, **{name: value}).problems())
            if len(found) != 1 or name not in found[0]:
                return f"does not refuse {name}={value!r}, but says {found}"
    return None


def refusals_are_asked_again_as_promised(moment: Moment) -> None:  # noqa: ARG001 - independent of the decision point
    """Transient refusals are retried with the promised backoff, for the promised number of times."""
    problem = _refused_problem(REFUSED, REFUSED_TIMER, NOT_SERVED_BACKOFF)
    if problem:
        broken(problem)


@cached_by_identity
def _refused_problem(
    refused: RetryStrategy, refused_timer: RetryStrategy, not_served: RetryStrategy
) -> str | None:
    cases = ((refused, False, "Failure"), (refused_timer, True, "Failure"), (not_served, False, NOT_SERVED))
    for strategy, is_timer, reason in cases:
        for number in (*range(1, 25), 99, 100, 101, 999, 1000, 1001):
            asked: Retry = retry(number, reason)
            expected = waits.refused_wait(asked.failures, asked.task_id, asked.seed, is_timer=is_timer)
            found = strategy.delay(asked)
            if found != expected:
                return f"after {number} refusals, {shown(strategy)} waits {found}, not {expected}"
    return None


def retries_were_due(moment: Moment) -> None:
    """Every retry in the history was due: none too many, and none too early."""
    summary = moment.summary
    for task in moment.known.values():
        for before, attempt in pairwise(summary.attempts.get(task.key, ())):
            failures = [each for each in summary.failures[task.key] if each.id < attempt.opened.id]
            if before.completed or not failures:
                broken(f"task {task.id_!r} was started once more after it had completed")
            _check_due(moment, task, failures, attempt.opened)


def _check_due(moment: Moment, task: Task, failures: Sequence[Event], opened: Event) -> None:
    seed, last = moment.reading.seed, failures[-1]
    status = status_after(failures, subject_of(task), moment.summary, seed)
    if status != Due():
        broken(f"task {task.id_!r} was tried again after {failure_of(last).message!r}: {status}")
    delay, waited = delay_after(failures, subject_of(task), seed) or 0, opened.at - last.at
    if waited < timedelta(seconds=delay):
        broken(f"task {task.id_!r} was tried again {waited} after event {last.id}, and should wait {delay} s")


#: Invalid delays; one of them is tried at each decision point.
_NO_WAITS = (-0.5, -1, float("nan"), float("inf"), True, "1")
#: Maximum number of tasks: copying larger specs is slow.
_FEW = 30


@frozen
class _Odd(RetryStrategy):
    """A strategy that returns an invalid delay."""

    answer: Any

    def delay(self, retry: Retry) -> Any:  # noqa: ARG002 - the delay is fixed
        return self.answer


def nonsense_is_no_wait(moment: Moment) -> None:
    """A task whose strategy returns an invalid delay has failed: it is neither started nor waits."""
    if moment.cleaning is not None or len(moment.spec.activity_tasks) > _FEW:
        return
    answer = _NO_WAITS[len(moment.history) % len(_NO_WAITS)]
    for number, task in enumerate(moment.spec.activity_tasks):
        failures = moment.summary.failures.get(task.key, [])
        is_over = moment.summary.completed(task.key) or moment.summary.in_flight(task.key)
        if is_over or not failures or failure_of(failures[-1]).status is Status.REFUSED or is_own(task):
            continue
        other: Any = evolve(cast("Any", task), retry_strategy=_Odd(answer))
        tasks = (*moment.spec.activity_tasks[:number], other, *moment.spec.activity_tasks[number + 1 :])
        _check_fails(moment, evolve(moment.spec, activity_tasks=tasks), other, answer)
        return


def _check_fails(moment: Moment, spec: DeciderSpec, task: Task, answer: Any) -> None:
    for decision in decide(spec, moment.history, codec=moment.codec):
        kind, id_ = oracle.opens(decision) or (None, "")
        is_wait = kind is Kind.TIMER and id_.startswith(f"{RETRY_PREFIX}{task.id_}:")
        if is_wait or (kind, id_) == task.key:
            broken(f"the strategy of task {task.id_!r} returns {answer!r}, and {decision!r:.200} is decided")
