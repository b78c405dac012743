"""Settings that default to the registered type, and the fault if neither has one.

Each field is resolved on its own, when the task is scheduled or the run started.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from attrs import field, frozen

from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.floto_defaults import (
    ACTIVITY_SECONDS,
    CHILD_POLICY,
    DECISION_SECONDS,
    DEFAULT_TASK_LIST,
    EXECUTION_SECONDS,
    HEARTBEAT_SECONDS,
)
from floto.core.swf.shapes import TaskList


def _task_list(value: TaskList | str | None) -> TaskList | None:
    return TaskList(value) if isinstance(value, str) else value


@frozen(kw_only=True)
class ActivityDefaults:
    """Defaults of a registered activity type."""

    task_list: TaskList | None = field(default=None, converter=_task_list)
    task_priority: str | None = None
    schedule_to_start_timeout: str | None = None
    schedule_to_close_timeout: str | None = None
    start_to_close_timeout: str | None = None
    heartbeat_timeout: str | None = None


@frozen(kw_only=True)
class WorkflowDefaults:
    """Defaults of a registered workflow type."""

    task_list: TaskList | None = field(default=None, converter=_task_list)
    task_priority: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_start_to_close_timeout: str | None = None
    child_policy: str | None = None
    lambda_role: str | None = None


def default_activity(task_list: TaskList | None = None) -> ActivityDefaults:
    """Return the defaults of an activity type that floto registers."""
    return ActivityDefaults(
        task_list=task_list or TaskList(DEFAULT_TASK_LIST),
        schedule_to_start_timeout=ACTIVITY_SECONDS,
        schedule_to_close_timeout=ACTIVITY_SECONDS,
        start_to_close_timeout=ACTIVITY_SECONDS,
        heartbeat_timeout=HEARTBEAT_SECONDS,
    )


def default_workflow(task_list: TaskList | None = None) -> WorkflowDefaults:
    """Return the defaults of a workflow type that floto registers."""
    return WorkflowDefaults(
        task_list=task_list or TaskList(DEFAULT_TASK_LIST),
        execution_start_to_close_timeout=EXECUTION_SECONDS,
        task_start_to_close_timeout=DECISION_SECONDS,
        child_policy=CHILD_POLICY,
    )


#: Required settings of an activity, in the order in which SWF checks them, with the cause if missing.
ACTIVITY_NEEDS: Mapping[str, str] = {
    "task_list": "DEFAULT_TASK_LIST_UNDEFINED",
    "schedule_to_start_timeout": "DEFAULT_SCHEDULE_TO_START_TIMEOUT_UNDEFINED",
    "schedule_to_close_timeout": "DEFAULT_SCHEDULE_TO_CLOSE_TIMEOUT_UNDEFINED",
    "start_to_close_timeout": "DEFAULT_START_TO_CLOSE_TIMEOUT_UNDEFINED",
    "heartbeat_timeout": "DEFAULT_HEARTBEAT_TIMEOUT_UNDEFINED",
}

#: Required settings of a run, in the order in which SWF checks them, with the cause if missing.
RUN_NEEDS: Mapping[str, str] = {
    "execution_start_to_close_timeout": "DEFAULT_EXECUTION_START_TO_CLOSE_TIMEOUT_UNDEFINED",
    "task_list": "DEFAULT_TASK_LIST_UNDEFINED",
    "task_start_to_close_timeout": "DEFAULT_TASK_START_TO_CLOSE_TIMEOUT_UNDEFINED",
    "child_policy": "DEFAULT_CHILD_POLICY_UNDEFINED",
}

_ACTIVITY_FIELDS = (*ACTIVITY_NEEDS, "task_priority")
_RUN_FIELDS = (*RUN_NEEDS, "task_priority", "lambda_role")
_VALUES: dict[tuple[str, ...], attrgetter[tuple[Any, ...]]] = {
    names: attrgetter(*names) for names in (_ACTIVITY_FIELDS, _RUN_FIELDS)
}


def activity_settings(given: Any, defaults: Any) -> dict[str, Any]:
    """Return the settings of an activity task: as given, else as registered, else None."""
    return _settings(_ACTIVITY_FIELDS, given, defaults)


def run_settings(given: Any, defaults: Any) -> dict[str, Any]:
    """Return the settings of a run: as given, else as registered, else None."""
    return _settings(_RUN_FIELDS, given, defaults)


def missing(settings: Mapping[str, Any], needs: Mapping[str, str]) -> str | None:
    """Return the first required setting that is None, in SWF's order; None if there is none."""
    for name in needs:
        if settings[name] is None:
            return name
    return None


def _settings(names: tuple[str, ...], given: Any, defaults: Any) -> dict[str, Any]:
    values = _VALUES[names]
    return {
        name: default if value is None else value
        for name, value, default in zip(names, values(given), values(defaults), strict=True)
    }


def started_event(given: Any, settings: Mapping[str, Any], **origin: Any) -> WorkflowExecutionStarted:
    """Return the first event of a run; without a parent, its ids have the literal 0 that SWF sends."""
    return WorkflowExecutionStarted(
        **{
            "workflow_type": getattr(given, "workflow_type", None),
            "input": given.input,
            "tag_list": given.tag_list or None,
            "parent_initiated_event_id": 0,
            **settings,
            **origin,
        }
    )
