"""Automatic registration of the types that calls name, so that users need not register them first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from attrs import evolve

from floto.core.engine.registration.registration import Registration
from floto.core.engine.registration.type_settings import (
    ActivityDefaults,
    WorkflowDefaults,
    default_activity,
    default_workflow,
)
from floto.core.engine.stores.store import RunStore
from floto.core.engine.tokens import TaskKind, read_token
from floto.core.swf.decisions import (
    ContinueAsNewWorkflowExecution,
    Decision,
    ScheduleActivityTask,
    StartChildWorkflowExecution,
)
from floto.core.swf.field_validation import problems
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType

#: Types, and the task list of each; None for the default.
_Types = dict[ActivityType | WorkflowType, TaskList | None]


class Registrar:
    """Registers each type once, with floto's defaults, in the transaction of the call that names it.

    Args:
        registration: Registers domains and types.
        store: The store of the transaction.
        domain: The domain of the types.
    """

    def __init__(self, registration: Registration, store: RunStore, domain: str) -> None:
        self._registration = registration
        self._store = store
        self._domain = domain

    def register_types(
        self, workflow_types: Sequence[WorkflowType], activity_types: Sequence[ActivityType], now: datetime
    ) -> None:
        """Register these types, and the domain even if there are none."""
        self._ensure(dict.fromkeys([*workflow_types, *activity_types]), now)

    def register_type_of(self, request: StartRequest, now: datetime) -> None:
        """Register the type of a run that is about to start."""
        task_list = None if request.task_list is None else TaskList(request.task_list)
        self._ensure_unknown({request.workflow_type: task_list}, now)

    def register_types_in(self, token: str, decisions: Sequence[Decision], now: datetime) -> None:
        """Register the types that decisions name."""
        named: _Types = {}
        for decision in decisions:
            match decision:
                case ScheduleActivityTask():
                    named.setdefault(decision.activity_type, decision.task_list)
                case StartChildWorkflowExecution():
                    named.setdefault(decision.workflow_type, decision.task_list)
                case ContinueAsNewWorkflowExecution(workflow_type_version=str()):
                    named.update(self._next_version(token, decision))
                case _:
                    pass
        self._ensure_unknown(named, now)

    def _next_version(self, token: str, decision: ContinueAsNewWorkflowExecution) -> _Types:
        run = self._store.record(read_token(token, TaskKind.DECISION).run_id)
        version = decision.workflow_type_version
        if run is None or version is None:
            return {}
        return {evolve(run.info.workflow_type, version=version): decision.task_list}

    def _ensure_unknown(self, types: _Types, now: datetime) -> None:
        # The engine refuses malformed types, together with all other problems of the call.
        valid = {type_: task_list for type_, task_list in types.items() if _is_valid(type_)}
        registered, domain = self._store.registered, self._domain
        unknown = {type_: each for type_, each in valid.items() if registered(domain, type_) is None}
        if unknown:
            self._ensure(unknown, now)

    def _ensure(self, types: _Types, now: datetime) -> None:
        defaults = {type_: _defaults(type_, task_list) for type_, task_list in types.items()}
        self._registration.ensure(self._domain, defaults, now)


def _defaults(
    type_: ActivityType | WorkflowType, task_list: TaskList | None
) -> ActivityDefaults | WorkflowDefaults:
    return default_activity(task_list) if isinstance(type_, ActivityType) else default_workflow(task_list)


@lru_cache(maxsize=500)
def _is_valid(type_: ActivityType | WorkflowType) -> bool:
    return isinstance(type_, ActivityType | WorkflowType) and not any(problems(type_, ""))
