"""Requests and responses against botocore's model of SWF."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from botocore.parsers import JSONParser
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from floto.adapters import model
from floto.core.engine.api import OPERATIONS as HANDLERS
from floto.core.errors import ServiceFault
from floto.core.swf.decisions import DECISION_TYPES
from floto.core.swf.field_validation import MEMBERS, Items, Number, Text, constraint_of
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowType
from floto.core.swf.wire import camel

START: Mapping[str, Any] = {
    "domain": "shop",
    "workflowId": "order-1",
    "workflowType": {"name": "order", "version": "v1"},
}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def refusal(operation: str, request: Any, code: str = "ValidationException") -> str:
    with pytest.raises(ServiceFault) as raised:
        model.check(operation, request)
    assert raised.value.code == code
    return raised.value.message


def unreadable(operation: str, request: Any) -> str:
    return refusal(operation, request, "SerializationException")


def one(problem: str) -> str:
    return f"1 validation error detected: {problem}"


def null_at(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def broken(value: str, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def respond(*decisions: Any) -> dict[str, Any]:
    return {"taskToken": "token", "decisions": list(decisions)}


def attributes_of(kind: str) -> str:
    return f"{kind[0].lower()}{kind[1:]}DecisionAttributes"


def timer(**attributes: Any) -> dict[str, Any]:
    return {"decisionType": "StartTimer", "startTimerDecisionAttributes": attributes}


def span(value: Any) -> datetime:
    request = {"domain": "shop", "startTimeFilter": {"oldestDate": value}}
    checked: datetime = model.check("ListOpenWorkflowExecutions", request)["startTimeFilter"]["oldestDate"]
    return checked


# Accepted values.


def test_operations_equal_those_of_swf() -> None:
    assert len(model.OPERATIONS) == 39
    assert set(model.OPERATIONS) == set(HANDLERS)


def test_check_returns_a_new_dict() -> None:
    request = {**START, "tagList": ("a", "b"), "input": "ä" * 32_768}
    checked = model.check("StartWorkflowExecution", MappingProxyType(request))
    assert checked == {**request, "tagList": ["a", "b"]}
    checked["workflowType"]["name"] = "other"
    assert START["workflowType"]["name"] == "order"


def test_unknown_members_are_omitted() -> None:
    request = {**START, "color": "red", "workflowType": {"name": "order", "version": "v1", "size": 3}}
    assert model.check("StartWorkflowExecution", request) == START


def test_null_member_is_omitted() -> None:
    request = {**START, "input": None, "taskList": None, "tagList": None}
    assert model.check("StartWorkflowExecution", request) == START


@pytest.mark.parametrize("operation", ["DescribeWorkflowExecution", "GetWorkflowExecutionHistory"])
@pytest.mark.parametrize(
    ("request_", "paths"),
    [
        ({}, ["execution", "domain"]),
        ({"domain": None, "execution": None}, ["execution", "domain"]),
        ({"domain": "d", "execution": {}}, ["execution.runId", "execution.workflowId"]),
        (
            {"execution": {"workflowId": None, "runId": None}},
            ["execution.runId", "execution.workflowId", "domain"],
        ),
    ],
)
def test_several_null_members_are_reported_in_the_order_of_swf(
    operation: str, request_: dict[str, Any], paths: list[str]
) -> None:
    problems = "; ".join(map(null_at, paths))
    assert refusal(operation, request_) == f"{len(paths)} validation errors detected: {problems}"


def test_subclasses_of_str_become_str() -> None:
    class Policy(StrEnum):
        STOP = "TERMINATE"

    checked = model.check("StartWorkflowExecution", {**START, "childPolicy": Policy.STOP})
    assert checked["childPolicy"] == "TERMINATE"
    assert type(checked["childPolicy"]) is str


@pytest.mark.parametrize(
    "value",
    [
        NOON,
        datetime(2026, 3, 1, 12),  # noqa: DTZ001 - boto3 takes one without a zone for UTC
        NOON.astimezone(timezone(timedelta(hours=-7))),
        1_772_366_400,
        1_772_366_400.0004,
        1.7723664e9,
        "2026-03-01T12:00:00Z",
        "2026-03-01T13:00:00.000+01:00",
    ],
)
def test_times_are_read_to_the_millisecond(value: Any) -> None:
    assert span(value) == NOON
    assert span(value).tzinfo is UTC


def test_times_keep_their_milliseconds() -> None:
    assert span(1_772_366_400.1234) == NOON + timedelta(milliseconds=123)
    assert span(1_381_095_173.2539999).microsecond == 254_000


@pytest.mark.parametrize(
    "value",
    [True, float("nan"), float("inf"), -float("inf"), 1e300, 10**400, -(10**12), "noon", "", [], {}],
    ids=str,
)
def test_invalid_times_are_refused(value: Any) -> None:
    request = {"domain": "shop", "startTimeFilter": {"oldestDate": value}}
    said = unreadable("ListOpenWorkflowExecutions", request)
    assert said.startswith("Value at 'startTimeFilter.oldestDate' must be a time")


# What is refused, in SWF's words.


def test_missing_required_members_are_reported() -> None:
    assert refusal("DescribeDomain", {}) == one(null_at("name"))
    assert refusal("DescribeDomain", {"name": None}) == one(null_at("name"))
    nested = {**START, "workflowType": {"name": "order"}}
    assert refusal("StartWorkflowExecution", nested) == one(null_at("workflowType.version"))


def test_all_problems_are_reported_in_the_order_of_the_model() -> None:
    said = refusal("StartWorkflowExecution", {"childPolicy": "SPARE"})
    policy = "Member must satisfy enum value set: [TERMINATE, REQUEST_CANCEL, ABANDON]"
    problems = [
        null_at("domain"),
        null_at("workflowId"),
        null_at("workflowType"),
        broken("SPARE", "childPolicy", policy),
    ]
    assert said == f"4 validation errors detected: {'; '.join(problems)}"


def test_lengths_are_counted_in_characters() -> None:
    fits = {**START, "workflowId": "ä" * 256}
    assert model.check("StartWorkflowExecution", fits) == fits
    said = refusal("StartWorkflowExecution", {**START, "workflowId": "x" * 257})
    longest = "Member must have length less than or equal to 256"
    assert said == one(broken("x" * 80, "workflowId", longest))


def test_empty_string_is_too_short_for_a_required_name() -> None:
    shortest = "Member must have length greater than or equal to 1"
    assert refusal("DescribeDomain", {"name": ""}) == one(broken("", "name", shortest))


@pytest.mark.parametrize(
    ("size", "end"), [(1_001, "less than or equal to 1000"), (-1, "greater than or equal to 0")]
)
def test_page_size_out_of_range_is_refused(size: int, end: str) -> None:
    request = {"registrationStatus": "REGISTERED", "maximumPageSize": size}
    said = refusal("ListDomains", request)
    assert said == one(broken(str(size), "maximumPageSize", f"Member must have value {end}"))
    for fine in (0, 1, 1_000):
        assert model.check("ListDomains", {**request, "maximumPageSize": fine})["maximumPageSize"] == fine


def test_more_than_five_tags_are_refused() -> None:
    longest = "Member must have length less than or equal to"
    said = refusal("StartWorkflowExecution", {**START, "tagList": list("abcdef")})
    assert said == one(broken("[a, b, c, d, e, f]", "tagList", f"{longest} 5"))
    said = refusal("StartWorkflowExecution", {**START, "tagList": ["a", "b" * 257]})
    assert said == one(broken("b" * 80, "tagList.2.member", f"{longest} 256"))
    said = refusal("StartWorkflowExecution", {**START, "tagList": ["a", None]})
    assert said == one(null_at("tagList.2.member"))


def test_positions_of_decisions_start_at_one() -> None:
    said = refusal(
        "RespondDecisionTaskCompleted", respond(timer(timerId="a", startToFireTimeout="1"), timer())
    )
    at = "decisions.2.member.startTimerDecisionAttributes"
    expected = [null_at(f"{at}.timerId"), null_at(f"{at}.startToFireTimeout")]
    assert said == f"2 validation errors detected: {'; '.join(expected)}"


def test_unknown_decision_type_lists_the_valid_ones_in_the_order_of_swf() -> None:
    quoted = (
        "[CompleteWorkflowExecution, StartTimer, RequestCancelExternalWorkflowExecution, "
        "SignalExternalWorkflowExecution, CancelTimer, RecordMarker, ScheduleActivityTask, "
        "ContinueAsNewWorkflowExecution, ScheduleLambdaFunction, FailWorkflowExecution, "
        "RequestCancelActivityTask, StartChildWorkflowExecution, CancelWorkflowExecution]"
    )
    said = refusal("RespondDecisionTaskCompleted", respond({"decisionType": "Guess"}))
    constraint = f"Member must satisfy enum value set: {quoted}"
    assert said == one(broken("Guess", "decisions.1.member.decisionType", constraint))


def test_attributes_of_other_decision_types_are_validated() -> None:
    request = respond({**timer(timerId="a"), "decisionType": "CompleteWorkflowExecution"})
    at = "decisions.1.member.startTimerDecisionAttributes.startToFireTimeout"
    assert refusal("RespondDecisionTaskCompleted", request) == one(null_at(at))


@pytest.mark.parametrize("kind", sorted(DECISION_TYPES))
def test_decision_without_attributes_reports_its_required_members(kind: str) -> None:
    key = attributes_of(kind)
    shape: Any = model.MODEL.shape_for("Decision")
    required = shape.members[key].required_members
    request = respond({"decisionType": kind, key: None})
    if required:
        said = refusal("RespondDecisionTaskCompleted", request)
        for member in required:
            assert null_at(f"decisions.1.member.{key}.{member}") in said
    else:
        checked = model.check("RespondDecisionTaskCompleted", request)
        assert checked["decisions"] == [{"decisionType": kind}]


def test_refusal_reports_at_most_ten_problems() -> None:
    said = refusal("RespondDecisionTaskCompleted", respond(*[{} for _ in range(100_000)]))
    assert said.startswith("10 validation errors detected: ")
    assert said.count("Member must not be null") == 10
    assert len(said) < 2_000


# What is not even of the right kind.


@pytest.mark.parametrize(
    ("operation", "request_", "said"),
    [
        ("DescribeDomain", [], "The request must be an object, not []"),
        ("DescribeDomain", "shop", "The request must be an object, not 'shop'"),
        ("DescribeDomain", {"name": 7}, "Value at 'name' must be a string, not 7"),
        ("DescribeDomain", {"name": True}, "Value at 'name' must be a string, not True"),
        ("DescribeDomain", {"name": "\ud800"}, "Value at 'name' must be a string, not '\\ud800'"),
        (
            "StartWorkflowExecution",
            {**START, "workflowType": ["order", "v1"]},
            "Value at 'workflowType' must be an object, not ['order', 'v1']",
        ),
        ("StartWorkflowExecution", {**START, "tagList": "a"}, "Value at 'tagList' must be a list, not 'a'"),
        (
            "StartWorkflowExecution",
            {**START, "tagList": [1]},
            "Value at 'tagList.1.member' must be a string, not 1",
        ),
        (
            "StartWorkflowExecution",
            {**START, "childPolicy": {}},
            "Value at 'childPolicy' must be a string, not {}",
        ),
        (
            "RespondDecisionTaskCompleted",
            respond(1),
            "Value at 'decisions.1.member' must be an object, not 1",
        ),
        (
            "ListDomains",
            {"registrationStatus": "REGISTERED", "reverseOrder": 1},
            "Value at 'reverseOrder' must be true or false, not 1",
        ),
    ],
)
def test_wrong_types_are_reported_with_their_path(operation: str, request_: Any, said: str) -> None:
    assert unreadable(operation, request_) == said


@pytest.mark.parametrize(
    "size", [True, 3.0, "3", 2**31, -(2**31) - 1, 10**5_000], ids=lambda size: str(type(size))
)
def test_only_integers_are_accepted_as_numbers(size: Any) -> None:
    request = {"registrationStatus": "REGISTERED", "maximumPageSize": size}
    said = unreadable("ListDomains", request)
    assert said.startswith("Value at 'maximumPageSize' must be a 32-bit integer, not ")
    assert len(said) < 200


def test_deeply_nested_request_is_refused() -> None:
    deep: Any = "end"
    for _ in range(100_000):
        deep = [deep]
    assert "must be a string" in unreadable("DescribeDomain", {"name": deep})
    assert model.check("DescribeDomain", {"name": "shop", "more": deep}) == {"name": "shop"}
    while isinstance(deep, list):  # taken apart here: Python would do so by recursion
        deep = deep.pop()


def test_unknown_operation_is_refused() -> None:
    said = refusal("MakeCoffee" * 100, {}, "UnknownOperationException")
    assert said == f"SWF has no operation {'MakeCoffee' * 8}"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def anything(shape: Any) -> st.SearchStrategy[Any]:
    """Values of about the form of a shape, with unknown members."""
    if shape.type_name == "structure":
        members = {name: anything(member) for name, member in shape.members.items()}
        return _JSON | st.fixed_dictionaries({}, optional=members)
    if shape.type_name == "list":
        return _JSON | st.lists(anything(shape.member), max_size=3)
    return _JSON | st.sampled_from([*getattr(shape, "enum", ()), "v", "x" * 300])


def requests(strategy: Callable[[Any], st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[str, Any]]:
    """Any operation, with a request drawn for its shape."""
    names = st.sampled_from(model.OPERATIONS)
    return names.flatmap(lambda name: st.tuples(st.just(name), strategy(model.input_shape(name))))


@settings(deadline=None)  # the first use of an operation compiles it
@given(requests(anything))
def test_any_request_is_checked_or_refused(drawn: tuple[str, Any]) -> None:
    """Only the two faults are raised, and a checked request passes again, unchanged."""
    operation, request = drawn
    try:
        checked = model.check(operation, request)
    except ServiceFault as fault:
        assert fault.code in {"ValidationException", "SerializationException"}
        return
    assert model.check(operation, checked) == checked


def structure_name(shape: Any) -> str:
    """The name of a structure in the table of constraints."""
    name: str = shape.name
    return name.removesuffix("Input").removesuffix("DecisionAttributes")


def fitting(shape: Any, constraint: Any = None) -> st.SearchStrategy[Any]:
    """Minimal values that fit a shape and a constraint."""
    return _FITTING[shape.type_name](shape, constraint)


def _structure(shape: Any, _constraint: Any) -> st.SearchStrategy[Any]:
    own = structure_name(shape)
    members = {name: fitting(member, constraint_of(own, name)) for name, member in shape.members.items()}
    if shape.name == "Decision":
        return st.sampled_from(shape.members["decisionType"].enum).flatmap(
            lambda kind: st.fixed_dictionaries(
                {"decisionType": st.just(kind), (key := attributes_of(kind)): members[key]}
            )
        )
    required = {name: members.pop(name) for name in shape.required_members}
    return st.fixed_dictionaries(required, optional=members)


def _text(_shape: Any, constraint: Text) -> st.SearchStrategy[str]:
    if constraint.options:
        return st.sampled_from(constraint.options)
    texts = st.text(min_size=1, max_size=3) | st.integers(1, 90).map(str)
    return texts.filter(lambda text: constraint.broken(text) is None)


def _list(shape: Any, constraint: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(fitting(shape.member, constraint and constraint.item), max_size=3)


_FITTING: Mapping[str, Callable[[Any, Any], st.SearchStrategy[Any]]] = {
    "structure": _structure,
    "list": _list,
    "string": _text,
    "integer": lambda _shape, constraint: st.integers(constraint.least, constraint.most),
    "boolean": lambda _shape, _constraint: st.booleans(),
    "timestamp": lambda _shape, _constraint: st.integers(0, 10**12).map(
        lambda ms: NOON + timedelta(milliseconds=ms)
    ),
}


@settings(deadline=None)
@given(requests(fitting))
def test_valid_request_passes_unchanged(drawn: tuple[str, Any]) -> None:
    """And botocore, which reads the same model, finds nothing wrong in it either."""
    operation, request = drawn
    assert model.check(operation, request) == request
    assert not ParamValidator().validate(request, model.input_shape(operation)).has_errors()


@pytest.mark.parametrize(
    ("operation", "request_", "path"),
    [
        ("RegisterDomain", {"name": "a:b", "workflowExecutionRetentionPeriodInDays": "1"}, "name"),
        (
            "RegisterDomain",
            {"name": "arn", "workflowExecutionRetentionPeriodInDays": "91"},
            "workflowExecutionRetentionPeriodInDays",
        ),
        ("DescribeDomain", {"name": "a/b"}, "name"),
        ("StartWorkflowExecution", {**START, "workflowId": "a|b"}, "workflowId"),
        ("StartWorkflowExecution", {**START, "executionStartToCloseTimeout": "NONE"}, "executionStart"),
        ("StartWorkflowExecution", {**START, "taskPriority": "2147483648"}, "taskPriority"),
        (
            "RespondDecisionTaskCompleted",
            respond(timer(timerId="t", startToFireTimeout="NONE")),
            "startToFire",
        ),
        ("TagResource", {"resourceArn": "arn:x", "tags": [{"key": "a!"}]}, "tags.1.member.key"),
    ],
)
def test_constraints_documented_only_in_prose_are_checked(operation: str, request_: Any, path: str) -> None:
    assert path in refusal(operation, request_)


# The table of constraints against the model.


def structures() -> Mapping[str, Any]:
    """The structures in the requests of all operations, by their names in the model."""
    found: dict[str, Any] = {}
    todo: list[Any] = [model.input_shape(operation) for operation in model.OPERATIONS]
    while todo:
        shape = todo.pop()
        if shape.type_name == "list":
            todo.append(shape.member)
        elif shape.type_name == "structure" and found.setdefault(shape.name, shape) is shape:
            todo.extend(shape.members.values())
    return found


def limits_of(shape: Any) -> tuple[Any, ...]:
    """The limits that the model has for a scalar or the length of a list; it has no patterns."""
    assert "pattern" not in shape.metadata
    return shape.metadata.get("min", 0), shape.metadata.get("max"), sorted(getattr(shape, "enum", ()))


def limits_in_table(constraint: Any) -> tuple[Any, ...]:
    return getattr(constraint, "least", 0), constraint.most, sorted(getattr(constraint, "options", ()))


@pytest.mark.parametrize("shape", structures().values(), ids=lambda shape: shape.name)
def test_table_has_every_constraint_of_the_model(shape: Any) -> None:
    for name, member in shape.members.items():
        constraint = constraint_of(structure_name(shape), name)
        if member.type_name == "list" and isinstance(constraint, Items):
            assert limits_in_table(constraint.item) == limits_of(member.member), name
        else:
            assert isinstance(constraint, CONSTRAINED.get(member.type_name, type(None))), name
        assert constraint is None or limits_in_table(constraint) == limits_of(member), name
        assert constraint is not None or limits_of(member) == (0, None, []), name


#: Other types have no constraints, and a list only if it is one of strings.
CONSTRAINED = {"string": Text, "integer": Number}


def test_every_constraint_is_of_a_member_of_the_model() -> None:
    members = {(structure_name(shape), name) for shape in structures().values() for name in shape.members}
    names = {".".join(each) for each in members} | {name for _, name in members}
    assert names > MEMBERS.keys()


@pytest.mark.parametrize("cls", [*DECISION_TYPES.values(), ActivityType, TaskList, WorkflowType])
def test_classes_have_the_members_of_the_model_in_its_order(cls: Any) -> None:
    known = structures()
    shape = known.get(f"{cls.__name__}DecisionAttributes") or known[cls.__name__]
    fields = attrs.fields(cls)
    required = {camel(field.name) for field in fields if field.default is attrs.NOTHING}
    assert required == set(shape.required_members)
    assert [camel(field.name) for field in fields] == list(shape.members)


# Responses.


def test_times_are_written_as_epoch_seconds() -> None:
    at = NOON + timedelta(milliseconds=123)
    event = {
        "eventId": 1,
        "eventType": "MarkerRecorded",
        "eventTimestamp": at,
        "markerRecordedEventAttributes": {"markerName": "m", "decisionTaskCompletedEventId": 4},
    }
    history = {"events": [event], "nextPageToken": "more"}
    written = model.to_wire("GetWorkflowExecutionHistory", history)
    assert written == {"events": [{**event, "eventTimestamp": 1_772_366_400.123}], "nextPageToken": "more"}
    assert '"eventTimestamp": 1772366400.123,' in json.dumps(written)
    assert event["eventTimestamp"] is at


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_every_millisecond_survives(milliseconds: int) -> None:
    """A time written as JSON reads back equal, to all three decimals."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    response = {"typeInfo": {"creationDate": at}, "configuration": {}}
    written = json.loads(json.dumps(model.to_wire("DescribeActivityType", response)))["typeInfo"][
        "creationDate"
    ]
    assert written == milliseconds / 1000
    assert span(written) == at


