"""Runs of a spec in virtual time: what they come to, and what the outcomes of tasks do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

import floto.specs
import floto.testing
from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    FixedDelay,
    Generator,
    History,
    InstantRetry,
    Signal,
    Task,
    Timer,
)
from floto.core.errors import ServiceFault, SpecError
from floto.core.swf import events as e
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartTimer
from floto.testing import (
    ActivitiesError,
    Faults,
    NoSuchTimeout,
    Outcome,
    Simulation,
    Simulator,
    fails,
    returns,
    simulate,
    takes,
    times_out,
)


def work(id_: str, *requires: str, name: str = "work", **settings: Any) -> ActivityTask:
    return ActivityTask(name=name, version="v1", id_=id_, requires=requires, **settings)


def child(id_: str, *requires: str, **settings: Any) -> ChildWorkflow:
    return ChildWorkflow(
        workflow_type_name="kind", workflow_type_version="v1", id_=id_, requires=requires, **settings
    )


def spec(*tasks: Task, **settings: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, **settings)


def types(simulation: Simulation, history: int = 0) -> list[str]:
    return [type(event.data).__name__ for event in simulation.histories[history]]


def timeouts(simulation: Simulation) -> list[str]:
    return [e_.data.timeout_type for e_ in simulation.main if type(e_.data) is e.ActivityTaskTimedOut]


def test_activities_without_an_outcome_succeed() -> None:
    simulation = simulate(
        spec(work("a"), work("b", "a"), Timer(id_="t", delay_in_seconds=60, requires=["b"]))
    )
    assert simulation.status == "COMPLETED"
    assert simulation.result == {}
    assert simulation.failure is None
    assert simulation.attempts == {"a": 1, "b": 1}
    assert timedelta(seconds=60) < simulation.duration < timedelta(seconds=61)
    assert [type(each).__name__ for each in simulation.decisions] == [
        "ScheduleActivityTask",
        "ScheduleActivityTask",
        "StartTimer",
        "CompleteWorkflowExecution",
    ]
    assert not simulation.is_stuck
    assert not simulation.is_endless


def test_each_step_has_its_history_and_decisions() -> None:
    simulation = simulate(spec(work("a")))
    assert [len(step.history) for step in simulation.steps] == [3, 9]
    for step in simulation.steps:
        assert type(step.history.events[-1].data) is e.DecisionTaskStarted
        assert step.after.events[: len(step.history)] == step.history.events
        assert step.history.execution == simulation.infos[0].execution
    assert simulation.steps[-1].after == simulation.main


def test_the_input_reaches_the_tasks() -> None:
    seen: list[Any] = []
    simulate(spec(work("a", input={"n": 1})), {"a": seen.append}, input=[1, "two"])
    assert seen == [{"workflow": [1, "two"], "activity_task": {"n": 1}}]


def test_a_failure_is_decoded() -> None:
    simulation = simulate(spec(work("a")), {"a": fails(None, "Broken", "in two")})
    assert simulation.status == "FAILED"
    assert simulation.failure is not None
    assert simulation.failure.details == {"a": "Broken: in two"}
    assert simulation.result is None


@pytest.mark.parametrize(
    ("outcome", "attempts", "result"),
    [
        (returns({"n": 1}), 1, {"n": 1}),
        (fails(2), 3, {"by": "a"}),
        (fails(2, then=returns(5)), 3, 5),
        (fails(1, then=times_out(1, then=returns(6))), 3, 6),
        (fails(0), 1, {"by": "a"}),
    ],
)
def test_outcomes_depend_on_the_attempt(outcome: Outcome, attempts: int, result: Any) -> None:
    task = work("a", retry_strategy=InstantRetry(5), start_to_close_timeout=30)
    simulation = simulate(spec(task), {"a": outcome})
    assert simulation.attempts == {"a": attempts}
    assert simulation.result == {"a": result}


def test_takes_sets_the_duration_of_an_attempt() -> None:
    task = work("a", retry_strategy=FixedDelay(60, 5))
    simulation = simulate(spec(task), {"a": takes(hours=1, then=fails(2, then=takes(days=1)))})
    expected = timedelta(hours=3, days=1, minutes=2)
    assert expected < simulation.duration < expected + timedelta(seconds=1)


def test_outcome_by_id_overrides_outcome_by_type() -> None:
    simulation = simulate(
        spec(work("a"), work("b"), work("c", name="other")), {"work": returns("type"), "b": returns("id")}
    )
    assert simulation.result == {"a": "type", "b": "id", "c": {"by": "c"}}


ALL_FOUR: dict[str, Any] = {
    "schedule_to_start_timeout": 10,
    "schedule_to_close_timeout": 40,
    "start_to_close_timeout": 30,
    "heartbeat_timeout": 20,
}


@pytest.mark.parametrize(
    ("timeout_type", "seconds", "sixth", "settings"),
    [
        ("SCHEDULE_TO_START", 10, "ActivityTaskTimedOut", ALL_FOUR),
        ("START_TO_CLOSE", 30, "ActivityTaskStarted", ALL_FOUR),
        ("HEARTBEAT", 20, "ActivityTaskStarted", ALL_FOUR),
        ("SCHEDULE_TO_CLOSE", 25, "ActivityTaskStarted", {**ALL_FOUR, "schedule_to_close_timeout": 25}),
        ("SCHEDULE_TO_CLOSE", 40, "ActivityTaskTimedOut", {**ALL_FOUR, "schedule_to_start_timeout": 50}),
    ],
)
def test_each_timeout_type_can_be_simulated(
    timeout_type: str, seconds: int, sixth: str, settings: dict[str, Any]
) -> None:
    task = work("a", retry_strategy=InstantRetry(1), **settings)
    simulation = simulate(spec(task), {"a": times_out(1, timeout_type)})
    assert timeouts(simulation) == [timeout_type]
    assert simulation.status == "COMPLETED"
    assert timedelta(seconds=seconds) < simulation.duration < timedelta(seconds=seconds + 1)
    assert types(simulation)[5] == sixth


def test_timeout_without_a_type_is_the_earliest() -> None:
    assert timeouts(simulate(spec(work("a", **ALL_FOUR)), {"a": times_out()})) == ["SCHEDULE_TO_START"]


@pytest.mark.parametrize(
    ("timeout_type", "settings"),
    [
        (None, {}),
        ("HEARTBEAT", {"start_to_close_timeout": 5}),
        ("START_TO_CLOSE", {**ALL_FOUR, "schedule_to_close_timeout": 30}),
        ("SCHEDULE_TO_START", {**ALL_FOUR, "schedule_to_close_timeout": 5}),
    ],
)
def test_impossible_timeout_is_named(timeout_type: str | None, settings: dict[str, Any]) -> None:
    with pytest.raises(NoSuchTimeout, match="task 'a' cannot time out"):
        simulate(spec(work("a", **settings)), {"a": times_out(1, timeout_type)})


def test_heartbeats_prevent_the_timeout_of_a_long_activity() -> None:
    simulation = simulate(spec(work("a", heartbeat_timeout=30)), {"a": takes(hours=1)})
    assert simulation.status == "COMPLETED"
    assert simulation.duration > timedelta(hours=1)


@pytest.mark.parametrize("heartbeat", [None, 30])
def test_activity_stops_on_a_cancel_request(heartbeat: int | None) -> None:
    simulator = Simulator(spec(work("a", heartbeat_timeout=heartbeat)), {"a": takes(hours=1)})
    while not any(move.name == "wait" for move in simulator.moves()):
        simulator.make(simulator.moves()[0])
    simulator.cancel()
    simulation = simulator.run()
    assert "ActivityTaskCanceled" in types(simulation)
    assert simulation.status == "CANCELED"
    # With heartbeats it hears of that at once.
    assert (simulation.duration < timedelta(minutes=1)) == (heartbeat is not None)


def test_activity_longer_than_its_timeout_times_out() -> None:
    simulation = simulate(spec(work("a", start_to_close_timeout=30)), {"a": takes(hours=1)})
    assert timeouts(simulation) == ["START_TO_CLOSE"]
    assert simulation.status == "FAILED"


def test_functions_are_called_as_activities() -> None:
    async def later(context: dict[str, Any]) -> int:
        return int(context["a"]) + 1

    def broken() -> None:
        msg = "seven"
        raise ValueError(msg)

    simulation = simulate(
        spec(work("a"), work("b", "a"), work("c")), {"a": lambda: 1, "b": later, "c": broken}
    )
    assert simulation.failure is not None
    assert simulation.failure.details == {"c": "ValueError: seven"}
    assert simulate(spec(work("a"), work("b", "a")), {"a": lambda: 1, "b": later}).result == {"b": 2}


def test_unencodable_result_is_a_failure() -> None:
    simulation = simulate(spec(work("a")), {"a": lambda: b"bytes"})
    assert simulation.failure is not None
    assert simulation.failure.details["a"].startswith("PayloadError")


def test_generator_without_an_outcome_returns_no_tasks() -> None:
    simulation = simulate(spec(Generator(name="gen", version="v1", id_="g"), work("last", "g")))
    assert (simulation.status, simulation.result) == ("COMPLETED", {"last": {"by": "last"}})


def test_generators_return_tasks() -> None:
    def tasks() -> Iterator[ActivityTask]:
        yield work("x")
        yield work("y", "x")

    generator = Generator(name="gen", version="v1", id_="g")
    simulation = simulate(spec(generator, work("last", "g")), {"gen": tasks})
    assert simulation.attempts == {"g": 1, "x": 1, "y": 1, "last": 1}
    assert simulation.result == {"last": {"by": "last"}}


def test_unknown_activity_name_raises_activities_error() -> None:
    with pytest.raises(ActivitiesError, match=r"activities\['flrst'\] names no task.*did you mean 'first'"):
        simulate(spec(work("first")), {"flrst": fails()})
    with pytest.raises(ActivitiesError, match="names a timer; timers cannot be given an outcome"):
        simulate(spec(Timer(id_="wait", delay_in_seconds=1)), {"wait": fails()})


def test_outcome_for_a_task_that_was_never_generated_is_accepted() -> None:
    """A run that fails never gets to what is generated later."""
    given = {"g": fails(None), "later": returns(1)}
    assert simulate(spec(Generator(name="gen", version="v1", id_="g")), given).status == "FAILED"


@pytest.mark.parametrize("given", [3, "work", lambda _a, _b: None])
def test_outcome_for_a_task_that_is_not_an_activity_is_refused(given: Any) -> None:
    with pytest.raises(ActivitiesError, match=r"activities\['a'\] must be an outcome"):
        simulate(spec(work("a")), {"a": given})


@pytest.mark.parametrize(
    "make",
    [
        lambda: fails(-1),
        lambda: fails(None, then=returns(1)),
        lambda: times_out(1, "NEVER"),
        lambda: takes(days=-1),
        lambda: takes(days=400),
    ],
)
def test_invalid_outcome_is_refused(make: Callable[[], Outcome]) -> None:
    with pytest.raises(ValueError, match=r"not|leave out"):
        make()


def test_outcomes_print_as_code() -> None:
    outcome = takes(minutes=5, then=fails(2, "Broken", then=times_out(1, "HEARTBEAT", then=returns([1]))))
    scope = {"takes": takes, "fails": fails, "times_out": times_out, "returns": returns}
    assert eval(repr(outcome), scope) == outcome  # noqa: S307 - what it prints is code


def test_children_without_a_spec_close_with_the_given_outcome() -> None:
    parent = spec(child("kid", retry_strategy=InstantRetry(3)))
    assert simulate(parent).result == {"kid": {"by": "kid"}}
    assert simulate(parent, {"kind": returns(1)}).result == {"kid": 1}
    failing = simulate(parent, {"kid": fails(2)})
    assert failing.attempts == {"kid": 3}
    assert failing.status == "COMPLETED"
    assert len(failing.histories) == 4
    assert simulate(parent, {"kid": lambda: 7}).result == {"kid": 7}
    assert simulate(parent, {"kid": takes(days=2)}).duration > timedelta(days=2)
    assert all(step.spec is parent for step in failing.steps)


def test_children_without_a_spec_can_time_out() -> None:
    simulation = simulate(spec(child("kid", execution_start_to_close_timeout=60)), {"kid": times_out()})
    assert "ChildWorkflowExecutionTimedOut" in types(simulation)
    with pytest.raises(NoSuchTimeout, match=r"task 'kid' .* set its execution_start_to_close_timeout"):
        simulate(spec(child("kid")), {"kid": times_out()})


def test_children_without_a_spec_stop_on_a_cancel_request() -> None:
    parent = spec(child("kid"), on_cancel=[work("tidy")])
    simulator = Simulator(parent, {"kid": takes(days=9)})
    while len(simulator.steps) < 2:
        simulator.make(simulator.moves()[0])
    simulator.cancel()
    simulation = simulator.run()
    assert simulation.status == "CANCELED"
    assert "ChildWorkflowExecutionCanceled" in types(simulation)
    assert simulation.attempts == {"kid": 1, "tidy": 1}


def test_children_are_decided_by_their_carried_spec_or_that_of_their_type() -> None:
    inner = spec(work("in"))
    assert simulate(spec(child("kid", spec=inner))).result == {"kid": {"in": {"by": "in"}}}
    assert simulate(spec(child("kid")), children={"kind": inner}).result == {"kid": {"in": {"by": "in"}}}


def test_awaited_signals_are_sent_when_the_run_is_idle() -> None:
    gated = spec(Timer(id_="t", delay_in_seconds=60), Signal(id_="s", signal_name="go"), work("a", "s"))
    simulation = simulate(gated)
    assert simulation.status == "COMPLETED"
    signaled = [event for event in simulation.main if type(event.data) is e.WorkflowExecutionSignaled]
    assert [event.data.input for event in signaled] == ['{"said":"go"}']
    assert signaled[0].at > simulation.main.events[0].at + timedelta(seconds=60)


def test_cleanup_after_a_generator_whose_tasks_do_not_fit_gets_its_signals() -> None:
    many = Generator(name="gen", version="v1", id_="g", min_successful=2)
    own = spec(many, on_failure=[Signal(id_="s", signal_name="go"), work("a", "s")])
    simulation = simulate(own, {"g": returns([])})
    assert simulation.status == "FAILED"
    assert "ActivityTaskCompleted" in types(simulation)[-6:]


def test_scripted_signals_and_cancel_requests_are_sent() -> None:
    simulator = Simulator(spec(Signal(id_="s", signal_name="go")))
    simulator.signal("go", {"who": "me"})
    assert simulator.run().result == {"s": {"who": "me"}}
    canceled = Simulator(spec(work("a")))
    canceled.cancel()
    assert canceled.run().status == "CANCELED"


def test_repeating_run_is_canceled_in_the_end() -> None:
    simulation = simulate(spec(work("a"), repeat_workflow=True))
    assert [info.close_status for info in simulation.infos] == [
        "CONTINUED_AS_NEW",
        "CONTINUED_AS_NEW",
        "CANCELED",
    ]
    assert {(key.run, key.attempt) for key in simulation.outcomes} == {(1, 1), (2, 1), (3, 1)}


def test_a_run_ends_after_a_year_at_most() -> None:
    tasks = [Timer(id_="t", delay_in_seconds=200 * 86_400)]
    tasks.append(Timer(id_="u", delay_in_seconds=200 * 86_400, requires=["t"]))
    simulation = simulate(spec(*tasks))
    assert simulation.status == "TIMED_OUT"
    assert simulation.duration == timedelta(days=365)


def silent(_spec: DeciderSpec, _history: History) -> list[Decision]:
    return []


def test_run_without_decisions_is_stuck() -> None:
    simulation = simulate(spec(work("a")), decider=silent)
    assert simulation.is_stuck
    assert simulation.status is None
    assert simulation.duration < timedelta(seconds=1)


def test_endless_run_is_abandoned() -> None:
    def restless(_spec: DeciderSpec, history: History) -> list[Decision]:
        return [StartTimer(timer_id=str(len(history)), start_to_fire_timeout="1")]

    simulation = simulate(spec(work("a")), decider=restless, patience=100)
    assert simulation.is_endless
    assert not simulation.is_stuck
    assert simulation.status is None


def test_response_refused_as_a_whole_raises() -> None:
    def wordy(_spec: DeciderSpec, _history: History) -> list[Decision]:
        return [StartTimer(timer_id="t" * 300, start_to_fire_timeout="1")]

    with pytest.raises(ServiceFault):
        simulate(spec(work("a")), decider=wordy)


def test_value_that_is_not_a_spec_is_refused() -> None:
    simulation = simulate(spec(work("a", input={"tasks": [{"type": "nothing"}]}), child("kid", "a")))
    assert simulation.status == "COMPLETED"
    with pytest.raises(SpecError, match="must be a DeciderSpec"):
        simulate("spec")  # type: ignore[arg-type]


def test_moves_are_the_currently_possible_actions() -> None:
    simulator = Simulator(spec(work("a"), work("b")))
    names = []
    while moves := simulator.moves():
        names.append([move.name for move in moves])
        simulator.make(moves[-1])
    assert names[:4] == [["decide"], ["take", "take"], ["take", "end"], ["decide", "take"]]
    assert simulator.simulation().status == "COMPLETED"


def test_fault_rates_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="fails must be a number from 0"):
        Faults(fails=2)
    with pytest.raises(ValueError, match="most must be an integer"):
        Faults(most=-1)


def test_repr_of_a_simulation_reproduces_it() -> None:
    simulation = simulate(spec(work("a")), {"a": fails(1)}, faults=Faults(refuses=0.5), seed=3)
    assert "activities={'a': fails(1)}, faults=Faults(refuses=0.5)" in repr(simulation)
    again = eval(repr(simulation), {**vars(floto.specs), **vars(floto.testing)})  # noqa: S307 - it prints as code
    assert again.histories == simulation.histories
    other = simulate(spec(work("a")), outcomes=simulation.outcomes)
    assert eval(repr(other), {**vars(floto.specs), **vars(floto.testing)}).outcomes == other.outcomes  # noqa: S307


def test_activities_are_dispatched_by_priority() -> None:
    simulation = simulate(spec(work("a"), work("b", task_priority=5), work("c", task_priority=5)))
    scheduled = {
        e_.id: e_.data.activity_id for e_ in simulation.main if type(e_.data) is e.ActivityTaskScheduled
    }
    started = [e_.data.scheduled_event_id for e_ in simulation.main if type(e_.data) is e.ActivityTaskStarted]
    assert [scheduled[id_] for id_ in started] == ["b", "c", "a"]
    assert ScheduleActivityTask in map(type, simulation.decisions)


def test_simulate_imports_neither_hypothesis_nor_pytest() -> None:
    call = (
        "import sys; sys.modules['hypothesis'] = sys.modules['pytest'] = None\n"
        "import floto.testing; assert floto.testing.simulate"
    )
    subprocess.run([sys.executable, "-c", call], check=True)
