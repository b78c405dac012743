"""The view of one run."""

from __future__ import annotations

import pytest
from attrs import evolve

from floto import ActivityTask, DeciderSpec, History, HistoryError, Timer, view
from floto.core.replay.timeline import timeline
from floto.core.swf.reserved_names import COMPRESSED
from floto.testing import fails, simulate

A = ActivityTask(id_="a", name="work", version="v1")
SPEC = DeciderSpec(activity_tasks=[A, Timer(id_="t", delay_in_seconds=5, requires=["a"])])


def test_timeline_of_a_view_is_that_of_its_history() -> None:
    for activities in ({}, {"a": fails(None)}):
        run = simulate(SPEC, activities).main
        assert view(run, SPEC).timeline == timeline(run, SPEC)
        assert view(run).timeline == timeline(run)


def test_empty_history_and_unknown_task_are_refused() -> None:
    with pytest.raises(HistoryError, match="empty"):
        view(History([]), SPEC)
    with pytest.raises(HistoryError, match="no task 'b'"):
        view(simulate(SPEC).main, SPEC).explained("b", 1)


def test_history_that_cannot_have_happened_is_refused() -> None:
    run = simulate(SPEC).main
    twice = evolve(run.events[0], id=2)
    with pytest.raises(HistoryError, match="event 2"):
        view(History([run.events[0], twice], run.execution), SPEC)


def test_result_that_cannot_be_read_is_shown_as_its_text() -> None:
    unreadable = COMPRESSED + "?"
    raw = simulate(SPEC).main.to_swf()
    for event in raw:
        if event["eventType"] == "ActivityTaskCompleted":
            event["activityTaskCompletedEventAttributes"]["result"] = unreadable
    shown = view(History.from_swf(raw), SPEC)
    assert shown.result(shown.tasks["a"]) == unreadable
