"""Children, child policies and continue-as-new (scenarios 73-82)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.contract.stage import (
    COMPLETE,
    CONTINUE,
    WORKFLOW,
    Stage,
    activity,
    attributes,
    child,
    decision,
    timer,
)

INITIATED = "StartChildWorkflowExecutionInitiated"
FAILED = "StartChildWorkflowExecutionFailed"
ON_CHILDREN = decision("ContinueAsNewWorkflowExecution", taskList={"name": "children"})


def with_child(stage: Stage, workflow_id: Any = "child", **given: Any) -> tuple[Any, Any]:
    """A run of the workflow ``wf``, and its child: initiated by event 5, started by 6."""
    run = stage.start()
    stage.decide(child(workflow_id, **given))
    assert stage.names(run, 3) == f"DTC {INITIATED} ChildWorkflowExecutionStarted DTS"
    return run, stage.said(run, 6)["workflowExecution"]


def test_73_a_child_starts(stage: Stage) -> None:
    given = {"input": "i", "tagList": ["t"], "taskPriority": "4", "lambdaRole": "arn:aws:iam::1:role/r"}
    run, execution = with_child(stage, control="c", **given)
    resolved = {
        "taskList": {"name": "children"},
        "executionStartToCloseTimeout": "3600",
        "taskStartToCloseTimeout": "60",
        "childPolicy": "TERMINATE",
    }
    assert stage.said(run, 5) == {
        "workflowId": "child",
        "workflowType": WORKFLOW,
        "control": "c",
        "decisionTaskCompletedEventId": 4,
        **resolved,
        **given,
    }
    assert execution["workflowId"] == "child"
    assert stage.said(run, 6) == {
        "workflowExecution": execution,
        "workflowType": WORKFLOW,
        "initiatedEventId": 5,
    }
    assert stage.names(execution) == "WES DTS"
    assert stage.said(execution, 1) == {
        "workflowType": WORKFLOW,
        "parentWorkflowExecution": run,
        "parentInitiatedEventId": 5,
        **resolved,
        **given,
    }
    assert stage.describe(execution)["executionInfo"]["parent"] == run
    assert stage.open_counts(run)["openChildWorkflowExecutions"] == 1


def test_73_default_timeout_of_a_child_is_one_year(stage: Stage) -> None:
    _, execution = with_child(stage, executionStartToCloseTimeout="NONE", taskStartToCloseTimeout="NONE")
    stage.terminate(childPolicy="ABANDON")
    stage.wait(365 * 86_400 - 1)
    assert stage.names(execution) == "WES DTS"
    stage.wait(1)
    assert stage.names(execution) == "WES DTS WorkflowExecutionTimedOut"


ENDS = [
    (decision("CompleteWorkflowExecution", result="r"), "Completed", {"result": "r"}),
    (
        decision("FailWorkflowExecution", reason="r", details="d"),
        "Failed",
        {"reason": "r", "details": "d"},
    ),
    (decision("CancelWorkflowExecution", details="d"), "Canceled", {"details": "d"}),
]


@pytest.mark.parametrize(("end", "word", "told"), ENDS, ids=[end[1] for end in ENDS])
def test_74_close_of_a_child_is_recorded_in_the_parent(stage: Stage, end: Any, word: str, told: Any) -> None:
    run, execution = with_child(stage)
    stage.decide()
    stage.respond(stage.task("children"), end)
    assert stage.names(run, 9) == f"ChildWorkflowExecution{word} DTS"
    assert stage.said(run, 10) == {
        "workflowExecution": execution,
        "workflowType": WORKFLOW,
        "initiatedEventId": 5,
        "startedEventId": 6,
        **told,
    }
    assert stage.open_counts(run)["openChildWorkflowExecutions"] == 0


@pytest.mark.parametrize(
    ("word", "told"), [("TimedOut", {"timeoutType": "START_TO_CLOSE"}), ("Terminated", {})]
)
def test_74_termination_and_timeout_of_a_child_are_recorded_in_the_parent(
    stage: Stage, word: str, told: Any
) -> None:
    run, execution = with_child(stage, executionStartToCloseTimeout="10")
    stage.decide()
    if word == "TimedOut":
        stage.wait(10)
    else:
        stage.terminate("child", reason="r", details="d")
    assert stage.names(run, 9) == f"ChildWorkflowExecution{word} DTS"
    assert stage.said(run, 10) == {
        "workflowExecution": execution,
        "workflowType": WORKFLOW,
        "initiatedEventId": 5,
        "startedEventId": 6,
        **told,
    }


def test_74_children_with_equal_control_are_distinguished(stage: Stage) -> None:
    run = stage.start()
    stage.decide(child("a", control="floto.task:t"), child("b", control="floto.task:t"))
    stage.decide()
    tasks = [stage.task("children") for _ in "ab"]
    by_id = {task["workflowExecution"]["workflowId"]: task for task in tasks}
    for workflow_id in "ba":
        stage.respond(by_id[workflow_id], decision("CompleteWorkflowExecution", result=workflow_id))
    ends = [
        attributes(event)
        for event in stage.history(run)
        if event["eventType"] == "ChildWorkflowExecutionCompleted"
    ]
    assert [(end["result"], end["initiatedEventId"], end["startedEventId"]) for end in ends] == [
        ("b", 6, 9),
        ("a", 5, 7),
    ]


def refused_child(stage: Stage, decision: Any) -> Any:
    run = stage.start()
    stage.decide(decision)
    assert stage.names(run, 3) == f"DTC {FAILED} DTS"
    return stage.said(run, 5)


def test_75_a_child_of_an_unknown_type_is_not_initiated(stage: Stage) -> None:
    unknown = {"name": "no", "version": "1"}
    assert refused_child(stage, child(workflowType=unknown, control="c")) == {
        "workflowType": unknown,
        "workflowId": "child",
        "cause": "WORKFLOW_TYPE_DOES_NOT_EXIST",
        "initiatedEventId": 0,
        "decisionTaskCompletedEventId": 4,
        "control": "c",
    }


def test_75_a_child_of_a_deprecated_type_is_not_initiated(stage: Stage) -> None:
    old = stage.register_workflow("old")
    stage.deprecate("workflow", old)
    said = refused_child(stage, child(workflowType=old))
    assert (said["cause"], said["initiatedEventId"]) == ("WORKFLOW_TYPE_DEPRECATED", 0)


NEEDS = {
    "executionStartToCloseTimeout": ("DEFAULT_EXECUTION_START_TO_CLOSE_TIMEOUT_UNDEFINED", "9"),
    "taskList": ("DEFAULT_TASK_LIST_UNDEFINED", {"name": "children"}),
    "taskStartToCloseTimeout": ("DEFAULT_TASK_START_TO_CLOSE_TIMEOUT_UNDEFINED", "9"),
    "childPolicy": ("DEFAULT_CHILD_POLICY_UNDEFINED", "ABANDON"),
}


@pytest.mark.parametrize("missing", NEEDS)
def test_75_child_without_a_required_default_is_refused(stage: Stage, missing: str) -> None:
    bare = stage.register_bare("workflow")
    given = {name: value for name, (_, value) in NEEDS.items() if name != missing}
    start = decision("StartChildWorkflowExecution", workflowType=bare, workflowId="child", **given)
    said = refused_child(stage, start)
    assert (said["cause"], said["initiatedEventId"]) == (NEEDS[missing][0], 0)


def test_75_1000_children_may_be_open(stage: Stage) -> None:
    run = stage.start()
    stage.decide(*[child(str(number)) for number in range(1001)])
    refusals = [e for e in stage.history(run) if e["eventType"] == FAILED]
    (said,) = [e["startChildWorkflowExecutionFailedEventAttributes"] for e in refusals]
    assert (said["cause"], said["workflowId"]) == ("OPEN_CHILDREN_LIMIT_EXCEEDED", "1000")
    assert stage.open_counts(run)["openChildWorkflowExecutions"] == 1000


def test_76_child_with_a_workflow_id_in_use_is_refused(stage: Stage) -> None:
    run = stage.start()
    stage.decide(child("wf", control="c"))
    assert stage.names(run, 3) == f"DTC {INITIATED} {FAILED} DTS"
    assert stage.said(run, 6) == {
        "workflowType": WORKFLOW,
        "workflowId": "wf",
        "cause": "WORKFLOW_ALREADY_RUNNING",
        "initiatedEventId": 5,
        "decisionTaskCompletedEventId": 4,
        "control": "c",
    }


POLICIES = pytest.mark.parametrize(
    ("policy", "then", "said"),
    [
        (
            "TERMINATE",
            "WorkflowExecutionTerminated",
            {"cause": "CHILD_POLICY_APPLIED", "childPolicy": "ABANDON"},
        ),
        ("REQUEST_CANCEL", "WorkflowExecutionCancelRequested DTS", {"cause": "CHILD_POLICY_APPLIED"}),
        ("ABANDON", "", None),
    ],
)


def under(stage: Stage, policy: str, **given: Any) -> tuple[Any, Any]:
    """Start a run with this policy and a child of it; neither has a decision task."""
    run = stage.start(childPolicy=policy, executionStartToCloseTimeout="60")
    stage.decide(child(executionStartToCloseTimeout="3600", childPolicy="ABANDON", **given))
    stage.respond(stage.task("children"))
    return run, stage.said(run, 6)["workflowExecution"]


def check_child(stage: Stage, execution: Any, then: str, said: Any) -> None:
    assert stage.names(execution, 4) == then
    if said is not None:
        event = stage.said(execution, 5)
        assert {name: event[name] for name in said} == said
        assert event.get("externalInitiatedEventId", 0) == 0
        assert "externalWorkflowExecution" not in event


@POLICIES
def test_77_child_policy_applies_when_the_parent_is_terminated(
    stage: Stage, policy: str, then: str, said: Any
) -> None:
    run, execution = under(stage, policy)
    length = len(stage.history(run))
    stage.terminate()
    check_child(stage, execution, then, said)
    assert stage.names(run, length) == "WorkflowExecutionTerminated"
    assert stage.said(run, length + 1)["childPolicy"] == policy


def test_77_terminated_child_applies_the_policy_to_its_own_children(stage: Stage) -> None:
    run = stage.start()
    stage.decide(child())
    stage.respond(stage.task("children"), child("grandchild"))
    middle = stage.said(run, 6)["workflowExecution"]
    grandchild = stage.said(middle, 6)["workflowExecution"]
    stage.terminate()
    assert stage.names(grandchild) == "WES DTS WorkflowExecutionTerminated"
    assert stage.names(middle).endswith("WorkflowExecutionTerminated")


@POLICIES
def test_78_child_policy_applies_when_the_parent_times_out(
    stage: Stage, policy: str, then: str, said: Any
) -> None:
    run, execution = under(stage, policy)
    stage.wait(60)
    assert stage.names(run).endswith("DTS WorkflowExecutionTimedOut")
    check_child(stage, execution, then, said)


@pytest.mark.parametrize("kind", ["Complete", "Fail", "Cancel", "ContinueAsNew"])
def test_78_child_policy_does_not_apply_when_the_parent_closes_by_decision(stage: Stage, kind: str) -> None:
    run, execution = under(stage, "TERMINATE")
    stage.decide(decision(f"{kind}WorkflowExecution"))
    length = len(stage.history(run))
    assert stage.names(execution, 4) == ""
    stage.signal("child")
    stage.respond(stage.task("children"), COMPLETE)
    assert len(stage.history(run)) == length


def test_79_termination_overrides_the_policy_with_abandon(stage: Stage) -> None:
    run, execution = under(stage, "TERMINATE")
    stage.terminate(childPolicy="ABANDON")
    assert stage.last(run, "WorkflowExecutionTerminated")["childPolicy"] == "ABANDON"
    assert stage.names(execution, 4) == ""


def test_79_termination_overrides_the_policy_with_terminate(stage: Stage) -> None:
    _, execution = under(stage, "ABANDON")
    stage.terminate(childPolicy="TERMINATE")
    assert stage.names(execution, 4) == "WorkflowExecutionTerminated"


def test_80_a_run_continues_as_new(stage: Stage) -> None:
    stage.register_workflow(version="2")
    run = stage.start(input="old", tagList=["old"], taskPriority="9", executionStartToCloseTimeout="77")
    given = {
        "input": "new",
        "tagList": ["t"],
        "taskPriority": "2",
        "taskList": {"name": "next"},
        "executionStartToCloseTimeout": "99",
        "taskStartToCloseTimeout": "NONE",
        "childPolicy": "ABANDON",
        "lambdaRole": "arn:aws:iam::1:role/r",
    }
    stage.decide(decision("ContinueAsNewWorkflowExecution", workflowTypeVersion="2", **given))
    assert stage.names(run, 3) == "DTC WorkflowExecutionContinuedAsNew"
    closed = stage.said(run, 5)
    new = {"workflowId": "wf", "runId": closed["newExecutionRunId"]}
    second = {"name": "work", "version": "2"}
    assert closed == {
        "decisionTaskCompletedEventId": 4,
        "newExecutionRunId": new["runId"],
        "workflowType": second,
        **given,
    }
    assert new["runId"] != run["runId"]
    assert stage.describe(run)["executionInfo"]["closeStatus"] == "CONTINUED_AS_NEW"
    assert stage.names(new) == "WES DTS"
    assert stage.said(new, 1) == {
        "workflowType": second,
        "continuedExecutionRunId": run["runId"],
        "parentInitiatedEventId": 0,
        **given,
    }
    with stage.refused("WorkflowExecutionAlreadyStartedFault"):
        stage.start()
    assert stage.task("next")["workflowExecution"] == new


def test_80_omitted_attributes_of_the_new_run_come_from_the_type(stage: Stage) -> None:
    run = stage.start(
        input="old", taskList={"name": "mine"}, executionStartToCloseTimeout="77", childPolicy="ABANDON"
    )
    stage.respond(stage.task("mine"), CONTINUE)
    new = {"workflowId": "wf", "runId": stage.said(run, 5)["newExecutionRunId"]}
    assert stage.said(new, 1) == {
        "workflowType": WORKFLOW,
        "taskList": {"name": "decide"},
        "executionStartToCloseTimeout": "3600",
        "taskStartToCloseTimeout": "60",
        "childPolicy": "TERMINATE",
        "continuedExecutionRunId": run["runId"],
        "parentInitiatedEventId": 0,
    }


def test_80_open_work_does_not_move_to_the_new_run(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity(), timer())
    work = stage.work()
    stage.signal()
    stage.decide(CONTINUE)
    with stage.unknown_run(run):
        stage.finish(work)
    stage.wait(20)
    assert stage.names(run).endswith("WorkflowExecutionContinuedAsNew")
    assert stage.open_counts(stage.task()["workflowExecution"]) == {
        "openActivityTasks": 0,
        "openDecisionTasks": 1,
        "openTimers": 0,
        "openChildWorkflowExecutions": 0,
        "openLambdaFunctions": 0,
    }


@pytest.mark.parametrize("missing", NEEDS)
def test_81_continue_as_new_without_a_required_default_is_refused(stage: Stage, missing: str) -> None:
    bare = stage.register_bare("workflow")
    given = {name: value for name, (_, value) in NEEDS.items()}
    run = stage.start(workflowType=bare, **given)
    given.pop(missing)
    stage.respond(stage.task("children"), decision("ContinueAsNewWorkflowExecution", **given))
    assert stage.names(run, 3) == "DTC ContinueAsNewWorkflowExecutionFailed DTS"
    assert stage.said(run, 5) == {"cause": NEEDS[missing][0], "decisionTaskCompletedEventId": 4}
    assert stage.describe(run)["executionInfo"]["executionStatus"] == "OPEN"


@pytest.mark.parametrize(
    ("version", "cause"),
    [("3", "WORKFLOW_TYPE_DOES_NOT_EXIST"), ("2", "WORKFLOW_TYPE_DEPRECATED")],
)
def test_81_continue_as_new_with_an_unknown_or_deprecated_type_is_refused(
    stage: Stage, version: str, cause: str
) -> None:
    stage.deprecate("workflow", stage.register_workflow(version="2"))
    run = stage.start()
    stage.decide(decision("ContinueAsNewWorkflowExecution", workflowTypeVersion=version))
    assert stage.names(run, 3) == "DTC ContinueAsNewWorkflowExecutionFailed DTS"
    assert stage.said(run, 5)["cause"] == cause


def test_82_a_child_continues_as_new(stage: Stage) -> None:
    run, first = with_child(stage)
    length = len(stage.history(run))
    stage.respond(stage.task("children"), ON_CHILDREN)
    assert stage.names(first).endswith("WorkflowExecutionContinuedAsNew")
    assert len(stage.history(run)) == length
    assert stage.open_counts(run)["openChildWorkflowExecutions"] == 1
    task = stage.task("children")
    second = task["workflowExecution"]
    assert second["runId"] != first["runId"]
    started = stage.said(second, 1)
    assert (started["parentWorkflowExecution"], started["parentInitiatedEventId"]) == (run, 5)
    assert stage.describe(second)["executionInfo"]["parent"] == run
    stage.respond(task, COMPLETE)
    assert stage.names(run, length) == "ChildWorkflowExecutionCompleted"
    assert stage.last(run, "ChildWorkflowExecutionCompleted") == {
        "workflowExecution": second,
        "workflowType": WORKFLOW,
        "initiatedEventId": 5,
        "startedEventId": 6,
    }


def test_82_child_policy_applies_to_a_child_that_continued_as_new(stage: Stage) -> None:
    with_child(stage)
    stage.respond(stage.task("children"), ON_CHILDREN)
    second = stage.task("children")["workflowExecution"]
    stage.terminate()
    assert stage.names(second).endswith("WorkflowExecutionTerminated")
