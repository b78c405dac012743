"""What must hold of every decision, over random specs and random runs of them."""

from __future__ import annotations

import json

from hypothesis import given

from floto import CODEC, DeciderSpec, History, Task, decide, expand, fold
from floto.core import payload
from floto.core.decisions import CompleteWorkflowExecution, FailWorkflowExecution
from floto.core.failures import PASSING, failure_of
from floto.core.retry import ExponentialBackoff, Retry
from tests.property import oracle
from tests.property.oracle import account, closing, starts
from tests.property.simulator import Plot, Simulation, Step, simulate
from tests.property.strategies import SETTINGS, plots, specs

#: What a run may still be asked for at the latest after this many refusals (see ``Simulator.refuse``).
REFUSALS = 6


def expanded(step: Step) -> DeciderSpec:
    return expand(step.spec, fold(step.history))


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_01_deterministic_and_pure(spec: DeciderSpec, plot: Plot) -> None:
    """The same spec and history give the same decisions, also after a trip through JSON; neither changes."""
    for step in simulate(spec, plot).steps:
        before = repr((step.spec, step.history))
        again = DeciderSpec.from_json(step.spec.to_json())
        rewritten = CODEC.loads(json.dumps(_backwards(json.loads(step.spec.to_json()))))
        history = History.from_swf(reversed(step.history.to_swf()), step.history.execution)
        assert again == step.spec
        for other in (step.spec, again, rewritten):
            assert decide(other, history) == list(step.decisions)
        assert repr((step.spec, step.history)) == before


