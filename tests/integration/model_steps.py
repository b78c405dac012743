"""Steps of the walk through SWF's model: each takes a stage, and checks the histories of its runs."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from floto.core.engine import step_context as turn
from floto.core.engine.decisions import decisions, externals
from floto.core.swf import limits
from tests.integration.contract.stage import (
    ACTIVITY,
    CANCEL,
    COMPLETE,
    CONTINUE,
    FAIL,
    WORKFLOW,
    Stage,
    activity,
    cancel_external,
    child,
    decision,
    marker,
    signal_external,
    timer,
)

ROLE = "arn:aws:iam::1:role/r"
ARN = "arn:aws:swf:us-east-1:000000000000:/domain/{}"
ALL = {"startTimeFilter": {"oldestDate": 0}}


def close(stage: Stage, run: Any) -> None:
    """Read a history to its end, and end its run."""
    stage.history(run)
    stage.terminate(run["workflowId"], reason="r", details="d")
    stage.history(run)
    stage.describe(run)


def children(stage: Stage, run: Any) -> list[Any]:
    """The runs that a run started."""
    name = "childWorkflowExecutionStartedEventAttributes"
    return [event[name]["workflowExecution"] for event in stage.history(run) if name in event]


ENDS = (
    decision("CompleteWorkflowExecution", result="r"),
    decision("FailWorkflowExecution", reason="r", details="d"),
    decision("CancelWorkflowExecution", details="d"),
)


def start_with_all_attributes(stage: Stage) -> None:
    run = stage.start(
        input="i",
        tagList=["t"],
        taskPriority="1",
        lambdaRole=ROLE,
        childPolicy="REQUEST_CANCEL",
        taskList={"name": "decide"},
    )
    stage.decide(
        activity("a", input="i", control="c", taskPriority="2"),
        timer("t", control="c"),
        marker(details="d"),
        child("c", input="i", control="c", tagList=["t"], taskPriority="3", lambdaRole=ROLE),
        executionContext="x",
        taskList={"name": "other"},
        taskListScheduleToStartTimeout="5",
    )
    stage.client.list_open_workflow_executions(domain=stage.domain, **ALL)
    stage.signal()
    stage.wait(5)
    stage.decide(
        decision(
            "ContinueAsNewWorkflowExecution", input="j", tagList=["u"], taskPriority="4", lambdaRole=ROLE
        )
    )
    again = stage.client.list_open_workflow_executions(
        domain=stage.domain, **ALL, executionFilter={"workflowId": "wf"}
    )["executionInfos"][0]["execution"]
    stage.describe(run)
    stage.history(run)
    close(stage, again)
    stage.terminate("c")


def ends_of_activities(stage: Stage) -> None:
    run = stage.start()
    each = {"scheduleToStartTimeout": "5"}, {"scheduleToCloseTimeout": "5"}, {"startToCloseTimeout": "5"}
    limits_ = [*each, {"heartbeatTimeout": "5"}]
    stage.decide(
        *[activity(str(number), taskPriority="1", **given) for number, given in enumerate(limits_)],
        *[activity(id_, input="i") for id_ in ("completed", "failed", "canceled", "kept")],
    )
    tasks = [stage.work(identity="me") for _ in range(8)]
    stage.beat(tasks[3], details="half")
    stage.finish(tasks[4], result="r")
    stage.fail(tasks[5], reason="r", details="d")
    stage.decide(decision("RequestCancelActivityTask", activityId="canceled"), activity("late", **each[0]))
    stage.cancel(tasks[6], details="d")
    stage.wait(5)
    stage.history(run)
    close(stage, run)


def ends_of_children(stage: Stage) -> None:
    on_list = {"taskList": {"name": "children"}, "executionStartToCloseTimeout": "5"}
    for end in (*ENDS, None):
        run = stage.start()
        stage.decide(child("c", **on_list))
        if end:
            stage.respond(stage.task("children"), end)
        else:
            stage.wait(5)
        (ended,) = children(stage, run)
        stage.history(ended)
        stage.describe(ended)
        close(stage, run)
    # One that ends by force, and those that the policy of their parent asks to stop or terminates.
    run = stage.start(childPolicy="REQUEST_CANCEL")
    stage.decide(child("forced", childPolicy="REQUEST_CANCEL"), child("asked"))
    forced, asked = children(stage, run)
    stage.terminate("forced")
    close(stage, run)
    stage.history(forced)
    close(stage, asked)
    run = stage.start(childPolicy="TERMINATE")
    stage.decide(child("killed"))
    close(stage, run)
    stage.history(*children(stage, run))


def between_runs(stage: Stage) -> None:
    other, run = stage.start("other"), stage.start()
    stage.decide()
    stage.decide(
        signal_external("other", control="c", input="i", runId=other["runId"]),
        cancel_external("other", control="c", runId=other["runId"]),
        signal_external("nobody", control="c", runId="r"),
        cancel_external("nobody", control="c", runId="r"),
    )
    close(stage, run)
    close(stage, other)


def closes_with_unseen_events(stage: Stage) -> None:
    """Close decisions are refused while there are unseen events."""
    for end in (COMPLETE, FAIL, CANCEL, CONTINUE):
        run = stage.start()
        task = stage.task()
        stage.signal()
        stage.respond(task, end)
        close(stage, run)


def ends_of_runs(stage: Stage) -> None:
    for end in ENDS:
        run = stage.start()
        stage.request_cancel()
        stage.decide(end)
        stage.history(run)
        stage.describe(run)
    run = stage.start(executionStartToCloseTimeout="5")
    stage.wait(5)
    stage.history(run)
    for status in ("COMPLETED", "TIMED_OUT"):
        stage.client.list_closed_workflow_executions(
            domain=stage.domain, **ALL, closeStatusFilter={"status": status}, maximumPageSize=1
        )
    stage.client.count_closed_workflow_executions(domain=stage.domain, **ALL)
    stage.client.count_open_workflow_executions(domain=stage.domain, **ALL)


def decision_tasks(stage: Stage) -> None:
    run = stage.start(taskStartToCloseTimeout="5", taskPriority="7")
    stage.client.count_pending_decision_tasks(domain=stage.domain, taskList={"name": "decide"})
    task = stage.task(maximumPageSize=1, identity="me")
    stage.poll(nextPageToken=task["nextPageToken"], identity="me")
    stage.wait(5)
    stage.decide(timer("t", "0"), timer("u"), activity())
    stage.client.count_pending_activity_tasks(domain=stage.domain, taskList={"name": "work"})
    stage.decide(decision("CancelTimer", timerId="u"))
    stage.history(run)
    stage.client.get_workflow_execution_history(domain=stage.domain, execution=run, maximumPageSize=1)
    stage.start("second")
    stage.client.list_open_workflow_executions(domain=stage.domain, **ALL, maximumPageSize=1)
    stage.terminate("second")
    close(stage, run)


def _deprecate_and_delete_type(stage: Stage, kind: str, type_: Any) -> None:
    def call(verb: str, given: Any) -> None:
        getattr(stage.client, f"{verb}_{kind}_type")(domain=stage.domain, **{f"{kind}Type": given})

    def listed(status: str, **given: Any) -> None:
        getattr(stage.client, f"list_{kind}_types")(domain=stage.domain, registrationStatus=status, **given)

    stage.register_bare(
        kind, "described", description="d", defaultTaskPriority="1", defaultTaskList={"name": "l"}
    )
    described = {"name": "described", "version": "1"}
    call("describe", type_)
    call("describe", described)
    listed("REGISTERED", maximumPageSize=1)
    call("deprecate", described)
    listed("DEPRECATED")
    for verb in ("undeprecate", "deprecate", "delete"):
        call(verb, described)


def types_and_domains(stage: Stage) -> None:
    for kind, type_ in (("workflow", WORKFLOW), ("activity", ACTIVITY)):
        _deprecate_and_delete_type(stage, kind, type_)
    stage.register_bare("workflow", "role", defaultLambdaRole=ROLE)
    stage.client.describe_workflow_type(domain=stage.domain, workflowType={"name": "role", "version": "1"})
    stage.client.register_domain(
        name="e",
        description="d",
        workflowExecutionRetentionPeriodInDays="1",
        tags=[{"key": "k", "value": "v"}],
    )
    stage.client.describe_domain(name="e")
    stage.client.list_domains(registrationStatus="REGISTERED", maximumPageSize=1)
    stage.client.tag_resource(resourceArn=ARN.format("e"), tags=[{"key": "l"}])
    stage.client.list_tags_for_resource(resourceArn=ARN.format("e"))
    stage.client.untag_resource(resourceArn=ARN.format("e"), tagKeys=["k"])
    stage.client.deprecate_domain(name="e")
    stage.client.list_domains(registrationStatus="DEPRECATED")
    stage.client.undeprecate_domain(name="e")


NO, OLD = {"name": "no", "version": "1"}, {"name": "old", "version": "1"}


def refused_decisions(stage: Stage) -> None:
    bare = stage.register_bare("activity")
    stage.deprecate("activity", stage.register_activity("old"))
    run = stage.start()
    needed = {
        "taskList": {"name": "work"},
        "scheduleToStartTimeout": "9",
        "scheduleToCloseTimeout": "9",
        "startToCloseTimeout": "9",
        "heartbeatTimeout": "9",
    }
    stage.decide(
        activity("n", activityType=NO),
        activity("o", activityType=OLD),
        activity("a"),
        activity("a"),
        *[
            activity("b", activityType=bare, **{k: v for k, v in needed.items() if k != lacking})
            for lacking in needed
        ],
        timer("t"),
        timer("t"),
        decision("RequestCancelActivityTask", activityId="x"),
        decision("CancelTimer", timerId="x"),
        decision("ScheduleLambdaFunction", id="l", name="f"),
        child("wf", control="c"),
    )
    close(stage, run)


RUN_NEEDS = {
    "executionStartToCloseTimeout": "9",
    "taskList": {"name": "children"},
    "taskStartToCloseTimeout": "9",
    "childPolicy": "ABANDON",
}


def refused_children_and_successors(stage: Stage) -> None:
    bare = stage.register_bare("workflow")
    stage.deprecate("workflow", stage.register_workflow("old"))
    lacking = [{k: v for k, v in RUN_NEEDS.items() if k != name} for name in RUN_NEEDS]
    run = stage.start()
    stage.decide(
        child("n", workflowType=NO, control="c"),
        child("o", workflowType=OLD),
        *[
            decision("StartChildWorkflowExecution", workflowType=bare, workflowId="b", **given)
            for given in lacking
        ],
    )
    close(stage, run)
    for given in lacking:
        run = stage.start(workflowType=bare, **{**RUN_NEEDS, "taskList": {"name": "decide"}})
        stage.decide(decision("ContinueAsNewWorkflowExecution", **given))
        close(stage, run)
    for version in ("2", "3"):
        stage.register_workflow(version=version)
    run = stage.start()
    stage.decide(decision("ContinueAsNewWorkflowExecution", workflowTypeVersion="none"))
    stage.deprecate("workflow", {"name": "work", "version": "2"})
    stage.decide(decision("ContinueAsNewWorkflowExecution", workflowTypeVersion="2"))
    close(stage, run)


def limits_of_a_run(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as few:
        few.setattr(decisions, "OPEN_LIMIT", 1)
        few.setattr(externals, "OPEN_LIMIT", 1)
        run = stage.start(lambdaRole=ROLE)
        stage.decide(activity("a"), activity("b"), timer("a"), timer("b"), child("a"), child("b"))
        few.setattr(externals, "OPEN_LIMIT", 2)
        few.setattr(limits, "OPEN_RUN_LIMIT", 2)
        stage.signal()
        stage.decide(child("c"))
        close(stage, run)
    with patch.context() as few:
        few.setattr(turn, "MAX_EVENTS", 6)
        run = stage.start()
        stage.decide(marker(), marker(), marker())
        stage.history(run)


def lambda_functions(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    """The four ends of a function, and the refusals of what never begins."""
    began, ended = threading.Event(), threading.Event()

    def slow(_input: Any) -> None:
        began.set()
        ended.wait(60)

    def function(id_: str, name: str = "ok", **given: Any) -> Any:
        return decision("ScheduleLambdaFunction", id=id_, name=name, **given)

    stage.restart(functions={"ok": lambda _input: "r", "slow": slow})
    run = stage.start()
    stage.decide(function("no role"))
    close(stage, run)
    run = stage.start(lambdaRole=ROLE)
    given = {"input": "1", "control": "c", "startToCloseTimeout": "5"}
    stage.decide(function("ok", **given), function("unknown", "?"), function("s", "slow", **given))
    assert began.wait(60)
    patch.setattr(decisions, "OPEN_LIMIT", 1)
    stage.signal()
    stage.decide(function("s"), function("full"))
    stage.wait(5)
    while not {"LambdaFunctionCompleted", "LambdaFunctionFailed"} <= {
        event["eventType"] for event in stage.history(run)
    }:
        threading.Event().wait(0.02)
    ended.set()
    close(stage, run)
    patch.undo()
    stage.restart()


def walk(stage: Stage, patch: pytest.MonkeyPatch) -> None:
    start_with_all_attributes(stage)
    ends_of_activities(stage)
    ends_of_children(stage)
    between_runs(stage)
    closes_with_unseen_events(stage)
    ends_of_runs(stage)
    decision_tasks(stage)
    types_and_domains(stage)
    refused_decisions(stage)
    refused_children_and_successors(stage)
    limits_of_a_run(stage, patch)
    lambda_functions(stage, patch)
