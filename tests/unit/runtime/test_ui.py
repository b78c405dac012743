"""The source of the pages: saved histories."""

from __future__ import annotations

import json

import pytest

from floto.core.errors import HistoryError
from floto.core.swf.limits import EVENT_LIMIT
from floto.pages.documents import Documents
from floto.runtime.ui import ServiceSource


def saved(count: int, **beside: object) -> bytes:
    """A saved history of a run with this number of events, most of them signals, and what is beside it."""
    started = {
        "eventId": 1,
        "eventTimestamp": 1.0,
        "eventType": "WorkflowExecutionStarted",
        "workflowExecutionStartedEventAttributes": {
            "childPolicy": "TERMINATE",
            "taskList": {"name": "orders"},
            "workflowType": {"name": "order", "version": "1"},
        },
    }
    signals = (
        {
            "eventId": number,
            "eventTimestamp": 1.0,
            "eventType": "WorkflowExecutionSignaled",
            "workflowExecutionSignaledEventAttributes": {"signalName": "s"},
        }
        for number in range(2, count + 1)
    )
    return json.dumps({**beside, "events": [started, *signals]}).encode()


def test_saved_history_longer_than_any_run_is_refused() -> None:
    source = ServiceSource(client=None, url="sqlite:///none.db")
    # A run may get some events more than SWF's limit before it is ended by force.
    assert len(source.saved(saved(EVENT_LIMIT + 1)).history.events) == EVENT_LIMIT + 1
    with pytest.raises(HistoryError, match="no history of SWF is so long"):
        source.saved(saved(2 * EVENT_LIMIT))


def test_saved_history_whose_spec_has_types_of_a_users_own_is_opened_without_the_spec() -> None:
    documents = Documents(ServiceSource(client=None, url="sqlite:///none.db"))
    name, opened = documents.open(saved(3, spec={"type": "own"}))
    assert opened.last_event.id == 3
    assert documents.opened(name) == opened