def test_botocore_parses_written_responses() -> None:
    info = {
        "execution": {"workflowId": "order-1", "runId": "r"},
        "workflowType": {"name": "order", "version": "v1"},
        "startTimestamp": NOON,
        "closeTimestamp": NOON + timedelta(milliseconds=7),
        "executionStatus": "CLOSED",
        "closeStatus": "COMPLETED",
        "cancelRequested": False,
    }
    response = {"executionInfos": [info]}
    operation = "ListClosedWorkflowExecutions"
    body = json.dumps(model.to_wire(operation, response)).encode()
    shape: Any = model.MODEL.operation_model(operation).output_shape
    parsed = JSONParser().parse({"status_code": 200, "headers": {}, "body": body}, shape)
    assert parsed["executionInfos"] == [info]


def test_operations_without_output_are_known() -> None:
    silent = {name for name in model.OPERATIONS if not model.has_output(name)}
    assert {"RespondDecisionTaskCompleted", "RegisterDomain", "TagResource"} < silent
    assert "StartWorkflowExecution" not in silent
    assert all(model.to_wire(name, {}) == {} for name in model.OPERATIONS)


def test_faults_equal_those_of_the_model() -> None:
    assert model.faults_of("DeprecateDomain") == {
        "UnknownResourceFault",
        "DomainDeprecatedFault",
        "OperationNotPermittedFault",
    }
    shapes: Any = model.MODEL.error_shapes
    assert frozenset().union(*map(model.faults_of, model.OPERATIONS)) == {
        shape.error_code for shape in shapes
    }


def test_floto_imports_without_botocore() -> None:
    program = "import sys, floto, floto.adapters.sqlite; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"botocore", "boto3"} & set(done.stdout.split())
