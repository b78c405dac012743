"""What happens to the question 'what next?'."""

from __future__ import annotations

from attrs import frozen

from floto.core.swf.shapes import TaskList


@frozen(kw_only=True)
class DecisionTaskScheduled:
    """A decider has something to look at."""

    task_list: TaskList
    task_priority: str | None = None
    start_to_close_timeout: str | None = None
    schedule_to_start_timeout: str | None = None


@frozen(kw_only=True)
class DecisionTaskStarted:
    """A decider took the decision task."""

    scheduled_event_id: int
    identity: str | None = None


@frozen(kw_only=True)
class DecisionTaskCompleted:
    """A decider answered; its decisions follow."""

    scheduled_event_id: int
    started_event_id: int
    execution_context: str | None = None
    task_list: TaskList | None = None
    task_list_schedule_to_start_timeout: str | None = None


@frozen(kw_only=True)
class DecisionTaskTimedOut:
    """No decider answered in time."""

    timeout_type: str
    scheduled_event_id: int
    started_event_id: int
