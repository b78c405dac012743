"""What a workflow is declared with."""

from __future__ import annotations

from floto.core.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.specs import ActivityTask, ChildWorkflow, DeciderSpec, Generator, Timer
from floto.core.tasks import Task

__all__ = [
    "ActivityTask",
    "ChildWorkflow",
    "DeciderSpec",
    "ExponentialBackoff",
    "FixedDelay",
    "Generator",
    "InstantRetry",
    "Retry",
    "RetryStrategy",
    "Task",
    "Timer",
]
