"""Joins and conditions of tasks: a second, naive reading, which tries every event in turn."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jmespath
from attrs import frozen

from floto.core.spec.rules.conditions import holds
from floto.core.spec.rules.joins import AtLeast, Join, JoinOption, JoinVerdict, Tally
from floto.core.spec.rules.task_rules import TaskOutcome


@frozen
class Ended:
    """The end of a task: its outcome, and the id of the event by which it is certain."""

    outcome: TaskOutcome
    at: int
    #: Message of a task that failed.
    message: str = ""


@frozen
class Met:
    """The id of the event by which it is certain whether a task may run, and the results that were there."""

    at: int
    may_run: bool
    results: tuple[str, ...]


def met(  # noqa: PLR0913 - all that a join depends on
    required: Sequence[str],
    join: JoinOption,
    ended: Mapping[str, Ended],
    generators: Collection[str],
    since: int,
    *,
    spare: Mapping[str, int],
) -> Met | None:
    """Return what became of the join of a task; None while it waits.

    Args:
        required: The tasks that it requires.
        join: Its join.
        ended: The tasks that have ended.
        generators: The tasks that return tasks, which join the spec.
        since: Id of the event by which the task joined the spec; 0 for the first.
        spare: Ids of the events from which on it need not wait for some of the tasks, by their ids.
    """
    required = list(dict.fromkeys(required))
    moments = {since, *(ended[id_].at for id_ in required if id_ in ended), *spare.values()}
    if join in ("all", "finished") and not spare:
        # They wait for the last one.
        moments = {max(moments)}
    for at in sorted(each for each in moments if each >= since):
        by_then = {id_: ended[id_].outcome for id_ in required if id_ in ended and ended[id_].at <= at}
        counted = [id_ for id_ in required if id_ in by_then or spare.get(id_, at + 1) > at]
        may_run = _may_run(join, by_then, counted, generators)
        if may_run is not None:
            results = (id_ for id_ in required if by_then.get(id_) is TaskOutcome.COMPLETED)
            return Met(at, may_run, tuple(results))
    return None


def _may_run(
    join: Any, outcomes: Mapping[str, TaskOutcome], required: list[str], generators: Collection[str]
) -> bool | None:
    waiting = set(required) - set(outcomes)
    if join == "finished":
        return None if waiting else True
    if join == "all":
        if waiting or TaskOutcome.FAILED in outcomes.values():
            return None
        return not outcomes or set(outcomes.values()) != {TaskOutcome.SKIPPED}
    good = [id_ for id_, each in outcomes.items() if each is TaskOutcome.COMPLETED and id_ not in generators]
    grows = bool(waiting.intersection(generators))
    if not isinstance(join, str | AtLeast):
        return _own(join, outcomes, len(good), len(waiting), grows=grows)
    number = join.count if isinstance(join, AtLeast) else 1
    if len(good) >= number:
        return True
    return None if grows or len(good) + len(waiting) >= number else False


def _own(
    join: Join, outcomes: Mapping[str, TaskOutcome], good: int, waiting: int, *, grows: bool
) -> bool | None:
    counts = Counter(outcomes.values())
    tally = Tally(
        completed=good,
        continued=counts[TaskOutcome.CONTINUED],
        failed=counts[TaskOutcome.FAILED],
        skipped=counts[TaskOutcome.SKIPPED],
        open=waiting,
        grows=grows,
    )
    found = join.verdict(tally)
    if isinstance(found, JoinVerdict):
        return found is JoinVerdict.START
    return None if waiting else False


def is_true(expression: str, seen: Mapping[str, Any]) -> bool:
    """Return True if a condition holds. Raises ``SpecError``, as floto does, if it fails on the data."""
    data = json.loads(json.dumps(seen))
    try:
        found = jmespath.compile(expression).search(data)
    except Exception:  # noqa: BLE001 - floto says what is wrong
        return holds(expression, seen)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return is_number or bool(found)
