"""The classes of events and decisions against botocore's own model of SWF."""

from __future__ import annotations

import json
import re
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import attrs
import botocore.session
import pytest

from floto import History, HistoryError
from floto.core.state.event_rules import RULES
from floto.core.swf import wire
from floto.core.swf.decisions import DECISION_TYPES
from floto.core.swf.events import EVENT_TYPES, OtherEvent

MODEL = botocore.session.get_session().get_service_model("swf")
#: In the list of types, and yet no service ever sent one: there is no shape for it.
WITHOUT_SHAPE = {"StartActivityTaskFailed"}


def _enum(name: str) -> list[str]:
    values: list[str] = MODEL.shape_for(name).metadata["enum"]
    return values


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def check(cls: type, shape: Any) -> None:
    fields = {field.name: field for field in attrs.fields(attrs.resolve_types(cls))}
    assert set(fields) == {snake(member) for member in shape.members}
    for member, inner in shape.members.items():
        field = next(field for field in wire.fields_of(cls) if field.wire == member)
        assert field.required == (member in shape.required_members), (cls, member)
        plain = {"string": str, "long": int, "integer": int, "list": tuple}
        assert field.kind is plain.get(inner.type_name, field.kind)
        assert field.nested == (inner.type_name == "structure")
        if field.nested:
            check(field.kind, inner)
        if not field.required:
            assert fields[field.name].default is None


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_event_classes_equal_the_service_model(name: str) -> None:
    check(EVENT_TYPES[name], MODEL.shape_for(f"{name}EventAttributes"))


@pytest.mark.parametrize("name", sorted(DECISION_TYPES))
def test_decision_classes_equal_the_service_model(name: str) -> None:
    check(DECISION_TYPES[name], MODEL.shape_for(f"{name}DecisionAttributes"))


def test_every_type_of_the_service_model_has_a_class() -> None:
    assert set(EVENT_TYPES) == set(_enum("EventType")) - WITHOUT_SHAPE
    assert set(DECISION_TYPES) == set(_enum("DecisionType"))


def test_every_event_type_has_a_rule() -> None:
    assert set(RULES) == set(EVENT_TYPES.values())


def event(**changes: Any) -> dict[str, Any]:
    return {
        "eventId": 1,
        "eventTimestamp": 1.5,
        "eventType": "WorkflowExecutionStarted",
        "workflowExecutionStartedEventAttributes": {
            "childPolicy": "TERMINATE",
            "taskList": {"name": "l"},
            "workflowType": {"name": "w", "version": "v"},
        },
    } | changes


def test_unknown_types_and_fields_are_kept_or_ignored() -> None:
    newer = {
        "eventId": 2,
        "eventTimestamp": 2,
        "eventType": "TimerPaused",
        "timerPausedEventAttributes": {"a": 1},
    }
    first = event(reopenable=False)
    first["workflowExecutionStartedEventAttributes"] |= {"reopenGenerationId": "x"}
    history = History.from_swf([first, newer])
    assert history.events[1].data == OtherEvent(type="TimerPaused", attributes={"a": 1})
    assert history.to_swf()[1]["timerPausedEventAttributes"] == {"a": 1}


@pytest.mark.parametrize(
    "at",
    [
        1381095173.2539999,
        datetime(2013, 10, 6, 21, 32, 53, 254000, tzinfo=UTC),
        "2013-10-06T23:32:53.254+02:00",
    ],
)
def test_times_are_kept_to_the_millisecond(at: Any) -> None:
    assert wire.moment(at) == datetime(2013, 10, 6, 21, 32, 53, 254000, tzinfo=UTC)


