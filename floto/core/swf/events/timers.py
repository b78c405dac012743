"""The events of timers and markers."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class MarkerRecorded:
    """The decider recorded a marker."""

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
    """A timer started."""

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
    """A timer fired."""

    timer_id: str
    started_event_id: int


@frozen(kw_only=True)
class TimerCanceled:
    """The decider canceled a timer."""

    timer_id: str
    started_event_id: int
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class CancelTimerFailed:
    """The service refused to cancel a timer."""

    timer_id: str
    cause: str
    decision_task_completed_event_id: int
