"""The spans of a run as those of OpenTelemetry's SDK, and as the JSON that tools load from files."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from floto.core.swf.wire import to_ms
from floto.core.view import trace_context
from floto.core.view.trace import TraceSpan

#: The name of the service, unless ``OTEL_SERVICE_NAME`` or ``OTEL_RESOURCE_ATTRIBUTES`` has another.
_SERVICE = "floto"
_NANOSECONDS = 1_000_000
#: The ids in OTLP's JSON, which are hexadecimal there, and base64 in that of protobuf.
#: Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
_IDS = ("traceId", "spanId", "parentSpanId")


class _GivenIds(IdGenerator):
    """Gives a span the ids that follow from its history, where the SDK would choose some at random."""

    def __init__(self) -> None:
        self.context = trace_context.SpanContext("", "")

    def generate_trace_id(self) -> int:
        """Return the trace id of the span that begins now."""
        return int(self.context.trace_id, 16)

    def generate_span_id(self) -> int:
        """Return the id of the span that begins now."""
        return int(self.context.span_id, 16)


class _Ended(SpanProcessor):
    """Collects the spans that have ended."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Collect a span."""
        self.spans.append(span)


def otel_spans(spans: Iterable[TraceSpan]) -> list[ReadableSpan]:
    """Return the spans of a trace as those of OpenTelemetry's SDK, in the same order."""
    ids, ended = _GivenIds(), _Ended()
    provider = TracerProvider(
        sampler=ALWAYS_ON, id_generator=ids, resource=_resource(), shutdown_on_exit=False
    )
    provider.add_span_processor(ended)
    tracer = provider.get_tracer("floto")
    for span in spans:
        ids.context = span.context
        begun = tracer.start_span(
            _text(span.name),
            Context() if span.parent is None else _below(span.parent),
            attributes=dict(_attributes(span)),
            links=[Link(_otel_context(each)) for each in span.links],
            start_time=to_ms(span.start) * _NANOSECONDS,
        )
        if span.error is not None:
            begun.set_status(Status(StatusCode.ERROR, _text(span.error)))
        begun.end(to_ms(span.end) * _NANOSECONDS)
    return ended.spans


def otlp_json(spans: Sequence[ReadableSpan]) -> dict[str, Any]:
    """Return spans as the JSON of OTLP, which Jaeger and collectors read from files."""
    found: dict[str, Any] = MessageToDict(encode_spans(spans), use_integers_for_enums=True)
    for resource in found.get("resourceSpans", ()):
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for each in (span, *span.get("links", ())):
                    each |= {name: _hexadecimal(each[name]) for name in _IDS if name in each}
    return found


def _resource() -> Resource:
    # Not ``Resource.create()``, which adds a random id of the process: the same run has the same trace.
    return Resource({SERVICE_NAME: _SERVICE}).merge(OTELResourceDetector().detect())


def _below(parent: trace_context.SpanContext) -> Context:
    return set_span_in_context(NonRecordingSpan(_otel_context(parent)), Context())


def _otel_context(context: trace_context.SpanContext) -> SpanContext:
    ids = int(context.trace_id, 16), int(context.span_id, 16)
    return SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _attributes(span: TraceSpan) -> Iterator[tuple[str, str | int]]:
    for name, value in span.attributes.items():
        yield name, _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """Return text without unpaired surrogates, which protobuf cannot encode."""
    return value.encode(errors="replace").decode()


def _hexadecimal(base64_id: str) -> str:
    return base64.b64decode(base64_id).hex()
