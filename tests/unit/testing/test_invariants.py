"""Each invariant says what is wrong: with code of a user's own, or with decisions that floto never makes."""

from __future__ import annotations

import itertools
import random
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from attrs import evolve, frozen

from floto import (
    CODEC,
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    FixedDelay,
    Generator,
    Given,
    History,
    HistoryError,
    InstantRetry,
    Retry,
    Signal,
    Task,
    Timer,
    decide,
)
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RequestCancelActivityTask,
    ScheduleActivityTask,
    StartTimer,
)
from floto.core.swf.events import Event, TimerFired
from floto.core.swf.shapes import ActivityType, TaskList
from floto.testing import Faults, Simulation, Simulator, fails, returns, simulate
from floto.testing.checking.verifying import verify_run
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS, check_moment, verify
from floto.testing.invariants.violation import Invariant, RunInvariant, Violation, invariant
from floto.testing.reading.moment import Moment


def work(id_: str, requires: Sequence[str] = (), **given: Any) -> ActivityTask:
    return ActivityTask(name="work", version="v1", id_=id_, requires=requires, **given)


def spec(*tasks: Task, **given: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, task_list="decide", activity_task_list="work", **given)


def violation(run: Simulation) -> Violation:
    """The first thing that is wrong with a simulation."""
    with pytest.raises(Violation) as caught:
        check_moments(run)
    return caught.value


def check_moments(run: Simulation) -> None:
    for step in run.steps:
        check_moment(Moment(step.spec, step.history, step.decisions))


def check(run: Simulation) -> None:
    check_moments(run)
    check_whole(run)


def check_whole(run: Simulation) -> None:
    for each in RUN_INVARIANTS:
        each.holds(run)


@frozen
class Asks:
    """A strategy that returns the result of a function."""

    ask: Callable[[Retry], Any]

    def delay(self, retry: Retry) -> Any:
        return self.ask(retry)


_COUNTER = itertools.count()

STRATEGIES: dict[str, tuple[Callable[[Retry], Any], str]] = {
    "never gives up": (lambda _: 1, "has not given up after 4,200 failures"),
    "reads a clock": (lambda retry: time.time() % 7 if retry.number < 3 else None, "the clock"),
    "reads the date": (lambda _: datetime.now().second and None, "the clock"),  # noqa: DTZ005
    "rolls dice": (
        lambda retry: random.random() if retry.number < 3 else None,
        "reads random numbers (random.random)",
    ),
    "depends on the process": (lambda _: hash("a") and None, "reads a process-dependent value (hash())"),
    "counts": (lambda retry: next(_COUNTER) if retry.number < 3 else None, "for the same argument"),
    "is negative": (lambda retry: -1 if retry.number < 3 else None, "0 or more seconds"),
    "is no number": (lambda retry: float("nan") if retry.number < 3 else None, "0 or more seconds"),
    "is text": (lambda retry: "7" if retry.number < 3 else None, "0 or more seconds"),
    "raises": (lambda retry: {1: 2, 2: 3}[retry.number], "raised KeyError"),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_unsound_strategy_is_named(name: str) -> None:
    ask, said = STRATEGIES[name]
    found = violation(simulate(spec(work("a"), work("b", retry_strategy=Asks(ask)))))
    assert said in str(found)
    assert "task 'b'" in found.sentence


@frozen(kw_only=True)
class Own:
    """A user-defined kind, each of whose methods can be replaced."""

    id_: str
    requires: tuple[str, ...] = ()
    retry_strategy: None = None
    ask_key: Callable[[str], Key] = lambda id_: (Kind.ACTIVITY, id_)
    ask_start: Callable[[str, Given], Decision | None] = lambda id_, _: scheduled(id_)
    ask_result: Callable[[Item], Any] = lambda _: 1

    @property
    def key(self) -> Key:
        return self.ask_key(self.id_)

    def start(self, given: Given) -> Decision | None:
        return self.ask_start(self.id_, given)

    def result(self, item: Item) -> Any:
        return self.ask_result(item)


def scheduled(id_: str, **given: Any) -> ScheduleActivityTask:
    return ScheduleActivityTask(
        activity_type=ActivityType("work", "v1"), activity_id=id_, task_list=TaskList("work"), **given
    )


KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "schedules under another id": (
        {"ask_start": lambda id_, _: scheduled(f"{id_}!")},
        "let both name the same",
    ),
    "schedules under ever new ids": (
        {"ask_start": lambda id_, _: scheduled(f"{id_}{next(_COUNTER)}")},
        "for the same argument",
    ),
    "starts a timer and waits for an activity": (
        {"ask_start": lambda id_, _: StartTimer(timer_id=id_, start_to_fire_timeout="1")},
        "let both name the same",
    ),
    "ends the run": ({"ask_start": lambda *_: CompleteWorkflowExecution()}, "let both name the same"),
    "starts nothing": ({"ask_start": lambda *_: None}, "never begins"),
    "has ever new keys": (
        {"ask_key": lambda _: (Kind.ACTIVITY, f"k{next(_COUNTER)}")},
        "key of Own returned",
    ),
    "is given the time": (
        {"ask_start": lambda id_, _: scheduled(id_, input=str(time.time()))},
        "start of Own reads the clock",
    ),
    "counts its inputs": (
        {"ask_start": lambda id_, _: scheduled(id_, input=str(next(_COUNTER)))},
        "start of Own returned",
    ),
    "has results by chance": (
        {"ask_result": lambda _: random.random()},
        "result of Own reads random numbers",
    ),
    "counts its results": ({"ask_result": lambda _: next(_COUNTER)}, "result of Own returned"),
}


