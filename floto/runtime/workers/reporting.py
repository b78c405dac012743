"""Reports of the outcomes of activities, with retries: a failed report does not mean that the task failed."""

from __future__ import annotations

import logging

from floto.core.errors import ServiceError, ServiceFault, ServiceGone, UnknownResource
from floto.core.swf.service import Service
from floto.runtime.retrying import brief, is_malformed, report
from floto.runtime.shutdown import StopFlag
from floto.runtime.workers.execute_activity import Outcome, refused
from floto.runtime.workers.running_activity import RunningActivity

log = logging.getLogger("floto")

_LOST = "activity %s: gave up reporting its result, which may be lost (%s)"
_LATE = "activity %s: its result came too late, or an earlier attempt to report it succeeded (%s)"


def report_outcome(service: Service, stop: StopFlag, current: RunningActivity, outcome: Outcome) -> None:
    """Report the outcome of an activity until the service has taken it; log it if that fails."""
    try:
        _report(service, stop, current, outcome)
    except UnknownResource as fault:
        log.warning(_LATE, current.id, fault)
    except ServiceGone:
        log.warning("activity %s: the service is gone; its result is lost", current.id)
    except ServiceError as error:
        log.error(_LOST, current.id, brief(error))  # noqa: TRY400 - the cause is outside of this process


def _report(service: Service, stop: StopFlag, current: RunningActivity, outcome: Outcome) -> None:
    try:
        report(stop, outcome.report, service, current.task.token)
    except ServiceFault as fault:
        if not is_malformed(fault):
            raise
        # Without a report, the task would stay open until it times out, or for ever.
        log.error("activity %s: the service refuses its result: %s", current.id, fault)  # noqa: TRY400
        report(stop, refused(fault).report, service, current.task.token)