def _backwards(value: object) -> object:
    """The same JSON with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: _backwards(value[key]) for key in reversed(value)}
    return [_backwards(item) for item in value] if isinstance(value, list) else value


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_02_recorded_decisions_are_made_again(spec: DeciderSpec, plot: Plot) -> None:
    """Deciding on each prefix that ended in a question gives what was then answered."""
    for step in simulate(spec, plot).steps:
        assert decide(step.spec, step.history) == list(step.decisions)


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_03_dependency_order(spec: DeciderSpec, plot: Plot) -> None:
    """A task is started only after all it requires, however indirectly, has completed, generated or not."""
    for step in simulate(spec, plot).steps:
        read, known = account(step.history), oracle.tasks(expanded(step))
        for id_ in starts(step.decisions):
            assert all(oracle.settled(read, known, needed) for needed in known[id_].requires), id_


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_04_exactly_once_scheduling(spec: DeciderSpec, plot: Plot) -> None:
    """At most one live attempt per task, none after a success, and no id is ever in use."""
    simulation = simulate(spec, plot)
    for step in simulation.steps:
        read = account(step.history)
        for id_ in starts(step.decisions):
            assert not read.in_flight(id_), id_
            assert not read.completed(id_), id_
    for history in simulation.histories:
        causes = {getattr(event.data, "cause", None) for event in history}
        # A child may well be running already: one of a failed attempt, which is still being canceled.
        assert not causes & {"ACTIVITY_ID_ALREADY_IN_USE", "TIMER_ID_ALREADY_IN_USE"}


@SETTINGS
@given(specs(), plots())
def test_04_idempotent(spec: DeciderSpec, plot: Plot) -> None:
    """Applied to its own result, with nothing new in the history, decide returns nothing."""
    for step in simulate(spec, plot).steps:
        news = [event for event in step.after.events[len(step.history) :] if _is_news(event.data)]
        if not news:
            assert decide(step.spec, step.after) == []


def _is_news(data: object) -> bool:
    """Whether an event came from outside while the decider was thinking."""
    return not hasattr(data, "decision_task_completed_event_id") and oracle.name(data) not in (
        "DecisionTaskCompleted",
        "DecisionTaskScheduled",
        "ChildWorkflowExecutionStarted",
    )


@SETTINGS
@given(specs(), plots(refusals=True))
def test_05_promptness(spec: DeciderSpec, plot: Plot) -> None:
    """Every task that is ready is started at once, unless the run closes."""
    for step in simulate(spec, plot).steps:
        if closing(step.decisions):
            continue
        read, started = account(step.history), starts(step.decisions)
        known = oracle.in_turn(expanded(step), step.history, step.decisions)
        cleans_up = account(step.history).canceled or oracle.noted(step.history, step.decisions)
        if cleans_up and _is_at_work(read, known):
            continue
        for task in known.values():
            ready = all(oracle.settled(read, known, needed) for needed in task.requires)
            if ready and not read.touched(task.id_) and oracle.name(task) != "Signal":
                assert task.id_ in started


def _is_at_work(read: oracle.Account, known: dict[str, Task]) -> bool:
    """Whether others than these tasks run, and a clean-up has to wait for them."""
    return any(
        read.in_flight(id_) and id_ not in known and oracle.name(attempts[-1].opened.data) in oracle.AWAITED
        for id_, attempts in read.attempts.items()
    )


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_06_no_stuck_run(spec: DeciderSpec, plot: Plot) -> None:
    """An open run with nothing in flight always gets work or a close."""
    simulation = simulate(spec, plot)
    assert not simulation.stuck
    for step in simulation.steps:
        read = account(step.history)
        if not any(read.in_flight(id_) for id_ in read.attempts) and not _awaits_a_signal(step, read):
            assert step.decisions


def _awaits_a_signal(step: Step, read: oracle.Account) -> bool:
    known = oracle.in_turn(expanded(step), step.history, step.decisions)
    return any(
        oracle.name(task) == "Signal"
        and not read.completed(task.id_)
        and all(oracle.settled(read, known, needed) for needed in task.requires)
        for task in known.values()
    )


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_07_termination(spec: DeciderSpec, plot: Plot) -> None:
    """Every run closes, within attempts that the spec bounds."""
    simulation = simulate(spec, plot)
    assert all(info.close_status for info in simulation.infos)
    for history in simulation.histories:
        read, known = account(history), _final_tasks(simulation, history)
        for id_, task in known.items():
            assert len(read.attempts[id_]) <= 1 + getattr(task.retry_strategy, "retries", 0)
            injected = [each for each in read.refusals[id_] if each.data.cause != "WORKFLOW_ALREADY_RUNNING"]
            assert len(injected) <= REFUSALS


def _final_tasks(simulation: Simulation, history: History) -> dict[str, Task]:
    step = [step for step in simulation.steps if step.history.execution == history.execution][-1]
    return oracle.tasks(expanded(step))


@SETTINGS
@given(specs(), plots(refusals=True))
def test_08_retry_bounds(spec: DeciderSpec, plot: Plot) -> None:
    """Every retry that is due happens, not one more, and none before its delay has passed."""
    simulation = simulate(spec, plot)
    for history in simulation.histories:
        read, known = account(history), _final_tasks(simulation, history)
        for id_, task in known.items():
            attempts = read.attempts[id_]
            for number, attempt in enumerate(attempts[1:], start=1):
                delay = _delay(task, read, id_, number)
                assert delay is not None, f"{id_} has one retry too many"
                ended = attempts[number - 1].end
                assert ended is not None
                assert (attempt.opened.at - ended.at).total_seconds() >= delay
        closed = history.events[-1].data
        if oracle.name(closed) == "WorkflowExecutionFailed":
            for id_ in payload.loads(closed.details):
                assert _is_exhausted(known[id_], read, id_), f"{id_} has one retry too few"


def _delay(task: Task, read: oracle.Account, id_: str, number: int) -> float | None:
    """The wait before the retry of this number, from the strategy's own words."""
    if task.retry_strategy is None:
        return None
    failures = tuple(failure_of(attempt.end) for attempt in read.failed(id_)[:number] if attempt.end)
    # Without jitter's share, the wait is shorter at the most by that share.
    strategy = task.retry_strategy
    delay: float | None = strategy.delay(Retry(task_id=id_, seed="", failures=failures))
    if delay is not None and isinstance(strategy, ExponentialBackoff):
        most = min(strategy.cap, strategy.initial * strategy.factor ** (number - 1))
        assert most * (1 - strategy.jitter) <= delay <= most
        return most * (1 - strategy.jitter)
    return delay


