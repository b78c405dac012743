"""The run that ``floto.run`` was asked for, and whether the run under its workflow id is that one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from attrs import frozen

from floto.core.decide.starting import without_spec, workflow_context
from floto.core.errors import FlotoError, UnknownResource
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.task_lists import is_confined, own_list
from floto.core.state.carried_signals import CHANGED_SIGNAL
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf.identifiers import shown
from floto.core.swf.service import ExecutionInfo, Service
from floto.core.swf.shapes import WorkflowType
from floto.runtime.deciders.fingerprint import all_recorded, fingerprint, recorded, taken_over
from floto.runtime.retrying import persist
from floto.runtime.shutdown import StopFlag
from floto.runtime.workers.activities import Activities

log = logging.getLogger("floto")

#: The type under which ``run`` starts its workflows.
WORKFLOW_TYPE = WorkflowType("floto.run", "1")
#: Told of the run's state whenever it has moved.
Listener = Callable[[State], None]


class WrongWorkflow(FlotoError, ValueError):
    """The workflow id belongs to a run of another type, spec or input than the one that was asked for."""


@frozen(kw_only=True)
class RunRequest:
    """What ``floto.run`` was asked for: a spec, an input, and the workflow id of the run."""

    spec: DeciderSpec
    workflow_id: str
    input: str | None
    activities: Activities
    concurrency: int
    codec: Codec
    payloads: Store | None
    listener: Listener | None
    take_over: bool

    @property
    def task_list(self) -> str:
        """The task list that this run and its descendants have to themselves."""
        return own_list(self.workflow_id)


def check(info: ExecutionInfo, job: RunRequest, service: Service, stop: StopFlag) -> None:
    """Raise ``WrongWorkflow`` unless the run under the workflow id is of this spec and this input."""
    is_open = info.close_status is None
    if is_open:
        _check_type(info)
    state = fold(persist(stop, service.history, info.execution))
    if is_open:
        _check_list(job, state)
    # Before another spec takes over: a run that is refused stays as it is.
    _check_input(job, state, is_open=is_open)
    _check_spec(job, state, service, stop, is_open=is_open)


def check_kept(job: RunRequest, state: State) -> None:
    """Raise ``WrongWorkflow`` if another spec has taken over the run since ``check``."""
    changed = taken_over(state)
    if changed is None:
        return
    own = fingerprint(job.spec, job.codec)
    # Where this spec took over itself, the history may not have that yet.
    if changed != own and (own in all_recorded(state) or not job.take_over):
        msg = (
            f"workflow {job.workflow_id!r} was taken over by another spec "
            f"(recorded: {changed}, this one: {own}), and its result is that spec's"
        )
        raise WrongWorkflow(msg)


def _check_list(job: RunRequest, state: State) -> None:
    name = state.start.task_list.name
    if not is_confined(state.start):
        msg = (
            f"workflow {job.workflow_id!r} is open on task list {name!r}, which others may use too; "
            f"finish it with 'floto decider SPEC --task-list {name}' and 'floto worker' on the lists of the "
            "spec, or give another workflow_id"
        )
        raise WrongWorkflow(msg)


def _check_spec(job: RunRequest, state: State, service: Service, stop: StopFlag, *, is_open: bool) -> None:
    own, known = fingerprint(job.spec, job.codec), recorded(state)
    if known in (None, own):
        return
    specs = f"another spec (recorded: {known}, this one: {own})"
    if not is_open:
        msg = (
            f"workflow {job.workflow_id!r} has completed with {specs}, and its result is that spec's; "
            "to run this one, give another workflow_id"
        )
        raise WrongWorkflow(msg)
    if not job.take_over or own is None:
        msg = (
            f"workflow {job.workflow_id!r} was begun with {specs}; resume it with that spec, "
            "let this one take over (take_over=True, --take-over), or give another workflow_id"
        )
        raise WrongWorkflow(msg)
    log.warning("workflow %r was begun with another spec; it goes on with this one", job.workflow_id)
    # It may have closed a moment ago.
    with contextlib.suppress(UnknownResource):
        persist(stop, service.signal_workflow_execution, job.workflow_id, CHANGED_SIGNAL, own)


def _check_input(job: RunRequest, state: State, *, is_open: bool) -> None:
    if job.input is None:
        return
    known = workflow_context(state, job.codec).get("workflow")
    given = without_spec(frozen(payload.loads(job.input)))
    # As JSON: to Python, true and 1 are equal.
    if _as_json(job, known) != _as_json(job, given):
        how = "was begun" if is_open else "has completed"
        msg = (
            f"workflow {job.workflow_id!r} {how} with another input ({shown(known)}, not {shown(given)}); "
            "give that input or none, or another workflow_id"
        )
        raise WrongWorkflow(msg)


def _as_json(job: RunRequest, value: Any) -> str:
    resolved = value if job.payloads is None else reference.resolved(value, job.payloads.get)
    return payload.encode(resolved, "the workflow's input")


def _check_type(info: ExecutionInfo) -> None:
    if info.workflow_type != WORKFLOW_TYPE:
        name, version = info.workflow_type.name, info.workflow_type.version
        msg = (
            f"workflow {info.execution.workflow_id!r} is open with workflow type {name!r} version "
            f"{version!r}, but floto.run goes on only with what it started; give another workflow_id"
        )
        raise WrongWorkflow(msg)
