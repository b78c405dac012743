"""What a running activity may ask and tell."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

import floto
from floto.call_deadline import seconds_left
from floto.core.errors import ServiceError, ServiceUnavailable, UnknownResource
from floto.core.state.failures import split_details
from floto.core.swf import service as ports
from floto.core.swf.shapes import ActivityType, WorkflowExecution
from floto.core.visible import shorten_middle
from floto.runtime.workers.activities import Activities
from floto.runtime.workers.execute_activity import Completed, Failed, Stopped, perform
from floto.runtime.workers.running_activity import RunningActivity, current, running

LATER = ServiceUnavailable("later")
SHUT = ServiceError("the service is closed")
CLOSED = UnknownResource("UnknownResourceFault", "closed")


def perform_in(activities: Activities, activity: RunningActivity, *more: Any) -> Any:
    found = activities.find(activity.task.activity_type)
    assert found is not None
    return perform(found, activity, *more)


def running_activity(record: Any = lambda _token, _details: False, **fields: Any) -> RunningActivity:
    task = ports.PolledActivityTask(
        token="token",  # noqa: S106 - not a secret
        execution=WorkflowExecution("w", "r"),
        activity_id="a",
        activity_type=ActivityType("a", "1"),
        started_event_id=6,
        **fields,
    )
    return RunningActivity(task, record)


def test_current_outside_of_a_worker_is_never_canceled() -> None:
    assert current().heartbeat("half") is False
    assert current().cancel_requested is False


def test_current_is_the_running_activity() -> None:
    activity = running_activity()
    with running(activity):
        assert current() is activity
        assert (current().id, current().execution.workflow_id) == ("a", "w")
    assert current() is not activity


def test_heartbeat_repeats_its_latest_details() -> None:
    sent: list[str | None] = []

    def record(_token: str, details: str | None) -> bool:
        sent.append(details)
        return False

    activity = running_activity(record)
    activity.heartbeat("x" * 3000)
    activity.beat()
    activity.heartbeat()
    assert sent == ["x" * 2048] * 3


@pytest.mark.parametrize("details", [5, b"half", {"done": 5}])
def test_heartbeat_takes_a_string_only(details: Any) -> None:
    with pytest.raises(TypeError, match="the details of a heartbeat must be a string, not "):
        running_activity().heartbeat(details)


def test_cancel_requested_is_sticky() -> None:
    answers = iter([True, False])
    activity = running_activity(lambda _token, _details: next(answers))
    assert activity.heartbeat()
    assert activity.heartbeat()


def test_failed_heartbeat_does_not_affect_the_activity() -> None:
    def record(_token: str, _details: str | None) -> bool:
        raise LATER

    activity = running_activity(record)
    assert activity.beat() is False
    assert activity.heartbeat() is False
    assert activity.gone is False


def test_time_for_the_response_doubles_until_a_heartbeat_succeeds() -> None:
    allowed: list[float] = []
    is_late = True

    def record(_token: str, _details: str | None) -> bool:
        allowed.append(round(seconds_left(60), 2))
        if is_late:
            time.sleep(seconds_left(60))
            msg = "no response"
            raise ServiceUnavailable(msg)
        return False

    activity = running_activity(record)
    activity.response_seconds, activity.longest_response_seconds = 0.2, 0.5
    assert [activity.beat() for _ in range(4)] == [False] * 4
    is_late = False
    assert [activity.beat(), activity.beat()] == [True, True]
    assert allowed == pytest.approx([0.2, 0.4, 0.5, 0.5, 0.5, 0.2], abs=0.05)


def test_heartbeat_that_fails_at_once_leaves_the_time_for_the_response() -> None:
    allowed: list[float] = []

    def record(_token: str, _details: str | None) -> bool:
        allowed.append(round(seconds_left(60)))
        msg = "no connection"
        raise ServiceUnavailable(msg)

    activity = running_activity(record)
    activity.response_seconds = 20
    assert [activity.beat(), activity.beat()] == [False, False]
    assert allowed == [20, 20]


def test_closed_activity_should_stop() -> None:
    def record(_token: str, _details: str | None) -> bool:
        raise CLOSED

    activity = running_activity(record)
    assert activity.heartbeat() is True
    assert activity.gone is True


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raising(error: BaseException) -> Any:
    def activity() -> None:
        raise error

    return activity


@pytest.mark.parametrize(
    ("function", "outcome"),
    [
        (lambda: None, Completed("null")),
        (raising(ValueError("no")), Failed("ValueError", "no")),
        (raising(Unspeakable()), Failed("Unspeakable", "its message cannot be shown")),
        (raising(OSError("bad name \udcff")), Failed("OSError", "bad name ?")),
        (raising(floto.Canceled("why")), Failed("Canceled", "why")),
        (lambda: {object()}, None),
    ],
)
def test_every_result_or_exception_becomes_an_outcome(
    function: Any, outcome: Any, caplog: pytest.LogCaptureFixture
) -> None:
    # Half a surrogate pair in a captured log cannot travel between the processes of a test run.
    caplog.set_level(logging.CRITICAL, "floto.activity")
    activities = Activities()
    activities.activity(name="a", version="1")(function)
    found = perform_in(activities, running_activity())
    if isinstance(found, Failed):
        message, traceback, _ = split_details(found.details)
        assert traceback or outcome is None  # the failure of floto's own code needs none
        assert isinstance(message, str)
        found = Failed(found.reason, message)
    assert found == outcome if outcome else isinstance(found, Failed)


def test_failure_reports_the_last_heartbeat_behind_its_message() -> None:
    def work() -> None:
        floto.current().heartbeat("3 of 9")
        floto.current().heartbeat("7 of 9")
        msg = "x" * 40_000
        raise ValueError(msg)

    activities = Activities()
    activities.activity(name="a", version="1")(work)
    found = perform_in(activities, running_activity())
    message, _, checkpoint = split_details(found.details)
    assert checkpoint == "7 of 9"
    assert message is not None
    assert message.startswith("xxx")
    assert len(found.details) <= 32_768


def test_canceled_error_after_a_cancel_request_is_a_cancellation() -> None:
    activities = Activities()
    activities.activity(name="a", version="1")(raising(floto.Canceled()))
    activity = running_activity()
    activity.cancel_requested = True
    assert perform_in(activities, activity) == Stopped(None)


def test_long_text_is_truncated_in_the_middle() -> None:
    text = "begin" + "x" * 100 + "the end"
    assert len(shorten_middle(text, 60)) == 60
    assert shorten_middle(text, 60).startswith("begin")
    assert shorten_middle(text, 60).endswith("the end")
    assert shorten_middle("short", 60) == "short"


def test_unencodable_heartbeat_details_are_replaced() -> None:
    sent: list[str | None] = []

    def record(_: str, details: str | None) -> bool:
        sent.append(details)
        return False

    running_activity(record).heartbeat("half \ud83d of a pair")
    assert sent == ["half ? of a pair"]


def test_activity_of_a_closed_service_is_canceled() -> None:
    errors = [SHUT, LATER, SHUT, SHUT, LATER, SHUT, SHUT, SHUT]

    def record(_token: str, _details: str | None) -> bool:
        raise errors.pop(0)

    activity = running_activity(record)
    asked = [activity.heartbeat() for _ in range(8)]
    assert asked == [False] * 7 + [True]
    assert activity.gone


def test_refused_heartbeat_during_the_report_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def record(_token: str, _details: str | None) -> bool:
        raise CLOSED

    activity = running_activity(record)
    activity.reporting = True
    assert activity.beat()
    assert not caplog.text
