"""Scenarios 93 to 96: sizes and characters, the protocol itself, restarts, and polls that wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.integration.contract.backends import Server, over_http
from tests.integration.contract.stage import (
    ACTIVITY,
    COMPLETE,
    WORKFLOW,
    Json,
    Stage,
    activity,
    child,
    marker,
    timer,
)

#: The longest that SWF takes, and a call with such a text.
SIZES: dict[str, tuple[int, Callable[[Stage, str], Any]]] = {
    "workflowId": (256, lambda stage, text: stage.start(text)),
    "input": (32_768, lambda stage, text: stage.start(input=text)),
    "tag": (256, lambda stage, text: stage.start(tagList=[text])),
    "signalName": (256, lambda stage, text: _started(stage).signal(signalName=text)),
    "activityId": (256, lambda stage, text: _started(stage).decide(activity(text))),
    "timerId": (256, lambda stage, text: _started(stage).decide(timer(text))),
    "markerName": (256, lambda stage, text: _started(stage).decide(marker(text))),
    "details": (32_768, lambda stage, text: _started(stage).decide(marker(details=text))),
    "reason": (256, lambda stage, text: _started(stage).terminate(reason=text)),
    "type": (256, lambda stage, text: stage.register_workflow(text)),
    "version": (64, lambda stage, text: stage.register_workflow("n", text)),
    "description": (1024, lambda stage, text: stage.register_activity("n", description=text)),
    "domain": (256, lambda stage, text: Stage(stage.backend, text).prepare()),
    "identity": (256, lambda stage, text: stage.poll(identity=text)),
    "heartbeat": (2048, lambda stage, text: _working(stage).beat(stage.work(), details=text)),
    "context": (32_768, lambda stage, text: _started(stage).decide(executionContext=text)),
}


@pytest.mark.parametrize("what", SIZES)
def test_93_too_long_text_is_refused(stage: Stage, what: str) -> None:
    longest, use = SIZES[what]
    other = _other(stage)
    use(stage, "x" * longest)
    with stage.invalid() as said:
        use(other, "x" * (longest + 1))
    assert f"less than or equal to {longest}" in said[0]


def _started(stage: Stage) -> Stage:
    stage.start()
    return stage


def _working(stage: Stage) -> Stage:
    _started(stage).decide(activity())
    return stage


def _other(stage: Stage) -> Stage:
    """Another domain, in which nothing has happened."""
    other = Stage(stage.backend, "other")
    other.prepare()
    return other


def test_93_lengths_are_measured_in_characters(stage: Stage) -> None:
    stage.start(input="\u00e9" * 32_768)


@pytest.mark.parametrize("text", ["a/b", "a|b", "a\0b", "a\x1fb", "a\x7fb", "a\x9fb", "arn", ""])
def test_93_forbidden_characters_in_ids_and_names_are_refused(stage: Stage, text: str) -> None:
    uses: list[Any] = [
        lambda: stage.start(text),
        lambda: stage.register_workflow(text),
        lambda: stage.register_activity("n", text),
        lambda: stage.start("other", taskList={"name": text}),
        lambda: stage.client.register_domain(name=text, workflowExecutionRetentionPeriodInDays="1"),
    ]
    stage.start("decides")
    task = stage.task()
    uses += [lambda: stage.respond(task, activity(text)), lambda: stage.respond(task, timer(text))]
    uses += [lambda: stage.respond(task, child(text))]
    for use in uses:
        with stage.invalid():
            use()
    stage.respond(task, activity("fine"))


@pytest.mark.parametrize("text", [" a", "a ", "\u00a0a", "a\u2003", " "])
def test_93_leading_or_trailing_white_space_in_lists_and_domains_is_refused(stage: Stage, text: str) -> None:
    stage.start(" decides ")
    task = stage.task()
    uses: list[Any] = [
        lambda: stage.poll(text),
        lambda: stage.work_poll(text),
        lambda: stage.start("other", taskList={"name": text}),
        lambda: stage.client.register_domain(name=text, workflowExecutionRetentionPeriodInDays="1"),
        lambda: stage.respond(task, child("c", taskList={"name": text})),
    ]
    for use in uses:
        with stage.invalid():
            use()
    stage.respond(task, child("c", taskList={"name": "a b"}))


def test_93_colon_is_allowed_in_ids_only(stage: Stage) -> None:
    stage.start("a:b")
    stage.decide(activity("name:v1:2be88ca424"), timer("t:1"))
    with stage.invalid():
        stage.register_workflow("a:b")


def test_94_times_are_datetimes(stage: Stage) -> None:
    run = stage.start()
    assert all(isinstance(event["eventTimestamp"], datetime) for event in stage.history(run))
    started = stage.describe(run)["executionInfo"]["startTimestamp"]
    assert started == stage.clock.now
    assert started.tzinfo is not None


def _raw(server: Server, target: str, request: Json) -> tuple[int, bytes, dict[str, str]]:
    connection = HTTPConnection(*server.address, timeout=60)
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.0"}
    connection.request("POST", "/", json.dumps(request), headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body, {name.lower(): value for name, value in response.getheaders()}


@over_http
@pytest.mark.parametrize("prefix", ["", "com.amazonaws.swf.service.model."])
def test_94_both_target_prefixes_work_and_empty_output_has_an_empty_body(stage: Stage, prefix: str) -> None:
    run = stage.start()
    server: Any = stage.backend
    target = f"{prefix}SimpleWorkflowService."
    signal = {"domain": "d", "workflowId": "wf", "signalName": "s"}
    status, body, headers = _raw(server, f"{target}SignalWorkflowExecution", signal)
    assert (status, body, headers["content-length"]) == (200, b"", "0")
    assert headers["x-amzn-requestid"]
    status, body, _ = _raw(server, f"{target}GetWorkflowExecutionHistory", {"domain": "d", "execution": run})
    assert status == 200
    assert json.loads(body)["events"][0]["eventTimestamp"] == stage.clock.now.timestamp()


@over_http
def test_94_fault_type_has_its_namespace(stage: Stage) -> None:
    server: Any = stage.backend
    status, body, _ = _raw(server, "SimpleWorkflowService.DescribeDomain", {"name": "nowhere"})
    fault = {
        "__type": "com.amazonaws.swf.base.model#UnknownResourceFault",
        "message": "Unknown domain: nowhere",
    }
    assert (status, json.loads(body)) == (400, fault)
    status, body, _ = _raw(server, "SimpleWorkflowService.DescribeDomain", {})
    assert (status, json.loads(body)["__type"]) == (400, "com.amazon.coral.validate#ValidationException")


def test_95_a_restart_between_any_two_steps_changes_nothing(stage: Stage) -> None:
    run = stage.start()
    stage.restart()
    task = stage.task()
    stage.restart()
    stage.respond(task, activity(), timer(seconds="2"), child())
    stage.restart()
    work = stage.work()
    stage.restart()
    assert not stage.beat(work, details="half")
    stage.restart()
    stage.finish(work, result="done")
    stage.restart()
    stage.wait(2)
    stage.restart()
    assert stage.names(run, 3).split() == [
        *("DTC", "ATS", "TimerStarted", "StartChildWorkflowExecutionInitiated"),
        *("ChildWorkflowExecutionStarted", "DTS", "ATSt", "ATC", "TimerFired"),
    ]
    stage.decide(COMPLETE)
    stage.restart()
    assert stage.names(run).split()[-1] == "WorkflowExecutionCompleted"
    with stage.unknown_run(run):
        stage.finish(work)


def test_95_page_tokens_survive_a_restart(stage: Stage) -> None:
    run = stage.start()
    request: Json = {"domain": "d", "execution": run, "maximumPageSize": 1}
    token = stage.client.get_workflow_execution_history(**request)["nextPageToken"]
    stage.restart()
    page = stage.client.get_workflow_execution_history(**request, nextPageToken=token)
    assert [event["eventId"] for event in page["events"]] == [2]


def test_96_pending_poll_gets_a_new_task_at_once(stage: Stage) -> None:
    stage.restart(poll_seconds=60)
    with ThreadPoolExecutor(2) as threads:
        polls = [threads.submit(stage.poll) for _ in range(2)]
        time.sleep(0.3)
        began = time.monotonic()
        stage.start("one")
        stage.start("two")
        tasks = [poll.result() for poll in polls]
        assert time.monotonic() - began < 30
    found = {task["workflowExecution"]["workflowId"] for task in tasks}
    assert found == {"one", "two"}


def test_96_task_is_dispatched_to_one_poll_only(stage: Stage) -> None:
    stage.restart(poll_seconds=1)
    with ThreadPoolExecutor(4) as threads:
        polls = [threads.submit(stage.poll) for _ in range(4)]
        stage.start()
        assert sum(bool(poll.result().get("taskToken")) for poll in polls) == 1


def test_types_of_the_stage_are_registered(stage: Stage) -> None:
    for kind, type_ in (("workflow", WORKFLOW), ("activity", ACTIVITY)):
        describe = getattr(stage.client, f"describe_{kind}_type")
        assert describe(domain="d", **{f"{kind}Type": type_})["typeInfo"]["status"] == "REGISTERED"
