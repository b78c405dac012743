"""The result of a closed run, or the error that ``floto.run`` raises for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from floto.core.decide.progress import begin
from floto.core.errors import FlotoError, WorkflowEnded, WorkflowFailed
from floto.core.payloads import payload, reference
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import NO_RESULT
from floto.core.state.state import State
from floto.core.swf.closing_events import CLOSING_EVENTS, CloseStatus, reason_of
from floto.core.swf.events import Event
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.runs.run_request import RunRequest


def result_of_run(request: RunRequest, state: State, closed: Event) -> Any:
    """Return the result of a completed run; raise ``WorkflowFailed`` or ``WorkflowEnded`` for any other."""
    status = CLOSING_EVENTS[type(closed.data)].status
    if status is CloseStatus.COMPLETED:
        return payload.loads(closed.data.result)
    raise _ERRORS.get(status, _ended)(request, state, closed.data)


def _failed(request: RunRequest, state: State, data: Any) -> FlotoError:
    details = payload.loads(data.details)
    failures: dict[str, str] = {}
    reason = data.reason or ""
    if isinstance(details, dict):
        failures = {str(task): str(message) for task, message in details.items()}
    else:
        reason = ": ".join(str(part) for part in (data.reason, details) if part)
    run = _execution(request, state)
    return WorkflowFailed(run.workflow_id, run.run_id, reason, failures, _results(request, state))


def _results(request: RunRequest, state: State) -> dict[str, Any]:
    """Return the results of the tasks that completed; none if they cannot be read."""
    try:
        progress = begin(request.spec, state, request.codec)
        done = (at for at, outcome in progress.outcomes.items() if outcome is TaskOutcome.COMPLETED)
        found = {progress.plan.tasks[each].id_: progress.result(each) for each in sorted(done)}
        found = {id_: result for id_, result in found.items() if result is not NO_RESULT}
        store = request.payloads
        return found if store is None else reference.resolved(found, store.get)
    except FlotoError:
        return {}


def _ended(request: RunRequest, state: State, data: Any) -> FlotoError:
    details = getattr(data, "details", None) or reason_of(data)
    status, run = CLOSING_EVENTS[type(data)].status, _execution(request, state)
    if status is CloseStatus.TIMED_OUT and state.start.execution_start_to_close_timeout:
        details = f"its execution time-out is {state.start.execution_start_to_close_timeout} s"
    return WorkflowEnded(run.workflow_id, run.run_id, status, details)


def _execution(request: RunRequest, state: State) -> WorkflowExecution:
    return state.execution or WorkflowExecution(request.workflow_id, "")


#: The errors for runs that did not complete; ``_ended`` makes all others.
_ERRORS: Mapping[CloseStatus, Callable[[RunRequest, State, Any], FlotoError]] = {CloseStatus.FAILED: _failed}
