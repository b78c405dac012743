"""Requests that make sense, or nearly: few names, so that they meet, and a share of wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

Request = dict[str, Any]
Requests = st.SearchStrategy[Request]

DOMAINS = ("d", "e")
FULL_WORKFLOW: Mapping[str, Any] = {
    "name": "full",
    "version": "1",
    "defaultTaskList": {"name": "l"},
    "defaultExecutionStartToCloseTimeout": "7200",
    "defaultTaskStartToCloseTimeout": "60",
    "defaultChildPolicy": "TERMINATE",
}
FULL_ACTIVITY: Mapping[str, Any] = {
    "name": "full",
    "version": "1",
    "defaultTaskList": {"name": "l"},
    "defaultTaskScheduleToStartTimeout": "NONE",
    "defaultTaskScheduleToCloseTimeout": "3600",
    "defaultTaskStartToCloseTimeout": "600",
    "defaultTaskHeartbeatTimeout": "60",
}
_OLDEST = datetime(2025, 1, 1, tzinfo=UTC)


def _request(required: Mapping[str, Any], **optional: Any) -> Requests:
    return st.fixed_dictionaries(dict(required), optional=optional)


_domain = st.sampled_from([*DOMAINS, *DOMAINS, "unknown"])
_workflow_id = st.sampled_from(["w", "x", "y"])
_run_id = st.sampled_from(["run 0", "run 1", "nobody"])
_list = st.fixed_dictionaries({"name": st.sampled_from(["l", "m"])})
_type = st.fixed_dictionaries(
    {"name": st.sampled_from(["full", "full", "bare"]), "version": st.sampled_from(["1", "1", "2"])}
)
_text = st.sampled_from(["", "text", "\u00e9\U0001f600", "x" * 200])
_seconds = st.sampled_from(["0", "1", "5", "60"])
_timeout = st.sampled_from(["0", "1", "5", "60", "NONE"])
_policy = st.sampled_from(["TERMINATE", "REQUEST_CANCEL", "ABANDON"])
_priority = st.sampled_from(["-1", "0", "7"])
_tags = st.lists(st.sampled_from(["red", "blue"]), max_size=2)
_status = st.sampled_from(["REGISTERED", "DEPRECATED"])
_page = {"maximumPageSize": st.integers(0, 3), "reverseOrder": st.booleans()}
_token = st.sampled_from(["", "garbage", "AAAA"])
_arn = st.sampled_from([*DOMAINS, "unknown"]).map("arn:aws:swf:us-east-1:000000000000:/domain/{}".format)
_run = st.fixed_dictionaries({"workflowId": _workflow_id, "runId": _run_id})
_run_settings = {
    "taskList": _list,
    "taskPriority": _priority,
    "input": _text,
    "executionStartToCloseTimeout": _seconds,
    "taskStartToCloseTimeout": _timeout,
    "childPolicy": _policy,
    "tagList": _tags,
    "lambdaRole": st.just("role"),
}
_span = st.fixed_dictionaries({"oldestDate": st.just(_OLDEST)}, optional={"latestDate": st.just(_OLDEST)})
_filters = {
    "executionFilter": st.fixed_dictionaries({"workflowId": _workflow_id}),
    "typeFilter": st.fixed_dictionaries({"name": st.just("full")}, optional={"version": st.just("1")}),
    "tagFilter": st.fixed_dictionaries({"tag": st.just("red")}),
}
_closed_filters = {
    **_filters,
    "closeStatusFilter": st.fixed_dictionaries({"status": st.sampled_from(["TERMINATED", "COMPLETED"])}),
}


def _filtered(required: Mapping[str, Any], filters: Mapping[str, Any], **more: Any) -> Requests:
    """At most one filter, now and then two, which is one too many."""
    chosen = st.lists(st.sampled_from(sorted(filters)), max_size=2, unique=True)
    return chosen.flatmap(
        lambda names: _request({**required, **{name: filters[name] for name in names}}, **more)
    )


def _closed(**more: Any) -> Requests:
    times = st.sampled_from(["startTimeFilter", "closeTimeFilter"])
    return times.flatmap(lambda name: _filtered({"domain": _domain, name: _span}, _closed_filters, **more))


def _registered(name: str) -> Requests:
    return _request({"domain": _domain, name: _type})


def _decision(kind: str, required: Mapping[str, Any], **optional: Any) -> Requests:
    key = f"{kind[0].lower()}{kind[1:]}DecisionAttributes"
    return st.fixed_dictionaries(
        {"decisionType": st.just(kind), key: st.fixed_dictionaries(dict(required), optional=optional)}
    )


_id = st.sampled_from(["1", "2"])
#: One decision of any kind.
decisions: Requests = st.one_of(
    _decision(
        "ScheduleActivityTask",
        {"activityType": _type, "activityId": _id},
        taskList=_list,
        taskPriority=_priority,
        input=_text,
        control=_text,
        scheduleToStartTimeout=_timeout,
        scheduleToCloseTimeout=_timeout,
        startToCloseTimeout=_timeout,
        heartbeatTimeout=_timeout,
    ),
    _decision("RequestCancelActivityTask", {"activityId": _id}),
    _decision("StartTimer", {"timerId": _id, "startToFireTimeout": _seconds}, control=_text),
    _decision("CancelTimer", {"timerId": _id}),
    _decision("RecordMarker", {"markerName": _id}, details=_text),
    _decision(
        "StartChildWorkflowExecution", {"workflowType": _type, "workflowId": _workflow_id}, **_run_settings
    ),
    _decision(
        "SignalExternalWorkflowExecution",
        {"workflowId": _workflow_id, "signalName": _id},
        runId=_run_id,
        input=_text,
    ),
    _decision("RequestCancelExternalWorkflowExecution", {"workflowId": _workflow_id}, runId=_run_id),
    _decision("ScheduleLambdaFunction", {"id": _id, "name": _id}, input=_text),
    _decision("CompleteWorkflowExecution", {}, result=_text),
    _decision("FailWorkflowExecution", {}, reason=_text, details=_text),
    _decision("CancelWorkflowExecution", {}, details=_text),
    _decision(
        "ContinueAsNewWorkflowExecution", {}, workflowTypeVersion=st.sampled_from(["1", "2"]), **_run_settings
    ),
)

#: Requests for each operation; their tokens belong to no task.
REQUESTS: Mapping[str, Requests] = {
    "CountClosedWorkflowExecutions": _closed(),
    "CountOpenWorkflowExecutions": _filtered({"domain": _domain, "startTimeFilter": _span}, _filters),
    "CountPendingActivityTasks": _request({"domain": _domain, "taskList": _list}),
    "CountPendingDecisionTasks": _request({"domain": _domain, "taskList": _list}),
    "DeleteActivityType": _registered("activityType"),
    "DeleteWorkflowType": _registered("workflowType"),
    "DeprecateActivityType": _registered("activityType"),
    "DeprecateDomain": _request({"name": st.sampled_from(["e", "f", "unknown"])}),
    "DeprecateWorkflowType": _registered("workflowType"),
    "DescribeActivityType": _registered("activityType"),
    "DescribeDomain": _request({"name": _domain}),
    "DescribeWorkflowExecution": _request({"domain": _domain, "execution": _run}),
    "DescribeWorkflowType": _registered("workflowType"),
    "GetWorkflowExecutionHistory": _request({"domain": _domain, "execution": _run}, **_page),
    "ListActivityTypes": _request({"domain": _domain, "registrationStatus": _status}, **_page),
    "ListClosedWorkflowExecutions": _closed(**_page),
    "ListDomains": _request({"registrationStatus": _status}, **_page),
    "ListOpenWorkflowExecutions": _filtered({"domain": _domain, "startTimeFilter": _span}, _filters, **_page),
    "ListTagsForResource": _request({"resourceArn": _arn}),
    "ListWorkflowTypes": _request({"domain": _domain, "registrationStatus": _status}, **_page),
    "PollForActivityTask": _request({"domain": _domain, "taskList": _list}, identity=_text),
    "PollForDecisionTask": _request(
        {"domain": _domain, "taskList": _list}, startAtPreviousStartedEvent=st.booleans(), **_page
    ),
    "RecordActivityTaskHeartbeat": _request({"taskToken": _token}, details=_text),
    "RegisterActivityType": _request(
        {
            "domain": _domain,
            "name": st.sampled_from(["full", "bare"]),
            "version": st.sampled_from(["1", "2"]),
        },
        description=_text,
        defaultTaskList=_list,
        defaultTaskHeartbeatTimeout=_timeout,
    ),
    "RegisterDomain": _request(
        {
            "name": st.sampled_from(["f", "g"]),
            "workflowExecutionRetentionPeriodInDays": st.sampled_from(["0", "1", "NONE", "90", "91"]),
        },
        description=_text,
        tags=st.lists(st.fixed_dictionaries({"key": _id}, optional={"value": _id}), max_size=2),
    ),
    "RegisterWorkflowType": _request(
        {
            "domain": _domain,
            "name": st.sampled_from(["full", "bare"]),
            "version": st.sampled_from(["1", "2"]),
        },
        description=_text,
        defaultTaskList=_list,
        defaultChildPolicy=_policy,
    ),
    "RequestCancelWorkflowExecution": _request(
        {"domain": _domain, "workflowId": _workflow_id}, runId=_run_id
    ),
    "RespondActivityTaskCanceled": _request({"taskToken": _token}),
    "RespondActivityTaskCompleted": _request({"taskToken": _token}, result=_text),
    "RespondActivityTaskFailed": _request({"taskToken": _token}, reason=_text),
    "RespondDecisionTaskCompleted": _request({"taskToken": _token}),
    "SignalWorkflowExecution": _request(
        {"domain": _domain, "workflowId": _workflow_id, "signalName": _id}, runId=_run_id, input=_text
    ),
    "StartWorkflowExecution": _request(
        {"domain": _domain, "workflowId": _workflow_id, "workflowType": _type}, **_run_settings
    ),
    "TagResource": _request(
        {
            "resourceArn": _arn,
            "tags": st.lists(st.fixed_dictionaries({"key": _id}, optional={"value": _id}), max_size=2),
        }
    ),
    "TerminateWorkflowExecution": _request(
        {"domain": _domain, "workflowId": _workflow_id}, reason=_text, details=_text, childPolicy=_policy
    ),
    "UndeprecateActivityType": _registered("activityType"),
    "UndeprecateDomain": _request({"name": st.sampled_from(["e", "f", "unknown"])}),
    "UndeprecateWorkflowType": _registered("workflowType"),
    "UntagResource": _request({"resourceArn": _arn, "tagKeys": st.lists(_id, max_size=2)}),
}
