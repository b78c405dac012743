"""The ids of spans."""

from __future__ import annotations

from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from floto.core.view.trace_context import span_of_event, span_of_run, span_of_task


def test_traceparent_is_read_as_the_same_span() -> None:
    span = span_of_event("run", 7)
    context = TraceContextTextMapPropagator().extract({"traceparent": span.traceparent})
    found = get_current_span(context).get_span_context()
    assert f"{found.trace_id:032x}" == span.trace_id
    assert f"{found.span_id:016x}" == span.span_id
    assert found.trace_flags.sampled


def test_spans_of_a_run_have_one_trace_and_ids_of_their_own() -> None:
    spans = [span_of_run("run"), span_of_event("run", 2), span_of_task("run", "activity", "a")]
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    assert span_of_run("run") == span_of_event("run", 1)
    assert span_of_run("other").trace_id != spans[0].trace_id
