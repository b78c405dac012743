"""The decisions that end a run, and those of its cleanup before: a second reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.spec.tasks import NO_RESULT
from floto.core.state.failures import failure_of
from floto.core.state.state import Kind, Status
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    StartTimer,
)
from floto.testing.reading import carried, waits
from floto.testing.reading.expected_starts import expected_starts
from floto.testing.reading.expected_status import (
    Due,
    ExpectedGraph,
    Idle,
    RetriesExhausted,
    RetrySubject,
    status_after,
)
from floto.testing.reading.failure_texts import cut, given_failures, one_line, written
from floto.testing.reading.oracle import FAILURES, RESULT, HistorySummary, RecordedAttempt

if TYPE_CHECKING:
    from floto.testing.reading.expected_decisions import Reading

_REASON = 256
#: Kinds of work that must close before a run fails or is canceled.
_AWAITED = (Kind.ACTIVITY, Kind.CHILD, Kind.LAMBDA)


@frozen
class Expected:
    """The decisions that must be made."""

    decisions: tuple[Decision, ...] = ()
    #: Faults of the spec by task id: no attempt failed, and yet the run cannot continue.
    faults: Mapping[str, str] = field(factory=dict)


def complete(reading: Reading) -> Expected:
    """Return the decisions of a run whose tasks are all done."""
    try:
        results = {id_: reading.result(reading.main, id_) for id_ in reading.main.with_results}
        said = {id_: result for id_, result in results.items() if result is not NO_RESULT}
        text = payload.dumps_plain(said, "the result of the workflow")
    except (PayloadError, SpecError) as error:
        failures = {"result": one_line(error)}
        return fail(reading, failures, "the result cannot be recorded", faults=failures)
    if not reading.spec.repeat_workflow:
        return Expected((CompleteWorkflowExecution(result=text),))
    return _repeat(reading, text)


def _repeat(reading: Reading, text: str) -> Expected:
    summary = reading.summary
    marker = summary.markers.get(RESULT)
    is_noted = marker is not None and marker.data.details == text
    noted = () if is_noted else (RecordMarker(marker_name=RESULT, details=text),)
    subject = RetrySubject((Kind.CONTINUE_AS_NEW, ""), "floto.repeat")
    refused = summary.failures.get(subject.key)
    status = status_after(refused, subject, summary, reading.seed) if refused else Due()
    if isinstance(status, RetriesExhausted):
        failed = fail(reading, {"repeat_workflow": status.message}, "the workflow cannot be repeated")
        return Expected((*noted, *failed.decisions))
    if isinstance(status, Idle):
        return Expected()
    if status.timer_id:
        return Expected((StartTimer(timer_id=status.timer_id, start_to_fire_timeout=str(status.seconds)),))
    try:
        given = carried.next_input(summary.start, carried.left_over(summary.signals, _awaited(reading)))
    except PayloadError as error:
        failures = {"repeat_workflow": one_line(error)}
        failed = fail(reading, failures, "the workflow cannot be repeated", faults=failures)
        return Expected((*noted, *failed.decisions), failed.faults)
    return Expected((*noted, _as_new(summary, given)))


def _awaited(reading: Reading) -> set[str]:
    """Return the names of the signals that tasks of the run waited for."""
    return {task.key[1] for task in reading.main.tasks.values() if task.key[0] is Kind.SIGNAL}


def _as_new(summary: HistorySummary, given: str | None) -> ContinueAsNewWorkflowExecution:
    start = summary.start
    passed_on = (
        "execution_start_to_close_timeout",
        "task_list",
        "task_priority",
        "task_start_to_close_timeout",
        "child_policy",
        "tag_list",
        "lambda_role",
    )
    return ContinueAsNewWorkflowExecution(
        input=given,
        workflow_type_version=start.workflow_type.version,
        **{name: getattr(start, name) for name in passed_on},
    )


def cancel(reading: Reading) -> Expected:
    """Return the decisions of a run whose cancellation was requested."""
    found, failures, faults = _clean_up(reading, reading.after_cancel, {})
    if failures is None:
        return Expected(tuple(found), faults)
    return Expected((CancelWorkflowExecution(details=written(failures) if failures else None),), faults)


def fail(
    reading: Reading,
    failures: Mapping[str, str],
    reason: str | None = None,
    faults: Mapping[str, str] | None = None,
) -> Expected:
    """Return the decisions of a run that fails: its cleanup, and then its end."""
    faults = dict(faults or {})
    if not (reading.spec.on_failure or reading.undos or reading.spec.repeat_workflow == "always"):
        children = [each for each in reading.summary.under_way() if each.key[0] is Kind.CHILD]
        found: list[Decision] = [
            each for child in children for each in _cancel_requests(child, reading.summary)
        ]
        # A child that has not started cannot be canceled, and would outlive the run.
        if all(child.started is not None for child in children):
            found.append(failed(reason or _reason(failures), failures))
        return Expected(tuple(found), faults)
    first: tuple[Decision, ...] = ()
    if reading.noted is None:
        # Truncate now, so that this decision and later ones, which read the marker, see the same.
        text = written(failures)
        first, failures = (RecordMarker(marker_name=FAILURES, details=text),), payload.loads(text)
    begun = partial(reading.after_failure, failures)
    found, own, more = _clean_up(reading, begun, given_failures(failures))
    faults |= more
    if own is None:
        return Expected((*first, *found), faults)
    return Expected((*first, *_after_cleanup(reading, {**failures, **own})), faults)


def _after_cleanup(reading: Reading, failures: Mapping[str, str]) -> tuple[Decision, ...]:
    summary, is_over = reading.summary, (failed(_reason(failures), failures),)
    if reading.spec.repeat_workflow != "always" or summary.cancel_requested is not None:
        return is_over
    subject = RetrySubject((Kind.CONTINUE_AS_NEW, ""), "floto.repeat")
    refused = summary.failures.get(subject.key)
    status = status_after(refused, subject, summary, reading.seed) if refused else Due()
    if isinstance(status, Idle):
        return ()
    if isinstance(status, Due) and status.timer_id:
        return (StartTimer(timer_id=status.timer_id, start_to_fire_timeout=str(status.seconds)),)
    try:
        if isinstance(status, Due):
            given = carried.next_input(summary.start, carried.left_over(summary.signals, _awaited(reading)))
            return (_as_new(summary, given),)
        told = {**failures, "repeat_workflow": status.message}
    except PayloadError as error:
        told = {**failures, "repeat_workflow": one_line(error)}
    return (failed(_reason(told), told),)


def _clean_up(
    reading: Reading, graph_of: Callable[[Mapping[str, str]], ExpectedGraph], given: Mapping[str, Any]
) -> tuple[list[Decision], dict[str, str] | None, dict[str, str]]:
    """Return the decisions, the failures once the cleanup is over, and the tasks whose spec is at fault."""
    graph = graph_of({})
    own = {task.key for task in graph.tasks.values()}
    open_ = [each for each in reading.summary.under_way() if each.key[0] in _AWAITED and each.key not in own]
    if open_:
        return [each for attempt in open_ for each in _cancel_requests(attempt, reading.summary)], None, {}
    try:
        context = {**reading.given, **given}
    except PayloadError:
        return [], {}, {}
    found, more = expected_starts(reading, graph, context)
    faults: dict[str, str] = {}
    while more:
        # What waits for the end of a task that cannot be started may start.
        faults |= more
        graph = graph_of(faults)
        found, more = expected_starts(reading, graph, context)
    failures = {**faults, **graph.exhausted}
    is_over = all(id_ in failures or not graph.is_ready(id_) for id_ in graph.tasks)
    return found, failures if is_over else None, faults


def _cancel_requests(attempt: RecordedAttempt, summary: HistorySummary) -> list[Decision]:
    kind, id_ = attempt.key
    if kind is Kind.ACTIVITY and attempt.cancel_requested is None:
        return [RequestCancelActivityTask(activity_id=id_)]
    if kind is Kind.CHILD and attempt.started is not None and _may_be_canceled(attempt, summary):
        return [RequestCancelExternalWorkflowExecution(workflow_id=attempt.opened.data.workflow_id)]
    # Nothing stops a Lambda function.
    return []


def _may_be_canceled(child: RecordedAttempt, summary: HistorySummary) -> bool:
    requests, refusals = summary.cancel_requests(child)
    failures = [failure_of(event) for event in refusals]
    if requests:
        return False
    if not failures:
        return True
    again = waits.refused_wait(failures, "", "", is_timer=True)
    return failures[-1].status is Status.REFUSED and failures[-1].passes and again is not None


def failed(reason: str, failures: Mapping[str, str]) -> Decision:
    """Return the decision that fails a run."""
    return FailWorkflowExecution(reason=cut(reason, _REASON), details=written(failures))


def _reason(failures: Iterable[str]) -> str:
    return "failed: " + ", ".join(sorted(failures))
