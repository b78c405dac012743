"""Task orchestration for Amazon SWF, decided by a pure function over the history."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from floto.adapters import history_files as histories
from floto.core.decide.decide import decide
from floto.core.decide.progress import Progress, begin
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
from floto.core.payloads.reference import Store
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, ChildWorkflow, DeciderSpec
from floto.core.spec.expand import expand
from floto.core.spec.kinds import ActivityTask, Generator, Signal, Timer
from floto.core.spec.retry import ExponentialBackoff, FixedDelay, InstantRetry, Retry, RetryStrategy
from floto.core.spec.rules.joins import AtLeast
from floto.core.spec.rules.wait_limits import Result
from floto.core.spec.tasks import NO_RESULT, Given, Task
from floto.core.state.attempts import Attempt
from floto.core.state.failures import Failure
from floto.core.state.fold import fold
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf import events
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event, EventData
from floto.core.swf.history import History
from floto.core.swf.service import (
    ExecutionInfo,
    PolledActivityTask,
    PolledDecisionTask,
    Service,
    StartRequest,
)
from floto.core.swf.shapes import ActivityType, WorkflowExecution, WorkflowType

if TYPE_CHECKING:
    from floto.adapters.local import LocalSwf
    from floto.core.replay.compare import Compared, Comparison, Verdict, compare
    from floto.core.replay.decision_diff import Difference
    from floto.core.replay.decision_tasks import RecordedOutcome
    from floto.core.replay.explain import Explained, Explanation, explain
    from floto.core.replay.recorded_decisions import Recorded
    from floto.core.replay.redrive.redrive import redrive
    from floto.core.replay.redrive.redrive_plan import PlannedAction, PlannedTask, Redrive
    from floto.core.replay.replay import Divergence, Replay, Step, replay
    from floto.core.replay.task_status import TaskStatus
    from floto.core.replay.why_waiting import Cause, Condition
    from floto.core.spec.fingerprint import spec_tags
    from floto.core.spec.schedule import Overlap, Schedule
    from floto.core.view.run_view import RunView, TaskMoment, view
    from floto.runtime.connect import UnknownService, connect
    from floto.runtime.deciders.decider import Decider
    from floto.runtime.metrics.metrics import Metrics
    from floto.runtime.runs.run import run
    from floto.runtime.runs.run_request import WrongWorkflow
    from floto.runtime.workers.activities import Activities, ActivityError, activity, generator
    from floto.runtime.workers.running_activity import Canceled, RunningActivity, current
    from floto.runtime.workers.worker import ActivityWorker

History.files = histories
__version__ = "1.0.0.dev0"

#: Names whose modules import threads, sockets and files, or that deciding does not need. They are imported
#: when they are first used, so that deciding offline imports none of it.
_LAZY = {
    "Activities": "floto.runtime.workers.activities",
    "ActivityError": "floto.runtime.workers.activities",
    "ActivityWorker": "floto.runtime.workers.worker",
    "Canceled": "floto.runtime.workers.running_activity",
    "Cause": "floto.core.replay.why_waiting",
    "Compared": "floto.core.replay.compare",
    "Comparison": "floto.core.replay.compare",
    "Condition": "floto.core.replay.why_waiting",
    "Decider": "floto.runtime.deciders.decider",
    "Difference": "floto.core.replay.decision_diff",
    "Divergence": "floto.core.replay.replay",
    "Explained": "floto.core.replay.explain",
    "Explanation": "floto.core.replay.explain",
    "LocalSwf": "floto.adapters.local",
    "Metrics": "floto.runtime.metrics.metrics",
    "Overlap": "floto.core.spec.schedule",
    "PlannedAction": "floto.core.replay.redrive.redrive_plan",
    "PlannedTask": "floto.core.replay.redrive.redrive_plan",
    "Recorded": "floto.core.replay.recorded_decisions",
    "RecordedOutcome": "floto.core.replay.decision_tasks",
    "Redrive": "floto.core.replay.redrive.redrive_plan",
    "Replay": "floto.core.replay.replay",
    "RunView": "floto.core.view.run_view",
    "RunningActivity": "floto.runtime.workers.running_activity",
    "Schedule": "floto.core.spec.schedule",
    "Step": "floto.core.replay.replay",
    "TaskMoment": "floto.core.view.run_view",
    "TaskStatus": "floto.core.replay.task_status",
    "UnknownService": "floto.runtime.connect",
    "Verdict": "floto.core.replay.compare",
    "WrongWorkflow": "floto.runtime.runs.run_request",
    "activity": "floto.runtime.workers.activities",
    "compare": "floto.core.replay.compare",
    "connect": "floto.runtime.connect",
    "current": "floto.runtime.workers.running_activity",
    "explain": "floto.core.replay.explain",
    "generator": "floto.runtime.workers.activities",
    "redrive": "floto.core.replay.redrive.redrive",
    "replay": "floto.core.replay.replay",
    "run": "floto.runtime.runs.run",
    "spec_tags": "floto.core.spec.fingerprint",
    "view": "floto.core.view.run_view",
}

__all__ = [
    "CODEC",
    "NO_RESULT",
    "Activities",
    "ActivityError",
    "ActivityTask",
    "ActivityType",
    "ActivityWorker",
    "AtLeast",
    "Attempt",
    "Canceled",
    "Cause",
    "ChildWorkflow",
    "Codec",
    "Compared",
    "Comparison",
    "Condition",
    "Decider",
    "DeciderSpec",
    "Decision",
    "Difference",
    "Divergence",
    "Event",
    "EventData",
    "ExecutionInfo",
    "Explained",
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
    "Item",
    "Key",
    "Kind",
    "LocalSwf",
    "Metrics",
    "Overlap",
    "PayloadError",
    "PlannedAction",
    "PlannedTask",
    "PolledActivityTask",
    "PolledDecisionTask",
    "Progress",
    "Recorded",
    "RecordedOutcome",
    "Redrive",
    "Replay",
    "Result",
    "Retry",
    "RetryStrategy",
    "RunView",
    "RunningActivity",
    "Schedule",
    "Service",
    "ServiceError",
    "ServiceFault",
    "ServiceUnavailable",
    "Signal",
    "SpecError",
    "StartRequest",
    "State",
    "Status",
    "Step",
    "Store",
    "Task",
    "TaskMoment",
    "TaskStatus",
    "Timer",
    "UnknownResource",
    "UnknownService",
    "Verdict",
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
    "events",
    "expand",
    "explain",
    "fold",
    "generator",
    "redrive",
    "replay",
    "run",
    "spec_tags",
    "view",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        msg = f"module 'floto' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