@pytest.mark.parametrize("name", KINDS)
def test_unsound_kind_is_named(name: str) -> None:
    answers, said = KINDS[name]
    found = violation(simulate(spec(work("a"), Own(id_="b", **answers)), patience=20))
    assert said in found.sentence
    assert "task 'b'" in found.sentence


def test_sound_kind_has_no_violation() -> None:
    check(simulate(spec(work("a"), Own(id_="b", requires=("a",)), work("c", ["b"]))))


GENERATED: dict[str, tuple[list[Task], str]] = {
    "an id that is there": ([work("a")], "duplicate task id 'a' (2 tasks)"),
    "the same id twice": ([work("x"), work("x")], "duplicate task id 'x' (2 tasks)"),
    "a circle": ([work("x", ["after"])], "dependency cycle"),
    "what is not there": ([work("x", ["nobody"])], "'nobody', which is not in the spec"),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generator_with_invalid_tasks_is_named(name: str) -> None:
    tasks, said = GENERATED[name]
    generator = Generator(name="gen", version="v1", id_="g")
    run = simulate(spec(work("a"), generator, work("after", ["g"])), {"g": returns(CODEC.unstructure(tasks))})
    found = violation(run)
    assert said in found.sentence
    assert found.sentence.startswith("task 'g' returned tasks that do not fit")


def test_payloads_that_grow_past_the_limit_are_named() -> None:
    a, b = (returns(b64encode(random.Random(seed).randbytes(18_000)).decode()) for seed in (1, 2))
    found = violation(simulate(spec(work("a"), work("b"), work("c", ["a", "b"])), {"a": a, "b": b}))
    assert "task 'c': the run fails although no attempt did: the input of task 'c' is" in found.sentence


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ([Timer(id_="nap", delay_in_seconds=90)], "task 'nap' waits for 90 seconds"),
        ([work("bad", retry_strategy=FixedDelay(90, 1))], "task 'bad' waits for its retry for 90 seconds"),
    ],
)
def test_wait_longer_than_the_run_timeout_is_named(tasks: list[Task], said: str) -> None:
    child = ChildWorkflow(
        workflow_type_name="child",
        workflow_type_version="v1",
        id_="child",
        execution_start_to_close_timeout=60,
        spec=spec(*tasks),
    )
    found = violation(simulate(spec(child), {"bad": fails(1)}))
    assert said in found.sentence
    assert "60 seconds after it began" in found.sentence


