"""What the log says of a decision task that gets no response."""

from __future__ import annotations

import pytest

from floto.core.errors import NotPermitted, ServiceUnavailable
from floto.core.swf.service import PolledDecisionTask
from floto.core.swf.shapes import WorkflowExecution, WorkflowType
from floto.runtime.deciders.responding import log_no_response
from floto.trouble_log import TroubleLog

TASK = PolledDecisionTask(
    token="token",  # noqa: S106 - not a password
    execution=WorkflowExecution("order-1", "run-1"),
    workflow_type=WorkflowType("order", "v1"),
    events=(),
    started_event_id=3,
    previous_started_event_id=0,
)


def logged(error: Exception, caplog: pytest.LogCaptureFixture) -> str:
    log_no_response(TroubleLog(), TASK, error)
    return caplog.text


@pytest.mark.parametrize(
    "error", [NotPermitted("AccessDeniedException", "not you"), ServiceUnavailable("<html>\nnot you</html>")]
)
def test_error_of_the_service_is_one_line(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    text = logged(error, caplog)
    assert "not you" in text
    assert text.count("\n") == 1


def test_other_errors_have_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    logged(ZeroDivisionError("a bug"), caplog)
    assert [record.exc_info and record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]
