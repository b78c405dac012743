"""Types to register with SWF, with the defaults of their runs and tasks.

The fields are SWF's, most with floto's default. None sets no default: SWF refuses a run or task that has no
value of its own either. Times are in seconds, ``"NONE"`` for no time-out.
"""

from __future__ import annotations

from attrs import field, frozen

from floto.core.spec.codec import Timeout
from floto.core.swf.floto_defaults import (
    ACTIVITY_SECONDS,
    CHILD_POLICY,
    DECISION_SECONDS,
    DEFAULT_TASK_LIST,
    EXECUTION_SECONDS,
    HEARTBEAT_SECONDS,
)
from floto.core.swf.shapes import TaskList


def _text(value: Timeout) -> str | None:
    return None if value is None else str(value)


def _list(value: TaskList | str | None) -> TaskList | None:
    return TaskList(value) if isinstance(value, str) else value


#: The task list of tasks that name none.
_DEFAULT = TaskList(DEFAULT_TASK_LIST)


@frozen(kw_only=True)
class WorkflowType:
    """A workflow type of a domain, with the defaults of its runs."""

    domain: str
    name: str
    version: str
    description: str | None = None
    default_task_list: TaskList | None = field(default=_DEFAULT, converter=_list)
    default_task_priority: str | None = field(default=None, converter=_text)
    default_execution_start_to_close_timeout: str | None = field(default=EXECUTION_SECONDS, converter=_text)
    default_task_start_to_close_timeout: str | None = field(default=DECISION_SECONDS, converter=_text)
    default_child_policy: str | None = CHILD_POLICY
    default_lambda_role: str | None = None


@frozen(kw_only=True)
class ActivityType:
    """An activity type of a domain, with the defaults of its tasks.

    Workers send heartbeats automatically, so a task whose worker crashed times out after ten minutes.
    """

    domain: str
    name: str
    version: str
    description: str | None = None
    default_task_list: TaskList | None = field(default=_DEFAULT, converter=_list)
    default_task_priority: str | None = field(default=None, converter=_text)
    default_task_schedule_to_start_timeout: str | None = field(default=ACTIVITY_SECONDS, converter=_text)
    default_task_schedule_to_close_timeout: str | None = field(default=ACTIVITY_SECONDS, converter=_text)
    default_task_start_to_close_timeout: str | None = field(default=ACTIVITY_SECONDS, converter=_text)
    default_task_heartbeat_timeout: str | None = field(default=HEARTBEAT_SECONDS, converter=_text)
