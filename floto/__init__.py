"""Task orchestration for Amazon SWF, decided by a pure function over the history."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from floto.adapters import histories
from floto.core.codec import Codec
from floto.core.decide import decide
from floto.core.errors import (
    FlotoError,
    HistoryError,
    PayloadError,
    ServiceError,
    ServiceFault,
    ServiceUnavailable,
    SpecError,
    UnknownResource,
    WorkflowEnded,
    WorkflowError,
    WorkflowFailed,
)
from floto.core.expand import expand
from floto.core.failures import Failure
from floto.core.fold import fold
from floto.core.history import History
from floto.core.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.ports import Service, StartRequest
from floto.core.progress import Progress, begin
from floto.core.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.core.specs import CODEC, ChildWorkflow, DeciderSpec
from floto.core.state import State
from floto.core.tasks import NO_RESULT, Given, Task

if TYPE_CHECKING:
    from floto.adapters.local import LocalSwf
    from floto.core.compare import Comparison, compare
    from floto.core.explain import Explanation, explain
    from floto.core.replay import Replay, replay
    from floto.runtime.activities import Activities, ActivityError, Canceled, activity, current, generator
    from floto.runtime.connect import UnknownService, connect
    from floto.runtime.decider import Decider
    from floto.runtime.fingerprint import spec_tags
    from floto.runtime.job import WrongWorkflow
    from floto.runtime.run import run
    from floto.runtime.worker import ActivityWorker

History.files = histories
__version__ = "1.0.0.dev0"

#: Names that bring threads, sockets and files with them, or that a decider never needs: loaded
#: when they are first used, so that deciding offline needs none of it.
_LAZY = {
    "Activities": "runtime.activities",
    "ActivityError": "runtime.activities",
    "ActivityWorker": "runtime.worker",
    "Canceled": "runtime.activities",
    "Comparison": "core.compare",
    "Decider": "runtime.decider",
    "Explanation": "core.explain",
    "LocalSwf": "adapters.local",
    "Replay": "core.replay",
    "UnknownService": "runtime.connect",
    "WrongWorkflow": "runtime.job",
    "activity": "runtime.activities",
    "compare": "core.compare",
    "connect": "runtime.connect",
    "current": "runtime.activities",
    "explain": "core.explain",
    "generator": "runtime.activities",
    "replay": "core.replay",
    "run": "runtime.run",
    "spec_tags": "runtime.fingerprint",
}

__all__ = [
    "CODEC",
    "NO_RESULT",
    "Activities",
    "ActivityError",
    "ActivityTask",
    "ActivityType",
    "ActivityWorker",
    "Canceled",
    "ChildWorkflow",
    "Codec",
    "Comparison",
    "Decider",
    "DeciderSpec",
    "Explanation",
    "ExponentialBackoff",
    "Failure",
    "FixedDelay",
    "FlotoError",
    "Generator",
    "Given",
    "History",
    "HistoryError",
    "InstantRetry",
    "LocalSwf",
    "PayloadError",
    "Progress",
    "Replay",
    "Retry",
    "RetryStrategy",
    "Service",
    "ServiceError",
    "ServiceFault",
    "ServiceUnavailable",
    "Signal",
    "SpecError",
    "StartRequest",
    "State",
    "Task",
    "Timer",
    "UnknownResource",
    "UnknownService",
    "WorkflowEnded",
    "WorkflowError",
    "WorkflowExecution",
    "WorkflowFailed",
    "WorkflowType",
    "WrongWorkflow",
    "__version__",
    "activity",
    "begin",
    "compare",
    "connect",
    "current",
    "decide",
    "expand",
    "explain",
    "fold",
    "generator",
    "replay",
    "run",
    "spec_tags",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        msg = f"module 'floto' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"floto.{module}"), name)
