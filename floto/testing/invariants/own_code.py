"""Invariants of user-defined strategies, joins and task kinds: floto can only be as sound as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from sys import intern
from typing import Any, cast

from attrs import evolve, frozen

from floto.core.errors import PayloadError, SpecError
from floto.core.spec.retry import Retry, RetryStrategy
from floto.core.spec.rules.joins import Join, JoinVerdict, Tally
from floto.core.spec.rules.task_rules import rules_of
from floto.core.spec.tasks import Expands, Task, expands
from floto.core.state.failures import Failure, failure_of
from floto.core.state.state import Kind, Status
from floto.core.swf.field_validation import problems
from floto.core.swf.identifiers import shown
from floto.testing.invariants.differences import apart
from floto.testing.invariants.purity import call_and_watch
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.identity_cache import cached_by_identity
from floto.testing.reading.moment import Moment

#: Attempts that fit into the 25,000 events of a history, at six events each.
ATTEMPTS = 4_200
#: Numbers of failures for which a strategy is called.
_NUMBERS = (1, 2, 3, 5, 10, 100, ATTEMPTS)
_REASONS = ("Failure", "")
#: Maximum number of required tasks for which all tallies are tried.
_TALLIED = 4
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def is_own(value: object) -> bool:
    """Return True if a task or a strategy is of a user-defined class."""
    return value is not None and not type(value).__module__.startswith("floto.core.")


def strategies_answer_seconds(moment: Moment) -> None:
    """Each retry strategy returns seconds or None, the same for the same argument, and reads no clock."""
    for id_, strategy in _strategies(moment):
        problem = _problem(strategy) if is_own(strategy) else None
        if problem:
            broken(f"task {id_!r}: its retry strategy {shown(strategy)} {problem}")


def strategies_give_up(moment: Moment) -> None:
    """Each retry strategy gives up before the history is full."""
    for id_, strategy in _strategies(moment):
        for reason in sorted({*_REASONS, *_reasons(moment, id_)}):
            if not _gives_up(strategy, intern(reason)):
                broken(
                    f"task {id_!r}: its retry strategy {shown(strategy)} has not given up after {ATTEMPTS:,} "
                    f"failures{f' of {reason!r}' if reason else ''}, and SWF ends the run by force at 25,000 "
                    "events: return None in the end"
                )


def _strategies(moment: Moment) -> Iterator[tuple[str, RetryStrategy]]:
    for id_, task in moment.known.items():
        if task.retry_strategy is not None:
            yield id_, task.retry_strategy


def retry(number: int, reason: str = "Failure", seed: str = "seed") -> Retry:
    """Return the argument of a strategy after that many failures."""
    failure = Failure(status=Status.FAILED, at=_AT, event_id=7, reason=reason, details="")
    return Retry(task_id="task", seed=seed, failures=(failure,) * number)


@cached_by_identity
def _problem(strategy: RetryStrategy) -> str | None:
    for asked in (retry(number, reason) for number in _NUMBERS for reason in _REASONS):
        try:
            (first, looked), second = call_and_watch(lambda: strategy.delay(asked)), strategy.delay(asked)  # noqa: B023
        except Exception as error:  # noqa: BLE001 - any error of a strategy is its fault
            return f"raised {type(error).__name__}: {error}; it must return seconds, or None to give up"
        if looked is not None:
            return f"reads {looked}: compute the delay from the Retry alone, or replays differ"
        if first != second and not (first != first and second != second):  # noqa: PLR0124 - NaN
            return f"returned {shown(first)} and then {shown(second)} for the same argument: it must be pure"
        if first is not None and not _is_wait(first):
            return (
                f"returned {shown(first)} after {asked.number} failures; expected 0 or more seconds, or None"
            )
    return None


def _is_wait(answer: Any) -> bool:
    return type(answer) in (int, float) and 0 <= answer < math.inf


def _reasons(moment: Moment, id_: str) -> Iterator[str]:
    """Yield the reasons for which a task has failed; refusals do not count."""
    for event in moment.summary.failures.get(moment.known[id_].key, ()):
        failure = failure_of(event)
        if failure.status is not Status.REFUSED:
            yield failure.reason


@cached_by_identity
def _gives_up(strategy: RetryStrategy, reason: str) -> bool:
    return strategy.delay(retry(ATTEMPTS, reason)) is None


def joins_are_functions(moment: Moment) -> None:
    """Each join returns the same for the same tally, and uses the tally alone."""
    for id_, task in moment.known.items():
        join = rules_of(task).join
        if not isinstance(join, str) and is_own(join):
            problem = _join_problem(join, min(len(task.requires), _TALLIED))
            if problem:
                broken(f"task {id_!r}: its join {shown(join)} {problem}")


@cached_by_identity
def _join_problem(join: Join, required: int) -> str | None:
    """Return how the verdicts on as many required tasks show that a join is not a function of its tally."""
    for tally in _tallies(required):
        first, looked = call_and_watch(lambda: _verdict(join, tally))  # noqa: B023
        if looked is not None:
            return f"reads {looked}: use the tally alone, or replays differ"
        second = _verdict(join, tally)
        if first is not None and type(first) not in (int, JoinVerdict, _Raised):
            return f"returned {shown(first)}; it must return a JoinVerdict, a number or None"
        if first != second:
            return f"returned {first} and then {second} for the same tally: it must be pure"
    return None


def _tallies(required: int) -> Iterator[Tally]:
    for completed, continued, failed, skipped in product(range(required + 1), repeat=4):
        left = required - completed - continued - failed - skipped
        if left >= 0:
            yield Tally(completed, continued, failed, skipped, left)


def _verdict(join: Join, tally: Tally) -> Any:
    try:
        return join.verdict(tally)
    except Exception as error:  # noqa: BLE001 - it may rely on tallies that occur; deciding shows others
        return _Raised(str(error))


def kinds_are_functions(moment: Moment) -> None:
    """Each task returns the same for the same argument: its key, its start decision and its result."""
    for id_, task in moment.known.items():
        if is_own(task):
            for what, ask in _calls(moment, id_, task):
                _check_pure(id_, task, what, ask)


def _calls(moment: Moment, id_: str, task: Task) -> Iterator[tuple[str, Callable[[Task], Any]]]:
    yield "key", lambda task: task.key
    if moment.summary.completed(task.key):
        item = moment.summary.item(task.key)
        yield "result", lambda task: task.result(item)
        if expands(task):
            yield "generated", lambda task: tuple(cast("Expands", task).generated(item, moment.codec))
    graph = moment.in_turn
    if moment.is_open and id_ in graph.due and not graph.due[id_].timer_id:
        yield "start", lambda task: task.start(moment.given_to(id_))


def _check_pure(id_: str, task: Task, what: str, ask: Callable[[Task], Any]) -> None:
    copy: Any = evolve(cast("Any", task))
    first, looked = call_and_watch(lambda: _result_of(ask, task))
    if looked is not None:
        broken(
            f"task {id_!r}: {what} of {oracle.name(task)} reads {looked}; use its fields and arguments alone"
        )
    for again in (_result_of(ask, task), _result_of(ask, copy)):
        if again != first:
            one, other = apart(first, again)
            broken(
                f"task {id_!r}: {what} of {oracle.name(task)} returned {one} and then {other} for the same "
                "argument: use the task's fields and arguments alone"
            )


@frozen
class _Raised:
    message: str


def _result_of(ask: Callable[[Task], Any], task: Task) -> Any:
    """Return the result of a method of a task, or the error that it raised."""
    try:
        return ask(task)
    except (PayloadError, SpecError) as error:
        return _Raised(str(error))


def kinds_start_what_they_wait_for(moment: Moment) -> None:
    """Each task starts the very item that it then waits for, with a decision that SWF accepts."""
    graph = moment.in_turn
    for id_, due in graph.due.items() if moment.is_open else ():
        task = graph.tasks[id_]
        if due.timer_id or not is_own(task):
            continue
        decision = _result_of(lambda task: task.start(moment.given_to(id_)), task)  # noqa: B023
        if isinstance(decision, _Raised):
            continue
        if decision is None:
            if task.key[0] is not Kind.SIGNAL:
                broken(
                    f"task {id_!r}: start of {oracle.name(task)} decides nothing, so its {task.key[0]} "
                    f"{task.key[1]!r} never begins: return the decision that starts it"
                )
        elif oracle.opens(decision) != task.key:
            broken(
                f"task {id_!r}: start of {oracle.name(task)} returns {_named(decision)}, but its key is "
                f"{_key(task.key)}, so floto would never see that it has started; let both name the same"
            )
        else:
            for problem in problems(decision):
                broken(f"task {id_!r}: SWF refuses its {oracle.name(decision)}: {problem}")


def _named(decision: Any) -> str:
    opened = oracle.opens(decision)
    return f"a {oracle.name(decision)}" + ("" if opened is None else f" of {_key(opened)}")


def _key(key: tuple[Kind, str]) -> str:
    return f"{key[0]} {key[1]!r}"
