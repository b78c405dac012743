"""The plan of a redrive with the histories of children, and its start with the parts of what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from attrs import evolve

from floto.core.errors import ServiceFault, UnknownResource
from floto.core.payloads.reference import Store
from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.state.redriven import part_numbers
from floto.core.swf.events import Event, WorkflowExecutionSignaled
from floto.core.swf.history import History
from floto.core.swf.reserved_names import REDRIVE_KEY
from floto.core.swf.service import Service
from floto.core.swf.shapes import WorkflowExecution
from floto.runtime.workers.storing import store_text

ALREADY_STARTED = "WorkflowExecutionAlreadyStartedFault"
#: Maximum number of children whose histories are read for one redrive; others start from their beginning.
CHILDREN_LIMIT = 1_000
#: Calls a method of the service with retries.
Repeat = Callable[..., Any]


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
    for part in _missing(redrive, service, execution, read):
        write(service.signal_workflow_execution, start.workflow_id, REDRIVE_KEY, part)
    return execution


def _begun(redrive: Redrive, service: Service, read: Repeat) -> WorkflowExecution | None:
    """Return the open run of this redrive; None if there is none."""
    info = read(service.latest_execution, redrive.start.workflow_id)
    if info is None or info.close_status is not None:
        return None
    begun = read(service.history, info.execution)[0].data.input == redrive.start.input
    return info.execution if begun else None


def _missing(redrive: Redrive, service: Service, execution: WorkflowExecution, read: Repeat) -> Iterator[str]:
    if not redrive.parts:
        return
    events: tuple[Event, ...] = read(service.history, execution)
    arrived = part_numbers(
        event
        for event in events
        if isinstance(event.data, WorkflowExecutionSignaled) and event.data.signal_name == REDRIVE_KEY
    )
    yield from (part for number, part in enumerate(redrive.parts, start=1) if number not in arrived)
