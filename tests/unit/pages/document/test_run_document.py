"""The document of a run."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest

from floto import (
    CODEC,
    ActivityTask,
    ActivityType,
    DeciderSpec,
    Generator,
    History,
    Signal,
    Task,
    Timer,
    WorkflowExecution,
    WorkflowType,
    events,
    view,
)
from floto.core.swf.shapes import TaskList
from floto.pages.document.run_document import run_document
from floto.testing import Faults, fails, simulate
from tests.integration.hostile import HOSTILE, history
from tests.views import agrees

A = ActivityTask(id_="a", name="work", version="v1", input={"n": 1})
SPLIT = Generator(id_="split", name="split", version="v1", requires=["a"])
LAST = ActivityTask(id_="last", name="last", version="v1", requires=["split"])
SPEC = DeciderSpec(
    activity_tasks=[A, SPLIT, LAST, Timer(id_="t", delay_in_seconds=5), Signal(id_="s", signal_name="go")],
    on_failure=[ActivityTask(id_="undo", name="undo", version="v1")],
)
PARTS = [ActivityTask(id_=f"p{number}", name="part", version="v1") for number in range(3)]


def document(activities: Any = None, spec: DeciderSpec = SPEC) -> dict[str, Any]:
    run = simulate(spec, {"split": lambda *_: PARTS, **(activities or {})}, {"customer": 7}).main
    return run_document(view(History(run.events, WorkflowExecution("order", "1")), spec))


def by_id(found: dict[str, Any]) -> dict[str, Any]:
    return {task["id"]: task for task in found["tasks"]}


def test_run_is_described() -> None:
    run = document()["run"]
    assert (run["workflow_id"], run["run_id"], run["status"]) == ("order", "1", "COMPLETED")
    assert run["input"] == {"customer": 7}
    assert run["ended"] - run["started"] == round(run["seconds"] * 1000)
    assert {"a", "last"} & run["result"].keys()


def test_tasks_refer_to_one_another_by_number() -> None:
    found = document()
    tasks, numbers = by_id(found), [task["id"] for task in found["tasks"]]
    assert numbers == ["a", "split", "p0", "p1", "p2", "last", "t", "s", "undo"]
    assert [numbers[number] for number in tasks["last"]["requires"]] == ["split", "p0", "p1", "p2"]
    assert (tasks["p0"]["parent"], tasks["p0"]["group"]) == (1, 0)
    assert found["groups"] == [{"label": "tasks of split", "tasks": [2, 3, 4], "parent": 1}]
    assert (tasks["undo"]["role"], tasks["split"]["expands"]) == ("on failure", True)


def test_undo_is_a_cleanup_task_beside_what_it_undoes() -> None:
    undo = ActivityTask(id_="undo", name="take_back", version="v1")
    spec = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1", undo=undo)])
    found = run_document(view(simulate(spec).main, spec))
    assert (by_id(found)["undo"]["role"], by_id(found)["a"]["role"]) == ("undo", "")
    [first, second] = found["graph"]["boxes"]
    assert (first["task"], second["task"]) == (0, 1)
    ends = [[first["x"], first["y"]], [second["x"], second["y"]]]
    assert found["graph"]["routes"] == [{"points": ends, "dashed": False}]


def test_attempts_name_their_events_and_their_failures() -> None:
    found = by_id(document({"a": fails(None)}))["a"]
    [attempt] = found["attempts"]
    assert attempt["opened"] < attempt["started"] < attempt["ended"]
    assert (attempt["outcome"], attempt["reason"]) == ("failed", "Failure")
    assert "result" not in found


def test_events_have_their_types_times_tasks_and_attributes() -> None:
    found = document()
    told = found["events"]
    names = [told["types"][number] for number in told["type"]]
    assert names[0] == "WorkflowExecutionStarted"
    place = names.index("ActivityTaskScheduled")
    assert found["tasks"][told["task"][place]]["id"] == found["raw"][place]["activityId"]
    assert told["text"][place] == found["raw"][place]["activityId"]
    assert told["at"][0] == found["run"]["started"]
    assert sum(told["at"]) == found["run"]["ended"]


def test_folded_graph_has_a_box_for_each_group_and_each_other_task() -> None:
    graph = document()["graph"]
    boxes = [*(box.get("task") for box in graph["boxes"])]
    assert {"group": 0} in [{"group": box["group"]} for box in graph["boxes"] if "group" in box]
    assert set(boxes) == {None, 0, 1, 5, 6, 7, 8}
    assert len(graph["routes"]) == 3
    assert [route["dashed"] for route in graph["routes"]].count(True) == 1


def completed(results: Mapping[str, Sequence[Task]]) -> History:
    """A run of generators that complete before any decision is made."""
    kind, lists = ActivityType("g", "v1"), TaskList("l")
    start = events.WorkflowExecutionStarted(
        child_policy="TERMINATE", task_list=lists, workflow_type=WorkflowType("w", "v1")
    )
    data: list[Any] = [start]
    for id_, tasks in results.items():
        scheduled = events.ActivityTaskScheduled(
            activity_id=id_, activity_type=kind, task_list=lists, decision_task_completed_event_id=0
        )
        opened, result = len(data) + 1, CODEC.dumps(tasks)
        data += [
            scheduled,
            events.ActivityTaskStarted(scheduled_event_id=opened),
            events.ActivityTaskCompleted(
                scheduled_event_id=opened, started_event_id=opened + 1, result=result
            ),
        ]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return History([events.Event(number, at, each) for number, each in enumerate(data, start=1)])


def part(id_: str, *requires: str) -> ActivityTask:
    return ActivityTask(id_=id_, name="part", version="v1", requires=requires)


def test_graph_whose_groups_require_one_another_is_not_folded() -> None:
    """Folded, the two groups would form a circle."""
    spec = DeciderSpec(activity_tasks=[Generator(id_=id_, name="g", version="v1") for id_ in ("g1", "g2")])
    results = {"g1": [part("x0", "y0"), part("x1")], "g2": [part("y0"), part("y1", "x1")]}
    run = completed(results)
    assert len(agrees(run, spec).groups) == 2
    graph = run_document(view(run, spec))["graph"]
    assert len(graph["boxes"]) == 6
    assert all("task" in box for box in graph["boxes"])


def test_graph_that_is_too_large_or_has_no_layout_says_so() -> None:
    tasks = [ActivityTask(id_=f"a{n}", name=f"n{n}", version="v1") for n in range(150)]
    more = [ActivityTask(id_=f"b{n}", name=f"n{n}", version="v1", requires=tasks) for n in range(140)]
    spec = DeciderSpec(activity_tasks=[*tasks, *more])
    start = completed({})
    assert "too large" in run_document(view(start, spec))["graph"]["too_large"]
    with patch.dict(sys.modules, {"fast_sugiyama": None}):
        assert "floto[pictures]" in document()["graph"]["too_large"]


def test_signals_timers_and_markers_are_listed() -> None:
    found = document({"a": fails(None)})
    assert [(each["name"], each["input"]) for each in found["signals"]] in ([("go", None)], [])
    assert found["timers"][0] | {"event": 0, "ended": 0} == {
        "name": "t",
        "event": 0,
        "ended": 0,
        "outcome": found["timers"][0]["outcome"],
        "seconds": "5",
    }
    assert [each["name"] for each in found["markers"]] == ["floto.failures"]


def test_check_has_the_difference_field_by_field() -> None:
    run = simulate(DeciderSpec(activity_tasks=[A])).main
    other = DeciderSpec(activity_tasks=[ActivityTask(id_="a", name="work", version="v1", input={"n": 2})])
    found = run_document(view(run, other))
    assert found["check"]["has_spec"] is True
    assert found["check"]["difference"]["field"] == "input"
    assert '"n":1' in found["check"]["difference"]["recorded"]
    assert [each["same"] for each in found["decision_tasks"]] == [False, True]


def test_many_conditions_are_counted() -> None:
    tasks = [ActivityTask(id_=f"a{number}", name="work", version="v1") for number in range(30)]
    after = ActivityTask(id_="after", name="after", version="v1", requires=tasks)
    spec = DeciderSpec(activity_tasks=[*tasks, after], on_failure=[A])
    run = simulate(spec, {"work": fails(None)}).main
    found = run_document(view(run, spec))
    last = found["whys"][by_id(found)["after"]["whys"][-1][1]]
    assert {"text": ["and 10 more"]} in last


@pytest.mark.parametrize("name", [*HOSTILE, "script", "long", "deep", "compressed", "number"])
def test_document_of_a_hostile_history_is_ascii_json_of_bounded_size(name: str) -> None:
    more = {
        "script": "</script><script>alert(1)</script>",
        "long": "x" * 1_000_000,
        "deep": "[" * 5_000 + "]" * 5_000,
        "compressed": "floto:zlib:?",
        "number": "9" * 5_000,
    }
    text = {**HOSTILE, **more}[name]
    found = run_document(view(History.from_swf(history(text)["events"], WorkflowExecution(text, text))))
    written = json.dumps(found, allow_nan=False)
    assert written.isascii()
    assert len(written) < 300_000
    shown = [
        *(task["id"] for task in found["tasks"]),
        *(part for _, parts in found["sentences"] for part in parts if isinstance(part, str)),
        *(part for why in found["whys"] for each in why for part in each["text"] if isinstance(part, str)),
        *found["events"]["text"],
        *found["events"]["types"],
        found["run"]["workflow_id"],
        found["run"]["type"],
    ]
    assert all(each.isprintable() for each in shown)


def test_many_long_strings_are_cut_until_they_fit_together() -> None:
    run = simulate(DeciderSpec(activity_tasks=[Timer(id_="t", delay_in_seconds=1)])).main
    raw = run.to_swf()[:1]
    for number in range(2, 3_002):
        raw.append(
            {
                "eventId": number,
                "eventTimestamp": raw[0]["eventTimestamp"],
                "eventType": "WorkflowExecutionSignaled",
                "workflowExecutionSignaledEventAttributes": {
                    "signalName": f"s{number}",
                    "input": f"{number}" * 8_000,
                },
            }
        )
    text = json.dumps(run_document(view(History.from_swf(raw))))
    assert len(text) < 12_000_000
    assert len(gzip.compress(text.encode())) < 1_000_000


def test_random_faults_do_not_disturb_a_document() -> None:
    for seed in range(3):
        run = simulate(SPEC, {"split": lambda *_: PARTS}, seed=seed, faults=Faults.all())
        for each in run.histories:
            json.dumps(run_document(view(each, SPEC)), allow_nan=False)
