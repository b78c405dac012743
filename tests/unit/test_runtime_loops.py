"""Stopping, retrying and connecting: what the loops are made of."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from floto.core.errors import ServiceError, ServiceFault, ServiceUnavailable, Throttled, UnknownResource
from floto.core.spec.activity_timeouts import Timeouts
from floto.core.swf.wire import WireError
from floto.runtime import retrying as resilient
from floto.runtime.connect import UnknownService, client, connect, service_for
from floto.runtime.retrying import persist, persist_after_stop, persist_at_start, poll, report
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.workers.activities import RunningActivity
from floto.runtime.workers.heartbeats import Heartbeats
from floto.runtime.workers.worker import ActivityWorker

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


def test_a_flag_wakes_who_waits() -> None:
    flag = StopFlag()
    assert flag.wait(0.01) is False
    threading.Timer(0.05, flag.set).start()
    assert flag.wait(10) is True
    assert flag.wait(10) is True
    flag.set()
    assert flag.is_set()


def test_signals_are_left_alone_outside_of_the_main_thread() -> None:
    done = []

    def use() -> None:
        with stop_on_signals(lambda: None):
            done.append(1)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [1]


def test_a_call_is_made_until_it_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    unavailable = ServiceUnavailable("later")
    with caplog.at_level(logging.WARNING, "floto"):
        assert persist(StopFlag(), failing(unavailable, unavailable), 1, 2) == (1, 2)
    assert "call failed (later); attempt 2" in caplog.text
    assert "call: over after 2 failures" in caplog.text


def test_a_refusal_is_final_for_a_call() -> None:
    with pytest.raises(UnknownResource):
        persist(StopFlag(), failing(UnknownResource("UnknownResourceFault", "gone")))


def test_a_stop_ends_the_attempts() -> None:
    stop = StopFlag()
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(ServiceUnavailable):
        persist(stop, failing(*[ServiceUnavailable("later")] * 100_000))


def test_what_is_left_of_a_task_is_tried_some_seconds_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopFlag()
    stop.set()
    assert persist_after_stop(stop, failing(LATER, LATER, LATER), 1) == (1,)
    monkeypatch.setattr(resilient, "AFTER_STOP", evolve(resilient.AFTER_STOP, seconds=0.05))
    with pytest.raises(ServiceUnavailable):
        persist_after_stop(stop, failing(*[LATER] * 100_000))


def test_the_first_call_waits_long_for_a_busy_service_and_not_for_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resilient, "AT_START", evolve(resilient.AT_START, seconds=0))
    assert persist_at_start(StopFlag(), failing(*[Throttled("slow down")] * 3), 1) == (1,)
    with pytest.raises(ServiceUnavailable):
        persist_at_start(StopFlag(), failing(LATER, LATER))


def test_a_poll_survives_refusals_too() -> None:
    assert poll(StopFlag(), failing(ServiceFault("LimitExceededFault", ""), ServiceUnavailable("")), 1) == (
        1,
    )


def test_a_worker_outlives_a_task_that_it_cannot_read(caplog: pytest.LogCaptureFixture) -> None:
    polls: list[Exception] = [WireError("activityId must be a string")]

    class Odd:
        def poll_for_activity_task(self, *_: Any) -> None:
            if polls:
                raise polls.pop()
            worker.stop()

    odd: Any = Odd()
    worker = ActivityWorker(service=odd)
    worker.run()
    assert polls == []
    assert "activityId must be a string" in caplog.text


def test_a_stopped_poll_is_none() -> None:
    stop = StopFlag()
    stop.set()
    assert poll(stop, failing(ServiceUnavailable("later"))) is None


@pytest.mark.parametrize(
    "url",
    ["", "floto.db", "sqlite://", "sqlite:///", "sqlite:floto.db", "aws:", "aws:EU!", "ftp://x", "http://"],
)
def test_a_url_that_says_nothing_is_told_what_would(url: str) -> None:
    with pytest.raises(UnknownService, match="use sqlite:///relative"):
        connect(url)


def test_a_file_in_no_directory_says_so() -> None:
    with pytest.raises(UnknownService, match="directory that does not exist"):
        connect("sqlite:////no/such/place/floto.db")


def test_a_client_speaks_to_the_same_file_as_a_service(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/one.db"
    with contextlib.closing(connect(url, "mine")) as service:
        service.prepare([], [])
    swf = client(url)
    assert swf.describe_domain(name="mine")["domainInfo"]["status"] == "REGISTERED"
    swf.close()


def test_the_environment_names_the_service_where_a_program_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOTO_SERVICE", f"sqlite:///{tmp_path}/two.db")
    with contextlib.closing(service_for(None, None)) as service:
        service.prepare([], [])
    assert client().list_domains(registrationStatus="REGISTERED")["domainInfos"]
    monkeypatch.setenv("FLOTO_SERVICE", "nonsense")
    with pytest.raises(UnknownService, match="'nonsense'"):
        client()


def test_files_are_relative_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    connect("sqlite:///here.db").close()
    connect(f"sqlite:///{tmp_path}/there.db").close()
    assert {"here.db", "there.db"} <= {path.name for path in tmp_path.iterdir()}


def test_aws_without_a_region_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/no/such/file")
    with pytest.raises(ServiceFault, match="region"):
        connect("aws")
    connect("aws:eu-west-1").close()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    connect("http://localhost:1234", "shop").close()


class Beats:
    """Counts the heartbeats of one activity; those in ``bad`` fail in an unexpected way."""

    def __init__(self, *bad: int) -> None:
        self.bad, self.seen = bad, 0
        self.id, self.gone = "a", False
        self.timeouts, self.is_over, self.lost_to_service = Timeouts(), False, False

    def logged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def beat(self) -> bool:
        self.seen += 1
        if self.seen in self.bad:
            raise ZeroDivisionError
        return True


def activity(beats: Beats) -> RunningActivity:
    return beats  # type: ignore[return-value]  # all that is used of one


def test_each_running_activity_has_its_heartbeats() -> None:
    heartbeats, beats = Heartbeats(0.02), [Beats(), Beats(1)]
    with (
        heartbeats.sending(),
        heartbeats.watching(activity(beats[0])),
        heartbeats.watching(activity(beats[1])),
    ):
        end = time.monotonic() + 60
        while min(each.seen for each in beats) < 5 and time.monotonic() < end:
            time.sleep(0.01)
    before = [each.seen for each in beats]
    assert min(before) >= 5
    time.sleep(0.1)
    assert [each.seen for each in beats] == before


def test_no_heartbeats_at_zero() -> None:
    heartbeats, beats = Heartbeats(0), Beats()
    with heartbeats.sending(), heartbeats.watching(activity(beats)):
        time.sleep(0.1)
    assert beats.seen == 0


def test_what_is_gone_needs_no_heartbeat() -> None:
    heartbeats, beats = Heartbeats(0.01), Beats()
    beats.gone = True
    with heartbeats.sending(), heartbeats.watching(activity(beats)):
        time.sleep(0.2)
    assert beats.seen == 0


class Contended:
    """A lock that somebody else releases as soon as it is held."""

    def __init__(self, flag: StopFlag) -> None:
        self._flag, self._lock = flag, threading.Lock()

    def acquire(self, timeout: float = -1) -> bool:
        held = self._lock.acquire(timeout=timeout)
        self._flag._is_set = False  # noqa: SLF001 - as the second of two set() calls saw it
        self._flag.set()
        return held

    def release(self) -> None:
        self._lock.release()


def test_two_who_set_a_flag_at_once_do_not_disturb_who_waits() -> None:
    flag = StopFlag()
    flag.set()
    flag._unset_lock = Contended(flag)  # type: ignore[assignment]  # noqa: SLF001
    assert flag.wait(1)


CLOSED = ServiceError("the service is closed")


def test_a_poll_of_a_closed_service_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_LONGEST_WAIT", 0.01)
    with pytest.raises(ServiceError, match="closed"):
        poll(StopFlag(), failing(*[CLOSED] * 1000))
    assert poll(StopFlag(), failing(CLOSED, CLOSED), 1) == (1,)


def test_an_empty_poll_that_comes_at_once_is_not_made_again_at_once() -> None:
    began = time.monotonic()
    assert poll(StopFlag(), lambda: None) is None
    assert time.monotonic() - began > 0.05


@pytest.mark.parametrize("passing", [ServiceFault("OperationNotPermittedFault", ""), LATER, CLOSED])
def test_a_report_is_made_again_after_refusals_that_may_pass(passing: Exception) -> None:
    assert report(StopFlag(), failing(passing, passing), 1) == (1,)


@pytest.mark.parametrize(
    "error", [UnknownResource("UnknownResourceFault", ""), ServiceFault("ValidationException", "")]
)
def test_a_report_that_can_never_be_taken_is_made_once(error: Exception) -> None:
    with pytest.raises(ServiceFault):
        report(StopFlag(), failing(error))


@pytest.mark.parametrize("error", [CLOSED, LATER])
def test_a_report_is_not_made_for_ever(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_LONGEST_WAIT", 0.01)
    monkeypatch.setattr(resilient, "REPORT", evolve(resilient.REPORT, seconds=0.2))
    with pytest.raises(type(error)):
        report(StopFlag(), failing(*[error] * 100_000))


def test_report_is_made_for_some_seconds_more_when_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = StopFlag()
    stop.set()
    assert report(stop, failing(LATER, LATER), 1) == (1,)
    monkeypatch.setattr(resilient, "_LAST_REPORT_SECONDS", 0.2)
    with pytest.raises(ServiceUnavailable):
        report(stop, failing(*[LATER] * 100_000))


def test_report_under_way_ends_when_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_LAST_REPORT_SECONDS", 0.2)
    stop = StopFlag()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(ServiceUnavailable):
        report(stop, failing(*[LATER] * 100_000))
