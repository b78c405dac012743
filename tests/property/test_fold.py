"""Folding in parts equals folding at once, and impossible histories are refused."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from floto import HistoryError, fold
from floto.core.state.state import EMPTY
from floto.core.swf.events import DecisionTaskCompleted, DecisionTaskStarted, DecisionTaskTimedOut
from floto.testing import Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS


@SETTINGS
@given(runs(specs()), st.lists(st.integers(0, 400), max_size=4))
def test_fold_in_parts_equals_fold_of_the_whole(run: Simulation, cuts: list[int]) -> None:
    """``fold(a + b) == fold(b, fold(a))``, wherever the history is cut."""
    for history in run.histories:
        state, at = EMPTY, 0
        for cut in [*sorted(min(cut, len(history)) for cut in cuts), len(history)]:
            state, at = fold(history.events[at:cut], state), cut
        assert state == fold(history)


@SETTINGS
@given(runs(specs()), st.data())
def test_unexpected_decision_task_event_raises_history_error(run: Simulation, data: st.DataObject) -> None:
    """One that is taken, answered or timed out must be there: another id, or a second time, cannot happen."""
    events = list(run.main)
    places = [place for place, event in enumerate(events) if type(event.data) in _REFERENCES]
    place = data.draw(st.sampled_from(places))
    event = events[place]
    ref = _REFERENCES[type(event.data)]
    wrong = data.draw(st.integers(event.id, 2**31))
    strange = evolve(event, data=evolve(event.data, **{ref: wrong}))
    with pytest.raises(
        HistoryError,
        match=f"event {event.id}: .* is {wrong}, but event {wrong} did not start any decision task",
    ):
        fold([*events[:place], strange])
    with pytest.raises(HistoryError, match="did not start any decision task that is still open"):
        fold([*events[: place + 1], evolve(event, id=event.id + 1)])


_REFERENCES = {
    DecisionTaskStarted: "scheduled_event_id",
    DecisionTaskCompleted: "started_event_id",
    DecisionTaskTimedOut: "started_event_id",
}
