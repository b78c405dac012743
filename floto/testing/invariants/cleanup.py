"""Invariants of cancellation and failure: no new work, open work is canceled, then the cleanup runs."""

from __future__ import annotations

from floto.core.payloads import payload
from floto.core.state.state import Kind
from floto.core.swf.decisions import (
    FailWorkflowExecution,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    StartTimer,
)
from floto.testing.invariants.closes import repeats_a_failed_run
from floto.testing.invariants.violation import broken
from floto.testing.reading import oracle
from floto.testing.reading.moment import Moment

#: The reason for the tasks of each field to run.
_CAUSES = {"on_failure": "failure", "on_cancel": "cancel request"}
_AWAITED = (Kind.ACTIVITY, Kind.CHILD, Kind.LAMBDA)


def cancel_and_failure_stop_new_work(moment: Moment) -> None:
    """After a cancel request or a failure nothing but cleanup is started."""
    graph = moment.in_turn
    is_failing = bool(moment.reading.main.exhausted) and moment.cleaning is None
    for id_ in _worked_on(moment):
        if is_failing:
            broken(f"task {id_!r} is started although the run has failed")
        if id_ not in graph.tasks:
            broken(f"task {id_!r} is started, which is not a task of {moment.cleaning or 'activity_tasks'}")


def _worked_on(moment: Moment) -> list[str]:
    """Return the tasks that are started, or whose retry timers are."""
    found = list(moment.started)
    for decision in moment.decisions:
        if isinstance(decision, StartTimer) and decision.timer_id.startswith(oracle.RETRY):
            id_ = decision.timer_id.removeprefix(oracle.RETRY).rpartition(":")[0]
            found += [id_] if id_ in moment.known else []
    return found


def open_work_is_asked_to_stop_once(moment: Moment) -> None:
    """Each open activity is canceled once when a run stops, at the first decision that finds out."""
    asked = [each.activity_id for each in moment.decisions if isinstance(each, RequestCancelActivityTask)]
    own = {task.key for task in moment.in_turn.tasks.values()}
    expected = [
        attempt.key[1]
        for attempt in moment.summary.under_way()
        if attempt.key[0] is Kind.ACTIVITY and attempt.cancel_requested is None and attempt.key not in own
    ]
    if moment.cleaning is None:
        expected = []
    more = oracle.MORE in {getattr(each, "timer_id", None) for each in moment.decisions}
    if asked != expected and moment.is_open and not more and not _has_asked_for_more(moment):
        broken(f"cancel requested for activities {asked}, expected {expected}")


def _has_asked_for_more(moment: Moment) -> bool:
    return moment.summary.in_flight((Kind.TIMER, oracle.MORE))


def children_are_not_left_behind(moment: Moment) -> None:
    """Each run that fails has canceled its open children; one that continues cancels none."""
    asked_now = {
        each.workflow_id
        for each in moment.decisions
        if isinstance(each, RequestCancelExternalWorkflowExecution)
    }
    summary = moment.summary
    children = {
        attempt.opened.data.workflow_id: attempt
        for attempt in summary.under_way()
        if attempt.key[0] is Kind.CHILD
    }
    for workflow_id in sorted(asked_now - set(children)):
        if not _sent_by_a_task(workflow_id, moment):
            broken(f"cancel requested for {workflow_id!r}, which is not a running child")
    if any(isinstance(close, FailWorkflowExecution) for close in moment.closing):
        for workflow_id, attempt in children.items():
            if workflow_id not in asked_now and not any(summary.cancel_requests(attempt)):
                broken(f"the run fails and leaves child {attempt.key[1]!r} running")


def _sent_by_a_task(workflow_id: str, moment: Moment) -> bool:
    return any(task.key == (Kind.EXTERNAL_CANCEL, workflow_id) for task in moment.known.values())


def clean_up_begins_when_all_else_has_ended(moment: Moment) -> None:
    """No cleanup task is started beside the run's own work, and none of that afterwards."""
    own = {*moment.reading.on_failure.tasks, *moment.reading.on_cancel.tasks}
    summary, started = moment.summary, set(moment.started)
    if started & own:
        keys = {moment.known[id_].key for id_ in own}
        for attempt in summary.under_way():
            if attempt.key[0] in _AWAITED and attempt.key not in keys:
                broken(f"task {min(started & own)!r} cleans up while {attempt.key[1]!r} still runs")
    has_begun = any(
        summary.was_attempted(moment.known[id_].key)
        for id_ in own
        if moment.known[id_].key[0] is not Kind.SIGNAL
    )
    if (started & own or has_begun) and not started <= own:
        broken(f"task {min(started - own)!r} is started although the cleanup has begun")


def only_what_is_called_for_is_cleaned_up(moment: Moment) -> None:
    """Tasks of on_failure start only after a failure, those of on_cancel only after a cancel request."""
    called_for = {task.id_ for task in getattr(moment.spec, moment.cleaning or "", ())}
    for part in ("on_failure", "on_cancel"):
        for task in getattr(moment.spec, part):
            if task.id_ in moment.started and task.id_ not in called_for:
                broken(f"task {task.id_!r} of {part} is started without a {_CAUSES[part]}")


def clean_up_is_finished(moment: Moment) -> None:
    """Each cleanup ends when each of its tasks has completed, or it or one that it requires has failed."""
    if not moment.closing or moment.cleaning is None:
        return
    graph = moment.in_turn
    if graph.due and set(graph.due) - set(moment.expected.faults) and not _has_no_input(moment):
        broken(f"the run ends before task {min(graph.due)!r} has cleaned up")
    for id_, task in graph.tasks.items():
        if moment.summary.in_flight(task.key):
            broken(f"the run ends while task {id_!r} cleans up")


def _has_no_input(moment: Moment) -> bool:
    """Return True if the input is unreadable: no task can have run, so there is nothing to clean up."""
    try:
        return moment.given is None
    except Exception:  # noqa: BLE001 - any error means that the input is unreadable
        return True


def failures_are_those_of_the_beginning(moment: Moment) -> None:
    """Each run fails for the failures that it recorded and for failed cleanup, not for canceled work."""
    noted = moment.noted
    for close in moment.closing:
        if noted is None or repeats_a_failed_run(moment, close):
            continue
        if not isinstance(close, FailWorkflowExecution):
            broken("the run was failing, and closes with another decision")
        failures = payload.loads(close.details)
        # A workflow that always repeats tells why it could not.
        cleaning = {*moment.reading.on_failure.tasks, "repeat_workflow"}
        said = {id_: failures[id_] for id_ in failures.keys() - cleaning | failures.keys() & noted.keys()}
        if said != noted and "..." not in failures:
            broken(f"the run failed because of {sorted(noted)}, and says that it was {sorted(said)}")
