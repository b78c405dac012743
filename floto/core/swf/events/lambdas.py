"""The events of Lambda functions."""

from __future__ import annotations

from attrs import frozen


@frozen(kw_only=True)
class LambdaFunctionScheduled:
    """The invocation of a Lambda function was scheduled."""

    id: str
    name: str
    decision_task_completed_event_id: int
    control: str | None = None
    input: str | None = None
    start_to_close_timeout: str | None = None


@frozen(kw_only=True)
class ScheduleLambdaFunctionFailed:
    """The service refused to schedule a Lambda function."""

    id: str
    name: str
    cause: str
    decision_task_completed_event_id: int


@frozen(kw_only=True)
class LambdaFunctionStarted:
    """The Lambda function was invoked."""

    scheduled_event_id: int


@frozen(kw_only=True)
class StartLambdaFunctionFailed:
    """The Lambda function could not be invoked."""

    scheduled_event_id: int | None = None
    cause: str | None = None
    message: str | None = None


@frozen(kw_only=True)
class LambdaFunctionCompleted:
    """The Lambda function returned."""

    scheduled_event_id: int
    started_event_id: int
    result: str | None = None


@frozen(kw_only=True)
class LambdaFunctionFailed:
    """The Lambda function failed."""

    scheduled_event_id: int
    started_event_id: int
    reason: str | None = None
    details: str | None = None


@frozen(kw_only=True)
class LambdaFunctionTimedOut:
    """The Lambda function timed out."""

    scheduled_event_id: int
    started_event_id: int
    timeout_type: str | None = None
