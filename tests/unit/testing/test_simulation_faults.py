"""Each fault of a simulation: what it does to a run, and that every cause of a refusal comes about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    History,
    InstantRetry,
    Signal,
    Timer,
)
from floto.adapters import model
from floto.core.engine.decisions.refusal_causes import CAUSES
from floto.core.engine.world import World
from floto.core.errors import UnknownResource
from floto.core.state.failures import TRANSIENT
from floto.core.swf import decisions as d
from floto.core.swf import events as e
from floto.testing import NONE, Choices, Faults, Simulation, Simulator, simulate, takes
from floto.testing.simulation.fault_injector import FaultInjector
from floto.testing.simulation.faults import FAULT_NAMES

SEEDS = range(30)
PLAIN = DeciderSpec(
    activity_tasks=[
        ActivityTask(
            name="work",
            version="v1",
            id_=id_,
            requires=requires,
            retry_strategy=InstantRetry(30),
            schedule_to_start_timeout=10,
            schedule_to_close_timeout=to_close,
            start_to_close_timeout=30,
            heartbeat_timeout=20,
        )
        for id_, requires, to_close in (("a", [], 40), ("b", [], 40), ("c", ["a", "b"], 25))
    ]
)
#: Something of everything that floto decides.
RICH = DeciderSpec(
    activity_tasks=[
        ActivityTask(name="work", version="v1", id_="a", retry_strategy=InstantRetry(3)),
        ActivityTask(name="work", version="v1", id_="slow"),
        Timer(id_="t", delay_in_seconds=60),
        Signal(id_="s", signal_name="go"),
        ChildWorkflow(workflow_type_name="kind", workflow_type_version="v1", id_="kid", requires=["a"]),
    ],
    on_failure=[ActivityTask(name="work", version="v1", id_="tidy")],
    on_cancel=[ActivityTask(name="work", version="v1", id_="undo")],
)
SLOW = {"slow": takes(hours=1), "kid": takes(hours=1)}


def only(fault: str, rate: float) -> Faults:
    """One fault at a rate, and no other."""
    given: dict[str, Any] = {fault: rate}
    return Faults(**given)


def events(simulations: Iterator[Simulation] | list[Simulation]) -> Iterator[Any]:
    return (event.data for each in simulations for history in each.histories for event in history)


def counted(faults: Faults, spec: DeciderSpec = PLAIN, **given: Any) -> Counter[str]:
    """Return the event types of several seeds' histories, with causes, reasons and the like."""
    found: Counter[str] = Counter()
    for data in events([simulate(spec, faults=faults, seed=seed, **given) for seed in SEEDS]):
        name = data.type if isinstance(data, e.OtherEvent) else type(data).__name__
        found[name] += 1
        for field in ("cause", "reason", "timeout_type", "signal_name"):
            if getattr(data, field, None):
                found[f"{name}: {getattr(data, field)}"] += 1
    return found


def test_simulation_without_faults_makes_no_random_choices() -> None:
    assert simulate(RICH, seed=5).script == ()
    assert simulate(PLAIN, faults=NONE).befell == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("fails", ["ActivityTaskFailed: Passing"]),
        ("fails_for_good", ["ActivityTaskFailed: Final"]),
        (
            "times_out",
            [
                "ActivityTaskTimedOut: SCHEDULE_TO_START",
                "ActivityTaskTimedOut: SCHEDULE_TO_CLOSE",
                "ActivityTaskTimedOut: START_TO_CLOSE",
                "ActivityTaskTimedOut: HEARTBEAT",
            ],
        ),
        ("loses_heartbeat", ["ActivityTaskTimedOut: HEARTBEAT"]),
        ("loses_worker", ["ActivityTaskTimedOut: HEARTBEAT"]),
        ("loses_decision", ["DecisionTaskTimedOut: START_TO_CLOSE"]),
        ("refuses", ["ScheduleActivityTaskFailed", "CompleteWorkflowExecutionFailed"]),
        ("delays_answer", ["CompleteWorkflowExecutionFailed: UNHANDLED_DECISION"]),
        ("adds_events", ["WorkflowExecutionAudited"]),
        ("signals", ["WorkflowExecutionSignaled: noise"]),
        ("cancels", ["WorkflowExecutionCancelRequested", "WorkflowExecutionCanceled"]),
    ],
)
def test_each_fault_appears_in_a_history(fault: str, expected: list[str]) -> None:
    found = counted(only(fault, 0.3))
    assert [name for name in expected if not found[name]] == []
    assert set(expected) & set(counted(NONE)) == set()


@pytest.mark.parametrize("rate", [0.1, 1])
@pytest.mark.parametrize("fault", FAULT_NAMES)
def test_run_ends_with_any_faults(fault: str, rate: float) -> None:
    for seed in range(10):
        for spec in (PLAIN, RICH):
            ids = {task.id_ for task in spec.all_tasks}
            given = {id_: outcome for id_, outcome in SLOW.items() if id_ in ids}
            simulation = simulate(spec, given, faults=only(fault, rate), seed=seed)
            assert simulation.status is not None, simulation
            assert not simulation.is_endless
            assert set(simulation.befell) <= {fault}
            assert sum(simulation.befell.values()) <= 20


