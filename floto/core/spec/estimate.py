"""Estimates of the events of a run, to compare with SWF's limit of 25,000."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from graphlib import TopologicalSorter

from attrs import frozen

from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.graph import Plan
from floto.core.spec.rules.certainty import Certainty, prospects
from floto.core.spec.rules.joins import counts_results
from floto.core.spec.rules.task_rules import rules_of
from floto.core.spec.rules.wait_limits import wait_limit_of
from floto.core.spec.tasks import Task
from floto.core.state.state import Kind

_DECISION = 3
# WorkflowExecutionStarted, the first decision task and the closing event.
_RUN = 1 + _DECISION + 1
# The first events of a cleanup: a marker, or a cancel request and the decision task that it causes.
_MARKER = 1
_CANCEL = 1 + _DECISION
# The events of one attempt that completes.
_OWN = {
    Kind.ACTIVITY: 3,
    Kind.TIMER: 2,
    Kind.CHILD: 3,
    Kind.LAMBDA: 3,
    Kind.EXTERNAL_SIGNAL: 2,
    Kind.EXTERNAL_CANCEL: 2,
    Kind.SIGNAL: 1,
}
# The decision tasks that one attempt causes, if each has a response of its own.
_WAKES = {Kind.CHILD: 2}


@frozen
class Estimate:
    """The expected number of events of a run: no completed run has fewer than ``least``.

    ``most`` assumes a decision task for each completion, all retries, and the larger cleanup. ``path`` are
    the task ids that lead to a child's spec, empty for the spec itself.
    """

    least: int
    most: int
    path: tuple[str, ...] = ()


def estimates(spec: DeciderSpec) -> Iterable[Estimate]:
    """Yield the estimates of a spec and of the specs of all descendants, each a run of its own."""
    specs: list[tuple[tuple[str, ...], DeciderSpec]] = [((), spec)]
    while specs:
        path, each = specs.pop()
        yield Estimate(*expected_events(each), path)
        for task in reversed(each.all_tasks):
            inner = getattr(task, "spec", None)
            if isinstance(inner, DeciderSpec):
                specs.append(((*path, task.id_), inner))


def expected_events(spec: DeciderSpec) -> tuple[int, int]:
    """Return the least and the most events of a run, without the tasks that generators will return."""
    # One decision task can serve many completions, but not two of which one requires the other.
    certain = prospects(spec.activity_tasks) if spec.plan.rules else {}
    skipped = {id_ for id_, each in certain.items() if each.certainty is not Certainty.ALWAYS}
    least = sum(_own(task) for task in spec.activity_tasks if task.id_ not in skipped)
    least += _DECISION * _longest_chain(spec.plan, skipped)
    most = sum(map(_attempts, spec.activity_tasks))
    undos = sum(map(_attempts, spec.plan.undos.values()))
    after_failure = undos + sum(map(_attempts, spec.on_failure))
    after_cancel = undos + sum(map(_attempts, spec.on_cancel))
    after_failure += _MARKER if after_failure else 0
    after_cancel += _CANCEL if after_cancel else 0
    return _RUN + least, _RUN + most + max(after_failure, after_cancel)


def _longest_chain(plan: Plan, skipped: Collection[str]) -> int:
    """Return the length of the longest chain of tasks that run one after the other in every run.

    Signals do not count, as they may arrive early.
    """
    steps: dict[int, int] = {}
    for position in TopologicalSorter(dict(enumerate(plan.requires))).static_order():
        task = plan.tasks[position]
        awaits_all = not counts_results(rules_of(task).join)
        before = max((steps[other] for other in plan.requires[position] if awaits_all), default=0)
        steps[position] = before + (task.key[0] is not Kind.SIGNAL and task.id_ not in skipped)
    return max(steps.values(), default=0)


def _own(task: Task) -> int:
    return _OWN.get(task.key[0], 1)


def _attempt(kind: Kind) -> int:
    return _OWN.get(kind, 1) + _DECISION * _WAKES.get(kind, 1)


def _attempts(task: Task) -> int:
    attempt = _attempt(task.key[0])
    attempt += _attempt(Kind.TIMER) if wait_limit_of(task) else 0
    return attempt + _retries(task) * (attempt + _attempt(Kind.TIMER))


def _retries(task: Task) -> int:
    # A custom strategy need not have ``retries``.
    retries = getattr(task.retry_strategy, "retries", 0)
    return max(retries, 0) if isinstance(retries, int) else 0
