"""What a sender of traces sends, and when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, field
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from floto import ActivityTask, DeciderSpec, History, ServiceUnavailable, WorkflowExecution
from floto.core.errors import ServiceGone, UnknownResource
from floto.runtime.traces.sending import NotSent, TraceSender, send
from floto.testing import simulate

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = simulate(DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1")])).main.events
#: The run, a task, and the two spans of its attempt.
SPANS_EACH = 4


class Collector(SpanExporter):
    """A collector that refuses while it is full."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.is_full = False
        #: It responds, but cannot store a span, as a collector of OpenTelemetry without its backend.
        self.stores_nothing = False
        self.refused = ""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        runs = [span.attributes.get("floto.run_id") for span in spans if span.attributes]
        if self.is_full or self.refused in runs or (self.stores_nothing and spans):
            return SpanExportResult.FAILURE
        self.spans += spans
        return SpanExportResult.SUCCESS

    @property
    def runs(self) -> list[object]:
        return [span.attributes["floto.run_id"] for span in self.spans if span.attributes and not span.parent]


@define
class Closed:
    """The lists of closed runs: what closed last comes first."""

    runs: dict[str, datetime] = field(factory=dict)
    asked: list[datetime] = field(factory=list)

    def close(self, run_id: str, seconds: float) -> None:
        self.runs[run_id] = BEGAN + timedelta(seconds=seconds)

    def since(self, oldest: datetime) -> Iterator[tuple[WorkflowExecution, datetime]]:
        self.asked.append(oldest)
        for run_id, at in sorted(self.runs.items(), key=lambda each: each[1], reverse=True):
            if at >= oldest:
                yield WorkflowExecution("w", run_id), at


def history(run: WorkflowExecution) -> History:
    if run.run_id == "deleted":
        raise UnknownResource(code="UnknownResourceFault", message="unknown execution")
    return History(EVENTS if run.run_id != "damaged" else (EVENTS[0], *EVENTS[2:]), run)


def sender(collector: Collector, closed: Closed) -> TraceSender:
    return TraceSender(collector, closed.since, history, BEGAN)


def test_each_run_is_sent_once_also_if_the_lists_show_it_late() -> None:
    collector, closed = Collector(), Closed()
    sending = sender(collector, closed)
    closed.close("before", -1)
    closed.close("1", 10)
    sending.send_closed()
    closed.close("2", 30)
    closed.close("late", 5)
    sending.send_closed()
    sending.send_closed()
    assert collector.runs == ["1", "2", "late"]
    closed.close("3", 500)
    sending.send_closed()
    sending.send_closed()
    assert collector.runs[3:] == ["3"]
    assert closed.asked[-1] > BEGAN + timedelta(seconds=400)


def test_what_a_collector_refused_is_sent_later() -> None:
    collector, closed = Collector(), Closed()
    sending = sender(collector, closed)
    closed.close("1", 10)
    sending.send_closed()
    closed.close("2", 20)
    closed.close("3", 500)
    collector.is_full = True
    with pytest.raises(NotSent, match=f"{SPANS_EACH} spans"):
        sending.send_closed()
    collector.is_full = False
    sending.send_closed()
    assert collector.runs == ["1", "3", "2"]


@pytest.mark.parametrize("before", [(), ("0",)])
def test_no_run_is_given_up_while_a_collector_stores_nothing(before: tuple[str, ...]) -> None:
    collector, closed = Collector(), Closed()
    sending = sender(collector, closed)
    for run_id in before:
        closed.close(run_id, 5)
    sending.send_closed()
    for number in (1, 2, 3):
        closed.close(str(number), 10 * number)
    collector.stores_nothing = True
    for _ in range(3):
        with pytest.raises(NotSent):
            sending.send_closed()
    collector.stores_nothing = False
    sending.send_closed()
    assert collector.runs == [*before, "3", "2", "1"]


def test_runs_that_close_after_the_clock_was_set_back_are_sent() -> None:
    collector, closed, now = Collector(), Closed(), [BEGAN]
    sending = TraceSender(collector, closed.since, history, BEGAN, clock=lambda: now[0])
    now[0] += timedelta(hours=2)
    closed.close("1", 7_200)
    sending.send_closed()
    now[0] = BEGAN - timedelta(hours=1)
    for seconds in (-3_600, -3_595, -3_000, 7_205):
        now[0] = max(now[0], BEGAN + timedelta(seconds=seconds))
        closed.close(f"at {seconds}", seconds)
        sending.send_closed()
    assert collector.runs == ["1", "at -3600", "at -3595", "at -3000", "at 7205"]


def test_stop_does_not_wait_for_the_other_requests_of_a_run(caplog: pytest.LogCaptureFixture) -> None:
    tasks = [ActivityTask(id_=f"a{number}", name="work", version="v1") for number in range(400)]
    events = simulate(DeciderSpec(activity_tasks=tasks)).main.events
    calls: list[int] = []

    class Stopping(Collector):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            calls.append(len(spans))
            sending.stop()
            return super().export(spans)

    for is_full in (False, True):
        collector, closed = Stopping(), Closed()
        collector.is_full = is_full
        closed.close("large", 10)
        sending = TraceSender(collector, closed.since, lambda run: History(events, run), BEGAN)
        sending.run()
    assert calls == [512, 512]
    assert "no traces" not in caplog.text


def test_run_that_a_collector_refuses_keeps_out_no_other(caplog: pytest.LogCaptureFixture) -> None:
    collector, closed = Collector(), Closed()
    collector.refused = "large"
    sending = sender(collector, closed)
    closed.close("large", 20)
    closed.close("1", 10)
    sending.send_closed()
    sending.send_closed()
    assert collector.runs == ["1"]
    [record] = caplog.records
    assert "run w@large: given up" in record.message


@pytest.mark.parametrize("broken", ["damaged", "deleted"])
def test_run_that_cannot_be_read_keeps_out_no_other(broken: str, caplog: pytest.LogCaptureFixture) -> None:
    collector, closed = Collector(), Closed()
    sending = sender(collector, closed)
    closed.close(broken, 20)
    closed.close("1", 10)
    sending.send_closed()
    sending.send_closed()
    assert collector.runs == ["1"]
    assert [record.message for record in caplog.records if "has no trace" in record.message] != []
    assert len(caplog.records) == 1


def test_sender_goes_on_after_an_outage_of_the_service(caplog: pytest.LogCaptureFixture) -> None:
    collector, error = Collector(), ServiceUnavailable("away")

    def away(_oldest: datetime) -> Iterator[tuple[WorkflowExecution, datetime]]:
        sending.stop()
        raise error

    sending = TraceSender(collector, away, history, BEGAN)
    sending.run()
    assert "no traces are sent: away" in caplog.text


def test_sender_ends_with_a_service_that_is_gone() -> None:
    def gone(_oldest: datetime) -> Iterator[tuple[WorkflowExecution, datetime]]:
        raise error

    error = ServiceGone("closed")
    with pytest.raises(ServiceGone):
        TraceSender(Collector(), gone, history, BEGAN).run()


def test_many_spans_are_sent_in_several_requests() -> None:
    sizes: list[int] = []

    class Counting(Collector):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            sizes.append(len(spans))
            return super().export(spans)

    spans = [ReadableSpan(str(number)) for number in range(1025)]
    collector = Counting()
    send(collector, spans)
    assert sizes == [512, 512, 1]
    assert collector.spans == spans
