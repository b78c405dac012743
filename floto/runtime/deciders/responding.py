"""Responses to decision tasks; a run whose decisions SWF refuses fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from floto.core.errors import ServiceError, ServiceFault
from floto.core.payloads.payload import LIMIT
from floto.core.swf.decisions import Decision, FailWorkflowExecution
from floto.core.swf.service import PolledDecisionTask, Service
from floto.core.visible import shorten_middle
from floto.runtime.deciders.spec_choice import NoSpec
from floto.runtime.retrying import brief, is_malformed, persist_after_stop, refusal
from floto.runtime.shutdown import StopFlag
from floto.trouble_log import TroubleLog

log = logging.getLogger("floto")

#: Reason of a run that fails because SWF refuses its decisions.
REFUSED_REASON = "DecisionRefused"


def respond(
    service: Service, stop: StopFlag, task: PolledDecisionTask, found: Sequence[Decision]
) -> Sequence[Decision]:
    """Respond with decisions; if SWF refuses them, the run fails with SWF's message instead.

    Returns:
        The decisions that SWF has taken.

    Raises:
        UnknownResource: The task was responded to before, or has timed out.
    """
    complete = service.respond_decision_task_completed
    try:
        persist_after_stop(stop, complete, task.token, found)
    except ServiceFault as fault:
        if not is_malformed(fault):
            raise
        # The same decisions would be refused each time that the decision task is scheduled again.
        log.error("run %s fails: SWF refuses the decisions: %s", task.execution, fault)  # noqa: TRY400
        failed = FailWorkflowExecution(reason=REFUSED_REASON, details=refusal(fault))
        persist_after_stop(stop, complete, task.token, [failed])
        return [failed]
    return found


def fail_run(task: PolledDecisionTask, reason: str, problem: str, what: str = "") -> list[Decision]:
    """Return the decision that fails a run for something that a retry would not change, and log it."""
    # No traceback: the error is in the spec or the history, not in the code.
    log.error("run %s fails: %s%s", task.execution, what, problem)
    return [FailWorkflowExecution(reason=reason, details=shorten_middle(problem, LIMIT))]


def log_left_alone(troubles: TroubleLog, task: PolledDecisionTask, missing: NoSpec) -> None:
    """Log that this decider leaves a decision task to another one."""
    message = (
        "run %s: left alone, %s; start a decider with that spec, "
        "or take the run over: Decider(take_over=True), floto decider --take-over"
    )
    troubles.failed(task.execution, message, task.execution, missing, level=logging.ERROR)


def log_no_response(troubles: TroubleLog, task: PolledDecisionTask, error: Exception) -> None:
    """Log that a decision task gets no response, with a traceback if the error may be one of the code."""
    if isinstance(error, ServiceError):
        message = "run %s: no response (%s); the decision task will time out and be scheduled again"
        troubles.failed(task.execution, message, task.execution, brief(error), level=logging.ERROR)
        return
    message = "run %s: no decision; the decision task will time out and be scheduled again"
    troubles.failed(task.execution, message, task.execution, level=logging.ERROR, error=error)
