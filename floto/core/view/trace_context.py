"""The ids of traces and spans, which follow from a run id and from event ids."""

from __future__ import annotations

from hashlib import sha256

from attrs import frozen

#: Hexadecimal digits of the ids in W3C's Trace Context.
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16


@frozen
class SpanContext:
    """What identifies a span: the id of its trace, and its own, in hexadecimal digits."""

    trace_id: str
    span_id: str

    @property
    def traceparent(self) -> str:
        """The value of the HTTP header ``traceparent``, with the flag that the trace is sampled.

        Source: https://www.w3.org/TR/trace-context/#traceparent-header
        """
        return f"00-{self.trace_id}-{self.span_id}-01"


def span_of_event(run_id: str, event_id: int) -> SpanContext:
    """Return the context of the span that begins with an event; that of the run begins with event 1."""
    return _context(run_id, f"event {event_id}")


def span_of_run(run_id: str) -> SpanContext:
    """Return the context of the span of a run, the root of its trace."""
    return span_of_event(run_id, 1)


def span_of_task(run_id: str, kind: str, task: str) -> SpanContext:
    """Return the context of the span of a task, which has those of its attempts below it."""
    return _context(run_id, f"{kind} {task}")


def _context(run_id: str, name: str) -> SpanContext:
    return SpanContext(_digits(run_id)[:_TRACE_DIGITS], _digits(f"{run_id} {name}")[:_SPAN_DIGITS])


def _digits(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
