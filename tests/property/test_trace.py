"""The trace of any run is a tree of spans within one another, whose links lead to spans of other runs."""

from __future__ import annotations

from hypothesis import given

from floto import History
from floto.core.swf import events as e
from floto.core.view.trace import TraceSpan, trace
from floto.core.view.trace_context import span_of_event
from floto.testing import Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE


@SETTINGS
@given(runs(specs(), faults=TROUBLE))
def test_spans_are_within_their_parents_and_attempts_are_those_of_the_history(run: Simulation) -> None:
    traces = {history.execution: trace(history) for history in run.histories}
    for history in run.histories:
        check(history, traces[history.execution])
    known = {span.context for spans in traces.values() for span in spans}
    for spans in traces.values():
        assert known.issuperset(link for span in spans for link in span.links)


def check(history: History, spans: tuple[TraceSpan, ...]) -> None:
    assert history.execution is not None
    found: dict[object, TraceSpan] = {}
    for span in spans:
        assert span.context not in found
        parent = None if span.parent is None else found[span.parent]
        assert (parent is None) == (not found)
        assert span.start <= span.end
        assert parent is None or parent.start <= span.start <= span.end <= parent.end
        assert span.context.trace_id == spans[0].context.trace_id
        found[span.context] = span
    for event in history.events:
        if isinstance(event.data, e.ActivityTaskStarted):
            attempt = found[span_of_event(history.execution.run_id, event.id)]
            assert (attempt.name, attempt.start) == ("attempt", event.at)
        elif isinstance(event.data, e.ActivityTaskFailed):
            attempt = found[span_of_event(history.execution.run_id, event.data.started_event_id)]
            assert attempt.end == event.at
            assert attempt.error is not None
