"""Redrive of a run whose child failed: the child goes on from what completed in it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attrs import evolve

from floto import (
    CODEC,
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    FixedDelay,
    History,
    PlannedAction,
    PlannedTask,
    Redrive,
    Signal,
    WorkflowExecution,
    decide,
    explain,
    fold,
    redrive,
    replay,
)
from floto.core.payloads import payload
from floto.core.state.redriven import redriven
from floto.core.swf.decisions import ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.swf.events import ChildWorkflowExecutionStarted
from floto.core.swf.reserved_names import REDRIVE_KEY, STORED_KEY
from floto.testing import Simulation, fails, simulate
from tests.property.test_decider_payloads import MemoryStore


def act(id_: str, **fields: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name=id_, version="1", **fields)


def child(id_: str, *tasks: Any, **fields: Any) -> ChildWorkflow:
    return ChildWorkflow(
        id_=id_,
        workflow_type_name="child",
        workflow_type_version="1",
        spec=DeciderSpec(activity_tasks=tasks),
        **fields,
    )


PACK = child(
    "pack",
    act("fetch"),
    Signal(id_="paid", signal_name="paid"),
    act("wrap", requires=["fetch", "paid"]),
    act("label", requires=["wrap"]),
    requires=["order"],
)
SPEC = DeciderSpec(activity_tasks=[act("order"), PACK, act("send", requires=["pack"])])


def failed(spec: DeciderSpec = SPEC, task: str = "wrap", **more: Any) -> Simulation:
    found = simulate(spec, {task: fails(), **more.pop("activities", {})}, **more)
    assert found.status == "FAILED"
    return found


def children(run: Simulation) -> dict[str, History]:
    """Return the histories of a simulation's children by run id."""
    return {each.execution.run_id: each for each in run.histories[1:] if each.execution is not None}


def again(spec: DeciderSpec, planned: Redrive, **more: Any) -> Simulation:
    return simulate(spec, input=payload.loads(planned.start.input), **more)


def planned_task(planned: Redrive, id_: str) -> PlannedTask:
    return next(task for task in planned.plan if task.task_id == id_)


def scheduled(run: Simulation) -> list[str]:
    """Return the ids of the activities that all runs of a simulation scheduled."""
    decisions = (decision for step in run.steps for decision in step.decisions)
    return [each.activity_id for each in decisions if isinstance(each, ScheduleActivityTask)]


def inputs(run: Simulation) -> list[Any]:
    """Return the inputs of the children that the main run started."""
    started = [each for each in run.decisions if isinstance(each, StartChildWorkflowExecution)]
    return [payload.loads(each.input) for each in started]


def test_failed_child_keeps_what_completed_in_it() -> None:
    run = failed()
    planned = redrive(SPEC, run.main, children=children(run))
    assert planned.kept == ("order",)
    pack = planned_task(planned, "pack")
    assert pack.reason == "failed: failed: wrap: wrap: Failure; goes on: 2 of 4 tasks kept"
    assert [(each.task_id, each.action) for each in pack.children] == [
        ("fetch", "keep"),
        ("paid", "keep"),
        ("wrap", "run"),
        ("label", "run"),
    ]
    new = again(SPEC, planned)
    assert new.result == simulate(SPEC).result
    assert scheduled(new) == ["wrap", "label", "send"]
    assert replay(SPEC, new.main).divergence is None


def test_why_of_the_child_names_the_run_that_a_task_is_kept_from() -> None:
    run = failed()
    new = again(SPEC, redrive(SPEC, run.main, children=children(run)))
    (run_id,) = children(run)
    assert PACK.spec is not None
    assert f"kept from run {run_id}, event " in explain(PACK.spec, new.histories[1]).why("fetch")


def test_child_without_its_history_starts_from_its_beginning() -> None:
    run = failed()
    planned = redrive(SPEC, run.main)
    reason = planned_task(planned, "pack").reason
    assert reason == "failed: failed: wrap: wrap: Failure; from its beginning: its history is not at hand"
    assert [each.run_id for each in planned.unread] == [*children(run)]
    assert redrive(SPEC, run.main, children=children(run)).unread == ()
    assert scheduled(again(SPEC, planned)) == ["fetch", "wrap", "label", "send"]


