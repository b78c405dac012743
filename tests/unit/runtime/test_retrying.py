"""Calls that are made again: polls, reports and the first call of a program."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from attrs import evolve

from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable, Throttled, UnknownResource
from floto.runtime import retrying as resilient
from floto.runtime.retrying import persist, persist_after_stop, persist_at_start, poll, report, retry_read
from floto.runtime.shutdown import StopFlag

LATER = ServiceUnavailable("later")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(resilient, "_FIRST_BUSY", 0.001)


def failing(*errors: Exception) -> Any:
    left = list(errors)

    def call(*args: Any) -> Any:
        if left:
            raise left.pop(0)
        return args

    return call


def test_call_is_retried_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    unavailable = ServiceUnavailable("later")
    with caplog.at_level(logging.WARNING, "floto"):
        assert persist(StopFlag(), failing(unavailable, unavailable), 1, 2) == (1, 2)
    assert "call failed (later); attempt 2" in caplog.text
    assert "call: over after 2 failures" in caplog.text


def test_refused_call_is_not_retried() -> None:
    with pytest.raises(UnknownResource):
        persist(StopFlag(), failing(UnknownResource("UnknownResourceFault", "gone")))


def test_stop_ends_the_retries() -> None:
    stop = StopFlag()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(ServiceUnavailable):
        persist(stop, failing(*[ServiceUnavailable("later")] * 100_000))


def test_call_after_stop_is_retried_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopFlag()
    stop.set()
    assert persist_after_stop(stop, failing(LATER, LATER, LATER), 1) == (1,)
    monkeypatch.setattr(resilient, "_LAST_RESPONSE_SECONDS", 0.05)
    with pytest.raises(ServiceUnavailable):
        persist_after_stop(stop, failing(*[LATER] * 100_000))


def test_first_call_retries_a_throttled_service_longer_than_an_unavailable_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resilient, "AT_START", evolve(resilient.AT_START, seconds=0))
    assert persist_at_start(StopFlag(), failing(*[Throttled("slow down")] * 3), 1) == (1,)
    with pytest.raises(ServiceUnavailable):
        persist_at_start(StopFlag(), failing(LATER, LATER))


def test_poll_is_retried_after_refusals() -> None:
    assert poll(StopFlag(), failing(ServiceFault("LimitExceededFault", ""), ServiceUnavailable("")), 1) == (
        1,
    )


def test_stopped_poll_returns_none() -> None:
    stop = StopFlag()
    stop.set()
    assert poll(stop, failing(ServiceUnavailable("later"))) is None


CLOSED = ServiceError("the service is closed")


def test_a_poll_of_a_closed_service_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_LONGEST_WAIT", 0.01)
    with pytest.raises(ServiceError, match="closed"):
        poll(StopFlag(), failing(*[CLOSED] * 1000))
    assert poll(StopFlag(), failing(CLOSED, CLOSED), 1) == (1,)


def test_empty_poll_that_returns_at_once_is_delayed() -> None:
    began = time.monotonic()
    assert poll(StopFlag(), lambda: None) is None
    assert time.monotonic() - began > 0.05


@pytest.mark.parametrize("passing", [ServiceFault("OperationNotPermittedFault", ""), LATER, CLOSED])
def test_report_is_retried_after_transient_refusals(passing: Exception) -> None:
    assert report(StopFlag(), failing(passing, passing), 1) == (1,)


@pytest.mark.parametrize(
    "error", [UnknownResource("UnknownResourceFault", ""), ServiceFault("ValidationException", "")]
)
def test_report_is_not_retried_after_a_permanent_refusal(error: Exception) -> None:
    with pytest.raises(ServiceFault):
        report(StopFlag(), failing(error))


@pytest.mark.parametrize("error", [CLOSED, LATER])
def test_report_retries_are_bounded(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(resilient, "REPORT", evolve(resilient.REPORT, seconds=0.2))
    with pytest.raises(type(error)):
        report(StopFlag(), failing(*[error] * 100_000))


def test_report_is_retried_for_some_seconds_after_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopFlag()
    stop.set()
    assert report(stop, failing(LATER, LATER), 1) == (1,)
    monkeypatch.setattr(resilient, "_LAST_REPORT_SECONDS", 0.2)
    with pytest.raises(ServiceUnavailable):
        report(stop, failing(*[LATER] * 100_000))


def test_report_being_retried_ends_after_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_LAST_REPORT_SECONDS", 0.2)
    stop = StopFlag()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(ServiceUnavailable):
        report(stop, failing(*[LATER] * 100_000))


@pytest.mark.parametrize("last_call", [report, persist_after_stop])
def test_attempt_that_outlasts_the_time_after_stop_is_followed_by_one_more(
    last_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resilient, "_LAST_REPORT_SECONDS", 0.1)
    monkeypatch.setattr(resilient, "_LAST_RESPONSE_SECONDS", 0.1)
    stop = StopFlag()
    attempts: list[None] = []

    def slow() -> None:
        attempts.append(None)
        stop.set()
        time.sleep(0.2)
        raise LATER

    with pytest.raises(ServiceUnavailable):
        last_call(stop, slow)
    assert len(attempts) == 2


def test_time_of_the_first_attempt_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "READ", evolve(resilient.READ, seconds=0.1))
    attempts: list[None] = []

    def slow() -> None:
        attempts.append(None)
        time.sleep(0.2)
        raise LATER

    with pytest.raises(ServiceUnavailable):
        retry_read(slow)
    assert len(attempts) == 1
