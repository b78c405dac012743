"""Responses to decision tasks; a run whose decisions SWF refuses fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from floto.core.errors import ServiceFault
from floto.core.swf.decisions import Decision, FailWorkflowExecution
from floto.core.swf.service import PolledDecisionTask, Service
from floto.core.visible import shorten_middle
from floto.runtime.retrying import is_malformed, persist_after_stop
from floto.runtime.shutdown import StopFlag

log = logging.getLogger("floto")

#: Reason of a run that fails because SWF refuses its decisions.
REFUSED_REASON = "DecisionRefused"
#: Characters of SWF's message in the details of a run that fails: well below every limit of SWF.
_MESSAGE_LIMIT = 4_000


def respond(service: Service, stop: StopFlag, task: PolledDecisionTask, found: Sequence[Decision]) -> bool:
    """Respond with decisions; False if SWF refuses them, and the run fails with SWF's message instead.

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
        details = shorten_middle(str(fault).encode("ascii", "backslashreplace").decode(), _MESSAGE_LIMIT)
        persist_after_stop(
            stop, complete, task.token, [FailWorkflowExecution(reason=REFUSED_REASON, details=details)]
        )
        return False
    return True
