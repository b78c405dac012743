"""Redrive of a run: what a new run keeps of it, and the request that starts the new run.

A pure function of the old run's history. A completed task is kept if the spec would still make the decision
that started it, with the same input, and everything that it requires is kept too; all others run again. The
decision that started a task is in the history (and its digest is kept through further redrives), so the old
spec is not needed to see what a changed spec changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

from attrs import evolve

from floto.core.decide.progress import Progress
from floto.core.errors import SpecError
from floto.core.replay.recorded_progress import items_outside_spec, recorded_progress
from floto.core.replay.redrive.redrive_children import ChildRuns
from floto.core.replay.redrive.redrive_plan import Redrive
from floto.core.replay.redrive.redrive_planner import Planner
from floto.core.replay.redrive.redrive_request import request
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.state.fold import state_of
from floto.core.state.state import Item, State, Status
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution

_NO_CHILDREN: Mapping[str, History] = MappingProxyType({})


def redrive(  # noqa: PLR0913 - all but the spec and the history are optional and named
    spec: DeciderSpec,
    history: History | Iterable[Event] | State,
    *,
    rerun: Collection[str] = (),
    execution: WorkflowExecution | None = None,
    workflow_id: str | None = None,
    codec: Codec = CODEC,
    children: Mapping[str, History] = _NO_CHILDREN,
) -> Redrive:
    """Plan a new run that goes on where an earlier run of a spec ended.

    The new run has the old one's workflow type, input and settings. It keeps the results of completed tasks,
    what generators returned, and the signals that had arrived. A task runs again if it did not complete, if
    it is in ``rerun``, if its declaration, input or context changed with ``spec``, or if it requires a task
    that runs again.

    A child that runs again goes on in the same way from its last run, if it carries its spec, its history is
    in ``children``, and neither ``rerun`` nor a changed input or context speaks against it.

    Args:
        spec: The spec of the new run: that of the old run, or a changed one.
        history: The history of the old run. While that run is open, end it before the new one starts.
        rerun: Ids of completed tasks to run again; a signal that is named must arrive again.
        execution: The old run; by default that which the history names.
        workflow_id: Workflow id of the new run; by default that of the old run.
        codec: Reads generated tasks and stored values; by default floto's own kinds, and no store.
        children: Histories of children, and of their children, by run id; by default none.

    Returns:
        The plan and the start request. With ``parts``, send them as signals after the start.

    Raises:
        HistoryError: if a history cannot have happened, is empty, or names no run.
        SpecError: if ``rerun`` names a task that the run does not have, or is one text; or if ``codec``
            cannot read generated tasks that have begun.
        PayloadError: if the input cannot be read, or what is kept does not fit.
        PayloadsNeeded: if values are stored and ``codec`` has no store.
    """
    if isinstance(rerun, str):
        msg = f"rerun must be a collection of task ids, such as [{rerun!r}], not the text {rerun!r}"
        raise SpecError((msg,))
    state = state_of(history)
    state = state if execution is None else evolve(state, execution=execution)
    progress = recorded_progress(spec, state, codec)
    runs = ChildRuns(children)
    planner = Planner.of(progress, frozenset(rerun), runs)
    plan = tuple(planner.plan())
    start, parts = request(progress, codec, planner.redriven(), workflow_id)
    return Redrive(plan, start, parts, tuple(runs.unread.values()), _dropped(progress))


def _dropped(progress: Progress) -> tuple[str, ...]:
    """Return the ids of completed tasks that the spec does not have, in the order of their completion."""
    completed = (item for item in items_outside_spec(progress) if item.status is Status.COMPLETED)
    return tuple(item.key[1] for item in sorted(completed, key=lambda item: (_closed_at(item), item.key)))


def _closed_at(item: Item) -> int:
    return 0 if item.closed is None else item.closed.id
