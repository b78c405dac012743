"""Operations on runs: start, signal, cancel, terminate, describe, read history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import evolve

from floto.core.engine import commands as c
from floto.core.engine.api.call import Call, Handler, Response, execution, given
from floto.core.engine.api.pages import fitting, page_size, read_token, write_token
from floto.core.engine.run import ToWorkflow
from floto.core.engine.stores.records import Record
from floto.core.engine.stores.store import known_run
from floto.core.state.state import Kind, State
from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.wire import camel, event_to_swf, read, write

#: Number of events to read from the store at once.
_CHUNK = 32


def start(call: Call) -> Response:
    """Carry out StartWorkflowExecution."""
    command = read(c.StartWorkflowExecution, call.request)
    return {"runId": call.engine.start(call.domain, command, call.new_run_id(), call.now).run_id}


def _send(cls: Any, **fixed: str) -> Handler:
    """Return an operation on one open run; ``fixed`` are fields that a request cannot set."""

    def handle(call: Call) -> Response:
        target = ToWorkflow(call.request["workflowId"], call.request.get("runId"))
        command = evolve(read(cls, call.request), **fixed)
        call.engine.send(call.domain, target, command, call.now)
        return {}

    return handle


def known(call: Call) -> Record:
    """Return the run with the ids of the request; raise ``UnknownResource`` if the domain has none."""
    return known_run(call.store, call.known_domain(), execution(call.request["execution"]))


def describe(call: Call) -> Response:
    """Carry out DescribeWorkflowExecution."""
    record = known(call)
    run_id = record.info.execution.run_id
    run = call.store.load(run_id)
    started = call.store.history(run_id, most=1)[0].data if run is None else run.state.start
    return given(
        executionInfo=execution_info(record),
        executionConfiguration=_configuration(started),
        openCounts=_open_counts(None if run is None else run.state),
        latestActivityTaskTimestamp=record.activity_at,
        latestExecutionContext=record.execution_context,
    )


_CONFIGURATION = (
    "task_start_to_close_timeout",
    "execution_start_to_close_timeout",
    "task_list",
    "task_priority",
    "child_policy",
    "lambda_role",
)


def _configuration(started: WorkflowExecutionStarted) -> Response:
    """Return the configuration of a run, with every default resolved."""
    values = write(started)
    return {camel(name): values[camel(name)] for name in _CONFIGURATION if camel(name) in values}


_COUNTED = {
    "openActivityTasks": Kind.ACTIVITY,
    "openTimers": Kind.TIMER,
    "openChildWorkflowExecutions": Kind.CHILD,
    "openLambdaFunctions": Kind.LAMBDA,
}


def _open_counts(state: State | None) -> Response:
    if state is None:
        return dict.fromkeys([*_COUNTED, "openDecisionTasks"], 0)
    counts = {name: state.open_count.get(kind, 0) for name, kind in _COUNTED.items()}
    tasks = state.decision_tasks
    # SWF's model has at most 1, although one may be scheduled while another is started.
    return {**counts, "openDecisionTasks": int(tasks.scheduled is not None or tasks.started is not None)}


def execution_info(record: Record) -> Response:
    """Return SWF's dict of a run, as listings have it."""
    info = record.info
    return given(
        execution=write(info.execution),
        workflowType=write(info.workflow_type),
        startTimestamp=info.started_at,
        closeTimestamp=info.closed_at,
        executionStatus="OPEN" if info.close_status is None else "CLOSED",
        closeStatus=info.close_status,
        parent=None if record.parent is None else write(record.parent),
        tagList=list(record.tags) or None,
        cancelRequested=record.cancel_requested,
    )


def history(call: Call) -> Response:
    """Carry out GetWorkflowExecutionHistory; later pages end where the history ended at the first."""
    run_id = known(call).info.execution.run_id
    position = read_token(call, int, int)
    low, high = (0, call.store.last_event_id(run_id)) if position is None else position
    events, rest = window(call, run_id, low, high)
    response: Response = {"events": events}
    if rest is not None:
        response["nextPageToken"] = write_token(call, rest)
    return response


def window(call: Call, run_id: str, low: int, high: int) -> tuple[list[Any], tuple[int, int] | None]:
    """Return one page of the events with ids above ``low`` up to ``high``, and the bounds of the rest."""
    reverse = bool(call.request.get("reverseOrder"))
    events = fitting(islice(_events(call, run_id, low, high, reverse=reverse), page_size(call.request)))
    low, high = (low, high - len(events)) if reverse else (low + len(events), high)
    return events, (low, high) if low < high else None


def _events(call: Call, run_id: str, low: int, high: int, *, reverse: bool) -> Iterator[dict[str, Any]]:
    """Yield events, read in small chunks to bound the memory for runs with large payloads."""
    for start in range(0, high - low, _CHUNK):
        size = min(_CHUNK, high - low - start)
        events = call.store.history(run_id, high - start - size if reverse else low + start, size)
        yield from map(event_to_swf, reversed(events) if reverse else events)


OPERATIONS: Mapping[str, Handler] = {
    "StartWorkflowExecution": start,
    "SignalWorkflowExecution": _send(c.SignalWorkflowExecution),
    "RequestCancelWorkflowExecution": _send(c.RequestCancelWorkflowExecution),
    "TerminateWorkflowExecution": _send(c.TerminateWorkflowExecution, cause=c.OPERATOR),
    "DescribeWorkflowExecution": describe,
    "GetWorkflowExecutionHistory": history,
}
