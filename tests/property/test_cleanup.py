"""What must hold of the tasks that clean up after a failure or a cancel request."""

from __future__ import annotations

from hypothesis import given

from floto import DeciderSpec, History, expand, fold
from floto.core import payload
from tests.property import oracle
from tests.property.oracle import account
from tests.property.simulator import Plot, Simulation, Step, simulate
from tests.property.strategies import SETTINGS, plots, specs


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_17_clean_up_begins_when_everything_else_has_ended(spec: DeciderSpec, plot: Plot) -> None:
    """No clean-up task is started beside the run's own work, and none of that afterwards."""
    for step in simulate(spec, plot).steps:
        own = {task.id_ for task in (*step.spec.on_failure, *step.spec.on_cancel)}
        read, started = account(step.history), set(oracle.starts(step.decisions))
        if started & own:
            assert started <= own
            for id_, attempts in read.attempts.items():
                if oracle.name(attempts[-1].opened.data) in oracle.AWAITED:
                    assert id_ in own or not read.in_flight(id_)
        if any(read.touched(id_) for id_ in own if oracle.name(oracle.tasks(step.spec)[id_]) != "Signal"):
            assert started <= own


@SETTINGS
@given(specs(), plots(cancels=True))
def test_17_only_what_is_called_for_is_cleaned_up(spec: DeciderSpec, plot: Plot) -> None:
    """A run that fails cleans up after a failure, one that is canceled after that, and others do nothing."""
    for history, own in _runs(simulate(spec, plot)):
        read, status = account(history), oracle.close_status(history)
        opened = {
            id_ for id_ in read.attempts if oracle.name(read.attempts[id_][0].opened.data) in oracle.AWAITED
        }
        after_failure, after_cancel = (
            {task.id_ for task in part} for part in (own.on_failure, own.on_cancel)
        )
        assert not opened & after_failure or status == "WorkflowExecutionFailed"
        assert not opened & after_cancel or status == "WorkflowExecutionCanceled"


@SETTINGS
@given(specs(), plots(cancels=True))
def test_17_clean_up_is_finished(spec: DeciderSpec, plot: Plot) -> None:
    """When the run closes, each clean-up task has completed, or it or one it requires has failed."""
    for history, own in _runs(simulate(spec, plot)):
        part = oracle.cleans_up(history)
        status = oracle.close_status(history)
        if part is None or status not in ("WorkflowExecutionFailed", "WorkflowExecutionCanceled"):
            continue
        read, known = account(history), {task.id_: task for task in getattr(own, part)}
        failed = set(payload.loads(history.events[-1].data.details) or {})
        assert not any(read.in_flight(id_) for id_ in known)
        for id_, task in known.items():
            lost = {id_, *task.requires} & failed or not all(
                oracle.settled(read, known, needed) for needed in task.requires
            )
            assert lost or oracle.settled(read, known, id_)


@SETTINGS
@given(specs(), plots(cancels=True))
def test_17_the_failures_are_those_of_the_beginning(spec: DeciderSpec, plot: Plot) -> None:
    """What was asked to stop is no cause: the run fails with what it noted, and failed clean-up."""
    for history, own in _runs(simulate(spec, plot)):
        noted = oracle.noted(history)
        if noted is None or oracle.close_status(history) != "WorkflowExecutionFailed":
            continue
        failures = payload.loads(history.events[-1].data.details)
        cleaning = {task.id_ for task in own.on_failure}
        assert {id_: said for id_, said in failures.items() if id_ not in cleaning} == payload.loads(noted)
        assert all(account(history).failed(id_) for id_ in set(failures) & cleaning)


def _runs(simulation: Simulation) -> list[tuple[History, DeciderSpec]]:
    """Every run and its spec, with what its generators returned."""
    found = []
    for history in simulation.histories:
        steps = [step for step in simulation.steps if step.history.execution == history.execution]
        found += [(history, _grown(step)) for step in steps[-1:]]
    return found


def _grown(step: Step) -> DeciderSpec:
    return expand(step.spec, fold(step.history))
