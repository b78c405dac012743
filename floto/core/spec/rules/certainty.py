"""Certainty of tasks: whether each of them runs in every run, in some, or in none.

Conditions are independent of one another as far as a spec can say, and floto's joins are monotone: a
requirement that completes instead of failing, or fails instead of being skipped, never keeps a task from
running. So two cases decide: the one in which every open condition is true and every task completes, and the
opposite one. A join of one's own is asked about all outcomes of what it counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from graphlib import TopologicalSorter

from attrs import frozen

from floto.core.errors import SpecError
from floto.core.spec.rules.conditions import holds
from floto.core.spec.rules.expressions import node_types
from floto.core.spec.rules.joins import AtLeast, JoinVerdict, Tally, counts_results, is_monotone, verdict
from floto.core.spec.rules.sibling_limits import sibling_limits_of
from floto.core.spec.rules.task_rules import TaskOutcome, rules_of
from floto.core.spec.rules.wait_limits import wait_limit_of
from floto.core.spec.tasks import Task, expands

#: The types of nodes of an expression that refer to no data.
_CONSTANT = frozenset(
    {"and_expression", "comparator", "function_expression", "literal", "not_expression", "or_expression"}
)
#: Most tasks of a join of one's own whose outcomes are tried; with more, the task runs sometimes.
_MOST_TRIED = 40


class Certainty(StrEnum):
    """Certainty that a task runs."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    NEVER = "never"


@frozen
class Prospect:
    """Certainty that a task runs, and the reason why it never does."""

    certainty: Certainty
    reason: str = ""


def prospects(tasks: Sequence[Task]) -> dict[str, Prospect]:
    """Return the prospect of each task of a graph, by its id, in runs in which no task fails the run.

    Args:
        tasks: The tasks of a run or of a cleanup, without problems.
    """
    best, sometimes = _outcomes(tasks, is_best=True)
    _, always = _outcomes(tasks, is_best=False)
    known = {task.id_: task for task in tasks}
    found: dict[str, Prospect] = {}
    for task in tasks:
        if task.id_ not in sometimes:
            found[task.id_] = Prospect(Certainty.NEVER, _reason(task, known, best))
        else:
            found[task.id_] = Prospect(Certainty.ALWAYS if task.id_ in always else Certainty.SOMETIMES)
    return found


def _outcomes(tasks: Sequence[Task], *, is_best: bool) -> tuple[dict[str, TaskOutcome], set[str]]:
    """Return the outcome of each task in the best or in the worst case, and the tasks that start in it."""
    known = {task.id_: task for task in tasks}
    outcomes: dict[str, TaskOutcome] = {}
    started: set[str] = set()
    for id_ in TopologicalSorter({task.id_: task.requires for task in tasks}).static_order():
        task = known[id_]
        rules = rules_of(task)
        if not _starts(task, known, outcomes, is_best=is_best) or (
            rules.when is not None and not _may_hold(rules.when, is_best=is_best)
        ):
            outcomes[id_] = TaskOutcome.SKIPPED
            continue
        started.add(id_)
        limit = None if is_best else wait_limit_of(task)
        if limit is not None and limit.on_timeout == "skip":
            # It waits, and is skipped when its time is up.
            outcomes[id_] = TaskOutcome.SKIPPED
        elif rules.on_error == "continue" and not is_best:
            outcomes[id_] = TaskOutcome.CONTINUED
        else:
            outcomes[id_] = TaskOutcome.COMPLETED
    return outcomes, started


def _starts(
    task: Task, known: Mapping[str, Task], outcomes: Mapping[str, TaskOutcome], *, is_best: bool
) -> bool:
    join, required = rules_of(task).join, set(task.requires)
    if is_monotone(join):
        return verdict(join, _tally(task, known, outcomes, is_best=is_best)) is JoinVerdict.START
    if len(required) > _MOST_TRIED or any(expands(known[id_]) for id_ in required):
        return is_best
    found = (verdict(join, each) is JoinVerdict.START for each in _tallies(len(required)))
    return any(found) if is_best else all(found)


def _tallies(count: int) -> Iterator[Tally]:
    """Yield every tally of so many tasks none of which has failed the run."""
    for completed in range(count + 1):
        for continued in range(count - completed + 1):
            yield Tally(completed, continued, skipped=count - completed - continued)


def _tally(
    task: Task, known: Mapping[str, Task], outcomes: Mapping[str, TaskOutcome], *, is_best: bool
) -> Tally:
    required = dict.fromkeys(task.requires)
    found = Counter(outcomes[id_] for id_ in required)
    completed, join = found[TaskOutcome.COMPLETED], rules_of(task).join
    if counts_results(join):
        # The tasks that a generator returns count: as many as are needed, or none; with min_successful, so
        # many, as the run fails with fewer, and joins do not wait for more.
        generators = [
            id_ for id_ in required if expands(known[id_]) and outcomes[id_] is TaskOutcome.COMPLETED
        ]
        needed = join.count if isinstance(join, AtLeast) else 1
        certain = [_least(known[id_]) for id_ in generators]
        is_open = is_best and None in certain
        completed = needed if is_open else completed - len(generators) + sum(filter(None, certain))
    return Tally(completed, found[TaskOutcome.CONTINUED], 0, found[TaskOutcome.SKIPPED])


def _least(generator: Task) -> int | None:
    """Return the number of the tasks of a generator that complete; None if it is not known."""
    limits = sibling_limits_of(generator)
    return None if limits is None else limits.min_successful


def _may_hold(when: str, *, is_best: bool) -> bool:
    try:
        return holds(when, {}) if node_types(when) <= _CONSTANT else is_best
    except SpecError:
        # It fails on any data.
        return False


def _reason(task: Task, known: Mapping[str, Task], best: Mapping[str, TaskOutcome]) -> str:
    rules = rules_of(task)
    if rules.when is not None and not _may_hold(rules.when, is_best=True):
        return f"its condition {rules.when} is always false or fails"
    required = dict.fromkeys(task.requires)
    limited = [id_ for id_ in required if expands(known[id_]) and _least(known[id_]) is not None]
    if limited and counts_results(rules.join):
        count = _tally(task, known, best, is_best=True).completed
        return (
            f"its join is never met: {rules.join}, but the run goes on when {count} tasks have completed "
            f"(min_successful of {', '.join(limited)})"
        )
    running = sum(best[id_] is not TaskOutcome.SKIPPED for id_ in required)
    return f"its join is never met: {rules.join} of {len(required)} tasks, of which {running} can run"
