"""Domains, types, and what a start needs of them (scenarios 83-86 and 92)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.contract.backends import everywhere
from tests.integration.contract.stage import ACTIVITY, COMPLETE, WORKFLOW, Stage, activity, child

UNKNOWN = "UnknownResourceFault"
both_kinds = pytest.mark.parametrize("kind", ["workflow", "activity"])


@everywhere
def test_83_start_with_an_unknown_domain_or_type_is_a_fault(stage: Stage) -> None:
    with stage.refused(UNKNOWN, "Unknown domain: no"):
        stage.start(domain="no")
    with stage.refused(UNKNOWN, "Unknown type: WorkflowType=[name=no, version=1]"):
        stage.start(workflowType={"name": "no", "version": "1"})
    with stage.refused(UNKNOWN, "Unknown type: WorkflowType=[name=work, version=2]"):
        stage.start(workflowType={"name": "work", "version": "2"})


@everywhere
def test_83_start_with_a_deprecated_type_is_a_fault(stage: Stage) -> None:
    stage.deprecate("workflow", WORKFLOW)
    with stage.refused("TypeDeprecatedFault", "WorkflowType=[name=work, version=1]"):
        stage.start()


@everywhere
def test_83_missing_defaults_of_a_start_are_reported_one_by_one(stage: Stage) -> None:
    bare = stage.register_bare("workflow")
    given: dict[str, Any] = {}
    for field, value in (
        ("executionStartToCloseTimeout", "9"),
        ("taskList", {"name": "decide"}),
        ("taskStartToCloseTimeout", "9"),
        ("childPolicy", "ABANDON"),
    ):
        with stage.refused("DefaultUndefinedFault") as said:
            stage.start(workflowType=bare, **given)
        # The service's own spelling is not known: the field's, or that of its default.
        assert said[0].lower().endswith(field.lower())
        assert said[0] == field or stage.backend.name == "moto"
        given[field] = value
    stage.start(workflowType=bare, **given)


@everywhere
def test_83_second_start_of_an_open_workflow_id_is_a_fault(stage: Stage) -> None:
    run = stage.start()
    with stage.refused("WorkflowExecutionAlreadyStartedFault"):
        stage.start()
    assert stage.names(run) == "WES DTS"


def test_83_faults_of_a_start_have_a_fixed_order(stage: Stage) -> None:
    bare = stage.register_bare("workflow")
    stage.start()
    with stage.refused("DefaultUndefinedFault"):
        stage.start(workflowType=bare)
    stage.deprecate("workflow", bare)
    with stage.refused("TypeDeprecatedFault"):
        stage.start(workflowType=bare)


@everywhere
def test_84_workflow_id_of_a_closed_run_can_be_used_again(stage: Stage) -> None:
    first = stage.start()
    stage.decide(COMPLETE)
    second = stage.start()
    assert second["runId"] != first["runId"]
    assert stage.names(first).endswith("WorkflowExecutionCompleted")
    assert stage.names(second) == "WES DTS"


@everywhere
def test_85_second_registration_of_a_domain_is_a_fault(stage: Stage) -> None:
    for _ in range(2):
        with stage.refused("DomainAlreadyExistsFault", "d"):
            stage.client.register_domain(name="d", workflowExecutionRetentionPeriodInDays="1")
        if stage.client.describe_domain(name="d")["domainInfo"]["status"] == "REGISTERED":
            stage.client.deprecate_domain(name="d")


@everywhere
def test_85_second_deprecation_of_a_domain_is_a_fault(stage: Stage) -> None:
    with stage.refused("DomainAlreadyExistsFault", "d"):
        stage.client.undeprecate_domain(name="d")
    stage.client.deprecate_domain(name="d")
    assert stage.client.describe_domain(name="d")["domainInfo"]["status"] == "DEPRECATED"
    with stage.refused("DomainDeprecatedFault", "d"):
        stage.client.deprecate_domain(name="d")
    stage.client.undeprecate_domain(name="d")
    assert stage.client.describe_domain(name="d")["domainInfo"]["status"] == "REGISTERED"


@everywhere
def test_85_an_unknown_domain_is_a_fault(stage: Stage) -> None:
    for call in ("describe_domain", "deprecate_domain", "undeprecate_domain"):
        with stage.refused(UNKNOWN, "Unknown domain: no"):
            getattr(stage.client, call)(name="no")


@everywhere
def test_85_describe_domain_returns_what_was_registered(stage: Stage) -> None:
    stage.client.register_domain(name="e", workflowExecutionRetentionPeriodInDays="7", description="long")
    said = stage.client.describe_domain(name="e")
    assert said["configuration"] == {"workflowExecutionRetentionPeriodInDays": "7"}
    arn = said["domainInfo"].pop("arn")
    assert arn.startswith("arn:aws:swf:")
    assert arn.endswith(":/domain/e")
    assert said["domainInfo"] == {"name": "e", "status": "REGISTERED", "description": "long"}


def test_85_a_deprecated_domain_deprecates_its_types(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity())
    stage.client.deprecate_domain(name="d")
    for kind, type_ in (("workflow", WORKFLOW), ("activity", ACTIVITY)):
        said = getattr(stage.client, f"describe_{kind}_type")(domain="d", **{f"{kind}Type": type_})
        assert said["typeInfo"]["status"] == "DEPRECATED"
    with stage.refused("TypeDeprecatedFault"):
        stage.start("other")
    # Open runs continue, and histories stay readable.
    stage.finish(stage.work())
    stage.signal()
    task = stage.decide(child())
    assert task["workflowExecution"] == run
    assert stage.last(run, "StartChildWorkflowExecutionFailed")["cause"] == "WORKFLOW_TYPE_DEPRECATED"
    assert stage.client.count_open_workflow_executions(domain="d", startTimeFilter={"oldestDate": 0})["count"]


def call_type(stage: Stage, call: str, kind: str, type_: Any) -> Any:
    return getattr(stage.client, f"{call}_{kind}_type")(domain=stage.domain, **{f"{kind}Type": type_})


def shown(kind: str, type_: Any) -> str:
    return f"{kind.capitalize()}Type=[name={type_['name']}, version={type_['version']}]"


@everywhere
@both_kinds
def test_85_second_registration_of_a_type_is_a_fault(stage: Stage, kind: str) -> None:
    type_ = stage.register_bare(kind)
    with stage.refused("TypeAlreadyExistsFault", shown(kind, type_)):
        stage.register_bare(kind)
    stage.register_bare(kind, version="2")
    call_type(stage, "deprecate", kind, type_)
    with stage.refused("TypeAlreadyExistsFault", shown(kind, type_)):
        stage.register_bare(kind)
    with stage.refused(UNKNOWN, "Unknown domain: no"):
        getattr(stage.client, f"register_{kind}_type")(domain="no", name="x", version="1")


@everywhere
@both_kinds
def test_85_second_deprecation_of_a_type_is_a_fault(stage: Stage, kind: str) -> None:
    type_ = stage.register_bare(kind)
    with stage.refused("TypeAlreadyExistsFault", shown(kind, type_)):
        call_type(stage, "undeprecate", kind, type_)
    call_type(stage, "deprecate", kind, type_)
    said = call_type(stage, "describe", kind, type_)["typeInfo"]
    assert said["status"] == "DEPRECATED"
    assert "deprecationDate" in said
    with stage.refused("TypeDeprecatedFault", shown(kind, type_)):
        call_type(stage, "deprecate", kind, type_)
    call_type(stage, "undeprecate", kind, type_)
    said = call_type(stage, "describe", kind, type_)["typeInfo"]
    assert said["status"] == "REGISTERED"
    assert "deprecationDate" not in said


@everywhere
@both_kinds
def test_85_an_unknown_type_is_a_fault(stage: Stage, kind: str) -> None:
    type_ = {"name": "no", "version": "1"}
    for call in ("describe", "deprecate", "undeprecate"):
        with stage.refused(UNKNOWN, f"Unknown type: {shown(kind, type_)}"):
            call_type(stage, call, kind, type_)


@everywhere
def test_85_describe_workflow_type_returns_what_was_registered(stage: Stage) -> None:
    defaults = {
        "defaultTaskList": {"name": "l"},
        "defaultTaskPriority": "1",
        "defaultExecutionStartToCloseTimeout": "2",
        "defaultTaskStartToCloseTimeout": "NONE",
        "defaultChildPolicy": "ABANDON",
        "defaultLambdaRole": "arn:aws:iam::1:role/r",
    }
    type_ = stage.register_bare("workflow", description="d", **defaults)
    said = call_type(stage, "describe", "workflow", type_)
    assert said["configuration"] == defaults
    info = said["typeInfo"]
    assert (info["workflowType"], info["description"], info["status"]) == (type_, "d", "REGISTERED")


@everywhere
def test_85_describe_activity_type_returns_what_was_registered(stage: Stage) -> None:
    defaults = {
        "defaultTaskList": {"name": "l"},
        "defaultTaskScheduleToStartTimeout": "2",
        "defaultTaskScheduleToCloseTimeout": "3",
        "defaultTaskStartToCloseTimeout": "4",
        "defaultTaskHeartbeatTimeout": "5",
    }
    type_ = stage.register_bare("activity", description="d", **defaults)
    said = call_type(stage, "describe", "activity", type_)
    assert said["configuration"] == defaults
    info = said["typeInfo"]
    assert (info["activityType"], info["description"], info["status"]) == (type_, "d", "REGISTERED")


@both_kinds
def test_85_types_have_creation_and_deprecation_dates(stage: Stage, kind: str) -> None:
    created = stage.clock.now
    type_ = stage.register_bare(kind)
    stage.wait(5)
    call_type(stage, "deprecate", kind, type_)
    info = call_type(stage, "describe", kind, type_)["typeInfo"]
    assert (info["creationDate"], info["deprecationDate"]) == (created, stage.clock.now)


@both_kinds
def test_85_deleting_a_type_that_is_not_deprecated_is_a_fault(stage: Stage, kind: str) -> None:
    type_ = stage.register_bare(kind)
    message = "The type is currently registered and cannot be deleted in its current state"
    with stage.refused("TypeNotDeprecatedFault", message):
        call_type(stage, "delete", kind, type_)
    call_type(stage, "deprecate", kind, type_)
    call_type(stage, "delete", kind, type_)
    for call in ("describe", "delete", "deprecate", "undeprecate"):
        with stage.refused(UNKNOWN, f"Unknown type: {shown(kind, type_)}"):
            call_type(stage, call, kind, type_)
    stage.register_bare(kind)


def test_85_open_runs_survive_deletion_of_their_type(stage: Stage) -> None:
    run = stage.start()
    stage.decide(activity())
    for kind, type_ in (("workflow", WORKFLOW), ("activity", ACTIVITY)):
        call_type(stage, "deprecate", kind, type_)
        call_type(stage, "delete", kind, type_)
    stage.finish(stage.work())
    stage.decide(activity("b"), child())
    assert stage.last(run, "ScheduleActivityTaskFailed")["cause"] == "ACTIVITY_TYPE_DOES_NOT_EXIST"
    failed = stage.last(run, "StartChildWorkflowExecutionFailed")
    assert failed["cause"] == "WORKFLOW_TYPE_DOES_NOT_EXIST"
    stage.decide(COMPLETE)
    with stage.refused(UNKNOWN):
        stage.start()


def listed(stage: Stage, status: str = "REGISTERED", **given: Any) -> list[str]:
    found = stage.client.list_domains(registrationStatus=status, **given)["domainInfos"]
    return [info["name"] for info in found]


@everywhere
def test_86_domains_are_listed_by_name(stage: Stage) -> None:
    for name in ("c", "a", "b"):
        stage.client.register_domain(name=name, workflowExecutionRetentionPeriodInDays="1")
    assert listed(stage) == ["a", "b", "c", "d"]
    assert listed(stage, reverseOrder=True) == ["d", "c", "b", "a"]
    assert listed(stage, "DEPRECATED") == []
    stage.client.deprecate_domain(name="b")
    assert listed(stage) == ["a", "c", "d"]
    assert listed(stage, "DEPRECATED") == ["b"]


def types(stage: Stage, kind: str, status: str = "REGISTERED", **given: Any) -> list[str]:
    call = getattr(stage.client, f"list_{kind}_types")
    infos = call(domain=stage.domain, registrationStatus=status, **given)["typeInfos"]
    return [f"{info[f'{kind}Type']['name']} {info[f'{kind}Type']['version']}" for info in infos]


@everywhere
@both_kinds
def test_86_types_are_listed_by_name(stage: Stage, kind: str) -> None:
    usual = "work 1" if kind == "workflow" else "act 1"
    names = {"zz 1", usual, "b 1"}
    stage.register_bare(kind, "zz")
    stage.register_bare(kind, "b")
    assert types(stage, kind) == sorted(names)
    assert types(stage, kind, reverseOrder=True) == sorted(names, reverse=True)
    assert types(stage, kind, "DEPRECATED") == []
    stage.deprecate(kind, {"name": "b", "version": "1"})
    assert types(stage, kind) == sorted(names - {"b 1"})
    assert types(stage, kind, "DEPRECATED") == ["b 1"]


@both_kinds
def test_86_types_are_filtered_by_name(stage: Stage, kind: str) -> None:
    for version in "321":
        stage.register_bare(kind, "b", version)
    stage.register_bare(kind, "bb")
    assert sorted(types(stage, kind, name="b")) == ["b 1", "b 2", "b 3"]
    assert types(stage, kind, name="no") == []
    stage.deprecate(kind, {"name": "b", "version": "2"})
    assert types(stage, kind, "DEPRECATED", name="b") == ["b 2"]
    call = getattr(stage.client, f"list_{kind}_types")
    with stage.refused(UNKNOWN, "Unknown domain: no"):
        call(domain="no", registrationStatus="REGISTERED")


def tags(stage: Stage, arn: str) -> dict[str, str]:
    return {
        tag["key"]: tag.get("value", "")
        for tag in stage.client.list_tags_for_resource(resourceArn=arn).get("tags", [])
    }


def tagged(stage: Stage) -> str:
    stage.client.register_domain(
        name="tagged",
        workflowExecutionRetentionPeriodInDays="1",
        tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}],
    )
    arn: str = stage.client.describe_domain(name="tagged")["domainInfo"]["arn"]
    return arn


@everywhere
def test_92_tags_are_added_overwritten_and_removed(stage: Stage) -> None:
    arn = tagged(stage)
    assert tags(stage, arn) == {"a": "1", "b": "2"}
    stage.client.tag_resource(resourceArn=arn, tags=[{"key": "b", "value": "3"}, {"key": "c", "value": "4"}])
    assert tags(stage, arn) == {"a": "1", "b": "3", "c": "4"}
    stage.client.untag_resource(resourceArn=arn, tagKeys=["a", "absent"])
    assert tags(stage, arn) == {"b": "3", "c": "4"}


@everywhere
def test_92_domain_without_tags_lists_none(stage: Stage) -> None:
    assert tags(stage, stage.client.describe_domain(name="d")["domainInfo"]["arn"]) == {}


def test_92_value_of_a_tag_is_optional(stage: Stage) -> None:
    arn = stage.client.describe_domain(name="d")["domainInfo"]["arn"]
    stage.client.tag_resource(resourceArn=arn, tags=[{"key": "bare"}, {"key": "empty", "value": ""}])
    assert tags(stage, arn) == {"bare": "", "empty": ""}


def test_92_domain_has_at_most_50_tags(stage: Stage) -> None:
    arn = tagged(stage)
    many = [{"key": str(number), "value": "x"} for number in range(48)]
    stage.client.tag_resource(resourceArn=arn, tags=many)
    assert len(tags(stage, arn)) == 50
    with stage.refused("TooManyTagsFault"):
        stage.client.tag_resource(resourceArn=arn, tags=[{"key": "one", "value": "more"}])
    stage.client.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "changed"}])
    assert tags(stage, arn)["a"] == "changed"
    assert len(tags(stage, arn)) == 50
    with stage.refused("TooManyTagsFault"):
        stage.client.register_domain(
            name="more",
            workflowExecutionRetentionPeriodInDays="1",
            tags=[*many, *[{"key": key, "value": "x"} for key in "xyz"]],
        )
    with stage.refused(UNKNOWN):
        stage.client.describe_domain(name="more")


def test_92_only_domains_have_tags(stage: Stage) -> None:
    arn = stage.client.describe_domain(name="d")["domainInfo"]["arn"].removesuffix("/d") + "/no"
    for call, given in (
        ("list_tags_for_resource", {}),
        ("tag_resource", {"tags": [{"key": "a", "value": "b"}]}),
        ("untag_resource", {"tagKeys": ["a"]}),
    ):
        with stage.refused(UNKNOWN):
            getattr(stage.client, call)(resourceArn=arn, **given)


def test_92_tag_with_a_forbidden_character_is_refused(stage: Stage) -> None:
    arn = stage.client.describe_domain(name="d")["domainInfo"]["arn"]
    for key, value in (("a!", "v"), ("k", "<v>"), ("a\0", "v")):
        with stage.invalid():
            stage.client.tag_resource(resourceArn=arn, tags=[{"key": key, "value": value}])
    every = "Ää 1_.:/=+-@"
    stage.client.tag_resource(resourceArn=arn, tags=[{"key": every, "value": every}])
    assert tags(stage, arn) == {every: every}
