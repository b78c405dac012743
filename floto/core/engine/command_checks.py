"""The check of typed commands before any run is changed, by ``floto.core.swf.field_validation``."""

from __future__ import annotations

from floto.core.engine import commands as c
from floto.core.swf.field_validation import problems, refuse


def check_command(command: c.Command | c.StartWorkflowExecution) -> None:
    """Raise SWF's ValidationException, with every problem, for a malformed command.

    Commands that the engine makes itself are not checked.
    """
    if type(command) in _FROM_OUTSIDE:
        refuse(problems(command))


_FROM_OUTSIDE = frozenset(
    {
        c.StartWorkflowExecution,
        c.SignalWorkflowExecution,
        c.RequestCancelWorkflowExecution,
        c.TerminateWorkflowExecution,
        c.StartDecisionTask,
        c.DecideAtOnce,
        c.StartActivityTask,
        c.RespondDecisionTaskCompleted,
        c.RespondActivityTaskCompleted,
        c.RespondActivityTaskFailed,
        c.RespondActivityTaskCanceled,
        c.RecordActivityTaskHeartbeat,
        c.RespondLambdaFunctionCompleted,
        c.RespondLambdaFunctionFailed,
    }
)
