"""``History``: the events of a run, and the attributes of its start."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

import floto
from floto import Event, History, HistoryError, WorkflowExecution, fold
from floto.core.swf import events as e
from floto.core.swf.shapes import TaskList, WorkflowType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = e.WorkflowExecutionStarted(
    child_policy="TERMINATE", task_list=TaskList("decide"), workflow_type=WorkflowType("w", "v"), input="1"
)
SPEC = floto.DeciderSpec()
SCHEDULED = e.DecisionTaskScheduled(task_list=TaskList("decide"))


def test_start_of_a_history_has_the_input_of_the_run() -> None:
    assert History([Event(1, NOW, START), Event(2, NOW, SCHEDULED)]).start.input == "1"


@pytest.mark.parametrize("events", [[], [Event(1, NOW, SCHEDULED)]])
def test_history_without_the_start_of_its_run_names_what_is_missing(events: list[Event]) -> None:
    with pytest.raises(HistoryError, match="does not begin with WorkflowExecutionStarted"):
        _ = History(events).start


def test_file_name_in_place_of_a_history_names_the_function_that_reads_it() -> None:
    for name in ("run.json", Path("run.json")):
        with pytest.raises(HistoryError, match=r"read a saved history with floto\.History\.load\("):
            History(cast("History", name))
        with pytest.raises(HistoryError, match=r"read a saved history with floto\.History\.load\("):
            fold(cast("History", name))


@pytest.mark.parametrize("given", ["h.json", Path("h.json"), [{"eventId": 1}], {"events": []}, 3])
def test_what_reads_a_history_says_how_to_get_one(given: Any) -> None:
    calls: list[Callable[[Any], object]] = [
        lambda history: floto.replay(SPEC, history),
        lambda history: floto.compare(SPEC, SPEC, [history]),
        lambda history: floto.explain(SPEC, history),
        lambda history: floto.explain(SPEC, history, at=1),
        floto.view,
    ]
    for call in calls:
        with pytest.raises(HistoryError, match=r"use floto\.History\.(load|from_swf)\("):
            call(given)


def test_text_of_an_execution_is_the_name_of_the_run_in_commands() -> None:
    assert str(WorkflowExecution("friday", "22aB")) == "friday@22aB"
