"""Scenarios 87 to 91: what is listed and counted, page by page, and for how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.integration.contract.backends import everywhere
from tests.integration.contract.clock import T0
from tests.integration.contract.stage import COMPLETE, Json, Stage, activity

SINCE = {"startTimeFilter": {"oldestDate": T0}}


def ids(answer: Json) -> list[str]:
    return [info["execution"]["workflowId"] for info in answer["executionInfos"]]


def listed(stage: Stage, which: str, **given: Any) -> list[str]:
    """The workflow ids of a listing; as many as the count says."""
    answer = getattr(stage.client, f"list_{which}_workflow_executions")(domain=stage.domain, **given)
    unordered = {name: value for name, value in given.items() if name != "reverseOrder"}
    count = getattr(stage.client, f"count_{which}_workflow_executions")(domain=stage.domain, **unordered)
    assert count["count"] == len(answer["executionInfos"])
    assert not count["truncated"]
    return ids(answer)


def three(stage: Stage) -> None:
    """One second apart: a is of another type, b has a tag."""
    other = stage.register_workflow("other", "2")
    stage.start("a", workflowType=other)
    stage.wait(1)
    stage.start("b", tagList=["red"])
    stage.wait(1)
    stage.start("c", tagList=["blue", "green"])


@everywhere
def test_87_open_runs_are_listed_newest_first(stage: Stage) -> None:
    three(stage)
    answer = stage.client.list_open_workflow_executions(domain="d", **SINCE)
    assert sorted(ids(answer)) == ["a", "b", "c"]
    assert {info["executionStatus"] for info in answer["executionInfos"]} == {"OPEN"}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ["c", "b", "a"]),
        ({"executionFilter": {"workflowId": "b"}}, ["b"]),
        ({"typeFilter": {"name": "other"}}, ["a"]),
        ({"typeFilter": {"name": "other", "version": "2"}}, ["a"]),
        ({"typeFilter": {"name": "other", "version": "1"}}, []),
        ({"tagFilter": {"tag": "green"}}, ["c"]),
        ({"typeFilter": {"name": "other", "version": ""}}, ["a"]),
        ({"tagFilter": {"tag": "gree"}}, []),
        ({"tagFilter": {"tag": ""}}, []),
        ({"startTimeFilter": {"oldestDate": T0 + timedelta(seconds=1)}}, ["c", "b"]),
        ({"startTimeFilter": {"oldestDate": T0, "latestDate": T0 + timedelta(seconds=1)}}, ["b", "a"]),
        ({"reverseOrder": True}, ["a", "b", "c"]),
    ],
)
def test_87_open_runs_are_filtered(stage: Stage, chosen: Json, expected: list[str]) -> None:
    three(stage)
    assert listed(stage, "open", **{**SINCE, **chosen}) == expected
    assert listed(stage, "closed", **{**SINCE, **chosen}) == []


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (SINCE, ["c", "a"]),
        ({**SINCE, "closeStatusFilter": {"status": "TERMINATED"}}, ["a"]),
        ({**SINCE, "closeStatusFilter": {"status": "FAILED"}}, []),
        ({**SINCE, "executionFilter": {"workflowId": "c"}}, ["c"]),
        ({"closeTimeFilter": {"oldestDate": T0 + timedelta(seconds=3)}}, ["a"]),
    ],
)
def test_87_closed_runs_are_filtered(stage: Stage, chosen: Json, expected: list[str]) -> None:
    three(stage)
    for _ in range(2):
        stage.decide()
    stage.decide(COMPLETE)
    stage.wait(1)
    stage.terminate("a")
    assert listed(stage, "closed", **chosen) == expected
    assert listed(stage, "open", **SINCE) == ["b"]


TWO = {"executionFilter": {"workflowId": "a"}, "tagFilter": {"tag": "red"}}


def test_87_two_filters_are_refused(stage: Stage) -> None:
    for which in ("open", "closed"):
        with stage.invalid():
            listed(stage, which, **SINCE, **TWO)
    with stage.invalid():
        listed(stage, "closed", **SINCE, closeTimeFilter={"oldestDate": T0})
    with stage.invalid():
        listed(stage, "closed")
    with stage.refused("UnknownResourceFault", "Unknown domain: nowhere"):
        stage.client.list_open_workflow_executions(domain="nowhere", **SINCE)


def test_88_closed_runs_are_ordered_by_close_time(stage: Stage) -> None:
    three(stage)
    for workflow_id in ("b", "c", "a"):
        stage.wait(1)
        stage.terminate(workflow_id)
    by_end = {"closeTimeFilter": {"oldestDate": T0}}
    assert listed(stage, "closed", **by_end) == ["a", "c", "b"]
    assert listed(stage, "closed", **by_end, reverseOrder=True) == ["b", "c", "a"]
    assert listed(stage, "closed", **SINCE) == ["c", "b", "a"]


@pytest.mark.parametrize(("size", "sizes"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [3]), (0, [3]), (1000, [3])])
def test_89_listing_is_paged(stage: Stage, size: int, sizes: list[int]) -> None:
    three(stage)
    request: Json = {"domain": "d", "maximumPageSize": size, **SINCE}
    found, pages = [], []
    while True:
        answer = stage.client.list_open_workflow_executions(**request)
        pages.append(len(answer["executionInfos"]))
        found.extend(ids(answer))
        if "nextPageToken" not in answer:
            break
        request["nextPageToken"] = answer["nextPageToken"]
    assert found == ["c", "b", "a"]
    assert pages == sizes


def test_89_paginators_return_each_entry_once(stage: Stage) -> None:
    three(stage)
    pages = stage.client.get_paginator("list_open_workflow_executions")
    infos = pages.paginate(domain="d", **SINCE, PaginationConfig={"PageSize": 1}).build_full_result()
    assert ids(infos) == ["c", "b", "a"]


@pytest.mark.parametrize(("size", "bound"), [(1001, "less than or equal to 1000"), (-1, "greater than or")])
def test_89_page_size_out_of_range_is_refused(stage: Stage, size: int, bound: str) -> None:
    with stage.invalid() as said:
        stage.client.list_open_workflow_executions(domain="d", maximumPageSize=size, **SINCE)
    assert bound in said[0]


def test_89_page_token_of_another_call_or_older_than_a_day_is_refused(stage: Stage) -> None:
    three(stage)
    request: Json = {"domain": "d", "maximumPageSize": 1, **SINCE}
    token = stage.client.list_open_workflow_executions(**request)["nextPageToken"]
    with stage.invalid("Invalid token"):
        stage.client.list_open_workflow_executions(**request, nextPageToken="garbage")
    with stage.invalid("Invalid token"):
        stage.client.list_open_workflow_executions(**request, nextPageToken=token, reverseOrder=True)
    with stage.invalid("Invalid token"):
        stage.client.list_domains(registrationStatus="REGISTERED", nextPageToken=token)
    stage.wait(24 * 3600 + 1)
    with stage.invalid("Specified token has exceeded its maximum lifetime"):
        stage.client.list_open_workflow_executions(**request, nextPageToken=token)


def test_89_later_pages_show_the_history_as_of_the_first_page(stage: Stage) -> None:
    run = stage.start()
    request: Json = {"domain": "d", "execution": run, "maximumPageSize": 1}
    first = stage.client.get_workflow_execution_history(**request)
    stage.signal()
    second = stage.client.get_workflow_execution_history(**request, nextPageToken=first["nextPageToken"])
    assert [event["eventId"] for event in second["events"]] == [2]
    assert "nextPageToken" not in second


@everywhere
def test_90_pending_tasks_are_counted(stage: Stage) -> None:
    def pending(kind: str, name: str) -> int:
        count = getattr(stage.client, f"count_pending_{kind}_tasks")
        answer = count(domain=stage.domain, taskList={"name": name})
        assert not answer["truncated"]
        return int(answer["count"])

    stage.start()
    assert pending("decision", "decide") == 1
    assert pending("decision", "nowhere") == pending("activity", "work") == 0
    stage.decide(activity("a"), activity("b"))
    assert pending("activity", "work") == 2


def test_90_claimed_task_is_not_pending(stage: Stage) -> None:
    stage.start()
    stage.task()
    counted = stage.client.count_pending_decision_tasks(domain="d", taskList={"name": "decide"})
    assert counted["count"] == 0


@pytest.mark.parametrize("days", ["0", "NONE"])
def test_91_closed_run_without_retention_is_deleted(stage: Stage, days: str) -> None:
    stage.client.register_domain(name="brief", workflowExecutionRetentionPeriodInDays=days)
    brief = Stage(stage.backend, "brief")
    brief.register_workflow()
    run = brief.start()
    brief.terminate()
    with brief.unknown_run(run):
        brief.history(run)
    assert listed(brief, "closed", **SINCE) == []


def test_91_closed_run_is_kept_for_the_retention_period(stage: Stage) -> None:
    run, left_open = stage.start(), stage.start("open", executionStartToCloseTimeout="31536000")
    stage.terminate()
    stage.wait(30 * 86_400 - 1)
    assert listed(stage, "closed", **SINCE) == ["wf"]
    assert stage.history(run)
    stage.wait(1)
    assert listed(stage, "closed", **SINCE) == []
    with stage.unknown_run(run):
        stage.describe(run)
    assert stage.history(left_open)