def test_sound_runs_have_no_violation() -> None:
    generator = Generator(name="gen", version="v1", id_="g", input={"tasks": CODEC.unstructure([work("x")])})
    tasks = [work("a", retry_strategy=InstantRetry(3)), generator, work("b", ["a", "g"])]
    for seed in range(20):
        check(simulate(spec(*tasks, on_failure=[work("f")]), seed=seed, faults=Faults.all(0.1)))


def moments() -> list[Moment]:
    """The moments of a run in which one task fails, and another is still running."""
    run = simulate(spec(work("a"), work("b"), work("c", ["a", "b"])), {"b": fails()})
    return [Moment(step.spec, step.history, step.decisions) for step in run.steps]


def other_input(decision: Decision, text: str) -> Decision:
    assert isinstance(decision, ScheduleActivityTask)
    return evolve(decision, input=text)


def named(moment: Moment, *decisions: Decision) -> set[str]:
    """The invariants that do not hold of a moment with other decisions."""
    changed = evolve(moment, decisions=decisions)
    found = set()
    for each in INVARIANTS:
        try:
            check_moment(changed, (each,))
        except Violation as error:
            found.add(error.invariant.name)
    return found


def test_wrong_decisions_violate_several_invariants() -> None:
    first, *_, last = moments()
    a, b = first.decisions
    assert not named(first, a, b)
    assert {"promptness", "exactly_what_is_called_for", "idempotent"} <= named(first, a)
    assert {"exactly_what_is_called_for", "recorded_decisions_are_made_again"} <= named(first, b, a)
    assert {"dependency_order"} <= named(first, a, b, scheduled("c"))
    assert {"exactly_once"} <= named(first, a, a, b)
    assert {"data_flow"} <= named(first, a, other_input(b, '{"more":1}'))
    assert {"one_close_last", "the_right_close"} <= named(first, CompleteWorkflowExecution(), a, b)
    assert {"the_right_close"} <= named(first, CancelWorkflowExecution())
    assert {"open_work_is_asked_to_stop_once"} <= named(
        first, a, b, RequestCancelActivityTask(activity_id="a")
    )
    assert {"no_stuck_run"} <= named(first)
    assert {"decisions_fit"} <= named(first, other_input(a, "x" * 32_769), b)
    assert {"decisions_fit"} <= named(first, a, b, StartTimer(timer_id="x" * 257, start_to_fire_timeout="1"))
    assert {"the_right_close"} <= named(last, FailWorkflowExecution(details="{}"))
    assert {"the_right_close", "failures_are_not_swallowed"} <= named(last, CompleteWorkflowExecution())
    assert {"cancel_and_failure_stop_new_work"} <= named(last, scheduled("c"))


def test_unlawful_history_violates_the_invariant() -> None:
    moment = moments()[-1]
    events = list(moment.history.events)
    late = evolve(events[2], at=events[0].at.replace(year=2020))
    bad = History([*events[:2], late, *events[3:]], moment.history.execution)
    with pytest.raises(Violation, match="follows event 2") as caught:
        verify(moment.spec, bad)
    assert caught.value.invariant.name == "history_law"


def test_verify_decides_and_checks() -> None:
    moment = moments()[0]
    verify(moment.spec, moment.history)
    verify(moment.spec, History([], moment.history.execution))
    lost = Event(2, moment.history.events[0].at, TimerFired(timer_id="x", started_event_id=1))
    with pytest.raises(HistoryError):
        verify(moment.spec, History([moment.history.events[0], lost]))


