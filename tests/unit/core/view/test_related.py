"""The runs that a run has to do with."""

from __future__ import annotations

from attrs import evolve

from floto import (
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    History,
    WorkflowExecution,
    events,
    redrive,
    view,
)
from floto.core.view.related import RelatedRun
from floto.testing import fails, simulate
from tests.unit.core.view.test_lints import AT, START, history

A = ActivityTask(id_="a", name="work", version="v1")
CHILD = ChildWorkflow(
    id_="c", workflow_type_name="child", workflow_type_version="v1", spec=DeciderSpec(activity_tasks=[A])
)


def test_child_is_named_with_its_task_and_its_status() -> None:
    spec = DeciderSpec(activity_tasks=[CHILD])
    for outcome, status in (({}, "COMPLETED"), ({"a": fails(None)}, "FAILED")):
        run = simulate(spec, outcome)
        [child] = view(run.main, spec).related
        execution = run.infos[1].execution
        assert child == RelatedRun("child", execution.workflow_id, execution.run_id, "c", status)
        [unknown] = view(run.main).related
        assert unknown == child


def test_child_that_has_not_started_has_no_run_yet() -> None:
    spec = DeciderSpec(activity_tasks=[CHILD])
    run = simulate(spec).main
    [initiated] = [
        each.id for each in run if isinstance(each.data, events.StartChildWorkflowExecutionInitiated)
    ]
    early = History(run.events[:initiated], run.execution)
    [child] = view(early, spec).related
    assert (child.role, child.run_id, child.task, child.status) == ("child", "", "c", None)
    [running] = view(History(run.events[: initiated + 1], run.execution), spec).related
    assert running.status == "RUNNING"


def test_parent_and_the_runs_before_and_after_are_named() -> None:
    parent = WorkflowExecution("p", "1")
    start = evolve(START, parent_workflow_execution=parent, continued_execution_run_id="before")
    as_new = events.WorkflowExecutionContinuedAsNew(
        decision_task_completed_event_id=0,
        new_execution_run_id="after",
        task_list=START.task_list,
        child_policy="TERMINATE",
        workflow_type=START.workflow_type,
    )
    run = evolve(history(as_new, start=start), execution=WorkflowExecution("w", "now"))
    assert [*view(run).related] == [
        RelatedRun("parent", "p", "1"),
        RelatedRun("continued from", "w", "before"),
        RelatedRun("continued as", "w", "after"),
    ]


def test_redriven_run_names_the_run_before() -> None:
    spec = DeciderSpec(activity_tasks=[A, evolve(A, id_="b", requires=["a"])])
    failed = simulate(spec, {"b": fails(None)}).main
    old = History(failed.events, WorkflowExecution("w", "old"))
    start = evolve(START, input=redrive(spec, old).start.input)
    [before] = view(History([events.Event(1, AT, start)], WorkflowExecution("w", "new")), spec).related
    assert before == RelatedRun("redriven from", "w", "old")


def test_refused_child_is_not_a_run() -> None:
    initiated = events.StartChildWorkflowExecutionInitiated(
        workflow_id="c",
        workflow_type=START.workflow_type,
        child_policy="TERMINATE",
        task_list=START.task_list,
        decision_task_completed_event_id=0,
    )
    refused = events.StartChildWorkflowExecutionFailed(
        workflow_id="c",
        workflow_type=START.workflow_type,
        cause="WORKFLOW_ALREADY_RUNNING",
        initiated_event_id=2,
        decision_task_completed_event_id=0,
    )
    assert [*view(history(initiated, refused)).related] == []
