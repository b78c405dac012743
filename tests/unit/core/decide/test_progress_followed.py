"""A run that a program follows by hand: what it looks at for each decision, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve

import floto
from floto.core.decide import update as module
from floto.core.decide.next_step import next_step
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.swf.events import ActivityTaskCompleted, ActivityTaskScheduled, DecisionTaskStarted, Event
from floto.testing import Faults, fails, simulate

LENGTH = 200
CHAIN = floto.DeciderSpec(
    activity_tasks=[
        floto.ActivityTask(
            id_=str(number),
            name="n",
            version="v",
            requires=[str(number - 1)] if number else [],
            retry_strategy=floto.InstantRetry(3),
        )
        for number in range(LENGTH)
    ],
    activity_task_list="work",
)


@pytest.fixture(scope="module")
def history() -> floto.History:
    return simulate(CHAIN, {"7": fails(2)}).main


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the tasks that were examined."""
    found: list[str] = []

    def counted(task: Any, *more: Any) -> Any:
        found.append(task.id_)
        return next_step(task, *more)

    monkeypatch.setattr(module, "next_step", counted)
    return found


def parts(history: floto.History) -> Iterator[tuple[Event, ...]]:
    """The events of a history as a decider is shown them: up to the start of each decision task."""
    begun = 0
    for place, event in enumerate(history.events, start=1):
        if isinstance(event.data, DecisionTaskStarted):
            yield history.events[begun:place]
            begun = place
    yield history.events[begun:]


def test_incremental_update_examines_changed_tasks_only(history: floto.History, examined: list[str]) -> None:
    progress = floto.begin(CHAIN, floto.History([], history.execution))
    counts = []
    for part in parts(history):
        before = len(examined)
        progress = progress.observe(part)
        floto.decide(progress)
        counts.append(len(examined) - before)
    assert len(counts) > LENGTH
    # Once, when the run starts, every task; then the one that moved, and the one that requires it.
    assert counts[0] == LENGTH
    assert max(counts[1:]) <= 2


def test_deciding_on_a_state_examines_every_task(history: floto.History, examined: list[str]) -> None:
    floto.decide(CHAIN, floto.fold(history))
    assert len(examined) >= LENGTH


def test_incremental_and_full_decisions_are_equal(history: floto.History) -> None:
    progress = floto.begin(CHAIN, floto.History([], history.execution))
    empty, seen = progress.state, 0
    for part in parts(history):
        progress = progress.observe(part)
        seen += len(part)
        whole = floto.History(history.events[:seen], history.execution)
        assert floto.decide(progress) == floto.decide(CHAIN, whole)
        assert progress == floto.begin(CHAIN, whole)
        assert progress.state == floto.fold(whole, empty)


def test_progress_is_immutable(history: floto.History) -> None:
    halfway = floto.begin(CHAIN, history.events[: len(history) // 2])
    before = floto.decide(halfway)
    halfway.observe(history.events[len(history) // 2 :])
    assert floto.decide(halfway) == before


def test_progress_can_begin_with_an_empty_history(history: floto.History) -> None:
    progress = floto.begin(CHAIN)
    assert floto.decide(progress) == []
    for event in history:
        progress = progress.observe([event])
    assert progress.state.closed is not None


def test_misuse_of_progress_raises_typed_errors(history: floto.History) -> None:
    progress = floto.begin(CHAIN, history)
    with pytest.raises(floto.HistoryError, match="follows event"):
        progress.observe(history.events[:1])
    with pytest.raises(floto.SpecError, match="must be a DeciderSpec"):
        floto.begin(CHAIN.to_json())  # type: ignore[arg-type]
    with pytest.raises(floto.HistoryError, match="give a list of events"):
        floto.decide(CHAIN)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="observe"):
        floto.decide(progress, history)  # type: ignore[call-overload]


def completed(history: floto.History) -> list[str]:
    """The ids of the activities in the order in which they completed."""
    ids = {e.id: e.data.activity_id for e in history if isinstance(e.data, ActivityTaskScheduled)}
    return [ids[e.data.scheduled_event_id] for e in history if isinstance(e.data, ActivityTaskCompleted)]


def test_generator_that_failed_stays_failed_when_a_new_requirement_completes() -> None:
    other = floto.ActivityTask(name="n", version="v", id_="other")
    double = {"tasks": floto.CODEC.unstructure([other])}
    many = floto.Generator(name="gen", version="v", id_="many", input=double)
    old = floto.DeciderSpec(activity_tasks=[many, other], activity_task_list="work")
    late = Faults(delays_answer=1, reorders=0.5, most=100)
    histories = [simulate(old, seed=seed, faults=late).main for seed in range(20)]
    history = next(each for each in histories if completed(each) == ["many", "other"])
    changed = evolve(old, activity_tasks=[other, evolve(many, requires=["other"])])
    whole = floto.begin(changed, history)
    assert whole.outcomes[whole.plan.index["many"]] is TaskOutcome.FAILED
    for place in range(1, len(history.events) + 1):
        followed = floto.begin(changed, floto.History(history.events[:place], history.execution))
        followed = followed.observe(history.events[place:])
        assert (followed.exhausted, followed.outcomes) == (whole.exhausted, whole.outcomes)
