"""Invariants of the close of a run: once, last, and as its tasks have ended."""

from __future__ import annotations

from floto.core.payloads import payload
from floto.core.spec.rules.task_rules import TaskOutcome, rules_of
from floto.core.spec.rules.wait_limits import wait_limit_of
from floto.core.spec.tasks import NO_RESULT
from floto.core.state.state import Kind
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
)
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.moment import Moment


def one_close_last(moment: Moment) -> None:
    """At most one decision closes the run; it is the last, and no work is started beside it."""
    closes = moment.closing
    if len(closes) > 1:
        broken(f"the run is closed {len(closes)} times at once")
    if closes and moment.decisions[-1] is not closes[0]:
        broken(f"{oracle.name(closes[0])} is not the last decision")
    if closes and any(map(oracle.is_work, moment.decisions)):
        broken(f"work is started beside {oracle.name(closes[0])}")


def the_right_close(moment: Moment) -> None:
    """Each run completes when all its tasks have, fails for what failed, and is canceled on request."""
    for close in moment.closing:
        if repeats_a_failed_run(moment, close):
            continue
        if isinstance(close, CompleteWorkflowExecution | ContinueAsNewWorkflowExecution):
            _check_complete(moment, close)
        elif isinstance(close, FailWorkflowExecution):
            _check_failed(moment, close)
        elif isinstance(close, CancelWorkflowExecution) and moment.summary.cancel_requested is None:
            broken("the run is canceled without a cancel request")


def repeats_a_failed_run(moment: Moment, close: Decision) -> bool:
    """Return True for a run that failed, whose spec always repeats, and whose failures are recorded."""
    noted = [each.marker_name for each in moment.decisions if isinstance(each, RecordMarker)]
    is_noted = oracle.FAILURES in (*moment.summary.markers, *noted)
    is_always = moment.spec.repeat_workflow == "always"
    return is_noted and is_always and isinstance(close, ContinueAsNewWorkflowExecution)


def _check_complete(moment: Moment, close: Decision) -> None:
    graph = moment.reading.main
    undone = sorted(set(graph.tasks) - graph.settled)
    if undone:
        broken(f"the run completes, and task {undone[0]!r} has not")
    if moment.cleaning is not None:
        broken("the run completes, although it was failing or canceled")
    if isinstance(close, ContinueAsNewWorkflowExecution) is not bool(moment.spec.repeat_workflow):
        broken(
            f"the run ends with {oracle.name(close)}, and repeat_workflow is {moment.spec.repeat_workflow}"
        )
    if isinstance(close, CompleteWorkflowExecution):
        results = {id_: moment.reading.result(graph, id_) for id_ in graph.with_results}
        expected = {id_: result for id_, result in results.items() if result is not NO_RESULT}
        if payload.loads(close.result) != expected:
            broken("the run completes with other results than those of the tasks that nothing depends on")


def _check_failed(moment: Moment, close: FailWorkflowExecution) -> None:
    failed = payload.loads(close.details)
    if not isinstance(failed, dict) or not failed:
        broken("the run fails, and does not say which task did")
    for id_ in failed:
        task = moment.known.get(id_)
        if task is None or id_ in moment.reading.expanded.broken:
            continue
        has_failed = id_ in {**moment.reading.main.exhausted, **moment.in_turn.exhausted}
        group = moment.reading.main.group_of(id_)
        is_decided = rules_of(task).when is not None or wait_limit_of(task) is not None
        if has_failed and (is_decided or (group is not None and group.tolerates)):
            # Its condition failed on the data, its signal came too late, or too few siblings can complete.
            continue
        if moment.summary.completed(task.key) or moment.summary.in_flight(task.key):
            broken(f"the run fails because of task {id_!r}, which has not failed")


def failures_are_not_swallowed(moment: Moment) -> None:
    """No run completes while a task that failed or was refused has not completed since, or may fail."""
    done = (CompleteWorkflowExecution, ContinueAsNewWorkflowExecution)
    closing = [each for each in moment.closing if not repeats_a_failed_run(moment, each)]
    if not any(isinstance(close, done) for close in closing):
        return
    summary = moment.summary
    graph = moment.reading.main
    for id_, task in graph.tasks.items():
        ended = graph.ended.get(id_)
        if ended is not None and ended.outcome in (TaskOutcome.CONTINUED, TaskOutcome.SKIPPED):
            continue
        if summary.failures.get(task.key) and not summary.completed(task.key):
            broken(f"the run completes, and task {id_!r} failed")


def no_stuck_run(moment: Moment) -> None:
    """Each open run with nothing in flight gets work or is closed."""
    summary = moment.summary
    if moment.decisions or not moment.is_open or summary.under_way():
        return
    graph = moment.in_turn
    awaited = [id_ for id_ in graph.due if graph.tasks[id_].key[0] is Kind.SIGNAL]
    if not awaited:
        waiting = sorted(set(graph.tasks) - graph.settled)
        broken(f"the run is stuck: nothing is in flight and nothing is decided; {waiting} wait for ever")
