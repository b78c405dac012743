"""What a workflow is declared with."""

from __future__ import annotations

from floto.core.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.specs import ChildWorkflow, DeciderSpec
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
    "Signal",
    "Task",
    "Timer",
]
