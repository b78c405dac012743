"""The spans of a run as those of OpenTelemetry's SDK, and as the JSON that tools load from files."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from floto.core.swf.wire import to_ms
from floto.core.view import trace_context
from floto.core.view.trace import TraceSpan
from floto.core.visible import encodable

#: The name of the service, unless ``OTEL_SERVICE_NAME`` or ``OTEL_RESOURCE_ATTRIBUTES`` has another.
_SERVICE = "floto"
_NANOSECONDS = 1_000_000
#: The ids in OTLP's JSON, which are hexadecimal there, and base64 in that of protobuf.
#: Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
_IDS = ("traceId", "spanId", "parentSpanId")


def otel_spans(spans: Iterable[TraceSpan]) -> list[ReadableSpan]:
    """Return the spans of a trace as those of OpenTelemetry's SDK, in the same order."""
    # Not through a ``TracerProvider``, which registers functions for forks that are never removed.
    resource, scope = _resource(), InstrumentationScope("floto")
    return [
        ReadableSpan(
            encodable(span.name),
            context=_otel_context(span.context, is_remote=False),
            parent=None if span.parent is None else _otel_context(span.parent),
            resource=resource,
            attributes=dict(_attributes(span)),
            links=[Link(_otel_context(each)) for each in span.links],
            status=Status() if span.error is None else Status(StatusCode.ERROR, encodable(span.error)),
            start_time=to_ms(span.start) * _NANOSECONDS,
            end_time=to_ms(span.end) * _NANOSECONDS,
            instrumentation_scope=scope,
        )
        for span in spans
    ]


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


def _otel_context(context: trace_context.SpanContext, *, is_remote: bool = True) -> SpanContext:
    ids = int(context.trace_id, 16), int(context.span_id, 16)
    return SpanContext(*ids, is_remote=is_remote, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _attributes(span: TraceSpan) -> Iterator[tuple[str, str | int]]:
    for name, value in span.attributes.items():
        yield name, encodable(value) if isinstance(value, str) else value


def _hexadecimal(base64_id: str) -> str:
    return base64.b64decode(base64_id).hex()
