"""Building blocks of your own task kinds, retry strategies and joins.

A task kind is a frozen attrs class (see ``Task``) whose ``start`` returns one of SWF's decisions, and whose
``result`` reads the ``Item`` that its ``key`` names. ``loads`` reads what floto wrote into SWF's text fields.
"""

from __future__ import annotations

from floto.core.payloads.payload import dumps, loads
from floto.core.spec.retry import Retry, RetryStrategy
from floto.core.spec.rules.joins import Join, JoinVerdict, Tally
from floto.core.spec.rules.sibling_limits import SiblingLimits
from floto.core.spec.rules.task_rules import Ruled, Rules, TaskOutcome
from floto.core.spec.rules.wait_limits import WaitLimit
from floto.core.spec.tasks import NO_RESULT, Checked, Expands, Given, Task, TaskCodec
from floto.core.state.failures import Failure
from floto.core.state.state import Item, Key, Kind, State, Status
from floto.core.swf.decisions import (
    Decision,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivityTask,
    ScheduleLambdaFunction,
    SignalExternalWorkflowExecution,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.events import Event
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType

__all__ = [
    "NO_RESULT",
    "ActivityType",
    "Checked",
    "Decision",
    "Event",
    "Expands",
    "Failure",
    "Given",
    "Item",
    "Join",
    "JoinVerdict",
    "Key",
    "Kind",
    "RequestCancelExternalWorkflowExecution",
    "Retry",
    "RetryStrategy",
    "Ruled",
    "Rules",
    "ScheduleActivityTask",
    "ScheduleLambdaFunction",
    "SiblingLimits",
    "SignalExternalWorkflowExecution",
    "StartChildWorkflowExecution",
    "StartTimer",
    "State",
    "Status",
    "Tally",
    "Task",
    "TaskCodec",
    "TaskList",
    "TaskOutcome",
    "WaitLimit",
    "WorkflowExecution",
    "WorkflowType",
    "dumps",
    "loads",
]
