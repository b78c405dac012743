"""Send traces to a collector: those of given runs, or of every run that closes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

from attrs import define
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from floto.core.errors import FlotoError, HistoryError, ServiceError, ServiceGone, UnknownResource
from floto.core.swf.history import History
from floto.core.swf.shapes import WorkflowExecution
from floto.core.view.trace import trace
from floto.core.visible import moment_text
from floto.runtime.shutdown import StopFlag, stop_on_signals
from floto.runtime.traces.otel_spans import otel_spans, otlp_json
from floto.trouble_log import TroubleLog

__all__ = ["NotSent", "TraceSender", "exporter_to", "otel_spans", "otlp_json", "send"]

log = logging.getLogger("floto")

#: Spans in one request, as many as OpenTelemetry's own processor sends.
_SPANS_AT_ONCE = 512
#: Seconds between looks for closed runs, and the most after failures.
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 5.0, 60.0
#: How late a run may appear in the lists of closed runs, which are eventually consistent in SWF.
_LATE = timedelta(minutes=1)


def _now() -> datetime:
    return datetime.now(UTC)


@define
class NotSent(FlotoError):
    """A collector did not take spans; OpenTelemetry's log says why."""

    count: int

    def __str__(self) -> str:
        """Return the problem."""
        return f"the collector did not take {self.count} spans"


def exporter_to(endpoint: str | None) -> SpanExporter:
    """Return an exporter that sends to an address, by default to that of OpenTelemetry's own variables."""
    return OTLPSpanExporter(endpoint)


def send(exporter: SpanExporter, spans: Sequence[ReadableSpan], stop: StopFlag | None = None) -> None:
    """Send spans to a collector, until ``stop`` is set.

    Raises:
        NotSent: if it did not take all of them; sending them again is harmless, as their ids are the same.
    """
    for first in range(0, len(spans), _SPANS_AT_ONCE):
        if stop is not None and stop.is_set():
            raise NotSent(len(spans) - first)
        part = spans[first : first + _SPANS_AT_ONCE]
        if exporter.export(part) is not SpanExportResult.SUCCESS:
            raise NotSent(len(part))


class TraceSender:
    """Sends the trace of every run that closes, until it is stopped.

    It looks at the lists of closed runs, and not at what deciders do. So runs that time out or are terminated
    are sent too, and no decider waits for a collector.

    Args:
        exporter: Sends spans.
        closed_since: Returns the runs that closed at a time or later, each with that time.
        history: Returns the history of a run.
        since: Runs that closed before are not sent.
        stop: Ends ``run()`` when it is set.
        clock: Returns the current time in UTC.
    """

    def __init__(  # noqa: PLR0913 - the last two have defaults
        self,
        exporter: SpanExporter,
        closed_since: Callable[[datetime], Iterable[tuple[WorkflowExecution, datetime]]],
        history: Callable[[WorkflowExecution], History],
        since: datetime,
        *,
        stop: StopFlag | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._exporter, self._closed_since, self._history = exporter, closed_since, history
        self._first = self._newest = since
        #: When the runs closed that were sent, as far as the lists are still read from before that.
        self._sent: dict[WorkflowExecution, datetime] = {}
        #: A span that the collector took.
        self._taken: Sequence[ReadableSpan] = ()
        self._stop = stop or StopFlag()
        self._clock, self._looked_at = clock, clock()
        self._troubles = TroubleLog(log)

    def run(self) -> None:
        """Send until ``stop()`` or (in the main thread) SIGINT or SIGTERM.

        Raises:
            ServiceGone: if the service was closed, or its file is gone.
        """
        log.info("sending the traces of runs that closed since %s", moment_text(self._first))
        pause = _PAUSE_SECONDS
        with stop_on_signals(self.stop):
            while not self._stop.is_set():
                try:
                    self.send_closed()
                except ServiceGone:
                    raise
                except (NotSent, ServiceError) as error:
                    self._troubles.failed("traces", "no traces are sent: %s", error)
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                else:
                    self._troubles.over("traces")
                    pause = _PAUSE_SECONDS
                self._stop.wait(pause)

    def stop(self) -> None:
        """Make ``run()`` return after its request under way; may be called in any thread."""
        self._stop.set()

    def send_closed(self) -> None:
        """Send the traces of the runs that closed since the last call.

        Raises:
            NotSent: if the collector did not take one; the next call sends what is left.
            ServiceError: if the runs cannot be read.
        """
        refused: NotSent | None = None
        newest, oldest = self._newest, self._oldest()
        for run, closed_at in self._closed_since(oldest):
            if self._stop.is_set():
                return
            if run not in self._sent:
                try:
                    self._send(run)
                except NotSent as error:
                    if self._stop.is_set():
                        return
                    if self._taken or refused:
                        raise
                    # Another run shows whether the collector refuses this one or all.
                    refused = error
                    continue
                self._sent[run] = closed_at
            newest = max(newest, closed_at)
        if refused is None:
            self._newest = newest
            self._sent = {run: at for run, at in self._sent.items() if at >= oldest}
        elif self._taken:
            self.send_closed()
        else:
            raise refused

    def _oldest(self) -> datetime:
        """Return the time since which runs may have closed that were not sent."""
        now = self._clock()
        if now < self._looked_at:
            # The clock was set back, so what closes now has an earlier time than what closed before.
            self._first = min(self._first, now)
        self._looked_at = now
        return max(self._first, min(self._newest, now) - _LATE)

    def _send(self, run: WorkflowExecution) -> None:
        try:
            spans = trace(self._history(run))
        except (HistoryError, UnknownResource) as error:
            log.warning("run %s has no trace: %s", run, error)
            return
        found = otel_spans(spans)
        try:
            send(self._exporter, found, self._stop)
        except NotSent:
            if self._stop.is_set() or not self._takes_others():
                raise
            try:
                send(self._exporter, found, self._stop)
            except NotSent as error:
                if self._stop.is_set():
                    raise
                # It would keep out the runs that close later.
                log.warning("run %s: given up, as %s, but takes other runs", run, error)
                return
        self._taken = found[-1:]

    def _takes_others(self) -> bool:
        """Return True if the collector takes a span that it took before, so that it is not just away.

        Collectors respond to a request without spans even while they cannot store any.
        """
        return bool(self._taken) and self._exporter.export(self._taken) is SpanExportResult.SUCCESS
