"""Invariants of order: a task is started at once when its join is met, never before."""

from __future__ import annotations

from floto.core.spec.rules.task_rules import TaskOutcome, rules_of
from floto.core.state.state import Kind
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.expected_status import Due
from floto.testing.reading.moment import Moment


def dependency_order(moment: Moment) -> None:
    """Each task is started only after its join is met, by default after all it requires has ended."""
    for id_ in moment.started:
        for graph in (moment.reading.main, moment.in_turn):
            if id_ in graph.tasks and not graph.is_ready(id_):
                missing = sorted({*graph.order.get(id_, graph.tasks[id_].requires)} - graph.settled)
                broken(f"task {id_!r} is started before {', '.join(map(repr, missing))}, which it requires")


def recorded_dependency_order(moment: Moment) -> None:
    """In the history, no task was started before its join was met."""
    summary = moment.summary
    graphs = (moment.reading.main, moment.reading.on_failure, moment.reading.on_cancel)
    ended = {id_: end for graph in graphs for id_, end in graph.ended.items()}
    over = {id_ for graph in graphs for id_ in graph.over}
    for id_, task in moment.known.items():
        attempts = summary.attempts.get(task.key)
        if not attempts or task.key[0] is Kind.SIGNAL or rules_of(task).join != "all":
            continue
        if id_ in graphs[0].tasks and not graphs[0].waits_for_all(id_):
            continue
        for needed in task.requires:
            if needed in over or (
                needed in ended and ended[needed].outcome in (TaskOutcome.CONTINUED, TaskOutcome.SKIPPED)
            ):
                continue
            ends = [
                each.end.id
                for each in summary.attempts.get(moment.known[needed].key, ())
                if each.completed and each.end
            ]
            if not ends or min(ends) > attempts[0].opened.id:
                broken(f"task {id_!r} was started before {needed!r}, which it requires, had completed")


def promptness(moment: Moment) -> None:
    """Every ready task is started at once, unless the run closes or a limit forbids it."""
    if not moment.is_open or moment.closing or moment.is_waiting or moment.is_full:
        return
    graph = moment.in_turn
    started = {key for key in map(oracle.opens, moment.decisions) if key is not None}
    for id_, due in graph.due.items():
        key = (Kind.TIMER, due.timer_id) if due.timer_id else graph.tasks[id_].key
        if key not in started and key[0] is not Kind.SIGNAL and not graph.exhausted:
            what = "it" if due == Due() else f"timer {due.timer_id!r}"
            broken(f"task {id_!r} is ready, and {what} is not started")
