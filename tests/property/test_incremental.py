"""What is carried forward must equal what is worked out from scratch."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from floto import CODEC, DeciderSpec, HistoryError, decide, fold
from floto.core.decide import decisions
from floto.core.events import DecisionTaskCompleted, DecisionTaskStarted, DecisionTaskTimedOut
from floto.core.progress import begin, observe
from floto.core.state import EMPTY
from tests.property.simulator import Plot, simulate
from tests.property.strategies import SETTINGS, plots, specs


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_16_carried_forward_equals_from_scratch(spec: DeciderSpec, plot: Plot) -> None:
    """State, frontier and decisions are equal at every decision of every run."""
    simulation = simulate(spec, plot)
    for info in simulation.infos:
        progress = None
        for step in simulation.steps:
            if step.history.execution != info.execution:
                continue
            state = evolve(EMPTY, execution=info.execution)
            progress = progress or begin(step.spec, state, CODEC)
            progress = observe(progress, step.history.events[progress.state.last_event_id :])
            scratch = begin(step.spec, fold(step.history, state))
            assert progress == scratch
            assert decisions(progress) == decisions(scratch) == decide(step.spec, step.history)


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True), st.lists(st.integers(0, 400), max_size=4))
def test_fold_in_parts_equals_fold_at_once(spec: DeciderSpec, plot: Plot, cuts: list[int]) -> None:
    """``fold(a + b) == fold(b, fold(a))``, wherever the history is cut."""
    for history in simulate(spec, plot).histories:
        state, at = EMPTY, 0
        for cut in [*sorted(min(cut, len(history)) for cut in cuts), len(history)]:
            state, at = fold(history.events[at:cut], state), cut
        assert state == fold(history)


@SETTINGS
@given(specs(), plots(cancels=True), st.data())
def test_a_decision_task_that_nobody_waits_for_is_impossible(
    spec: DeciderSpec, plot: Plot, data: st.DataObject
) -> None:
    """One that is taken, answered or timed out must be there: another id, or a second time, cannot happen."""
    events = list(simulate(spec, plot).main)
    places = [place for place, event in enumerate(events) if type(event.data) in _REFERENCES]
    place = data.draw(st.sampled_from(places))
    event = events[place]
    ref = _REFERENCES[type(event.data)]
    wrong = data.draw(st.integers(event.id, 2**31))
    strange = evolve(event, data=evolve(event.data, **{ref: wrong}))
    with pytest.raises(
        HistoryError, match=f"event {event.id}: .* is {wrong}, which is no open decision task"
    ):
        fold([*events[:place], strange])
    with pytest.raises(HistoryError, match="which is no open decision task"):
        fold([*events[: place + 1], evolve(event, id=event.id + 1)])


_REFERENCES = {
    DecisionTaskStarted: "scheduled_event_id",
    DecisionTaskCompleted: "started_event_id",
    DecisionTaskTimedOut: "started_event_id",
}