def test_child_in_which_nothing_completed_starts_from_its_beginning() -> None:
    spec = DeciderSpec(activity_tasks=[child("pack", act("fetch"))])
    run = failed(spec, "fetch")
    planned = redrive(spec, run.main, children=children(run))
    assert planned.plan[0].reason.endswith("; from its beginning: nothing in it is kept")
    assert REDRIVE_KEY not in inputs(again(spec, planned))[0]


@pytest.mark.parametrize("rerun", ["pack", "order"])
def test_child_that_is_chosen_or_requires_what_runs_again_starts_from_its_beginning(rerun: str) -> None:
    run = failed()
    planned = redrive(SPEC, run.main, rerun=[rerun], children=children(run))
    assert planned_task(planned, "pack").children == ()
    assert planned.unread == ()
    assert "fetch" in scheduled(again(SPEC, planned))


def test_child_whose_input_changed_starts_from_its_beginning() -> None:
    run = failed()
    order, pack, send = SPEC.activity_tasks
    changed = evolve(SPEC, activity_tasks=[order, evolve(PACK, input=1), send])
    planned = redrive(changed, run.main, children=children(run))
    reason = planned_task(planned, "pack").reason
    assert reason.endswith("; from its beginning: its input or context changed")
    assert pack == PACK


def test_spec_of_the_child_may_change_and_what_changed_runs_again() -> None:
    run = failed()
    assert PACK.spec is not None
    fetch, paid, wrap, label = PACK.spec.activity_tasks
    tasks = [act("fetch", input=1), paid, wrap, label, act("check")]
    order, _, send = SPEC.activity_tasks
    changed = evolve(SPEC, activity_tasks=[order, evolve(PACK, spec=DeciderSpec(activity_tasks=tasks)), send])
    planned = redrive(changed, run.main, children=children(run))
    pack = planned_task(planned, "pack")
    assert pack.reason.endswith("; goes on: 1 of 5 tasks kept")
    assert pack.children[0].reason == "its declaration, input or context changed"
    new = again(changed, planned)
    assert new.result == simulate(changed).result
    assert sorted(scheduled(new)) == ["check", "fetch", "label", "send", "wrap"]
    assert fetch != tasks[0]


def test_completed_child_whose_spec_changed_keeps_what_did_not() -> None:
    run = failed(task="send")
    assert PACK.spec is not None
    longer = DeciderSpec(activity_tasks=[*PACK.spec.activity_tasks, act("check")])
    order, _, send = SPEC.activity_tasks
    changed = evolve(SPEC, activity_tasks=[order, evolve(PACK, spec=longer), send])
    planned = redrive(changed, run.main, children=children(run))
    assert planned_task(planned, "pack").reason == (
        "its declaration, input or context changed; goes on: 4 of 5 tasks kept"
    )
    assert scheduled(again(changed, planned)) == ["check", "send"]


def test_child_of_a_child_goes_on_too() -> None:
    inner = child("inner", act("a"), act("b", requires=["a"]))
    spec = DeciderSpec(activity_tasks=[child("outer", act("first"), inner, act("last", requires=["inner"]))])
    run = failed(spec, "b")
    planned = redrive(spec, run.main, children=children(run))
    outer = planned.plan[0]
    assert outer.reason.endswith("goes on: 1 of 3 tasks kept")
    assert outer.children[1].reason.endswith("goes on: 1 of 2 tasks kept")
    assert [each.task_id for each in outer.children[1].children] == ["a", "b"]
    new = again(spec, planned)
    assert new.result == simulate(spec).result
    assert scheduled(new) == ["b", "last"]


def test_histories_that_are_not_at_hand_are_named_one_level_at_a_time() -> None:
    inner = child("inner", act("a"), act("b", requires=["a"]))
    spec = DeciderSpec(activity_tasks=[child("outer", inner)])
    run = failed(spec, "b")
    known = children(run)
    outer, innermost = known
    assert [each.run_id for each in redrive(spec, run.main).unread] == [outer]
    planned = redrive(spec, run.main, children={outer: known[outer]})
    assert [each.run_id for each in planned.unread] == [innermost]


