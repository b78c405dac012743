"""The arguments of ``floto.run``, and the check that an existing run of its workflow id matches them."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable
from typing import Any

from attrs import frozen

from floto.core.decide.context import without_spec, workflow_context
from floto.core.errors import FlotoError, UnknownResource
from floto.core.frozen import frozen as frozen_value
from floto.core.payloads import payload, reference
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.fingerprint import all_recorded, digests_of, own_digest, recorded, taken_over
from floto.core.spec.task_lists import is_confined, own_list
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import CHANGED_SIGNAL
from floto.core.swf.service import ExecutionInfo, Service
from floto.core.swf.shapes import WorkflowType
from floto.runtime.retrying import persist
from floto.runtime.shutdown import StopFlag
from floto.runtime.workers.activities import Activities

log = logging.getLogger("floto")

#: Workflow type of the runs that ``floto.run`` starts.
WORKFLOW_TYPE = WorkflowType("floto.run", "1")
#: Called with the run's state after each change.
Listener = Callable[[State], None]


def new_workflow_id() -> str:
    """Return a new, random workflow id."""
    return f"floto-{uuid.uuid4().hex[:12]}"


class WrongWorkflow(FlotoError, ValueError):
    """The run of the workflow id has another type, spec or input than was given."""


@frozen(kw_only=True)
class RunRequest:
    """The arguments of ``floto.run`` after they were checked."""

    spec: DeciderSpec
    workflow_id: str
    input: str | None
    activities: Activities
    concurrency: int
    codec: Codec
    payloads: Store | None
    listener: Listener | None
    take_over: bool
    redrive: bool

    @property
    def task_list(self) -> str:
        """The task list of this run and its descendants, which no other run uses."""
        return own_list(self.workflow_id)


def check(info: ExecutionInfo, request: RunRequest, service: Service, stop: StopFlag) -> State:
    """Return the state of a run; raise ``WrongWorkflow`` unless it has this spec and this input.

    An open run may have another spec if this one may take it over.
    """
    is_open = info.close_status is None
    if is_open:
        _check_type(info)
    state = fold(persist(stop, service.history, info.execution))
    if is_open:
        _check_list(request, state)
    # Before the spec takes over: a run with another input must stay unchanged.
    _check_input(request, state, "was begun" if is_open else "has completed")
    _check_spec(request, state, service, stop, is_open=is_open)
    return state


def check_redriven(request: RunRequest, state: State) -> None:
    """Raise ``WrongWorkflow`` unless a run that is to be redriven has this input."""
    _check_input(request, state, "ended")


def check_kept(request: RunRequest, state: State) -> None:
    """Raise ``WrongWorkflow`` if another spec has taken over the run since ``check``."""
    changed = taken_over(state)
    if changed is None:
        return
    # If this spec took the run over, the history may not contain that yet.
    digests = digests_of(request.spec, request.codec)
    if changed not in digests and (not request.take_over or not digests.isdisjoint(all_recorded(state))):
        own = own_digest(request.spec, request.codec)
        msg = (
            f"workflow {request.workflow_id!r} was taken over by another spec "
            f"(recorded: {changed}, this one: {own}), and its result is that spec's"
        )
        raise WrongWorkflow(msg)


def _check_list(request: RunRequest, state: State) -> None:
    name = state.start.task_list.name
    if not is_confined(state.start):
        msg = (
            f"workflow {request.workflow_id!r} is open on task list {name!r}, which other runs may use too; "
            f"finish it with 'floto decider SPEC --task-list {name}' and "
            "'floto worker' on the task lists of the spec, both for the same service and domain, or give "
            "another workflow_id"
        )
        raise WrongWorkflow(msg)


def _check_spec(
    request: RunRequest, state: State, service: Service, stop: StopFlag, *, is_open: bool
) -> None:
    known = recorded(state)
    if known is None or known in digests_of(request.spec, request.codec):
        return
    own = own_digest(request.spec, request.codec)
    specs = f"another spec (recorded: {known}, this one: {own})"
    if not is_open:
        msg = (
            f"workflow {request.workflow_id!r} has completed with {specs}, and its result is that spec's; "
            "to run this one, give another workflow_id"
        )
        raise WrongWorkflow(msg)
    if not request.take_over or own is None:
        msg = (
            f"workflow {request.workflow_id!r} was begun with {specs}; resume it with that spec, "
            "let this one take over (take_over=True, --take-over), or give another workflow_id"
        )
        raise WrongWorkflow(msg)
    log.warning("workflow %r was begun with another spec; it continues with this one", request.workflow_id)
    # The run may have just closed.
    with contextlib.suppress(UnknownResource):
        persist(stop, service.signal_workflow_execution, request.workflow_id, CHANGED_SIGNAL, own)


def _check_input(request: RunRequest, state: State, how: str) -> None:
    if request.input is None:
        return
    known = workflow_context(state, request.codec).get("workflow")
    given = without_spec(frozen_value(payload.loads(request.input)))
    # Compare JSON: in Python, True == 1.
    if _as_json(request, known) != _as_json(request, given):
        msg = (
            f"workflow {request.workflow_id!r} {how} with another input "
            f"({shown(known)}, not {shown(given)}); "
            "give that input or none, or another workflow_id"
        )
        raise WrongWorkflow(msg)


def _as_json(request: RunRequest, value: Any) -> str:
    resolved = value if request.payloads is None else reference.resolved(value, request.payloads.get)
    return payload.encode(resolved, "the workflow's input")


def _check_type(info: ExecutionInfo) -> None:
    if info.workflow_type != WORKFLOW_TYPE:
        name, version = info.workflow_type.name, info.workflow_type.version
        msg = (
            f"workflow {info.execution.workflow_id!r} is open with workflow type {name!r} version "
            f"{version!r}, but floto.run resumes only runs that it started; give another workflow_id"
        )
        raise WrongWorkflow(msg)
