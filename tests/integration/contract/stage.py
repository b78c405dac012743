"""One domain of SWF with usable types, and shorthands for what scenarios do in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.contract.backends import Backend

Json = dict[str, Any]

WORKFLOW = {"name": "work", "version": "1"}
ACTIVITY = {"name": "act", "version": "1"}

#: SWF's event names in the short form in which the scenarios are written.
SHORT = {
    "WorkflowExecutionStarted": "WES",
    "DecisionTaskScheduled": "DTS",
    "DecisionTaskStarted": "DTSt",
    "DecisionTaskCompleted": "DTC",
    "DecisionTaskTimedOut": "DTTO",
    "ActivityTaskScheduled": "ATS",
    "ActivityTaskStarted": "ATSt",
    "ActivityTaskCompleted": "ATC",
    "ActivityTaskFailed": "ATF",
    "ActivityTaskTimedOut": "ATTO",
    "ActivityTaskCanceled": "ATX",
    "ActivityTaskCancelRequested": "ATCR",
    "LambdaFunctionScheduled": "LFS",
    "LambdaFunctionStarted": "LFSt",
    "LambdaFunctionCompleted": "LFC",
    "LambdaFunctionFailed": "LFF",
    "LambdaFunctionTimedOut": "LFTO",
}


def decision(kind: str, **attributes: Any) -> Json:
    """A decision as boto3 takes it."""
    return {"decisionType": kind, f"{kind[0].lower()}{kind[1:]}DecisionAttributes": attributes}


def activity(activity_id: Any = "a", **given: Any) -> Json:
    return decision("ScheduleActivityTask", **{"activityType": ACTIVITY, "activityId": activity_id, **given})


def timer(timer_id: str = "t", seconds: str = "9", **given: Any) -> Json:
    return decision("StartTimer", timerId=timer_id, startToFireTimeout=seconds, **given)


def marker(name: str = "m", **given: Any) -> Json:
    return decision("RecordMarker", markerName=name, **given)


def child(workflow_id: str = "child", **given: Any) -> Json:
    defaults = {"workflowType": WORKFLOW, "workflowId": workflow_id, "taskList": {"name": "children"}}
    return decision("StartChildWorkflowExecution", **{**defaults, **given})


def signal_external(workflow_id: str, **given: Any) -> Json:
    return decision(
        "SignalExternalWorkflowExecution", **{"workflowId": workflow_id, "signalName": "s", **given}
    )


def cancel_external(workflow_id: str, **given: Any) -> Json:
    return decision("RequestCancelExternalWorkflowExecution", workflowId=workflow_id, **given)


COMPLETE = decision("CompleteWorkflowExecution")
FAIL = decision("FailWorkflowExecution")
CANCEL = decision("CancelWorkflowExecution")
CONTINUE = decision("ContinueAsNewWorkflowExecution")


def attributes(event: Json) -> Json:
    """Return the attributes of an event: the one member beside its envelope, named after its type."""
    (name,) = set(event) - {"eventId", "eventType", "eventTimestamp"}
    kind = event["eventType"]
    assert name == f"{kind[0].lower()}{kind[1:]}EventAttributes"
    said: Json = event[name]
    return said


def names(events: list[Json]) -> str:
    """The types of events, in short."""
    return " ".join(SHORT.get(event["eventType"]) or str(event["eventType"]) for event in events)


def ids(events: list[Json]) -> list[int]:
    return [event["eventId"] for event in events]


class Stage:
    """A domain, and what deciders, workers and callers do in it."""

    def __init__(self, backend: Backend, domain: str = "d") -> None:
        self.backend, self.domain = backend, domain
        self.clock = backend.clock

    @property
    def client(self) -> Any:
        return self.backend.client

    def prepare(self, **given: Any) -> None:
        """Register the domain, and a type of each kind with all its defaults."""
        days = {"workflowExecutionRetentionPeriodInDays": "30", **given}
        self.client.register_domain(name=self.domain, **days)
        self.register_workflow()
        self.register_activity()

    def register_workflow(self, name: Any = "work", version: Any = "1", **given: Any) -> Json:
        defaults = {
            "defaultTaskList": {"name": "decide"},
            "defaultExecutionStartToCloseTimeout": "3600",
            "defaultTaskStartToCloseTimeout": "60",
            "defaultChildPolicy": "TERMINATE",
        }
        return self.register_bare("workflow", name, version, **{**defaults, **given})

    def register_activity(self, name: Any = "act", version: Any = "1", **given: Any) -> Json:
        defaults = {
            "defaultTaskList": {"name": "work"},
            "defaultTaskScheduleToStartTimeout": "NONE",
            "defaultTaskScheduleToCloseTimeout": "NONE",
            "defaultTaskStartToCloseTimeout": "NONE",
            "defaultTaskHeartbeatTimeout": "NONE",
        }
        return self.register_bare("activity", name, version, **{**defaults, **given})

    def register_bare(self, kind: str, name: Any = "bare", version: Any = "1", **given: Any) -> Json:
        """A type with no defaults but those given."""
        register = getattr(self.client, f"register_{kind}_type")
        register(domain=self.domain, name=name, version=version, **given)
        return {"name": name, "version": version}

    def deprecate(self, kind: str, type_: Json) -> None:
        getattr(self.client, f"deprecate_{kind}_type")(domain=self.domain, **{f"{kind}Type": type_})

    def restart(self, **options: Any) -> None:
        """Close the service and open it again on what it has written."""
        self.backend.close()
        self.backend.open(**options)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def start(self, workflow_id: Any = "wf", **given: Any) -> Json:
        """Open a run; give its execution."""
        request = {"domain": self.domain, "workflowId": workflow_id, "workflowType": WORKFLOW, **given}
        run_id = self.client.start_workflow_execution(**request)["runId"]
        return {"workflowId": workflow_id, "runId": run_id}

    def poll(self, task_list: Any = "decide", **given: Any) -> Json:
        """Return the response to a poll for a decision task, with or without a task."""
        answer: Json = self.client.poll_for_decision_task(
            domain=self.domain, taskList={"name": task_list}, **given
        )
        return answer

    def task(self, task_list: Any = "decide", **given: Any) -> Json:
        answer = self.poll(task_list, **given)
        assert answer.get("taskToken")
        return answer

    def idle(self, task_list: str = "decide") -> bool:
        """Return True if this list has no decision task; where there is one, this claims it."""
        return not self.poll(task_list).get("taskToken")

    def respond(self, task: Json, *decisions: Json, **given: Any) -> None:
        self.client.respond_decision_task_completed(
            taskToken=task["taskToken"], decisions=list(decisions), **given
        )

    def decide(self, *decisions: Json, **given: Any) -> Json:
        """Take the next decision task and answer it so; give the task."""
        task = self.task()
        self.respond(task, *decisions, **given)
        return task

    def work_poll(self, task_list: str = "work", **given: Any) -> Json:
        """Return the response to a poll for an activity task, with or without a task."""
        answer: Json = self.client.poll_for_activity_task(
            domain=self.domain, taskList={"name": task_list}, **given
        )
        return answer

    def work(self, task_list: str = "work", **given: Any) -> Json:
        answer = self.work_poll(task_list, **given)
        assert answer.get("taskToken")
        return answer

    def no_work(self, task_list: str = "work") -> bool:
        return not self.work_poll(task_list).get("taskToken")

    def finish(self, task: Json, **given: Any) -> None:
        """Complete an activity."""
        self.client.respond_activity_task_completed(taskToken=task["taskToken"], **given)

    def fail(self, task: Json, **given: Any) -> None:
        self.client.respond_activity_task_failed(taskToken=task["taskToken"], **given)

    def cancel(self, task: Json, **given: Any) -> None:
        self.client.respond_activity_task_canceled(taskToken=task["taskToken"], **given)

    def beat(self, task: Json, **given: Any) -> bool:
        """Send a heartbeat; return True if a cancellation is requested."""
        answer = self.client.record_activity_task_heartbeat(taskToken=task["taskToken"], **given)
        asked: bool = answer["cancelRequested"]
        return asked

    def signal(self, workflow_id: str = "wf", **given: Any) -> None:
        request = {"signalName": "go", "input": "now", **given}
        self.client.signal_workflow_execution(domain=self.domain, workflowId=workflow_id, **request)

    def request_cancel(self, workflow_id: str = "wf", **given: Any) -> None:
        self.client.request_cancel_workflow_execution(domain=self.domain, workflowId=workflow_id, **given)

    def terminate(self, workflow_id: str = "wf", **given: Any) -> None:
        self.client.terminate_workflow_execution(domain=self.domain, workflowId=workflow_id, **given)

    def describe(self, run: Json) -> Json:
        said: Json = self.client.describe_workflow_execution(domain=self.domain, execution=run)
        return said

    def open_counts(self, run: Json) -> Json:
        counts: Json = self.describe(run)["openCounts"]
        return counts

    def history(self, run: Json, after: int = 0, **given: Any) -> list[Json]:
        """The events of a run beyond the first so many, page by page."""
        request = {"domain": self.domain, "execution": run, **given}
        page = self.client.get_workflow_execution_history(**request)
        events: list[Json] = list(page["events"])
        while "nextPageToken" in page:
            request["nextPageToken"] = page["nextPageToken"]
            page = self.client.get_workflow_execution_history(**request)
            events.extend(page["events"])
        return events[after:]

    def names(self, run: Json, after: int = 0) -> str:
        return names(self.history(run, after))

    def said(self, run: Json, event_id: int) -> Json:
        """Return the attributes of the event of this id."""
        return attributes(self.history(run)[event_id - 1])

    def last(self, run: Json, kind: str) -> Json:
        """Return the attributes of the latest event of a type."""
        return next(attributes(e) for e in reversed(self.history(run)) if e["eventType"] == kind)

    @contextmanager
    def refused(self, code: str, message: str | None = None) -> Iterator[list[str]]:
        """Expect a refusal with this code, in its class where SWF's model has one, and this text."""
        said: list[str] = []
        expected = getattr(self.client.exceptions, code) if code.endswith("Fault") else ClientError
        with pytest.raises(expected) as raised:
            yield said
        error = raised.value.response["Error"]
        said.append(error["Message"])
        assert error["Code"] == code
        assert message is None or error["Message"] == message

    def invalid(self, message: str | None = None) -> Any:
        return self.refused("ValidationException", message)

    def unknown_run(self, run: Json) -> Any:
        """Expect the fault for a run that is unknown or closed."""
        who = "workflowId={workflowId}, runId={runId}".format(**run)
        return self.refused("UnknownResourceFault", f"Unknown execution: WorkflowExecution=[{who}]")
