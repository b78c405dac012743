"""Histories as other programs write them, and what files look like that hold no history of SWF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto import ActivityTask, ChildWorkflow, DeciderSpec, History, HistoryError, InstantRetry, Timer
from floto.core.swf.events import EVENT_TYPES
from floto.core.swf.wire import lower_first
from floto.testing import fails, simulate
from floto.testing.strategies import json_values
from tests.property.setup import SETTINGS

FIRST = ActivityTask(id_="a", name="work", version="v1", retry_strategy=InstantRetry(9), input={"ä_b": "𝄞\n"})
CHILD = ChildWorkflow(
    id_="c", workflow_type_name="n", workflow_type_version="v", workflow_id="child", requires=[FIRST]
)
SPEC = DeciderSpec(activity_tasks=[FIRST, CHILD, Timer(id_="t", delay_in_seconds=1)], task_list="decide")
HISTORY = simulate(SPEC, {"a": fails(2)}).main
#: Members of an event that SDKs write with each event, all but one of them null.
NULLS = {f"{lower_first(name)}EventAttributes": None for name in EVENT_TYPES}
#: Members that SDKs have enums for.
ENUMS = {"EventType", "ChildPolicy", "TimeoutType", "Cause"}

Json = dict[str, Any]


def each(convert: Callable[[Json], Json]) -> list[Json]:
    return [convert(event) for event in HISTORY.to_swf()]


def timed(convert: Callable[[datetime], Any]) -> list[Json]:
    return each(lambda event: {**event, "eventTimestamp": convert(event["eventTimestamp"])})


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def renamed(value: Any, rename: Callable[[str], str]) -> Any:
    """A value with other names of members; SWF's texts have JSON in them, which stays."""
    if isinstance(value, dict):
        return {rename(name): renamed(item, rename) for name, item in value.items()}
    return [renamed(item, rename) for item in value] if isinstance(value, list) else value