def test_each_retry_of_the_child_starts_with_what_is_kept() -> None:
    spec = DeciderSpec(activity_tasks=[evolve(PACK, requires=(), retry_strategy=FixedDelay(1, 2))])
    run = failed(spec)
    planned = redrive(spec, run.main, children=children(run))
    new = again(spec, planned, activities={"wrap": fails()})
    found = inputs(new)
    assert len(found) == 3
    assert found[0] == found[1] == found[2]
    assert REDRIVE_KEY in found[0]
    assert "fetch" not in scheduled(new)


def test_redrive_of_a_redrive_keeps_the_same() -> None:
    run = failed()
    planned = redrive(SPEC, run.main, children=children(run))
    new = again(SPEC, planned)
    begun = redrive(SPEC, History(new.main.events[:1], new.main.execution))
    first, second = (redriven(evolve(new.main.start, input=each.start.input)) for each in (planned, begun))
    assert first is not None
    assert second is not None
    assert (first.tasks, first.signals, first.checkpoints) == (
        second.tasks,
        second.signals,
        second.checkpoints,
    )
    pack = planned_task(begun, "pack")
    assert pack.reason == "never ran; goes on: 2 of 4 tasks kept"
    assert pack.children[0] == planned_task(planned, "pack").children[0]


def test_child_that_failed_again_keeps_what_completed_since() -> None:
    run = failed()
    second = again(SPEC, redrive(SPEC, run.main, children=children(run)), activities={"label": fails()})
    assert second.status == "FAILED"
    planned = redrive(SPEC, second.main, children=children(second))
    assert planned_task(planned, "pack").reason.endswith("goes on: 3 of 4 tasks kept")
    assert scheduled(again(SPEC, planned)) == ["label", "send"]
    # Without the child's history, what its run was started with is kept.
    forgotten = redrive(SPEC, second.main)
    assert planned_task(forgotten, "pack").reason.endswith("goes on: 2 of 4 tasks kept")
    assert scheduled(again(SPEC, forgotten)) == ["wrap", "label", "send"]


def test_what_is_too_long_for_the_input_of_the_child_is_not_kept() -> None:
    long = {f"part{n}": (lambda n=n: Random(n).randbytes(12_000).hex()) for n in range(3)}
    spec = DeciderSpec(activity_tasks=[child("pack", *map(act, long), act("wrap", requires=list(long)[:1]))])
    run = failed(spec, activities=long)
    planned = redrive(spec, run.main, children=children(run))
    reason = "from its beginning: what it keeps does not fit into its input"
    assert planned.plan[0].reason.endswith(reason)
    assert planned.plan[0].children == ()
    assert sorted(scheduled(again(spec, planned))) == ["part0", "part1", "part2", "wrap"]


def test_long_context_is_stored_beside_what_is_kept() -> None:
    # A decider needs no store for what the child keeps, only for its context.
    text = Random(1).randbytes(14_000).hex()
    spec = DeciderSpec(activity_tasks=[child("pack", act("fetch"), act("wrap", requires=["fetch"]))])
    run = failed(spec, activities={"fetch": lambda: text}, input=Random(2).randbytes(14_000).hex())
    store = MemoryStore()
    codec = CODEC.with_payloads(store)
    planned = redrive(spec, run.main, children=children(run), codec=codec)
    assert planned.plan[0].reason.endswith("goes on: 1 of 2 tasks kept")
    start = evolve(run.main.start, input=str(planned.start.input))
    for part in getattr(planned.start.input, "parts", ()):
        store.put(payload.loads(part))
    begun = History([evolve(run.main.events[0], data=start)], run.main.execution)
    (decision,) = decide(spec, begun, codec=codec)
    assert isinstance(decision, StartChildWorkflowExecution)
    value = payload.loads(decision.input)
    assert value.keys() == {STORED_KEY, REDRIVE_KEY}
    for part in decision.input.parts:  # type: ignore[union-attr]
        store.put(payload.loads(part))
    kept = redriven(evolve(start, input=str(decision.input)))
    assert kept is not None
    assert [each.key[1] for each in kept.tasks] == ["fetch"]


