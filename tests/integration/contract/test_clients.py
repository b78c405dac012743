"""Clients that others wrote for SWF: how they poll, and that those of two regions stay apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import boto3
import pytest
from attrs import define, field
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from floto.core.swf import limits
from tests.integration.contract.backends import CONFIG, Backend, everywhere, over_http
from tests.integration.contract.clock import Clock
from tests.integration.contract.stage import COMPLETE, Json, Stage, activity


@define
class OldDecider:
    """The polls of floto 0.0.3: newest event first, and a task is what has the key ``taskToken``."""

    client: Any
    domain: str
    task_list: str
    token: str | None = None
    #: Event ids, newest first, of each task; the first is read from ``events[0]``.
    seen: list[list[int]] = field(factory=list)

    def poll(self) -> None:
        response = self.client.poll_for_decision_task(
            domain=self.domain, taskList={"name": self.task_list}, reverseOrder=True, maximumPageSize=400
        )
        if "taskToken" in response:
            self.token = response["taskToken"]
            newest, oldest = response["events"][0]["eventId"], response["events"][-1]["eventId"]
            assert response["startedEventId"] == newest
            assert response["previousStartedEventId"] < newest
            self.seen.append([newest, oldest])
            assert response["workflowExecution"]["runId"]
        else:
            self.token = None

    def run(self, polls: int) -> None:
        for _ in range(polls):
            self.poll()
            if self.token:
                self.client.respond_decision_task_completed(taskToken=self.token, decisions=[COMPLETE])


def test_decider_of_floto_003_survives_idle_polls_and_decides(stage: Stage) -> None:
    old = OldDecider(stage.client, stage.domain, "decide")
    old.run(polls=2)
    assert (old.token, old.seen) == (None, [])
    run = stage.start()
    old.run(polls=2)
    assert old.seen == [[3, 1]]
    assert old.token is None
    assert stage.names(run, 3) == "DTC WorkflowExecutionCompleted"


def tasks_of(poll: Any, polls: int, **wanted: Any) -> Iterator[Json]:
    """Poll as a plain boto3 program does: check the response for a task token."""
    for _ in range(polls):
        task = poll(**wanted)
        if "taskToken" in task:
            yield task


@everywhere
def test_boto3_loop_checking_for_a_task_token_gets_each_task_once(stage: Stage) -> None:
    wanted = {"domain": stage.domain, "taskList": {"name": "decide"}}
    assert list(tasks_of(stage.client.poll_for_decision_task, 2, **wanted)) == []
    run = stage.start()
    [task] = tasks_of(stage.client.poll_for_decision_task, 2, **wanted)
    assert task["workflowExecution"] == run
    work = {"domain": stage.domain, "taskList": {"name": "work"}}
    assert list(tasks_of(stage.client.poll_for_activity_task, 2, **work)) == []


@define
class Elsewhere:
    """Return a client of another region, with its own stage, on the server of a backend."""

    client: Any
    server: Backend
    clock: Clock
    name: str = "server"

    def open(self, **options: Any) -> None:
        self.server.open(**options)

    def close(self) -> None:
        self.server.close()


def in_region(stage: Stage, region: str) -> Any:
    """Another client of the same server, which signs for a region."""
    address: tuple[str, int] = stage.backend.address  # type: ignore[attr-defined]
    return boto3.Session("testing", "testing", region_name=region).client(
        "swf", endpoint_url="http://{}:{}".format(*address), config=CONFIG
    )


@over_http
def test_regions_of_one_server_are_isolated(stage: Stage) -> None:
    run = stage.start()
    with closing(in_region(stage, "eu-west-1")) as there:
        assert there.list_domains(registrationStatus="REGISTERED")["domainInfos"] == []
        with pytest.raises(there.exceptions.UnknownResourceFault, match=r"Unknown domain: d$"):
            there.describe_workflow_execution(domain="d", execution=run)
        with pytest.raises(there.exceptions.UnknownResourceFault, match=r"Unknown domain: d$"):
            there.poll_for_decision_task(domain="d", taskList={"name": "decide"})
        Stage(Elsewhere(there, stage.backend, stage.clock)).prepare()
        with pytest.raises(there.exceptions.DomainAlreadyExistsFault) as raised:
            there.register_domain(name="d", workflowExecutionRetentionPeriodInDays="1")
        assert raised.value.response["Error"]["Message"] == "d"
        # The same names, and nothing of the other region in them.
        assert "taskToken" not in there.poll_for_decision_task(domain="d", taskList={"name": "decide"})
        with pytest.raises(there.exceptions.UnknownResourceFault, match="Unknown execution"):
            there.get_workflow_execution_history(domain="d", execution=run)
        other = Stage(Elsewhere(there, stage.backend, stage.clock)).start()
        assert other["runId"] != run["runId"]
        [info] = there.list_open_workflow_executions(domain="d", startTimeFilter={"oldestDate": 0})[
            "executionInfos"
        ]
        assert info["execution"] == other
        assert (
            there.poll_for_decision_task(domain="d", taskList={"name": "decide"})["workflowExecution"]
            == other
        )
    assert stage.task()["workflowExecution"] == run
    assert [
        info["name"] for info in stage.client.list_domains(registrationStatus="REGISTERED")["domainInfos"]
    ] == ["d"]


@over_http
def test_arns_carry_the_region_of_the_credentials(stage: Stage) -> None:
    with closing(in_region(stage, "eu-west-1")) as there:
        there.register_domain(name="e", workflowExecutionRetentionPeriodInDays="1")
        arn = there.describe_domain(name="e")["domainInfo"]["arn"]
        assert arn == "arn:aws:swf:eu-west-1:000000000000:/domain/e"
        there.tag_resource(resourceArn=arn, tags=[{"key": "k", "value": "v"}])
        assert there.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "k", "value": "v"}]
        [info] = there.list_domains(registrationStatus="REGISTERED")["domainInfos"]
        assert (info["name"], info["arn"]) == ("e", arn)
    here = stage.client.describe_domain(name="d")["domainInfo"]["arn"]
    assert here == "arn:aws:swf:us-east-1:000000000000:/domain/d"
    # Neither an ARN of another region nor a name that looks like one leads there.
    for foreign in (arn, "arn:aws:swf:us-east-1:000000000000:/domain/eu-west-1/e"):
        with pytest.raises(ClientError) as raised:
            stage.client.list_tags_for_resource(resourceArn=foreign)
        assert raised.value.response["Error"]["Code"] in ("UnknownResourceFault", "ValidationException")


@over_http
def test_domain_limit_applies_per_region(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOMAIN_LIMIT", 1)
    with stage.refused("LimitExceededFault"):
        stage.client.register_domain(name="e", workflowExecutionRetentionPeriodInDays="1")
    with closing(in_region(stage, "eu-west-1")) as there:
        there.register_domain(name="e", workflowExecutionRetentionPeriodInDays="1")
        with pytest.raises(there.exceptions.LimitExceededFault):
            there.register_domain(name="f", workflowExecutionRetentionPeriodInDays="1")


@over_http
def test_unsigned_requests_use_the_default_region(stage: Stage) -> None:
    address: tuple[str, int] = stage.backend.address  # type: ignore[attr-defined]
    unsigned = boto3.client(
        "swf",
        region_name="eu-west-1",
        endpoint_url="http://{}:{}".format(*address),
        config=CONFIG.merge(Config(signature_version=UNSIGNED)),
    )
    with closing(unsigned) as client:
        [info] = client.list_domains(registrationStatus="REGISTERED")["domainInfos"]
    assert info["name"] == "d"


@over_http
def test_page_token_of_another_region_is_refused(stage: Stage) -> None:
    stage.client.register_domain(name="e", workflowExecutionRetentionPeriodInDays="1")
    first = stage.client.list_domains(registrationStatus="REGISTERED", maximumPageSize=1)
    with closing(in_region(stage, "eu-west-1")) as there, pytest.raises(ClientError, match="Invalid token"):
        there.list_domains(
            registrationStatus="REGISTERED", maximumPageSize=1, nextPageToken=first["nextPageToken"]
        )


@over_http
def test_task_token_of_another_region_is_refused(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity())
    work = stage.work()
    stage.signal()
    task = stage.task()
    with closing(in_region(stage, "eu-west-1")) as there:
        for call in (
            there.respond_decision_task_completed,
            there.respond_activity_task_completed,
            there.record_activity_task_heartbeat,
        ):
            token = (task if call is there.respond_decision_task_completed else work)["taskToken"]
            with pytest.raises(ClientError, match="Invalid token"):
                call(taskToken=token)
    stage.finish(work)
    stage.respond(task)
    assert "ActivityTaskCompleted" in {event["eventType"] for event in stage.history(run)}