def pascal(name: str) -> str:
    return name[0].upper() + name[1:]


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def with_enums(value: Any) -> Any:
    """Enums as objects with their value, as the SDK for .NET has them."""
    if isinstance(value, list):
        return [with_enums(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: {"Value": item} if name in ENUMS and item else with_enums(item) for name, item in value.items()
    }


def with_text_ids(value: Any) -> Any:
    """Every whole number as text."""
    if isinstance(value, dict):
        return {name: with_text_ids(item) for name, item in value.items()}
    return str(value) if type(value) is int else value


def with_null_members(event: Json) -> Json:
    """Attributes as SDKs write them: each that an event may have, null where it has none."""
    (name,) = [name for name in event if name.endswith("EventAttributes")]
    none = dict.fromkeys(("input", "details", "control", "taskPriority", "lambdaRole", "tagList"))
    return {**NULLS, **event, name: {**none, **event[name]}}


JAVA = [with_null_members(event) for event in timed(milliseconds)]
ISO = timed(lambda at: at.isoformat().replace("+00:00", "Z"))
FORMS: dict[str, Any] = {
    "null attributes and milliseconds": {"events": JAVA, "nextPageToken": None},
    "milliseconds as text": timed(lambda at: str(milliseconds(at))),
    "seconds as text": timed(lambda at: str(at.timestamp())),
    "times with a space and a zone": timed(lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f +0000")),
    "times with UTC behind": timed(lambda at: at.strftime("%Y-%m-%d %H:%M:%S.%f UTC")),
    "ids as text": [with_text_ids(event) for event in ISO],
    "PascalCase": renamed({"events": ISO, "nextPageToken": None}, pascal),
    "PascalCase and nulls": renamed({"events": [with_null_members(event) for event in ISO]}, pascal),
    "PascalCase and enums": with_enums(renamed({"events": ISO}, pascal)),
    "snake_case": renamed({"events": ISO, "nextPageToken": None}, snake),
    "snake_case, ids and milliseconds as text": renamed([with_text_ids(event) for event in JAVA], snake),
}


@pytest.mark.parametrize("form", FORMS)
def test_history_of_another_program_is_read(form: str, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text(json.dumps(FORMS[form]))
    assert History.load(path).events == HISTORY.events


_odd_values = st.one_of(
    json_values(),
    st.floats(allow_nan=False),
    st.sampled_from([253_402_300_799_999.9, 253_402_300_799_999, "253402300799999.9", "1e999", "9" * 400]),
    st.sampled_from([{"Value": ["x"]}, {"Value": None}, {"value": 3}, [None], [[]], {"": None}]),
)


@SETTINGS
@given(form=st.sampled_from(sorted(FORMS)), data=st.data())
def test_mutated_value_is_read_or_raises_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    """A file with any mutated value is read or refused with a ``HistoryError``."""
    content = json.loads(json.dumps(FORMS[form]))
    events = content if isinstance(content, list) else next(iter(content.values()))
    place: Any = data.draw(st.sampled_from(events))
    while True:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(_odd_values)
    path = tmp_path_factory.mktemp("odd") / "history.json"
    path.write_text(json.dumps(content))
    try:
        read = History.load(path)
    except HistoryError as error:
        assert str(path) in str(error)
    else:
        assert len(read) == len(HISTORY)


@pytest.mark.parametrize("time", [253_402_300_799_999.9, "253402300799999.9", "1e999", "9" * 400])
def test_time_out_of_range_raises_a_typed_error(time: Any, tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text(json.dumps([{**ISO[0], "eventTimestamp": time}]))
    with pytest.raises(HistoryError, match="event 1: eventTimestamp must be a time"):
        History.load(tmp_path / "history.json")


def test_execution_beside_the_events_is_read_in_other_cases_too(tmp_path: Path) -> None:
    page = {"execution": {"workflowId": "w", "runId": "r"}, "events": ISO}
    (tmp_path / "history.json").write_text(json.dumps(renamed(page, pascal)))
    execution = History.load(tmp_path / "history.json").execution
    assert execution is not None
    assert (execution.workflow_id, execution.run_id) == ("w", "r")


def test_null_tags_in_a_file_are_read_as_absent(tmp_path: Path) -> None:
    events = json.loads(json.dumps(ISO))
    events[0]["workflowExecutionStartedEventAttributes"]["tagList"] = [None]
    (tmp_path / "history.json").write_text(json.dumps(events))
    assert History.load(tmp_path / "history.json").start.tag_list == ()


def test_pages_that_overlap_and_agree_are_one_history(tmp_path: Path) -> None:
    for name, page in (("a", ISO[:7]), ("b", JAVA[4:]), ("c", ISO[5:9])):
        (tmp_path / name).write_text(json.dumps({"events": page}))
    assert History.load(*(tmp_path / name for name in "abc")).events == HISTORY.events


def test_pages_that_overlap_and_differ_are_refused(tmp_path: Path) -> None:
    other = [{**ISO[6], "eventTimestamp": "2020-01-01T00:00:00Z"}, *ISO[7:]]
    for name, page in (("a", ISO[:7]), ("b", other)):
        (tmp_path / name).write_text(json.dumps({"events": page}))
    with pytest.raises(HistoryError, match=r"event 7: is there twice: .*a, line 1 and .*b, line 1"):
        History.load(tmp_path / "a", tmp_path / "b")


TEMPORAL = {
    "events": [
        {
            "eventId": "1",
            "eventTime": "2023-01-01T00:00:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "taskId": "1048587",
            "workflowExecutionStartedEventAttributes": {"workflowType": {"name": "n"}},
        }
    ]
}
CADENCE = [{"eventId": 1, "timestamp": 1, "eventType": "WorkflowExecutionStarted", "version": 0, "taskId": 1}]
STATES = {"events": [{"timestamp": 1.5, "type": "ExecutionStarted", "id": 1, "previousEventId": 0}]}
STRANGERS: dict[str, tuple[Any, str]] = {
    "Temporal": (TEMPORAL, "a history of Temporal"),
    "Temporal's other form": ({"history": TEMPORAL}, "a history of Temporal"),
    "Cadence": (CADENCE, "a history of Cadence"),
    "Step Functions": (STATES, "a history of AWS Step Functions"),
    "CloudTrail": ({"Records": [{"eventVersion": "1", "eventName": "PutObject"}]}, "a log of AWS CloudTrail"),
    "a listing": (
        {"executionInfos": [{"execution": {"workflowId": "w", "runId": "r"}}]},
        "a listing of runs",
    ),
    "a description": ({"executionInfo": {}, "openCounts": {}}, "the description of a run"),
    "a response of decisions": ([{"decisionType": "StartTimer"}], "decisions"),
    "an idle poll": (
        {"startedEventId": 0, "previousStartedEventId": 0},
        "the response to a poll that found no task",
    ),
    "a spec": (json.loads(SPEC.to_json()), "a spec of floto"),
    "an error": ({"__type": "com.amazonaws.swf.base.model#UnknownResourceFault", "message": "?"}, "an error"),
    "anything else": ({"colour": "red", "size": 3}, "an object with colour, size"),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_file_of_another_format_is_refused_naming_its_content(stranger: str, tmp_path: Path) -> None:
    content, said = STRANGERS[stranger]
    (tmp_path / "h.json").write_text(json.dumps(content))
    with pytest.raises(HistoryError, match=re.escape(f"this looks like {said}")) as caught:
        History.load(tmp_path / "h.json")
    assert "h.json" in str(caught.value)
    assert len(str(caught.value)) < 600
