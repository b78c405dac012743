"""The spans of OpenTelemetry's SDK, and the JSON that tools load."""

from __future__ import annotations

import json
import os

import pytest
from attrs import evolve
from opentelemetry.trace import StatusCode

from floto import ActivityTask, ChildWorkflow, DeciderSpec, FixedDelay
from floto.core.view.trace import trace
from floto.runtime.traces.otel_spans import otel_spans, otlp_json
from floto.testing import fails, simulate

TASK = ActivityTask(id_="a", name="work", version="v1", retry_strategy=FixedDelay(60, retries=3))
CHILD = ChildWorkflow(
    id_="c", workflow_type_name="child", workflow_type_version="v1", spec=DeciderSpec(activity_tasks=[TASK])
)
RUN = simulate(DeciderSpec(activity_tasks=[TASK, CHILD]), {"a": fails(details="no luck")})


def test_spans_have_the_ids_and_times_of_the_trace() -> None:
    spans = trace(RUN.main)
    found = otel_spans(spans)
    assert len(found) == len(spans) > 4
    for span, made in zip(spans, found, strict=True):
        assert made.context is not None
        assert f"{made.context.trace_id:032x}" == span.context.trace_id
        assert f"{made.context.span_id:016x}" == span.context.span_id
        above = None if made.parent is None else f"{made.parent.span_id:016x}"
        assert above == (span.parent and span.parent.span_id)
        assert made.start_time == round(span.start.timestamp() * 1_000) * 1_000_000
        assert made.end_time == round(span.end.timestamp() * 1_000) * 1_000_000
        assert dict(made.attributes or {}) == dict(span.attributes)
        assert (made.status.status_code is StatusCode.ERROR) == (span.error is not None)
        assert made.status.description == span.error
        assert [f"{link.context.span_id:016x}" for link in made.links] == [
            link.span_id for link in span.links
        ]


def test_json_has_hexadecimal_ids_and_is_the_same_each_time() -> None:
    spans = trace(RUN.main)
    found = otlp_json(otel_spans(spans))
    assert json.dumps(found) == json.dumps(otlp_json(otel_spans(spans)))
    [resource] = found["resourceSpans"]
    [scope] = resource["scopeSpans"]
    named = [(each["traceId"], each["spanId"], each.get("parentSpanId")) for each in scope["spans"]]
    assert named == [
        (span.context.trace_id, span.context.span_id, span.parent and span.parent.span_id) for span in spans
    ]
    [linked] = [each for each in scope["spans"] if "links" in each]
    [link] = [each for span in spans for each in span.links]
    assert (linked["links"][0]["traceId"], linked["links"][0]["spanId"]) == (link.trace_id, link.span_id)
    assert {each["kind"] for each in scope["spans"]} == {1}


@pytest.mark.parametrize("name", [None, "nightly"])
def test_service_is_named_as_the_environment_says(monkeypatch: pytest.MonkeyPatch, name: str | None) -> None:
    if name is not None:
        monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    # Neither of them may change what is sent.
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    [span, *_] = otel_spans(trace(RUN.main))
    assert span.resource.attributes["service.name"] == (name or "floto")


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    spec = DeciderSpec(activity_tasks=[evolve(TASK, retry_strategy=None)])
    done = simulate(spec, {"a": fails(details="no \ud800 luck")}).main
    found = otlp_json(otel_spans(trace(done)))
    assert "no ? luck" in json.dumps(found)


def test_nothing_stays_of_a_trace_until_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **functions: kept.append(functions))
    otel_spans(trace(RUN.main))
    assert not kept
