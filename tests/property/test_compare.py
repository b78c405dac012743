"""An edit of a spec that changes a decision is found where it does, and no other is."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import pytest
from attrs import asdict, evolve, frozen
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from floto import ActivityTask, DeciderSpec, History, InstantRetry, SpecError, Task, compare, decide, replay
from floto.core.replay.compare import Verdict
from floto.core.replay.decision_diff import FILLED_IN
from floto.core.replay.decision_tasks import RecordedOutcome
from floto.core.replay.replay import Divergence
from floto.core.swf.decisions import Decision, FailWorkflowExecution
from floto.testing import Simulation, Step, fails, simulate
from floto.testing.strategies import runs, specs
from tests.property.edits import EDITS
from tests.property.setup import SETTINGS, TROUBLE

_IDS = ("activity_id", "timer_id", "marker_name", "id", "control", "workflow_id")


@frozen
class Parting:
    """The first difference of the responses of two specs, found by deciding every step from scratch."""

    started: int
    fields: frozenset[str]


def parting(spec: DeciderSpec, steps: Sequence[Step], *, lenient: bool) -> Parting | None:
    """Return the first response of a run that another spec decides differently."""
    for step in steps:
        fields = differing(step.decisions, decided(spec, step.history), lenient=lenient)
        if fields:
            return Parting(len(step.history), fields)
    return None


@lru_cache(maxsize=256)
def decided(spec: DeciderSpec, history: History) -> list[Decision]:
    try:
        return decide(spec, history)
    except SpecError as error:
        return [FailWorkflowExecution(reason="SpecError", details=str(error))]


def differing(old: Sequence[Decision], new: Sequence[Decision], *, lenient: bool) -> frozenset[str]:
    """Return the names that the first difference may have; empty if there is none."""
    for one, other in zip(old, new, strict=False):
        if type(one) is not type(other):
            return _APART
        left, right = (asdict(each, recurse=False) for each in (one, other))
        fields = {
            name
            for name in left
            if left[name] != right[name] and not (lenient and right[name] is None and name in FILLED_IN)
        }
        if fields & set(_IDS) and fields != {"workflow_id"} and not _same_task(left, right):
            return _APART
        if fields:
            return frozenset(fields)
    return _APART if len(old) != len(new) else frozenset()


_APART = frozenset({"decision", "order"})


def _same_task(left: dict[str, Any], right: dict[str, Any]) -> bool:
    return bool(left.get("control")) and left["control"] == right["control"]


def agrees(found: Divergence | None, expected: Parting | None, started: dict[int, int]) -> None:
    """Assert that what was found is what is there."""
    if expected is None:
        assert found is None
        return
    assert found is not None
    assert started[found.event_id] == expected.started
    assert found.field in expected.fields


def started_of(simulation: Simulation) -> dict[int, int]:
    """Return the event at which each answered decision task of a run was started, by that of its answer."""
    old = replay(simulation.spec, simulation.main)
    return {step.ended: step.started for step in old.steps if step.outcome is RecordedOutcome.ANSWERED}


def hold(name: str, new: DeciderSpec, simulation: Simulation, started: dict[int, int]) -> bool:
    """Assert that an edit is found; True if it changed a decision."""
    history = simulation.main
    steps = [step for step in simulation.steps if step.history.execution == history.execution]
    strict, lenient = (parting(new, steps, lenient=lenient) for lenient in (False, True))
    compared = compare(simulation.spec, new, [history]).histories[0]
    agrees(compared.divergence, strict, started)
    assert (compared.verdict is Verdict.SAME) is (strict is None), name
    assert (compared.stranger, compared.next, compared.is_safe) == (None, None, True)
    agrees(replay(new, history).divergence, lenient, started)
    return strict is not None


#: Edits that change no decision of any run.
_IDLE = {"nothing but JSON", "requires said twice"}


#: Runs of specs with something of every kind in them, in which something fails.
eventful = runs(specs(all_kinds=True), faults=TROUBLE)


def test_edit_is_reported_where_it_changes_a_decision() -> None:
    """By comparing with the old spec, and by replaying what it recorded; at the right step and field."""
    tried: Counter[str] = Counter()
    changed: Counter[str] = Counter()

    @settings(SETTINGS, max_examples=120, derandomize=True, phases=(Phase.generate,))
    @given(eventful, st.integers())
    def edited(simulation: Simulation, number: int) -> None:
        started = started_of(simulation)
        for name, edit in EDITS.items():
            new = edit(simulation.spec, random.Random(number))
            if new is not None:
                tried[name] += 1
                changed[name] += hold(name, new, simulation, started)

    edited()
    assert min(tried[name] for name in EDITS) >= 50
    assert {name for name in EDITS if not changed[name]} == _IDLE


def test_there_are_enough_classes_of_edits() -> None:
    assert len(EDITS) >= 20


FIRST = ActivityTask(name="work", version="v1", id_="a")
OLD = DeciderSpec(activity_tasks=[FIRST], activity_task_list="work")


def flow(*tasks: Task) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, activity_task_list="work")


SECOND = ActivityTask(name="work", version="v1", id_="b")
AFTER = evolve(SECOND, requires=["a"])
VERDICTS = {
    "more": (OLD, flow(FIRST, SECOND), Verdict.MORE, "would be decided now"),
    "more at the end": (OLD, flow(FIRST, AFTER), Verdict.MORE, "ScheduleActivityTask 'b' would be now"),
    "less": (flow(FIRST, SECOND), OLD, Verdict.LESS, "ScheduleActivityTask 'b' was decided and would not"),
    "input": (OLD, flow(evolve(FIRST, input=1)), Verdict.INPUT, "input was None and would now be"),
    "otherwise": (OLD, flow(evolve(FIRST, heartbeat_timeout=9)), Verdict.OTHER, "heartbeat_timeout was None"),
    "order": (flow(FIRST, SECOND), flow(SECOND, FIRST), Verdict.OTHER, "the order differs"),
}


@pytest.mark.parametrize(("old", "new", "verdict", "said"), VERDICTS.values(), ids=VERDICTS.keys())
def test_verdict_for_each_kind_of_change(
    old: DeciderSpec, new: DeciderSpec, verdict: Verdict, said: str
) -> None:
    history = simulate(old).main
    found = compare(old, new, [history, history])
    assert found.totals == {each: 2 * (each is verdict) for each in Verdict}
    assert said in str(found.histories[0])
    assert compare(old, old, [history]).totals[Verdict.SAME] == 1


def test_removed_retry_strategy_gives_verdict_fails() -> None:
    retried = flow(evolve(FIRST, retry_strategy=InstantRetry(9)))
    history = simulate(retried, {"a": fails(1)}).main
    found = compare(retried, OLD, [history]).histories[0]
    assert found.verdict is Verdict.FAILS
    assert "ScheduleActivityTask 'a' was decided and FailWorkflowExecution would be now" in str(found)


def test_open_run_is_safe_if_its_next_decisions_are_unchanged() -> None:
    """A change of a completed task does not affect an open run; one that starts a task does."""
    spec = flow(FIRST, AFTER)
    whole = simulate(spec).main
    end = next(event.id for event in whole if type(event.data).__name__ == "ActivityTaskCompleted")
    history = History(whole.events[: end + 1], whole.execution)
    past, other = flow(evolve(FIRST, heartbeat_timeout=9), AFTER), flow(FIRST, AFTER, evolve(SECOND, id_="c"))
    safe, unsafe = (compare(spec, new, [history]) for new in (past, other))
    assert (safe.is_safe, safe.histories[0].verdict) == (True, Verdict.OTHER)
    assert "safe: on deploy nothing changes" in str(safe.histories[0])
    assert not unsafe.is_safe
    assert "not safe: on deploy this starts 'c' at once" in str(unsafe.histories[0])


def test_history_that_disagrees_with_the_old_spec_is_reported() -> None:
    found = compare(flow(SECOND), OLD, [simulate(OLD).main]).histories[0]
    assert found.stranger is not None
    assert "the old spec does not decide this either: step 1 (event 4)" in str(found)