def test_an_error_while_deciding_is_a_violation() -> None:
    def broken(_: str, __: Given) -> Decision:
        msg = "no such word"
        raise KeyError(msg)

    history = History([Event(1, moments()[0].history.events[0].at, moments()[0].history.events[0].data)])
    with pytest.raises(Violation, match="deciding raised KeyError: 'no such word'"):
        verify(spec(Own(id_="a", ask_start=broken)), history)


def test_user_defined_invariant_asserts_or_returns_a_bool() -> None:
    @invariant
    def no_more_than_one(_: DeciderSpec, __: History, decisions: Sequence[Decision]) -> bool:
        """One thing is started at a time."""
        return len(decisions) <= 1

    @invariant
    def b_is_never_started(_: DeciderSpec, __: History, decisions: Sequence[Decision]) -> None:
        assert not any(getattr(each, "activity_id", "") == "b" for each in decisions), "b is started"

    moment = moments()[0]
    with pytest.raises(Violation, match="One thing is started at a time"):
        verify(moment.spec, moment.history, [no_more_than_one])
    with pytest.raises(Violation, match="b is started"):
        verify(moment.spec, moment.history, [b_is_never_started])
    verify(spec(work("a")), moment.history, [no_more_than_one, b_is_never_started])


def test_decider_losing_decision_tasks_leaves_a_run_stuck() -> None:
    def forgetful(own: DeciderSpec, history: History) -> list[Decision]:
        return [each for each in decide(own, history) if getattr(each, "activity_id", "") != "c"]

    run = simulate(spec(work("a"), work("c", ["a"])), decider=forgetful)
    with pytest.raises(AssertionError, match=r"the run is stuck: .* tasks 'c' wait for ever"):
        check_whole(run)


def test_every_invariant_has_a_unique_name_and_sentence() -> None:
    every: list[Invariant | RunInvariant] = [*INVARIANTS, *RUN_INVARIANTS]
    assert len({each.name for each in every}) == len(every)
    assert len({each.says for each in every}) == len(every)
    assert {each.number for each in every} == set(range(1, 18))


def test_early_retry_is_named() -> None:
    """The timer fired before its time."""
    step = simulate(spec(work("a", retry_strategy=FixedDelay(60, 1))), {"a": fails(1)}).steps[-1]
    verify(step.spec, step.history)
    began = step.history.events[0].at
    hurried = [evolve(event, at=began) for event in step.history]
    with pytest.raises(Violation, match="and should wait 60") as caught:
        verify(step.spec, evolve(step.history, events=hurried))
    assert caught.value.invariant.name == "retries_were_due"


def test_order_dependent_failure_is_named() -> None:
    def decider(flow: DeciderSpec, history: History) -> list[Decision]:
        found = decide(flow, history)
        names = [type(event.data).__name__ for event in history]
        swallows = (
            "ActivityTaskCompleted" in names[: (*names, "ActivityTaskFailed").index("ActivityTaskFailed")]
        )
        fail = any(isinstance(each, FailWorkflowExecution) for each in found)
        return [CompleteWorkflowExecution(result="{}")] if swallows and fail else found

    tasks = [work(id_) for id_ in "abcdef"]
    run = simulate(spec(*tasks), {"a": fails(1)}, decider=decider)
    assert run.status == "FAILED"
    [rule] = [each for each in RUN_INVARIANTS if each.name == "order_makes_no_difference"]
    with pytest.raises(AssertionError, match="in another order the run ends otherwise: COMPLETED"):
        rule.holds(run)


def test_signal_that_arrives_after_its_siblings_were_too_few_is_no_fault() -> None:
    never = Signal(id_="s", signal_name="go", join="any")
    many = Generator(
        name="gen", version="v1", id_="g", input={"tasks": CODEC.unstructure([never])}, min_successful=1
    )
    simulator = Simulator(spec(many))
    simulator.signal("go")
    run = simulator.run()
    assert run.status == "FAILED"
    verify_run(run, INVARIANTS)
