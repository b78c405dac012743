"""What happens to timers and markers."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class MarkerRecorded:
    """The decider noted something for later."""

    marker_name: str
    decision_task_completed_event_id: int
    details: str | None = None


@frozen(kw_only=True)
class RecordMarkerFailed:
    """The service refused to record a marker."""

    marker_name: str
    cause: str
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class TimerStarted:
    """A timer runs."""

    timer_id: str
    start_to_fire_timeout: str
    decision_task_completed_event_id: int
    control: str | None = None


@frozen(kw_only=True)
class StartTimerFailed:
    """The service refused to start a timer."""

    timer_id: str
    cause: str
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class TimerFired:
    """A timer reached its time."""

    timer_id: str
    started_event_id: int


@frozen(kw_only=True)
class TimerCanceled:
    """The decider stopped a timer."""

    timer_id: str
    started_event_id: int
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class CancelTimerFailed:
    """The service refused to stop a timer."""

    timer_id: str
    cause: str
    decision_task_completed_event_id: int
