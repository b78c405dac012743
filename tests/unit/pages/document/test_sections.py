from __future__ import annotations

from typing import Any

import pytest

from floto.pages.document.sections import with_sections

ATTEMPT = {"opened": 2, "started": 3, "ended": 4, "worker": None, "outcome": "failed", "reason": "ValueError"}
RUN = {
    "workflow_id": "order",
    "run_id": "r",
    "type": "order 1",
    "task_list": "orders",
    "tags": ["eu"],
    "ended": None,
    "input": None,
    "reason": None,
    "details": None,
    "result": None,
}
CHECK: dict[str, Any] = {"verdict": "as decided", "difference": None, "lints": [], "has_spec": True}


def sections(run: dict[str, Any] | None = None, check: dict[str, Any] | None = None, **given: Any) -> Any:
    document = {
        "run": {**RUN, **(run or {})},
        "events": {"at": [1000, 10, 10, 10]},
        "check": {**CHECK, **(check or {})},
        **{name: [] for name in ("tasks", "signals", "timers", "markers", "related", "decision_tasks")},
        **given,
    }
    return with_sections(document)


def titles(found: list[dict[str, Any]]) -> list[str]:
    return [each["title"] for each in found]


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ('Traceback (most recent call last):\n  File "a.py"\nValueError: no rows', "ValueError: no rows"),
        ("no rows", "ValueError: no rows"),
        (None, "ValueError"),
        ("first\nsecond", "ValueError"),
        ("x" * 1000, "ValueError"),
    ],
)
def test_reason_of_an_attempt_has_its_message(details: str | None, expected: str) -> None:
    found = sections(tasks=[{"attempts": [{**ATTEMPT, "details": details}]}])
    assert found["tasks"][0]["attempts"] == [[2, 3, 4, 0, "failed", expected, details or ""]]


def test_result_is_shown_from_the_last_event_of_a_closed_run() -> None:
    assert "Result" not in titles(sections()["data"])
    [result] = [
        each for each in sections({"ended": 1030, "result": [1]})["data"] if each["title"] == "Result"
    ]
    assert result["rows"] == [[4, {"value": [1]}]]


def test_falsy_results_are_values() -> None:
    [result] = [each for each in sections({"ended": 1030, "result": 0})["data"] if each["title"] == "Result"]
    assert result["rows"] == [[4, {"value": 0}]]


def test_timer_of_a_delay_that_is_not_a_number_is_shown_as_it_is() -> None:
    timers = [
        {"name": "t", "event": 2, "ended": 0, "outcome": "running", "seconds": each} for each in ("30", "x")
    ]
    [found] = [each for each in sections(timers=timers)["data"] if each["title"] == "Timers"]
    assert [row[3] for row in found["rows"]] == [{"seconds": 30}, "x"]


def test_difference_is_listed_field_by_field() -> None:
    apart = {
        "what": "StartTimer 't'",
        "field": "delay",
        "recorded": 1,
        "decided": 0,
        "event": 4,
        "step": 1,
        "text": "",
    }
    found = sections(check={"difference": apart})["check"]
    [difference] = [each for each in found if each["title"] == "First difference"]
    assert [row[1] for row in difference["rows"]] == ["what", "field", "recorded", "decided", "after"]
    assert difference["rows"][3][2] == {"value": 0}


def test_lints_lead_to_their_task_or_event() -> None:
    lints = [
        {"level": "warning", "text": ["a"], "task": 0},
        {"level": "note", "text": ["b"], "event": 3},
        {"level": "note", "text": ["c"]},
    ]
    [found] = [each for each in sections(check={"lints": lints})["check"] if "Warnings" in each["title"]]
    assert [row[3] for row in found["rows"]] == [{"task": 0}, {"event": 3}, ""]


def test_decision_task_that_has_not_ended_stops_at_its_last_event() -> None:
    task = {
        "scheduled": 2,
        "started": 3,
        "ended": 0,
        "outcome": "open",
        "decider": None,
        "decisions": [],
        "same": None,
    }
    assert sections(decision_tasks=[task])["decisions"] == [[3, "", "open", "", "", ""]]
