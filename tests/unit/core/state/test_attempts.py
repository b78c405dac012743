"""Attempts of histories that other programs wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from floto import History, fold
from floto.core.replay.explain import explain_started
from floto.core.state.attempts import attempts
from floto.core.state.state import Kind

AT = datetime(2026, 1, 1, tzinfo=UTC)


def history(started_event_id: int) -> History:
    """A failed activity whose last event names this event as its start."""
    attributes: list[tuple[str, dict[str, Any]]] = [
        (
            "WorkflowExecutionStarted",
            {
                "childPolicy": "TERMINATE",
                "taskList": {"name": "d"},
                "workflowType": {"name": "w", "version": "1"},
            },
        ),
        (
            "ActivityTaskScheduled",
            {
                "activityId": "a",
                "activityType": {"name": "work", "version": "1"},
                "taskList": {"name": "w"},
                "decisionTaskCompletedEventId": 0,
            },
        ),
        ("ActivityTaskStarted", {"scheduledEventId": 2}),
        ("ActivityTaskFailed", {"scheduledEventId": 2, "startedEventId": started_event_id}),
    ]
    return History.from_swf(
        [
            {
                "eventId": number,
                "eventTimestamp": AT,
                "eventType": name,
                f"{name[0].lower()}{name[1:]}EventAttributes": each,
            }
            for number, (name, each) in enumerate(attributes, start=1)
        ]
    )


@pytest.mark.parametrize("started_event_id", [0, -3, 5, 99_999])
def test_start_event_that_the_history_does_not_have_leaves_the_start_unknown(started_event_id: int) -> None:
    found = history(started_event_id)
    [attempt] = attempts(fold(found).items[Kind.ACTIVITY, "a"], found.events)
    assert (attempt.opened, attempt.started, attempt.ended) == (AT, None, AT)
    assert explain_started(fold(found), found.events)["a"].attempts == (attempt,)
