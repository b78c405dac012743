"""``History``: the events of a run, and the attributes of its start."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from floto import Event, History, HistoryError
from floto.core.swf import events as e
from floto.core.swf.shapes import TaskList, WorkflowType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = e.WorkflowExecutionStarted(
    child_policy="TERMINATE", task_list=TaskList("decide"), workflow_type=WorkflowType("w", "v"), input="1"
)
SCHEDULED = e.DecisionTaskScheduled(task_list=TaskList("decide"))


def test_start_of_a_history_has_the_input_of_the_run() -> None:
    assert History([Event(1, NOW, START), Event(2, NOW, SCHEDULED)]).start.input == "1"


@pytest.mark.parametrize("events", [[], [Event(1, NOW, SCHEDULED)]])
def test_history_without_the_start_of_its_run_names_what_is_missing(events: list[Event]) -> None:
    with pytest.raises(HistoryError, match="does not begin with WorkflowExecutionStarted"):
        _ = History(events).start