def _is_exhausted(task: Task, read: oracle.Account, id_: str) -> bool:
    refused = read.refusals.get(id_, [])
    if refused and refused[-1].data.cause not in PASSING:
        return True
    waits = [
        event
        for wait, events in read.refusals.items()
        if wait.rpartition(":")[0] == f"floto.retry:{id_}"
        for event in events
    ]
    if any(event.data.cause not in PASSING for event in waits):
        return True
    failed = len(read.failed(id_))
    return failed > 0 and _delay(task, read, id_, failed) is None


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_09_one_close_last(spec: DeciderSpec, plot: Plot) -> None:
    """At most one closing decision, the last, without new work beside it, and the one the spec calls for."""
    for step in simulate(spec, plot).steps:
        closes = closing(step.decisions)
        assert len(closes) <= 1
        if not closes:
            continue
        assert step.decisions[-1] is closes[0]
        assert not any(oracle.is_work(decision) for decision in step.decisions)
        read, known = account(step.history), oracle.in_turn(expanded(step), step.history)
        if isinstance(closes[0], CompleteWorkflowExecution):
            assert all(read.completed(id_) for id_ in known)
            _check_result(closes[0], read, known)
        if isinstance(closes[0], FailWorkflowExecution):
            failed = payload.loads(closes[0].details)
            assert failed
            assert all(not read.completed(id_) and not read.in_flight(id_) for id_ in failed)


def _check_result(close: CompleteWorkflowExecution, read: oracle.Account, known: dict[str, Task]) -> None:
    needed = {id_ for task in known.values() for id_ in task.requires}
    leaves = {id_ for id_, task in known.items() if id_ not in needed and oracle.name(task) != "Timer"}
    result = payload.loads(close.result)
    assert set(result) == leaves
    for id_ in leaves:
        if oracle.name(known[id_]) != "Generator":
            assert result[id_] == payload.loads(read.result(id_))


@SETTINGS
@given(specs(), plots(refusals=True))
def test_10_data_flow(spec: DeciderSpec, plot: Plot) -> None:
    """A task is given the workflow's input, what it requires returned, and its own input; nothing else."""
    for step in simulate(spec, plot).steps:
        read, known = account(step.history), oracle.tasks(expanded(step))
        for id_, decision in starts(step.decisions).items():
            if oracle.name(decision) == "StartTimer":
                continue
            given_input = payload.loads(getattr(decision, "input", None)) or {}
            given_input.pop("decider_spec", None)
            assert given_input == _expected_context(step, read, known, id_)


def _expected_context(
    step: Step, read: oracle.Account, known: dict[str, Task], id_: str
) -> dict[str, object]:
    context: dict[str, object] = {}
    workflow = payload.loads(step.history.events[0].data.input)
    if isinstance(workflow, dict) and "decider_spec" in workflow:
        workflow = {key: value for key, value in workflow.items() if key != "decider_spec"} or None
    if workflow is not None:
        context["workflow"] = workflow
    if id_ in {task.id_ for task in step.spec.on_failure}:
        context["failures"] = payload.loads(oracle.noted(step.history, step.decisions))
    for needed in known[id_].requires:
        if oracle.name(known[needed]) == "Generator":
            context[needed] = [task["id_"] for task in payload.loads(read.result(needed))]
        elif oracle.name(known[needed]) != "Timer":
            context[needed] = payload.loads(read.result(needed))
    own = getattr(known[id_], "input", None)
    if own is not None:
        key = "child_workflow_task" if oracle.name(known[id_]) == "ChildWorkflow" else "activity_task"
        context[key] = json.loads(json.dumps(own))
    return context