def test_result_that_a_child_is_given_by_reference_counts_as_its_value() -> None:
    long = {f"part{n}": (lambda n=n: Random(n).randbytes(14_000).hex()) for n in range(2)}
    pack = child("pack", act("fetch"), act("wrap", requires=["fetch"]), requires=["part0"])
    spec = DeciderSpec(activity_tasks=[*map(act, long), pack])
    run = failed(spec, activities=long)
    store = MemoryStore()
    codec = CODEC.with_payloads(store)
    planned = redrive(spec, run.main, children=children(run), codec=codec)
    first, text = run.main.events[0], planned.start.input
    for part in getattr(text, "parts", ()):
        store.put(payload.loads(part))
    parent = History([evolve(first, data=evolve(run.main.start, input=str(text)))], run.main.execution)
    started = [
        each for each in decide(spec, parent, codec=codec) if isinstance(each, StartChildWorkflowExecution)
    ]
    value = payload.loads(started[0].input)
    assert value["part0"].keys() == {STORED_KEY}
    begun = evolve(run.main.start, input=str(started[0].input))
    history = History([evolve(first, data=begun)], WorkflowExecution("w:pack", "r2"))
    assert pack.spec is not None
    assert redrive(pack.spec, history, codec=codec).kept == ("fetch",)


def test_child_that_was_open_goes_on_if_its_run_has_ended() -> None:
    run = failed()
    begins = next(each.id for each in run.main if isinstance(each.data, ChildWorkflowExecutionStarted))
    cut = History(run.main.events[:begins], run.main.execution)
    planned = redrive(SPEC, cut, children=children(run))
    assert planned_task(planned, "pack").reason == "had not ended; goes on: 2 of 4 tasks kept"
    ((run_id, history),) = children(run).items()
    begun = {run_id: History(history.events[:-1], history.execution)}
    planned = redrive(SPEC, cut, children=begun)
    assert planned_task(planned, "pack").reason == "had not ended; from its beginning: its run is still open"


def test_child_that_does_not_wait_for_all_starts_from_its_beginning() -> None:
    # In the new run, another of the kept results may be the first.
    pack = evolve(PACK, requires=["order", "stock"], join="any")
    spec = DeciderSpec(activity_tasks=[act("order"), act("stock"), pack])
    run = failed(spec)
    planned = redrive(spec, run.main, children=children(run))
    assert planned_task(planned, "pack").reason.endswith(
        "; from its beginning: it did not wait for all that it requires"
    )


def test_child_without_a_spec_runs_again_as_a_whole() -> None:
    spec = DeciderSpec(activity_tasks=[evolve(PACK, spec=None, requires=())])
    run = failed(spec, "pack")
    planned = redrive(spec, run.main, children=children(run))
    assert planned.plan[0].reason == "failed: Failure"
    assert planned.unread == ()
    assert fold(again(spec, planned).main).markers == fold([]).markers


def test_child_that_was_undone_starts_from_its_beginning() -> None:
    order, pack, send = SPEC.activity_tasks
    spec = evolve(SPEC, activity_tasks=[order, evolve(PACK, undo=act("unpack")), send])
    run = failed(spec, "send")
    planned = redrive(spec, run.main, children=children(run))
    assert planned_task(planned, "pack") == PlannedTask("pack", PlannedAction.RUN, None, "undone by 'unpack'")
    assert sorted(scheduled(again(spec, planned))) == ["fetch", "label", "send", "wrap"]
    assert pack == PACK


def test_task_that_was_undone_in_a_child_runs_again_in_it() -> None:
    tasks = [
        act("fetch"),
        act("wrap", requires=["fetch"], undo=act("unwrap")),
        act("label", requires=["wrap"]),
    ]
    spec = DeciderSpec(activity_tasks=[child("pack", *tasks)])
    run = failed(spec, "label")
    planned = redrive(spec, run.main, children=children(run))
    assert [task.reason for task in planned_task(planned, "pack").children if not task.kept] == [
        "undone by 'unwrap'",
        "failed: Failure",
    ]
    assert scheduled(again(spec, planned)) == ["wrap", "label"]
