"""Values that a call may leave to the registered type, and what is missing if neither says.

Each field is resolved by itself, when the task is scheduled or the run started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from floto.core.swf.events import WorkflowExecutionStarted
from floto.core.swf.shapes import TaskList


def _task_list(value: TaskList | str | None) -> TaskList | None:
    return TaskList(value) if isinstance(value, str) else value


@frozen(kw_only=True)
class ActivityDefaults:
    """What a registered activity type says for tasks that do not."""

    task_list: TaskList | None = field(default=None, converter=_task_list)
    task_priority: str | None = None
    schedule_to_start_timeout: str | None = None
    schedule_to_close_timeout: str | None = None
    start_to_close_timeout: str | None = None
    heartbeat_timeout: str | None = None


@frozen(kw_only=True)
class WorkflowDefaults:
    """What a registered workflow type says for runs that do not."""

    task_list: TaskList | None = field(default=None, converter=_task_list)
    task_priority: str | None = None
    execution_start_to_close_timeout: str | None = None
    task_start_to_close_timeout: str | None = None
    child_policy: str | None = None
    lambda_role: str | None = None


_DEFAULT_TASK_LIST = "floto"


def default_activity(task_list: TaskList | None = None) -> ActivityDefaults:
    """The defaults of an activity type that floto registers by itself: no time-outs."""
    return ActivityDefaults(
        task_list=task_list or TaskList(_DEFAULT_TASK_LIST),
        schedule_to_start_timeout="NONE",
        schedule_to_close_timeout="NONE",
        start_to_close_timeout="NONE",
        heartbeat_timeout="NONE",
    )


def default_workflow(task_list: TaskList | None = None) -> WorkflowDefaults:
    """The defaults of a workflow type that floto registers by itself: a year, and a minute to decide."""
    return WorkflowDefaults(
        task_list=task_list or TaskList(_DEFAULT_TASK_LIST),
        execution_start_to_close_timeout="31536000",
        task_start_to_close_timeout="60",
        child_policy="TERMINATE",
    )


#: What an activity needs, in the order SWF checks it, and the cause if it is missing.
ACTIVITY_NEEDS: Mapping[str, str] = {
    "task_list": "DEFAULT_TASK_LIST_UNDEFINED",
    "schedule_to_start_timeout": "DEFAULT_SCHEDULE_TO_START_TIMEOUT_UNDEFINED",
    "schedule_to_close_timeout": "DEFAULT_SCHEDULE_TO_CLOSE_TIMEOUT_UNDEFINED",
    "start_to_close_timeout": "DEFAULT_START_TO_CLOSE_TIMEOUT_UNDEFINED",
    "heartbeat_timeout": "DEFAULT_HEARTBEAT_TIMEOUT_UNDEFINED",
}

#: What a run needs, in the order SWF checks it, and the cause if it is missing.
RUN_NEEDS: Mapping[str, str] = {
    "execution_start_to_close_timeout": "DEFAULT_EXECUTION_START_TO_CLOSE_TIMEOUT_UNDEFINED",
    "task_list": "DEFAULT_TASK_LIST_UNDEFINED",
    "task_start_to_close_timeout": "DEFAULT_TASK_START_TO_CLOSE_TIMEOUT_UNDEFINED",
    "child_policy": "DEFAULT_CHILD_POLICY_UNDEFINED",
}

_ACTIVITY_FIELDS = (*ACTIVITY_NEEDS, "task_priority")
_RUN_FIELDS = (*RUN_NEEDS, "task_priority", "lambda_role")


def activity_settings(given: Any, defaults: Any) -> dict[str, Any]:
    """The settings of one activity task: as given, else as registered, else None."""
    return {name: _first(given, defaults, name) for name in _ACTIVITY_FIELDS}


def run_settings(given: Any, defaults: Any) -> dict[str, Any]:
    """The settings of one run: as given, else as registered, else None."""
    return {name: _first(given, defaults, name) for name in _RUN_FIELDS}


def missing(settings: Mapping[str, Any], needs: Mapping[str, str]) -> str | None:
    """The first field that nobody set, in SWF's order."""
    return next((name for name in needs if settings[name] is None), None)


def _first(given: Any, defaults: Any, name: str) -> Any:
    value = getattr(given, name)
    return getattr(defaults, name) if value is None else value


def started_event(given: Any, settings: Mapping[str, Any], **origin: Any) -> WorkflowExecutionStarted:
    """The first event of a run, with the literal 0 that SWF sends where there is no parent."""
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