def test_omitted_event_reference_reads_as_0() -> None:
    raw = event(
        eventType="ActivityTaskTimedOut",
        activityTaskTimedOutEventAttributes={"timeoutType": "SCHEDULE_TO_START", "scheduledEventId": 5},
    )
    assert wire.event_from_swf(raw).data.started_event_id == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"eventId": "1"}, "eventId"),
        ({"eventId": True}, "eventId"),
        ({"eventId": float("nan")}, "eventId"),
        ({"eventId": 0}, "eventId"),
        ({"eventTimestamp": "yesterday"}, "eventTimestamp must be a time"),
        ({"eventTimestamp": float("inf")}, "eventTimestamp must be a time"),
        ({"eventTimestamp": 1e300}, "eventTimestamp must be a time"),
        ({"eventTimestamp": None}, "eventTimestamp must be a time"),
        ({"eventType": 3}, "eventType must be a string"),
        ({"eventType": None}, "eventType must be a string"),
        (
            {"workflowExecutionStartedEventAttributes": []},
            "EventAttributes must be an object, not []",
        ),
        ({"workflowExecutionStartedEventAttributes": "x"}, "EventAttributes must be an object"),
        (
            {"workflowExecutionStartedEventAttributes": None},
            "event 1: WorkflowExecutionStarted needs childPolicy",
        ),
    ],
)
def test_bad_events_are_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(HistoryError, match=re.escape(says)):
        History.from_swf([event(**changes)])


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"childPolicy": 3}, "childPolicy must be a string, not 3"),
        ({"taskList": "l"}, "taskList must be an object"),
        ({"taskList": {}}, "TaskList needs name"),
        ({"tagList": "abc"}, "tagList must be a list of strings"),
        ({"tagList": [1]}, "tagList must be a list of strings"),
        ({"parentInitiatedEventId": "0"}, "parentInitiatedEventId must be an integer"),
    ],
)
def test_bad_fields_are_named(attributes: dict[str, Any], says: str) -> None:
    raw = event()
    raw["workflowExecutionStartedEventAttributes"] |= attributes
    with pytest.raises(HistoryError, match=re.escape(f"event 1: {says}")):
        History.from_swf([raw])


def test_value_that_is_not_an_event_is_named() -> None:
    with pytest.raises(HistoryError, match="an event needs an integer eventId"):
        History.from_swf([42])  # type: ignore[list-item]


@pytest.mark.parametrize("ids", [[2], [1, 3], [1, 1], [1, 2, 4]])
def test_missing_and_duplicate_events_are_named(ids: list[int]) -> None:
    with pytest.raises(HistoryError, match="a history counts 1, 2, 3"):
        History.from_swf([event(eventId=number) for number in ids])


@pytest.mark.parametrize("raw", [{}, {"decisionType": "Sleep"}, {"decisionType": 3}])
def test_bad_decisions_are_named(raw: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError, match="decisionType must be one of SWF's"):
        wire.decision_from_swf(raw)


def scheduled(event_id: int, task_list: Any) -> dict[str, Any]:
    attributes = {
        "activityType": {"name": "work", "version": "v1"},
        "activityId": str(event_id),
        "taskList": {"name": task_list},
        "decisionTaskCompletedEventId": 4,
    }
    return {
        "eventId": event_id,
        "eventTimestamp": 1_767_225_600.25,
        "eventType": "ActivityTaskScheduled",
        "activityTaskScheduledEventAttributes": attributes,
    }


def filled(cls: type, number: int) -> Any:
    """Return an object of a class whose fields all have a value."""
    values = {str: f'\u00e9 "\ud800\\ {number}', int: number, tuple: ("a", '"b"\U0001f600')}
    return cls(
        **{
            field.name: filled(field.kind, number + 1) if field.nested else values[field.kind]
            for field in wire.fields_of(cls)
        }
    )


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_json_of_an_event_is_that_of_its_dict(name: str) -> None:
    full = filled(EVENT_TYPES[name], 7)
    absent = {field.name: None for field in wire.fields_of(EVENT_TYPES[name]) if not field.required}
    for value in (full, attrs.evolve(full, **absent)):
        assert wire.write_json(value) == json.dumps(wire.write(value), separators=(",", ":"))


def test_equal_types_and_task_lists_of_events_are_one_object() -> None:
    first, second, other = (
        wire.event_from_swf(scheduled(*given)) for given in ((5, "a"), (6, "a"), (7, "b"))
    )
    assert first.data.activity_type is second.data.activity_type is other.data.activity_type
    assert first.data.task_list is second.data.task_list
    assert other.data.task_list.name == "b"


def test_the_memory_of_shared_task_lists_is_bounded_and_later_ones_are_read_too() -> None:
    names = [f"list {number}" for number in range(1_200)]
    read = [wire.event_from_swf(scheduled(5, name)).data.task_list.name for name in names * 2]
    assert read == names * 2


def test_names_of_unknown_event_types_are_not_remembered() -> None:
    tracemalloc.start()
    try:
        for number in range(20):
            read = wire.event_from_swf(event(eventType="Unheard" * 20_000 + str(number)))
            assert isinstance(read.data, OtherEvent)
        del read
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000


@pytest.mark.parametrize("name", [["a"], {"a": 1}, 1, True, None])
def test_a_name_of_a_task_list_that_is_not_a_string_raises_an_error_of_the_history(name: Any) -> None:
    wire.event_from_swf(scheduled(5, "1"))
    with pytest.raises(HistoryError, match="name"):
        wire.event_from_swf(scheduled(5, name))
