"""Properties of a daemon for any signals, refusals, timeouts and terminations."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from floto.core.decide import daemon
from floto.core.decide.daemon import SIGNAL, decide_daemon
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    ContinueAsNewWorkflowExecution,
    Decision,
    RecordMarker,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.limits import DATA_LIMIT
from floto.testing.strategies import json_values
from tests.property.daemon_stage import DOMAIN, ID, Stage, asking
from tests.property.setup import SETTINGS

_PASSING: dict[type, str] = {
    StartChildWorkflowExecution: "CHILD_CREATION_RATE_EXCEEDED",
    StartTimer: "TIMER_CREATION_RATE_EXCEEDED",
    ContinueAsNewWorkflowExecution: "CONTINUE_AS_NEW_WORKFLOW_EXECUTION_RATE_EXCEEDED",
}
_BAD = ("nonsense", asking(3), asking(workflow_type={"name": "nobody", "version": "v1"}))
_MOVES = ("good", "good", "bad", "decide", "decide", "lose", "late", "child", "wait")
moves = st.lists(st.tuples(st.sampled_from(_MOVES), st.integers(0, 9)), min_size=1, max_size=60)


class Play(Stage):
    """A daemon to which a script happens; the world refuses some decisions, in passing."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.asked, self.refused = refusals, 0, 0 if refusals else 8
        self.good = self.bad = 0
        super().__init__(self.refuse)

    def refuse(self, decision: Decision) -> str | None:
        cause = _PASSING.get(type(decision))
        self.asked += 1
        if cause is None or self.refused >= 8 or crc32(repr((self.refusals, self.asked)).encode()) % 3:
            return None
        self.refused += 1
        return cause

    def move(self, what: str, number: int) -> None:
        if what == "good":
            self.good += 1
            self.signal(asking())
        elif what == "bad":
            self.bad += 1
            self.signal(_BAD[number % len(_BAD)])
        elif what == "wait":
            self.tick(10 ** (number % 4))
        else:
            self.task(what, number)

    def task(self, what: str, number: int) -> None:
        """Answer the next task, or do not; signals may come in while it is worked on."""
        task = self.poll()
        if task is None or what == "lose":
            return
        found = self.answer(task, well=number % 2 == 0)
        if what == "late" and self.is_open:
            self.move("good" if number % 2 else "bad", number)
        self.respond(task, found)
        self.check_rest()

    def check_rest(self) -> None:
        """Nothing is to be decided, unless SWF is about to ask: nothing is forgotten, nothing repeated."""
        found = decide_daemon(self.state, domain=DOMAIN)
        tasks = self.state.decision_tasks
        assert not found or tasks.scheduled is not None or tasks.started is not None

    @property
    def is_open(self) -> bool:
        """Return True if the daemon is open."""
        return self.state.closed is None


@contextmanager
def short_runs(events: int) -> Iterator[None]:
    """Let daemons continue as new after a few events."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(daemon, "RENEW_EVENTS", events)
        yield


@SETTINGS
@given(moves, st.integers(0, 2**20), st.integers(10, 60))
@example([("bad", 0), ("bad", 0), ("bad", 0), ("decide", 0)], 0, 10)
def test_valid_signal_starts_one_child_and_invalid_one_records_one_marker(
    script: list[tuple[str, int]], refusals: int, events: int
) -> None:
    """With lost and late responses, refusals, closing children, and runs that continue as new."""
    with short_runs(events):
        play = Play(refusals)
        for what, number in script:
            play.move(what, number)
        play.settle()
    assert len(play.child_ids) == play.good
    assert set(play.child_ids.values()) <= {1}
    assert len(play.notes) == play.bad
    for run in play.runs:
        markers = [event.data.marker_name for event in run if isinstance(event.data, e.MarkerRecorded)]
        assert set(Counter(markers).values()) <= {1}
    assert len(play.runs[-1]) < events + 20
    assert play.is_open


@SETTINGS
@given(moves, moves, st.integers(0, 2**20))
def test_a_canceled_daemon_accounts_for_every_signal(
    script: list[tuple[str, int]], rest: list[tuple[str, int]], refusals: int
) -> None:
    """Each has its child or its note when the run is canceled, and the children live on."""
    play = Play(refusals)
    for what, number in script:
        play.move(what, number)
    play.world.request_cancel(ID, play.now)
    for what, number in rest:
        if play.is_open or what not in ("good", "bad"):
            play.move(what, number)
    play.settle()
    assert isinstance(play.runs[-1].events[-1].data, e.WorkflowExecutionCanceled)
    assert len(play.child_ids) + len(play.notes) == play.good + play.bad
    assert all(info.close_status in ("COMPLETED", "FAILED", "CANCELED") for info in play.world.executions())


@SETTINGS
@given(json_values() | st.text())
def test_any_signal_gets_one_valid_decision(value: Any) -> None:
    """Its whole input, each field of it, and fields of the spec may be any JSON."""
    stage = Stage()
    inputs = [
        json.dumps(value),
        asking(value),
        *(asking(**{name: value}) for name in ("workflow_type", "workflow_id", "input", "tag_list")),
        asking({"type": "floto.specs.DeciderSpec", "activity_tasks": value}),
        asking({"type": "floto.specs.DeciderSpec", "activity_tasks": [], "task_list": value}),
    ]
    for text in inputs:
        if len(text) <= DATA_LIMIT:
            stage.signal(text)
    found = stage.decide()
    assert [type(decision) for decision in found if not isinstance(decision, RecordMarker)] == [
        StartChildWorkflowExecution
    ] * (len(found) - len(stage.notes))
    assert len(found) == len(stage.state.signals[SIGNAL])
