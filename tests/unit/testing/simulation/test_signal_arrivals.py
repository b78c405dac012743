"""Signals whose outcome is given: they arrive so long after a task began to wait for them, or never."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    Generator,
    InstantRetry,
    Result,
    Signal,
    Task,
    Timer,
    decide,
)
from floto.core.swf.events import WorkflowExecutionSignaled
from floto.testing import (
    ActivitiesError,
    Outcome,
    Simulation,
    check,
    fails,
    returns,
    simulate,
    takes,
    times_out,
)


def work(id_: str, *requires: str, **settings: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="1", requires=requires, **settings)


def spec(*tasks: Task, **settings: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, **settings)


def signaled(simulation: Simulation, history: int = 0) -> list[datetime]:
    events = simulation.histories[history].events
    return [event.at for event in events if isinstance(event.data, WorkflowExecutionSignaled)]


def lasts(simulation: Simulation, seconds: float) -> bool:
    """Return True if the simulation took as many seconds, up to the time of its moves."""
    return timedelta(0) <= simulation.duration - timedelta(seconds=seconds) < timedelta(seconds=1)


GATED = spec(Signal(id_="s", signal_name="ok", timeout=100), work("e", "s"))


def test_signal_without_an_outcome_arrives_when_no_other_step_is_possible() -> None:
    assert simulate(GATED).status == "FAILED"


@pytest.mark.parametrize("name", ["s", "ok"])
def test_signal_with_a_result_arrives_as_soon_as_it_is_awaited(name: str) -> None:
    simulation = simulate(spec(*GATED.activity_tasks, work("f", "s", when="s > `3`")), {name: returns(4)})
    assert (simulation.status, simulation.attempts) == ("COMPLETED", {"e": 1, "f": 1})
    assert lasts(simulation, 0)


def test_signal_arrives_after_the_given_time_of_waiting() -> None:
    late = spec(
        Timer(id_="t", delay_in_seconds=1000), Signal(id_="s", signal_name="ok", timeout=100, requires=["t"])
    )
    simulation = simulate(late, {"s": takes(seconds=30, then=returns(4))})
    assert (simulation.status, simulation.result) == ("COMPLETED", {"s": 4})
    assert lasts(simulation, 1030)
    assert simulate(GATED, {"s": takes(seconds=30)}).result == {"e": {"by": "e"}}
    assert lasts(simulate(GATED, {"s": takes(seconds=101)}), 100)


@pytest.mark.parametrize("never", [times_out(), times_out(None)])
def test_signal_that_times_out_never_arrives(never: Outcome) -> None:
    simulation = simulate(GATED, {"s": never})
    assert (simulation.status, signaled(simulation)) == ("FAILED", [])
    assert lasts(simulation, 100)
    skipping = spec(Signal(id_="s", signal_name="ok", timeout=9, on_timeout=Result(3)), work("e", "s"))
    assert simulate(skipping, {"ok": never}).status == "COMPLETED"


def test_signal_beside_a_timer_arrives_before_it_fires() -> None:
    both = spec(Signal(id_="s", signal_name="ok"), Timer(id_="t", delay_in_seconds=500), work("e", "s"))
    simulation = simulate(both, {"s": takes(seconds=20)})
    assert signaled(simulation) == [simulation.main.events[0].at + timedelta(seconds=20, milliseconds=20)]


def test_signals_of_a_cleanup_a_child_and_a_generator_arrive() -> None:
    gate = Signal(id_="s", signal_name="ok", timeout=50)
    failing = spec(work("a"), on_failure=[gate, work("tidy", "s")])
    assert simulate(failing, {"a": fails(), "s": returns()}).attempts == {"a": 1, "tidy": 1}
    kid = ChildWorkflow(id_="kid", workflow_type_name="kind", workflow_type_version="1", spec=spec(gate))
    assert simulate(spec(kid), {"s": returns(2)}).result == {"kid": {"s": 2}}
    generator = Generator(id_="g", name="gen", version="1")
    assert simulate(spec(generator), {"g": returns([gate]), "s": returns(2)}).status == "COMPLETED"


def test_outcome_for_a_signal_that_another_decider_awaits_is_applied() -> None:
    simulation = simulate(GATED, {"s": returns(1)}, decider=decide)
    assert simulation.status == "COMPLETED"


@pytest.mark.parametrize("given", [fails(), takes(seconds=1, then=fails()), times_out(2), lambda: 1])
@pytest.mark.parametrize("name", ["s", "ok"])
def test_other_outcome_for_a_signal_raises_activities_error(name: str, given: Any) -> None:
    problem = rf"activities\['{name}'\] is for signal 'ok' of task 's', .* not "
    with pytest.raises(ActivitiesError, match=problem):
        simulate(GATED, {name: given})
    gate = Signal(id_="s", signal_name="ok")
    kid = ChildWorkflow(id_="kid", workflow_type_name="kind", workflow_type_version="1", spec=spec(gate))
    with pytest.raises(ActivitiesError, match=problem):
        simulate(spec(kid), {name: given})


def test_time_out_of_a_signal_that_waits_for_ever_raises_activities_error() -> None:
    with pytest.raises(ActivitiesError, match=r"times_out\(1\), and task 's' has no timeout; set"):
        simulate(spec(Signal(id_="s", signal_name="ok")), {"s": times_out()})


def test_signal_name_of_a_skipped_task_is_known() -> None:
    gate = Signal(id_="s", signal_name="ok", requires=["a"], when="a.never")
    assert simulate(spec(work("a"), gate), {"ok": returns(1)}).status == "COMPLETED"


def test_check_lets_signals_arrive_by_their_outcomes() -> None:
    report = check(GATED, activities={"s": takes(seconds=30)}, max_examples=60)
    assert report.coverage.closed["COMPLETED"] > 0


def test_stray_signals_do_not_replace_one_that_times_out() -> None:
    report = check(GATED, activities={"s": times_out()}, max_examples=60)
    assert report.coverage.closed["COMPLETED"] == 0


def approve(id_: str, *requires: str) -> ActivityTask:
    return ActivityTask(
        id_=id_, name="approve", version="1", requires=requires, retry_strategy=InstantRetry(retries=2)
    )


@pytest.mark.parametrize("id_", ["approve", "ask"])
@pytest.mark.parametrize("given", [fails(2), lambda: 1, returns(1)])
def test_entry_by_the_name_of_a_signal_and_of_an_activity_is_for_the_activity(id_: str, given: Any) -> None:
    simulation = simulate(
        spec(approve(id_), Signal(id_="wait", signal_name="approve", requires=[id_])), {"approve": given}
    )
    assert simulation.result is not None
    assert simulation.result["wait"] == {"said": "approve"}
    assert simulation.attempts == {id_: 3 if isinstance(given, Outcome) and given.first else 1}


def test_entry_by_the_name_of_a_signal_and_of_an_activity_of_a_child_is_for_the_activity() -> None:
    child = ChildWorkflow(
        workflow_type_name="kid", workflow_type_version="1", id_="kid", spec=spec(approve("a"))
    )
    simulation = simulate(spec(Signal(id_="wait", signal_name="approve"), child), {"approve": fails(2)})
    assert simulation.status == "COMPLETED"


def test_entry_by_the_id_of_a_signal_task_is_for_the_signal() -> None:
    tasks = spec(approve("a"), Signal(id_="wait", signal_name="approve"))
    result = simulate(tasks, {"wait": returns(5), "approve": returns(1)}).result
    assert result == {"a": 1, "wait": 5}
