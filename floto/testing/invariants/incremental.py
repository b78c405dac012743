"""The invariant of incremental updates: they give what a rebuild from the whole history gives."""

from __future__ import annotations

from attrs import evolve

from floto.core.decide.decide import decide
from floto.core.decide.progress import begin
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY
from floto.core.swf.events import DecisionTaskStarted
from floto.core.swf.history import History
from floto.testing.invariants.differences import check_same
from floto.testing.invariants.violation import broken
from floto.testing.reading.moment import Moment


def carried_forward_equals_from_scratch(moment: Moment) -> None:
    """State, progress and decisions are the same whether updated from the last decision or rebuilt."""
    history = moment.history
    empty = evolve(EMPTY, execution=history.execution)
    cut = _previous_start(history)
    middle = (cut + len(history)) // 2
    carried = begin(moment.spec, fold(history.events[:cut], empty), moment.codec)
    carried = carried.observe(history.events[cut:middle])
    carried = carried.observe(history.events[middle:])
    scratch = begin(moment.spec, fold(history, empty), moment.codec)
    if carried.state != scratch.state:
        broken(f"the state updated from event {cut} on is not that of the whole history")
    if carried != scratch:
        broken(f"the progress updated from event {cut} on is not that of the whole history")
    check_same(moment.decisions, decide(carried), f"updated from event {cut} on")


def _previous_start(history: History) -> int:
    """Return the id of the previous DecisionTaskStarted event; 0 where this is the first."""
    ids = (event.id for event in reversed(history.events[:-1]) if isinstance(event.data, DecisionTaskStarted))
    return next(ids, 0)