@pytest.mark.parametrize("fault", FAULT_NAMES)
def test_each_fault_occurs(fault: str) -> None:
    assert simulate(PLAIN, faults=only(fault, 1)).befell[fault] >= 1


def test_number_of_faults_is_limited_by_most() -> None:
    simulation = simulate(PLAIN, faults=Faults.all(0.9, most=3), seed=1)
    assert sum(simulation.befell.values()) == 3


def test_run_gets_at_most_one_cancel_request() -> None:
    simulation = simulate(RICH, SLOW, faults=Faults(cancels=1))
    asked = [event for event in simulation.main if type(event.data) is e.WorkflowExecutionCancelRequested]
    assert len(asked) == 1
    assert simulation.befell == {"cancels": 1}
    assert len(simulation.steps) > 1


def test_crashed_worker_counts_as_a_failure() -> None:
    spec = DeciderSpec(activity_tasks=[ActivityTask(name="work", version="v1", id_="a")])
    simulation = simulate(spec, faults=Faults(loses_worker=1))
    assert simulation.failure is not None
    assert simulation.failure.details == {"a": "Lost: its worker died"}


class Strict(World):
    """A world that notes which answers came too late or twice, and that they changed nothing."""

    def __init__(self, injector: FaultInjector) -> None:
        super().__init__(refuse=injector.refuse)
        self.refused: list[str] = []
        self.answered: set[str] = set()

    def _expect(self, call: Any, what: str) -> None:
        before = [self.events(info.execution) for info in self.executions()]
        try:
            call()
        except UnknownResource:
            self.refused.append(what)
            assert [self.events(info.execution) for info in self.executions()] == before
            raise

    def respond_decision(self, token: str, decisions: Any, now: Any) -> None:
        what = "again" if token in self.answered else "late"
        respond = super().respond_decision
        self._expect(lambda: respond(token, decisions, now), what)
        self.answered.add(token)

    def poll_and_decide(self, task_list: str, now: Any, decide: Any, identity: str = "") -> Any:
        polled = super().poll_and_decide(task_list, now, decide, identity)
        if polled is not None and polled[1] is not None:
            self.answered.add(polled[0].token)
        return polled

    def complete_activity(self, token: str, result: str | None, now: Any) -> None:
        complete = super().complete_activity
        self._expect(lambda: complete(token, result, now), "activity")


class StrictSimulator(Simulator):
    """A simulator on a strict world."""

    strict: Strict

    def make_world(self, injector: FaultInjector) -> World:
        self.strict = Strict(injector)
        return self.strict


@pytest.mark.parametrize(
    ("faults", "what"),
    [
        (Faults(delivers_twice=1), "again"),
        (Faults(loses_response=1), "again"),
        (Faults(delays_answer=1, reorders=0.5), "late"),
        (Faults(loses_heartbeat=1), "activity"),
    ],
)
def test_duplicate_or_late_responses_are_refused_without_effect(faults: Faults, what: str) -> None:
    simulators = [StrictSimulator(PLAIN, choices=Choices.seeded(seed), faults=faults) for seed in SEEDS]
    for simulator in simulators:
        assert simulator.run().status is not None
    assert what in {each for simulator in simulators for each in simulator.strict.refused}


def test_completions_occur_in_any_order_and_several_at_once() -> None:
    orders, batches = set(), set()
    for seed in range(60):
        history = simulate(PLAIN, seed=seed, faults=Faults(reorders=0.4)).main
        ids = {
            event.id: event.data.activity_id
            for event in history
            if type(event.data) is e.ActivityTaskScheduled
        }
        done = [event for event in history if type(event.data) is e.ActivityTaskCompleted]
        orders.add(tuple(ids[event.data.scheduled_event_id] for event in done[:2]))
        batches.add(tuple(_batches(history)))
    assert orders == {("a", "b"), ("b", "a")}
    assert {(1, 1, 1), (2, 1)} <= batches


def _batches(history: History) -> Iterator[int]:
    """Return the number of completions before each response, where there were any."""
    count = 0
    for event in history:
        count += type(event.data) is e.ActivityTaskCompleted
        if type(event.data) is e.DecisionTaskCompleted and count:
            yield count
            count = 0


def test_added_events_are_kept_and_references_are_shifted() -> None:
    for seed in SEEDS:
        simulation = simulate(RICH, SLOW, seed=seed, faults=Faults(adds_events=0.5))
        for history in simulation.histories:
            for event in history:
                scheduled = getattr(event.data, "scheduled_event_id", 0)
                if scheduled:
                    opened = type(history.events[scheduled - 1].data).__name__
                    assert opened.endswith("TaskScheduled")
        for step in simulation.steps:
            assert step.after.events[: len(step.history)] == step.history.events
        plain = simulate(RICH, SLOW)
        assert simulation.decisions == plain.decisions


