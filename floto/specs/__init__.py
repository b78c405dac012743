"""The classes that a workflow is declared with."""

from __future__ import annotations

from floto.core.spec.decider_spec import ChildWorkflow, DeciderSpec
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.spec.rules.joins import AtLeast
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import Task

__all__ = [
    "ActivityTask",
    "AtLeast",
    "ChildWorkflow",
    "DeciderSpec",
    "ExponentialBackoff",
    "FixedDelay",
    "Generator",
    "InstantRetry",
    "Result",
    "Retry",
    "RetryStrategy",
    "Signal",
    "Task",
    "Timer",
]
