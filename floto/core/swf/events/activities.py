"""The events of activities."""

from __future__ import annotations

from attrs import frozen

from floto.core.quick_init import quick_init
from floto.core.swf.shapes import ActivityType, TaskList


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class ActivityTaskScheduled:
    """An activity was scheduled for a worker."""

    activity_type: ActivityType
    activity_id: str
    task_list: TaskList
    decision_task_completed_event_id: int
    input: str | None = None
    control: str | None = None
    schedule_to_start_timeout: str | None = None
    schedule_to_close_timeout: str | None = None
    start_to_close_timeout: str | None = None
    task_priority: str | None = None
    heartbeat_timeout: str | None = None


@frozen(kw_only=True)
class ScheduleActivityTaskFailed:
    """The service refused to schedule an activity; nothing was scheduled before it."""

    activity_type: ActivityType
    activity_id: str
    cause: str
    decision_task_completed_event_id: int


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class ActivityTaskStarted:
    """A worker claimed the activity."""

    scheduled_event_id: int
    identity: str | None = None


@quick_init
@frozen(kw_only=True, weakref_slot=False)
class ActivityTaskCompleted:
    """A worker reported a result."""

    scheduled_event_id: int
    started_event_id: int
    result: str | None = None


@frozen(kw_only=True)
class ActivityTaskFailed:
    """A worker reported a failure."""

    scheduled_event_id: int
    started_event_id: int
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class ActivityTaskTimedOut:
    """One of the activity's four time-outs passed."""

    timeout_type: str
    scheduled_event_id: int
    started_event_id: int
    details: str | None = None


@frozen(kw_only=True)
class ActivityTaskCanceled:
    """The activity stopped after a cancel request."""

    scheduled_event_id: int
    started_event_id: int
    details: str | None = None
    latest_cancel_requested_event_id: int | None = None


@frozen(kw_only=True)
class ActivityTaskCancelRequested:
    """The decider requested the cancellation of an activity."""

    decision_task_completed_event_id: int
    activity_id: str


@frozen(kw_only=True)
class RequestCancelActivityTaskFailed:
    """The service refused to request the cancellation of an activity."""

    activity_id: str
    cause: str
    decision_task_completed_event_id: int
