"""The decisions that end a run: complete, continue as new, or clean up and then cancel or fail.

A run that fails and has cleanup tasks records the failures in a marker before it requests the cancellation
of what is open. From then on the marker decides: canceled tasks would otherwise look like causes of the
failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from floto.core.decide.cleanup import begin_cleanup
from floto.core.decide.context import workflow_context
from floto.core.decide.next_step import Exhausted, Start, Wait, next_step_of_continuation
from floto.core.decide.phase import noted_failures
from floto.core.decide.progress import Progress, with_failures
from floto.core.decide.starting import starts
from floto.core.decide.update import unreadable
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.payloads.stored import dumps_plain
from floto.core.spec.decider_spec import ALWAYS, FAILURES_KEY
from floto.core.spec.retry import REFUSED_TIMER, Retry
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import NO_RESULT
from floto.core.state.carried_signals import continued_input
from floto.core.state.failures import failure_of
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
)
from floto.core.swf.events import Event
from floto.core.swf.limits import REASON_LIMIT
from floto.core.swf.reserved_names import FAILURES_MARKER, REPEAT_TASK, RESULT_MARKER
from floto.core.visible import shortened

#: Maximum characters of one message in a marker or in the details of a run.
MESSAGE_LIMIT = 2_000
#: Maximum characters of the failures in a cleanup task's context, to leave room for the workflow's input.
_CONTEXT_LIMIT = 8_000


def complete(progress: Progress) -> list[Decision]:
    """Complete with the results of the tasks that nothing depends on, or continue as new."""
    plan = progress.plan
    try:
        leaves = [leaf for leaf in plan.leaves if progress.outcomes[leaf] is TaskOutcome.COMPLETED]
        results = {plan.tasks[leaf].id_: progress.result(leaf) for leaf in leaves}
        results = {id_: result for id_, result in results.items() if result is not NO_RESULT}
        result = dumps_plain(results, "the result of the workflow", progress.codec.payloads)
    except (PayloadError, SpecError) as error:
        return fail(progress, {"result": unreadable(error)}, "the result cannot be recorded")
    if progress.spec.repeat_workflow:
        return _repeat(progress, result)
    return [CompleteWorkflowExecution(result=result)]


def _repeat(progress: Progress, result: str) -> list[Decision]:
    """Continue as new, after a marker that records the result."""
    state = progress.state
    marker = state.markers.get(RESULT_MARKER)
    noted: list[Decision] = []
    if marker is None or marker.data.details != result:
        noted.append(RecordMarker(marker_name=RESULT_MARKER, details=result))
    step = next_step_of_continuation(REPEAT_TASK, state, progress.seed)
    if isinstance(step, Exhausted):
        failures = {"repeat_workflow": step.message}
        return [*noted, *fail(progress, failures, "the workflow cannot be repeated")]
    if isinstance(step, Wait):
        return [step.timer()]
    return [*noted, *_next_run(progress)] if isinstance(step, Start) else []


def _next_run(progress: Progress) -> list[Decision]:
    """Continue as new with the signals that no task of this run has used; fail if they do not fit."""
    try:
        return [_continued(progress)]
    except PayloadError as error:
        failures = {"repeat_workflow": unreadable(error)}
        return fail(progress, failures, "the workflow cannot be repeated")


def _continued(progress: Progress) -> Decision:
    """Continue as new with the signals that no task has used. Raises ``PayloadError`` if they do not fit."""
    awaited = {task.key[1] for task in progress.plan.tasks if task.key[0] is Kind.SIGNAL}
    return as_new(progress.state, continued_input(progress.state, awaited, progress.codec.payloads))


def as_new(state: State, input: str | None) -> ContinueAsNewWorkflowExecution:
    """Continue a run as new with another input and all its other start parameters."""
    # SWF takes a missing parameter from the registered type, not from this run.
    start = state.start
    return ContinueAsNewWorkflowExecution(
        input=input,
        execution_start_to_close_timeout=start.execution_start_to_close_timeout,
        task_list=start.task_list,
        task_priority=start.task_priority,
        task_start_to_close_timeout=start.task_start_to_close_timeout,
        child_policy=start.child_policy,
        tag_list=start.tag_list,
        workflow_type_version=start.workflow_type.version,
        lambda_role=start.lambda_role,
    )


def cancel(progress: Progress) -> list[Decision]:
    """Request cancellation of open tasks, clean up, then cancel the run; SWF drops timers with the run."""
    found, failures = _clean_up(progress, begin_cleanup(progress, progress.spec.after_cancel, {}))
    if failures is None:
        return found
    return [CancelWorkflowExecution(details=_failures_json(failures) if failures else None)]


def fail(progress: Progress, failures: Mapping[str, str], reason: str | None = None) -> list[Decision]:
    """Fail the run, after its cleanup; a spec that always repeats then continues as new instead.

    Args:
        progress: The progress of the run.
        failures: Messages by the id of the failed task.
        reason: The reason of a run without a cleanup; None for one that names the tasks.
    """
    has_cleanup = progress.spec.on_failure or progress.plan.undos
    if not has_cleanup and progress.spec.repeat_workflow != ALWAYS:
        return _fail_without_cleanup(progress.state, failures, reason or _reason(failures))
    noted: list[Decision] = []
    if noted_failures(progress.state) is None:
        text = _failures_json(failures)
        noted.append(RecordMarker(marker_name=FAILURES_MARKER, details=text))
        # Truncate now, so that this decision and later ones (which re-read the marker) see the same failures.
        failures = payload.loads(text)
    found, own = _clean_up(progress, after_failure(progress, failures))
    if own is None:
        return [*noted, *found]
    return [*noted, *_after_cleanup(progress, {**failures, **own})]


def _after_cleanup(progress: Progress, failures: Mapping[str, str]) -> list[Decision]:
    """Fail the run, or continue as new if the spec always repeats and no cancellation was requested."""
    state = progress.state
    if progress.spec.repeat_workflow != ALWAYS or state.cancel_requested is not None:
        return [fail_at_once(_reason(failures), failures)]
    step = next_step_of_continuation(REPEAT_TASK, state, progress.seed)
    if isinstance(step, Wait):
        return [step.timer()]
    try:
        if not isinstance(step, Exhausted):
            return [_continued(progress)] if isinstance(step, Start) else []
        problem = step.message
    except PayloadError as error:
        problem = unreadable(error)
    failures = {**failures, "repeat_workflow": problem}
    return [fail_at_once(_reason(failures), failures)]


def _reason(failures: Iterable[str]) -> str:
    return f"failed: {', '.join(sorted(failures))}"


def after_failure(progress: Progress, failures: Mapping[str, str]) -> Progress:
    """Return the progress of the cleanup after a failure, whose tasks have the failures in their context."""
    context = {FAILURES_KEY: payload.loads(_failures_json(failures, _CONTEXT_LIMIT))}
    return begin_cleanup(progress, progress.spec.after_failure, context)


def _clean_up(progress: Progress, cleanup: Progress) -> tuple[list[Decision], dict[str, str] | None]:
    """Return the decisions of a cleanup, and the failures of its tasks by id; None while it runs.

    The cleanup begins when all other work has closed; until then, its cancellation is requested.
    """
    state = progress.state
    awaited = open_work(state, cleanup.plan.by_key)
    if awaited:
        return [
            decision for key in awaited for decision in CANCEL_REQUESTS[key[0]](state.items[key], state)
        ], None
    try:
        context = {**workflow_context(state, progress.codec), **cleanup.extra_context}
    except PayloadError:
        # No task can have run without the workflow's input, so there is nothing to clean up.
        return [], {}
    found, failures = starts(cleanup, context)
    while failures:
        # What waits for the end of a task that cannot be started may start.
        cleanup = with_failures(cleanup, failures)
        found, failures = starts(cleanup, context)
    count = len(cleanup.plan.tasks)
    waiting = {position for position in range(count) if cleanup.requirements_left(position)}
    return found, cleanup.failures if len(waiting | {*cleanup.outcomes}) == count else None


def open_work(state: State, but: Collection[Key]) -> dict[Key, None]:
    """Return the keys of open activities, children and Lambda functions in the order of their start."""
    opened = (key for _, key in sorted(state.opened.items()))
    return dict.fromkeys(key for key in opened if key[0] in CANCEL_REQUESTS and key not in but)


def _cancel_activity(item: Item, _: State) -> Iterable[Decision]:
    if item.cancel is None:
        yield RequestCancelActivityTask(activity_id=item.key[1])


def _cancel_child(item: Item, state: State) -> Iterable[Decision]:
    # SWF cannot cancel a child before it has started; its start schedules the next decision task.
    if item.status is Status.STARTED and item.opened is not None:
        request = cancel_request(item, state)
        if request is None or _may_request_again(request, item.opened):
            yield RequestCancelExternalWorkflowExecution(workflow_id=item.opened.data.workflow_id)


def cancel_request(child: Item, state: State) -> Item | None:
    """Return the latest request to cancel a child; one before its start was for another run of its id."""
    if child.opened is None:
        return None
    request = state.items.get((Kind.EXTERNAL_CANCEL, child.opened.data.workflow_id))
    is_own = request is not None and request.opened is not None and request.opened.id > child.opened.id
    return request if is_own else None


def _no_request(_item: Item, _state: State) -> Iterable[Decision]:
    """Return no decision: SWF cannot stop a Lambda function."""
    return ()


#: How the cancellation of each kind is requested; a cleanup starts when none of these is open.
CANCEL_REQUESTS: dict[Kind, Callable[[Item, State], Iterable[Decision]]] = {
    Kind.ACTIVITY: _cancel_activity,
    Kind.CHILD: _cancel_child,
    Kind.LAMBDA: _no_request,
}


def _may_request_again(request: Item, opened: Event) -> bool:
    if request.status is not Status.REFUSED:
        return False
    own = [event for event in request.failures if event.data.initiated_event_id > opened.id]
    failures = tuple(map(failure_of, own))
    retry = Retry(task_id=request.key[1], seed="", failures=failures)
    return failures[-1].passes and REFUSED_TIMER.delay(retry) is not None


def _fail_without_cleanup(state: State, failures: Mapping[str, str], reason: str) -> list[Decision]:
    """Fail the run after requesting the cancellation of its children, which would otherwise go on."""
    children = [key for key in open_work(state, ()) if key[0] is Kind.CHILD]
    found = [decision for key in children for decision in _cancel_child(state.items[key], state)]
    if any(state.items[key].status is Status.SCHEDULED for key in children):
        return found
    return [*found, fail_at_once(reason, failures)]


def fail_at_once(reason: str, failures: Mapping[str, str]) -> Decision:
    """Return the decision that fails a run; of the messages by task id, as many are recorded as fit."""
    return FailWorkflowExecution(reason=shortened(reason, REASON_LIMIT), details=_failures_json(failures))


def _failures_json(failures: Mapping[str, str], limit: int = payload.LIMIT) -> str:
    details = {id_: shortened(message, MESSAGE_LIMIT) for id_, message in sorted(failures.items())}
    while len(text := payload.encode(details, "the failures")) > limit:
        # Halve the number of messages until they fit, and record how many are left out.
        kept = list(details.items())[: max(1, len(details) // 2 - 1)]
        details = {**dict(kept), "...": f"and {len(failures) - len(kept)} more"}
    return text
