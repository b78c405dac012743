"""Summaries of why a run waits, where its input cannot be read."""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve

from floto.core.replay.explain import explain_started
from floto.core.replay.why_report import RunContext, stalls
from tests.property.schedule_stage import BEGINNING, Stage, schedule_of, state_of


def test_schedule_that_cannot_be_read_here_says_until_when_it_waits() -> None:
    stage = Stage(schedule_of(every=60))
    stage.run(BEGINNING + timedelta(seconds=10))
    history = stage.runs[0]
    text = (history.start.input or "").replace("floto.Schedule", "own.Schedule")
    first = evolve(history.events[0], data=evolve(history.start, input=text))
    events = (first, *history.events[1:])
    state = state_of(events, history.execution)
    context = RunContext(workflow_id="s", domain="d", state=state, now=stage.now)
    assert [str(each) for each in stalls(explain_started(state, events), context)] == [
        "the run: waiting for a signal or its next fire, at the latest until 2026-01-01 00:01:00Z"
    ]
