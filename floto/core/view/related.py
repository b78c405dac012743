"""The runs that a run has to do with, as far as its history names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from floto.core.state.redriven import redriven_of
from floto.core.state.state import Kind, State
from floto.core.swf import events as e
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.history import History
from floto.core.swf.reserved_names import child_of

_CHILD_ENDED = {
    closing.child_event: str(closing.status) for closing in CLOSING_EVENTS.values() if closing.child_event
}


@frozen
class RelatedRun:
    """Another run; its run id is empty if it is not known."""

    #: ``parent``, ``child``, ``continued from``, ``continued as`` or ``redriven from``.
    role: str
    workflow_id: str
    run_id: str
    #: The task of a child; None for all others.
    task: str | None = None
    #: SWF's status of a child; None if the history does not tell.
    status: str | None = None


def related_runs(history: History, state: State, tasks: Mapping[Any, str]) -> Iterator[RelatedRun]:
    """Yield the related runs of a run, its children last.

    Args:
        history: The history of the run.
        state: The state after it.
        tasks: The ids of the tasks by the keys of their items.
    """
    start, own = state.start, history.execution.workflow_id if history.execution else ""
    parent, closed = start.parent_workflow_execution, state.closed
    if parent is not None:
        yield RelatedRun("parent", parent.workflow_id, parent.run_id)
    if start.continued_execution_run_id:
        yield RelatedRun("continued from", own, start.continued_execution_run_id)
    kept = redriven_of(state)
    if kept is not None:
        yield RelatedRun("redriven from", own, kept.run_id)
    if closed is not None and isinstance(closed.data, e.WorkflowExecutionContinuedAsNew):
        yield RelatedRun("continued as", own, closed.data.new_execution_run_id)
    yield from _children(history, tasks)


def _children(history: History, tasks: Mapping[Any, str]) -> Iterator[RelatedRun]:
    found: dict[int, RelatedRun] = {}
    for event in history.events:
        data: Any = event.data
        if isinstance(data, e.StartChildWorkflowExecutionInitiated):
            task = tasks.get((Kind.CHILD, child_of(data)))
            found[event.id] = RelatedRun("child", data.workflow_id, "", task)
        elif isinstance(data, e.ChildWorkflowExecutionStarted):
            found[data.initiated_event_id] = _with(found, data, "RUNNING")
        elif type(data) in _CHILD_ENDED:
            found[data.initiated_event_id] = _with(found, data, _CHILD_ENDED[type(data)])
        elif isinstance(data, e.StartChildWorkflowExecutionFailed) and data.initiated_event_id:
            found.pop(data.initiated_event_id, None)
    yield from found.values()


def _with(found: Mapping[int, RelatedRun], data: Any, status: str) -> RelatedRun:
    before, run = found.get(data.initiated_event_id), data.workflow_execution
    return RelatedRun("child", run.workflow_id, run.run_id, before.task if before else None, status)
