"""The plan of a redrive with the histories of children, and its start with the parts of what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from attrs import evolve

from floto.core.decide.daemon import DAEMON_TYPE
from floto.core.decide.schedule import SCHEDULE_TYPE
from floto.core.errors import HistoryError, ServiceFault, UnknownResource
from floto.core.payloads.reference import Store
from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.state.fold import fold
from floto.core.state.redriven import part_numbers, unsent_of
from floto.core.state.state import State
from floto.core.swf.events import Event, WorkflowExecutionSignaled
from floto.core.swf.history import History
from floto.core.swf.reserved_names import REDRIVE_KEY
from floto.core.swf.service import Service
from floto.core.swf.shapes import WorkflowExecution, WorkflowType
from floto.runtime.workers.storing import store_text

ALREADY_STARTED = "WorkflowExecutionAlreadyStartedFault"
#: Maximum number of children whose histories are read for one redrive; others start from their beginning.
CHILDREN_LIMIT = 1_000
#: Calls a method of the service with retries.
Repeat = Callable[..., Any]


#: What floto's own runs are, which have no tasks, and what helps instead of a redrive.
_OWN_RUNS: Mapping[WorkflowType, str] = {
    SCHEDULE_TYPE: "is a schedule: redrive one of its runs, or use 'floto schedule create'",
    DAEMON_TYPE: "is a daemon: redrive one of its children",
}


def why_not_redriven(state: State) -> str | None:
    """Return why a run cannot be redriven with any spec, and what to do instead; None if it can."""
    if state.started is None or state.start.workflow_type not in _OWN_RUNS:
        return None
    name = "the run" if state.execution is None else repr(state.execution.workflow_id)
    return f"{name} {_OWN_RUNS[state.start.workflow_type]}"


def with_children(
    plan: Callable[[Mapping[str, History]], Redrive], read: Callable[[WorkflowExecution], History]
) -> Redrive:
    """Return a plan, made with the histories of the children that can go on, and of their children.

    Args:
        plan: Makes the plan from the histories of children by run id.
        read: Reads the history of a run. It may raise ``UnknownResource`` if the service no longer has it.
    """
    known: dict[str, History] = {}
    asked: set[str] = set()
    while True:
        planned = plan(known)
        wanted = [each for each in planned.unread if each.run_id not in asked]
        wanted = wanted[: CHILDREN_LIMIT - len(asked)]
        if not wanted:
            return planned
        for each in wanted:
            asked.add(each.run_id)
            with suppress(UnknownResource):
                known[each.run_id] = read(each)


def last_complete(history: History, read: Callable[[WorkflowExecution], History]) -> History:
    """Return the history that has all that a run keeps: its own, or that of the run whose parts it awaits.

    A redrive that is interrupted before it has sent all parts leaves a run that waits for the others.

    Args:
        history: The history of a run.
        read: Reads the history of a run.

    Raises:
        HistoryError: if the service no longer has the run before.
    """
    while (before := unsent_of(fold(history))) is not None and history.execution is not None:
        run = history.execution
        try:
            history = read(evolve(run, run_id=before))
        except UnknownResource as error:
            problem = (
                f"run {run} waits for results of run {before!r}, which the service does not have under this "
                "workflow id: repeat the redrive that started it, or end it with floto terminate"
            )
            raise HistoryError(None, problem) from error
    return history


def start_redriven(
    redrive: Redrive, service: Service, store: Store | None, read: Repeat, write: Repeat
) -> WorkflowExecution:
    """Store what the start refers to, start the run, and send it the parts of what it keeps.

    Args:
        redrive: The plan.
        service: The service.
        store: The payload store; None if values are not stored.
        read: Calls a method that changes nothing.
        write: Calls a method that does.

    Raises:
        ServiceFault: if another run of the workflow id is open.
        ServiceError: if a call fails.
    """
    start = redrive.start
    if store is not None:
        start = evolve(start, input=store_text(start.input, store))
    try:
        execution = WorkflowExecution(start.workflow_id, write(service.start_workflow_execution, start))
    except ServiceFault as fault:
        # Perhaps started by an earlier call, which was interrupted before it had sent all parts.
        begun = _begun(redrive, service, read) if fault.code == ALREADY_STARTED else None
        if begun is None:
            raise
        execution = begun
    # Another redrive at the same time may have sent all parts, so that the run is closed by now.
    with suppress(UnknownResource):
        for part in _missing(redrive, service, execution, read):
            write(service.signal_workflow_execution, start.workflow_id, REDRIVE_KEY, part)
    return execution


def _begun(redrive: Redrive, service: Service, read: Repeat) -> WorkflowExecution | None:
    """Return the open run of this redrive; None if there is none."""
    info = read(service.latest_execution, redrive.start.workflow_id)
    if info is None or info.close_status is not None:
        return None
    events = read(service.history, info.execution)
    sent = {signal.data.input for signal in _part_signals(events)}
    is_same = events[0].data.input == redrive.start.input and sent <= {*redrive.parts}
    return info.execution if is_same else None


def _missing(redrive: Redrive, service: Service, execution: WorkflowExecution, read: Repeat) -> Iterator[str]:
    if not redrive.parts:
        return
    arrived = part_numbers(_part_signals(read(service.history, execution)))
    yield from (part for number, part in enumerate(redrive.parts, start=1) if number not in arrived)


def _part_signals(events: Iterable[Event]) -> Iterator[Event[WorkflowExecutionSignaled]]:
    for event in events:
        if isinstance(event.data, WorkflowExecutionSignaled) and event.data.signal_name == REDRIVE_KEY:
            yield event
