"""Limits of the tasks that generators returned, in simulated runs with every fault."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from floto import CODEC, ActivityTask, DeciderSpec, Generator, begin, decide
from floto.core.swf.history import History
from floto.testing import Faults, Simulation
from floto.testing.checking.verifying import verify_run
from floto.testing.strategies import runs
from tests.property.limited_specs import limited
from tests.property.setup import SETTINGS, TROUBLE

FAULTS = {
    "failures": Faults(fails=0.2, fails_for_good=0.4, reorders=0.3),
    "trouble": TROUBLE,
    "every fault": Faults.all(0.1),
}


@settings(SETTINGS, max_examples=150)
@given(runs(limited(), input={"a": 5}, faults=FAULTS["failures"]))
def test_the_invariants_hold_with_failures(run: Simulation) -> None:
    verify_run(run)
    assert all(info.close_status for info in run.infos)


@settings(SETTINGS, max_examples=100)
@given(
    st.sampled_from(sorted(FAULTS)).flatmap(lambda name: runs(limited(), input={"a": 4}, faults=FAULTS[name]))
)
def test_the_invariants_hold_with_faults(run: Simulation) -> None:
    verify_run(run)


def in_flight_after(history: History) -> Iterator[int]:
    """Yield after each event how many tasks of the generator are in flight."""
    opened: dict[int, str] = {}
    for event in history:
        data: Any = event.data
        if type(data).__name__ == "ActivityTaskScheduled" and data.activity_id.startswith("m"):
            opened[event.id] = data.activity_id
        elif getattr(data, "scheduled_event_id", 0) in opened and "Started" not in type(data).__name__:
            del opened[data.scheduled_event_id]
        yield len(opened)


@settings(SETTINGS, max_examples=100)
@given(runs(limited(), input={"a": 5}, faults=FAULTS["every fault"]))
def test_no_event_leaves_more_in_flight_than_the_limit(run: Simulation) -> None:
    many = run.spec.activity_tasks[0]
    assert isinstance(many, Generator)
    most = many.max_in_flight
    assert most is None or max(in_flight_after(run.main)) <= most


@settings(SETTINGS, max_examples=60)
@given(runs(limited(), input={"a": 5}, faults=FAULTS["failures"]))
def test_followed_progress_equals_one_from_the_start(run: Simulation) -> None:
    """What the limits decide does not change with how much of the history is read at once."""
    progress = begin(run.spec, evolve(run.main, events=run.main.events[:1]))
    for event in run.main.events[1:]:
        progress = progress.observe([event])
        prefix = evolve(run.main, events=run.main.events[: event.id])
        assert progress == begin(run.spec, prefix)
        assert decide(progress) == decide(run.spec, prefix)


def reading(history: History, total: int, tolerated: int | None, least: int | None) -> str:
    """Return ``goes on``, ``fails`` or nothing: what the first events decide that decide it."""
    opened: dict[int, str] = {}
    done, failed = 0, 0
    for event in history:
        data: Any = event.data
        if type(data).__name__ == "ActivityTaskScheduled" and data.activity_id.startswith("m"):
            opened[event.id] = data.activity_id
        if getattr(data, "scheduled_event_id", 0) in opened:
            done += type(data).__name__ == "ActivityTaskCompleted"
            failed += type(data).__name__ in ("ActivityTaskFailed", "ActivityTaskTimedOut")
        if least is not None and done >= least:
            return "goes on"
        if (tolerated is not None and failed > tolerated) or (least is not None and total - failed < least):
            return "fails"
    return ""


@settings(SETTINGS, max_examples=100)
@given(st.data(), st.integers(1, 6), st.none() | st.integers(0, 3), st.none() | st.integers(1, 3))
def test_run_goes_on_or_fails_at_the_event_that_decides_it(
    data: st.DataObject, total: int, tolerated: int | None, least: int | None
) -> None:
    members = [ActivityTask(name="work", version="v1", id_=f"m{number}") for number in range(total)]
    limits = {"tolerated_failures": tolerated, "min_successful": None if least is None else min(least, total)}
    many = Generator(
        name="gen",
        version="v1",
        id_="g",
        input={"tasks": CODEC.unstructure(members)},
        **limits,  # type: ignore[arg-type]
    )
    behind = ActivityTask(name="work", version="v1", id_="behind", requires=["g"])
    own = DeciderSpec(task_list="decide", activity_task_list="work", activity_tasks=[many, behind])
    run = data.draw(runs(own, faults=Faults(fails_for_good=0.4, reorders=0.4)))
    if tolerated is None and least is None:
        return
    for event in run.main:
        progress = begin(own, evolve(run.main, events=run.main.events[: event.id]))
        if "m0" not in progress.plan.index or progress.state.closed is not None:
            continue
        prefix = History(run.main.events[: event.id], run.main.execution)
        found = reading(prefix, total, tolerated, limits["min_successful"])
        own_failures = {id_ for id_ in progress.failures if id_.startswith("m")}
        assert bool(own_failures) is (found == "fails")
        if limits["min_successful"] is not None:
            assert (not progress.requirements_left(progress.plan.index["behind"])) is (found == "goes on")
