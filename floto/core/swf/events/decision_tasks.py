"""The events of decision tasks."""

from __future__ import annotations

from attrs import frozen

from floto.core.quick_init import quick_init
from floto.core.swf.shapes import TaskList


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class DecisionTaskScheduled:
    """A decision task was scheduled for a decider."""

    task_list: TaskList
    task_priority: str | None = None
    start_to_close_timeout: str | None = None
    schedule_to_start_timeout: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class DecisionTaskStarted:
    """A decider claimed the decision task."""

    scheduled_event_id: int
    identity: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class DecisionTaskCompleted:
    """A decider responded; the events of its decisions follow."""

    scheduled_event_id: int
    started_event_id: int
    execution_context: str | None = None
    task_list: TaskList | None = None
    task_list_schedule_to_start_timeout: str | None = None


@frozen(kw_only=True)
class DecisionTaskTimedOut:
    """No decider responded in time."""

    timeout_type: str
    scheduled_event_id: int
    started_event_id: int
