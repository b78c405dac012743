"""What must hold when runs are canceled, tasks fail, or SWF refuses a decision."""

from __future__ import annotations

from hypothesis import given

from floto import DeciderSpec
from floto.core.decisions import RequestCancelActivityTask
from tests.property import oracle
from tests.property.oracle import account
from tests.property.simulator import Plot, simulate
from tests.property.strategies import SETTINGS, plots, specs


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_13_a_cancel_request_stops_new_work(spec: DeciderSpec, plot: Plot) -> None:
    """After a cancel request nothing but clean-up is started, and the run ends as canceled.

    One that was cleaning up after a failure then, goes on with that, and fails.
    """
    simulation = simulate(spec, plot)
    for step in simulation.steps:
        if account(step.history).canceled:
            assert oracle.work(step.decisions) <= set(oracle.in_turn(step.spec, step.history))
    for history in simulation.histories:
        if oracle.noted(history) is not None:
            assert oracle.close_status(history) == "WorkflowExecutionFailed"
            continue
        requested = [
            event.id for event in history if oracle.name(event.data) == "WorkflowExecutionCancelRequested"
        ]
        answered = [event.id for event in history if oracle.name(event.data) == "DecisionTaskStarted"]
        if requested and answered[-1] > requested[0]:
            assert oracle.close_status(history) == "WorkflowExecutionCanceled"


@SETTINGS
@given(specs(), plots(cancels=True))
def test_13_open_work_is_asked_to_stop_once(spec: DeciderSpec, plot: Plot) -> None:
    """Each open activity is asked to stop exactly once, at the first decision that finds out."""
    for step in simulate(spec, plot).steps:
        asked = [each.activity_id for each in step.decisions if isinstance(each, RequestCancelActivityTask)]
        read = account(step.history)
        if not read.canceled and oracle.noted(step.history, step.decisions) is None:
            assert not asked
            continue
        asked_before = {
            event.data.activity_id
            for event in step.history
            if oracle.name(event.data) in ("ActivityTaskCancelRequested", "RequestCancelActivityTaskFailed")
        }
        open_activities = {
            id_
            for id_, attempts in read.attempts.items()
            if attempts[-1].end is None
            and oracle.name(attempts[-1].opened.data) == "ActivityTaskScheduled"
            and id_ not in oracle.in_turn(step.spec, step.history, step.decisions)
        }
        assert set(asked) == open_activities - asked_before
        assert len(asked) == len(set(asked))


@SETTINGS
@given(specs(), plots())
def test_13_children_are_not_left_behind(spec: DeciderSpec, plot: Plot) -> None:
    """A run that fails asks its open children to stop."""
    for step in simulate(spec, plot).steps:
        if oracle.name(step.decisions[-1] if step.decisions else None) != "FailWorkflowExecution":
            continue
        asked = {
            event.data.workflow_id
            for event in step.history
            if oracle.name(event.data) == "RequestCancelExternalWorkflowExecutionInitiated"
        } | {getattr(decision, "workflow_id", None) for decision in step.decisions}
        for attempts in account(step.history).attempts.values():
            opened = attempts[-1].opened.data
            if attempts[-1].end is None and oracle.name(opened) == "StartChildWorkflowExecutionInitiated":
                assert opened.workflow_id in asked


@SETTINGS
@given(specs(), plots(refusals=True))
def test_13_refusals_are_never_ignored(spec: DeciderSpec, plot: Plot) -> None:
    """What SWF refused is tried again until it is done, or fails the run."""
    for history in simulate(spec, plot).histories:
        read = account(history)
        if oracle.close_status(history) == "WorkflowExecutionCompleted":
            for id_ in read.refusals:
                if not id_.startswith("floto."):
                    assert read.completed(id_), id_


@SETTINGS
@given(specs(), plots())
def test_13_failures_are_not_swallowed(spec: DeciderSpec, plot: Plot) -> None:
    """A run completes only if every task that was ever attempted did; else it fails and says which."""
    for history in simulate(spec, plot).histories:
        read = account(history)
        undone = [id_ for id_ in read.attempts if not read.completed(id_) and not id_.startswith("floto.")]
        if oracle.close_status(history) == "WorkflowExecutionCompleted":
            assert not undone
        if oracle.close_status(history) == "WorkflowExecutionFailed":
            assert undone
