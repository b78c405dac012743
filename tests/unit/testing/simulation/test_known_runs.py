"""Children that have a spec, and an outcome in place of the run of that spec."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from floto import ActivityTask, ChildWorkflow, DeciderSpec, Generator, InstantRetry, Signal, Task
from floto.testing import NoSuchTimeout, Simulation, check, fails, returns, simulate, takes, times_out


def work(id_: str, *requires: str) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="1", requires=requires)


def spec(*tasks: Task) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks)


INNER = spec(work("in"))


def child(**settings: Any) -> ChildWorkflow:
    return ChildWorkflow(workflow_type_name="kind", workflow_type_version="1", id_="kid", **settings)


def simulated(given: dict[str, Any], how: str, **settings: Any) -> Simulation:
    """Simulate a child with a spec, which it carries or gets from ``children``."""
    if how == "carried":
        return simulate(spec(child(spec=INNER, **settings)), given)
    return simulate(spec(child(**settings)), given, children={"kind": INNER})


HOW = pytest.mark.parametrize("how", ["carried", "children"])


@HOW
@pytest.mark.parametrize("name", ["kid", "kind"])
def test_child_with_a_spec_fails_by_its_outcome(how: str, name: str) -> None:
    simulation = simulated({name: fails(1, "Broken")}, how)
    assert simulation.status == "FAILED"
    assert simulation.failure is not None
    assert simulation.failure.details == {"kid": "Broken"}


@HOW
def test_outcome_of_a_child_replaces_the_run_of_its_spec(how: str) -> None:
    simulation = simulated({"kid": returns(7)}, how)
    assert (simulation.status, simulation.result) == ("COMPLETED", {"kid": 7})
    assert {key.task_id for key in simulation.outcomes} == {"kid"}
    assert simulated({"kid": takes(hours=5)}, how).duration > timedelta(hours=5)
    assert simulated({"kid": fails(2)}, how, retry_strategy=InstantRetry(2)).attempts == {"kid": 3}


@HOW
def test_child_with_a_spec_times_out_by_its_outcome(how: str) -> None:
    simulation = simulated({"kid": times_out()}, how, execution_start_to_close_timeout=60)
    assert simulation.failure is not None
    assert "TIMED_OUT" in [info.close_status for info in simulation.infos]
    with pytest.raises(NoSuchTimeout, match="task 'kid'"):
        simulated({"kid": times_out()}, how)


@HOW
def test_function_of_a_child_is_called_with_the_context_without_the_spec(how: str) -> None:
    seen: list[Any] = []
    simulated({"kid": seen.append}, how, input={"n": 1})
    assert seen == [{"child_workflow_task": {"n": 1}}]


def test_signals_for_the_spec_of_a_replaced_child_are_not_sent() -> None:
    gated = spec(child(spec=spec(Signal(id_="s", signal_name="go"))))
    simulation = simulate(gated, {"kid": takes(hours=1)})
    assert not any("Signaled" in type(event.data).__name__ for each in simulation.histories for event in each)


def test_recorded_outcome_of_a_child_replaces_its_run_again() -> None:
    parent = spec(child(spec=INNER))
    first = simulate(parent, {"kid": returns(7)})
    assert simulate(parent, outcomes=first.outcomes).histories == first.histories


def test_children_without_an_outcome_run_their_spec() -> None:
    simulation = simulate(spec(child(spec=INNER)), {"in": returns(3)})
    assert simulation.result == {"kid": {"in": 3}}


def test_check_applies_the_outcome_of_a_child_with_a_spec() -> None:
    parent = spec(child(spec=INNER), work("last", "kid"))
    report = check(parent, activities={"kid": returns(1)}, max_examples=60)
    assert report.runs == 60


def named(name: str, id_: str | None = None, **settings: Any) -> ActivityTask:
    return ActivityTask(id_=id_ or name, name=name, version="1", **settings)


def load(id_: str, **settings: Any) -> ChildWorkflow:
    return ChildWorkflow(workflow_type_name="load", workflow_type_version="1", id_=id_, **settings)


#: A spec with an activity that fails twice at most.
LOADING = spec(named("load", retry_strategy=InstantRetry(2)))


@pytest.mark.parametrize("id_", ["load", "kid"])
@pytest.mark.parametrize("how", ["carried", "children"])
def test_entry_by_the_name_of_a_child_and_of_an_activity_in_its_spec_is_for_the_activity(
    id_: str, how: str
) -> None:
    task = load(id_, spec=LOADING if how == "carried" else None)
    children = {} if how == "carried" else {"load": LOADING}
    simulation = simulate(spec(task), {"load": fails(2)}, children=children)
    assert (simulation.status, simulation.attempts) == ("COMPLETED", {id_: 1})
    assert {key.attempt for key in simulation.outcomes if key.task_id == "load"} == {1, 2, 3}


def test_entry_by_the_type_of_a_child_and_of_an_activity_elsewhere_is_for_the_activity() -> None:
    parent = spec(load("kid", spec=INNER), named("load", "elsewhere"))
    assert simulate(parent, {"load": returns(1)}).result == {"kid": {"in": {"by": "in"}}, "elsewhere": 1}
    parent = spec(load("kid", spec=INNER), load("childless"))
    assert simulate(parent, {"load": returns(1)}).result == {"kid": {"in": {"by": "in"}}, "childless": 1}


def test_entry_by_the_id_of_a_child_that_an_activity_elsewhere_has_as_its_type_is_for_the_child() -> None:
    parent = spec(child(spec=INNER), named("kid", "other"))
    assert simulate(parent, {"kid": returns(1)}).result == {"kid": 1, "other": 1}


def test_entry_by_the_type_of_a_child_applies_where_that_by_its_id_is_for_an_activity() -> None:
    parent = spec(load("a", spec=spec(named("a"))))
    assert simulate(parent, {"a": returns(1), "load": returns(2)}).result == {"a": 2}


def test_entry_for_an_activity_of_a_generated_child_with_the_same_type_is_for_the_activity() -> None:
    tasks = [load("kid", spec=LOADING)]
    generating = spec(Generator(id_="g", name="split", version="1"))
    simulation = simulate(generating, {"g": lambda: tasks, "load": fails(2)})
    assert simulation.status == "COMPLETED"
    assert {key.attempt for key in simulation.outcomes if key.task_id == "load"} == {1, 2, 3}


def test_specs_of_children_that_contain_one_another_have_their_names_looked_up_once() -> None:
    inner = spec(load("again", when="`false`"), named("step"))
    simulation = simulate(spec(load("kid")), {"step": returns(1)}, children={"load": inner})
    assert simulation.status == "COMPLETED"