def test_awaited_signals_may_arrive_early() -> None:
    first = set()
    for seed in SEEDS:
        history = simulate(RICH, SLOW, seed=seed, faults=Faults(signals=0.5)).main
        first.add(next(event.id for event in history if getattr(event.data, "signal_name", "") == "go"))
    assert min(first) == 3


# What refusals there are.


def model_causes(decision: type) -> set[str]:
    """The causes for which SWF refuses such decisions, as its own model has them."""
    shape: Any = model.MODEL.shape_for(f"{decision.__name__}FailedCause")
    return set(shape.enum)


#: Causes that depend on the state of the run, and not on random choices.
OF_THE_RUN = {
    "UNHANDLED_DECISION",
    "ACTIVITY_ID_UNKNOWN",
    "ACTIVITY_ID_ALREADY_IN_USE",
    "TIMER_ID_UNKNOWN",
    "TIMER_ID_ALREADY_IN_USE",
    "ID_ALREADY_IN_USE",
    "WORKFLOW_ALREADY_RUNNING",
    "UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
}


@pytest.mark.parametrize("decision", d.DECISION_TYPES.values())
def test_decision_is_refused_with_each_possible_cause(decision: type) -> None:
    causes = CAUSES[decision]
    assert {*causes.transient, *causes.permanent} == model_causes(decision) - OF_THE_RUN
    injector = FaultInjector(Choices.seeded(1), Faults(refuses=1, most=2_000))
    given = {injector.refuse(_any(decision)) for _ in range(2_000)}
    assert given == {*causes.transient, *causes.permanent}


def _any(decision: Any) -> d.Decision:
    """A decision of a type, of which nothing but that is looked at."""
    blank: d.Decision = decision.__new__(decision)
    return blank


def test_transient_causes_of_the_simulator_are_transient_for_floto() -> None:
    assert {cause for causes in CAUSES.values() for cause in causes.transient} <= TRANSIENT
    assert not {cause for causes in CAUSES.values() for cause in causes.permanent} & TRANSIENT


#: Every decision is refused in some run, and a run may fail or be canceled meanwhile.
REFUSED = (
    "ScheduleActivityTask",
    "RequestCancelActivityTask",
    "StartTimer",
    "RecordMarker",
    "StartChildWorkflowExecution",
    "RequestCancelExternalWorkflowExecution",
    "CompleteWorkflowExecution",
    "FailWorkflowExecution",
    "CancelWorkflowExecution",
)


def test_every_kind_of_decision_is_refused_in_runs() -> None:
    found = counted(Faults(refuses=0.3, fails_for_good=0.05), RICH, activities=SLOW)
    found += counted(Faults(refuses=0.3, cancels=0.1), RICH, activities=SLOW)
    assert [name for name in REFUSED if not found[f"{name}Failed"]] == []
    again = counted(
        Faults(refuses=0.5), DeciderSpec(activity_tasks=RICH.activity_tasks[:1], repeat_workflow=True)
    )
    assert again["ContinueAsNewWorkflowExecutionFailed"]


@pytest.mark.parametrize(
    ("cause", "faults"),
    [
        ("CompleteWorkflowExecutionFailed: UNHANDLED_DECISION", Faults(delays_answer=0.3)),
        ("FailWorkflowExecutionFailed: UNHANDLED_DECISION", Faults(delays_answer=0.3, fails_for_good=0.2)),
        ("CancelWorkflowExecutionFailed: UNHANDLED_DECISION", Faults(delays_answer=0.3, cancels=0.3)),
        (
            "RequestCancelActivityTaskFailed: ACTIVITY_ID_UNKNOWN",
            Faults(delays_answer=0.5, reorders=0.5, cancels=0.3, most=60),
        ),
        (
            "RequestCancelExternalWorkflowExecutionFailed: UNKNOWN_EXTERNAL_WORKFLOW_EXECUTION",
            Faults(delays_answer=0.8, reorders=0.5, cancels=0.03, most=60),
        ),
    ],
)
def test_causes_that_depend_on_the_run_occur_by_order_and_delay(cause: str, faults: Faults) -> None:
    assert counted(faults, RICH, activities={"slow": takes(seconds=1), "kid": takes(seconds=1)})[cause]


def test_child_with_an_open_workflow_id_is_refused_and_retried() -> None:
    kids = [
        ChildWorkflow(workflow_type_name="kind", workflow_type_version="v1", id_=id_, workflow_id="same")
        for id_ in ("a", "b")
    ]
    simulation = simulate(DeciderSpec(activity_tasks=kids), {"kind": takes(seconds=5)})
    causes = {getattr(event.data, "cause", None) for event in simulation.main}
    assert "WORKFLOW_ALREADY_RUNNING" in causes
    assert simulation.status == "COMPLETED"
    assert simulation.attempts == {"a": 1, "b": 1}
