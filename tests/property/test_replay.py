"""A history that floto decided is decided alike again, and what was changed in it is found."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from floto import DeciderSpec, History, decide, fold, replay
from floto.core.replay.decision_diff import FILLED_IN
from floto.core.replay.decision_tasks import RecordedOutcome
from floto.core.replay.replay import Replay
from floto.core.state.state import EMPTY
from floto.core.swf.decisions import CLOSE_DECISIONS
from floto.core.swf.events import (
    ActivityTaskScheduled,
    Event,
    StartChildWorkflowExecutionInitiated,
    TimerStarted,
)
from floto.testing import Simulation
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS, TROUBLE
from tests.replay_many import spec_for


def replays(run: Simulation) -> list[Replay]:
    return [replay(spec_for(run.spec, history), history) for history in run.histories]


@SETTINGS
@given(runs(specs()))
def test_decisions_of_floto_replay_identically(run: Simulation) -> None:
    """No history of a run diverges, and the steps' events are the history up to the last decision task."""
    for done in replays(run):
        assert done.divergence is None
        assert all(step.difference is None for step in done.steps)
        seen = [event for step in done.steps for event in step.events]
        assert seen == list(done.history.events[: len(seen)])
        assert done.next == ()


@SETTINGS
@given(runs(specs()))
def test_steps_are_the_decision_tasks_and_responses_of_the_run(run: Simulation) -> None:
    """Each answer of the simulation is a step with its very decisions, as typed decisions."""
    for history in run.histories:
        steps = [step for step in run.steps if step.history.execution == history.execution]
        done = replay(spec_for(run.spec, history), history)
        answered = [step for step in done.steps if step.outcome is RecordedOutcome.ANSWERED]
        assert [step.decided for step in answered] == [step.decisions for step in steps]
        for mine, theirs in zip(answered, steps, strict=True):
            assert mine.started == len(theirs.history)
            assert [type(each.decision) for each in mine.recorded] == [type(d) for d in theirs.decisions]
            for record, decision in zip(mine.recorded, theirs.decisions, strict=True):
                for name in set(record.known) - FILLED_IN:
                    assert getattr(record.decision, name) == getattr(decision, name)


@SETTINGS
@given(runs(specs()))
def test_lost_decision_tasks_and_refused_closes_are_steps(run: Simulation) -> None:
    """Every decision task that was taken is a step, however it ended; refusals keep SWF's cause."""
    for done in replays(run):
        names = [type(event.data).__name__ for event in done.history]
        count = {outcome: sum(step.outcome is outcome for step in done.steps) for outcome in RecordedOutcome}
        assert count[RecordedOutcome.ANSWERED] == names.count("DecisionTaskCompleted")
        assert count[RecordedOutcome.TIMED_OUT] == names.count("DecisionTaskTimedOut")
        refused = [each for step in done.steps for each in step.recorded if each.cause]
        caused = [event for event in done.history if getattr(event.data, "cause", None)]
        # A child that was refused after its start was initiated is one decision with two events.
        assert len(refused) == len([e for e in caused if hasattr(e.data, "decision_task_completed_event_id")])
        for each in refused:
            assert not (isinstance(each.decision, CLOSE_DECISIONS) and each.known)


@SETTINGS
@given(runs(specs()), st.data())
def test_replay_ends_with_the_history(run: Simulation, data: st.DataObject) -> None:
    """Of any beginning of a history, the steps agree, and what is next is what decide says."""
    history = run.main
    own = spec_for(run.spec, history)
    end = data.draw(st.integers(1, len(history)))
    # A batch that is cut in two is no history of a service.
    batch = {getattr(event.data, "decision_task_completed_event_id", 0) for event in history.events[end:]}
    assume(not batch & {event.id for event in history.events[:end]})
    cut = History(history.events[:end], history.execution)
    done = replay(own, cut)
    assert done.divergence is None
    assert list(done.next) == decide(own, cut)


_CHANGES: dict[type, dict[str, Any]] = {
    ActivityTaskScheduled: {"input": '{"other":1}', "activity_id": "other"},
    TimerStarted: {"start_to_fire_timeout": "77", "control": "other"},
    StartChildWorkflowExecutionInitiated: {"input": '{"other":1}', "workflow_id": "other"},
}


@SETTINGS
@given(runs(specs(), faults=TROUBLE), st.data())
def test_change_in_the_history_is_located(run: Simulation, data: st.DataObject) -> None:
    """A recorded field that was changed is the divergence: its step, its field and its values."""
    history = run.main
    own = spec_for(run.spec, history)
    openings = [event for event in history if type(event.data) in _CHANGES]
    assume(openings)
    event = data.draw(st.sampled_from(openings))
    name = data.draw(st.sampled_from(sorted(_CHANGES[type(event.data)])))
    changed = evolve(event.data, **{name: _CHANGES[type(event.data)][name]})
    events = [Event(each.id, each.at, changed) if each is event else each for each in history]
    found = replay(own, History(events, history.execution)).divergence
    assert found is not None
    assert found.event_id == event.data.decision_task_completed_event_id
    if name == "activity_id":
        assert found.field == "decision"
    else:
        assert (found.field, found.recorded) == (name, _CHANGES[type(event.data)][name])
        assert found.decided == getattr(event.data, name)
    assert str(found).startswith(f"step {found.step} (event {found.event_id}): ")


@SETTINGS
@given(runs(specs()), specs())
def test_any_history_can_be_replayed_with_any_spec(run: Simulation, other: DeciderSpec) -> None:
    """A spec that had nothing to do with it is held against it; what is decided is what decide says."""
    history = run.main
    done = replay(other, history)
    for step in done.steps:
        if step.started:
            state = fold(history.events[: step.started], evolve(EMPTY, execution=history.execution))
            assert list(step.decided) == decide(other, state)
