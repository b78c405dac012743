"""The details of a failed activity: message, traceback and checkpoint."""

from __future__ import annotations

from typing import Any, cast

import pytest
from attrs import evolve

import floto
from floto.core.payloads import payload
from floto.core.replay.explain import explain
from floto.core.state.failures import (
    TRACEBACK,
    checkpoint_of,
    failure_of,
    joined_details,
    split_details,
)
from floto.core.swf import events as e
from floto.core.swf.history import History
from floto.testing import Simulation, fails, simulate, times_out


def spec(**settings: Any) -> floto.DeciderSpec:
    retry = floto.InstantRetry(2)
    task = floto.ActivityTask(id_="a", name="a", version="1", retry_strategy=retry, **settings)
    return floto.DeciderSpec(activity_tasks=[task])


def inputs(run: Simulation) -> list[Any]:
    decisions: list[Any] = [each for each in run.decisions if hasattr(each, "activity_id")]
    return [(payload.loads(each.input) or {}).get("floto.timeouts") for each in decisions]


@pytest.mark.parametrize("message", ["", "no", "two\nlines"])
@pytest.mark.parametrize("traceback", ["", "Traceback:\n  line"])
@pytest.mark.parametrize("checkpoint", ["", "7", f"7{TRACEBACK}8"])
def test_joined_details_are_split_again(message: str, traceback: str, checkpoint: str) -> None:
    details = joined_details(message, traceback, checkpoint)
    assert split_details(details) == (message, traceback, checkpoint)


def test_details_without_a_checkpoint_have_their_old_form() -> None:
    assert joined_details("no", "", "") == "no"
    assert joined_details("no", "lines", "") == f"no{TRACEBACK}lines"


def test_checkpoint_of_a_failure_is_in_the_input_of_the_next_attempt() -> None:
    details = joined_details("no", "lines", "7 of 9")
    run = simulate(spec(), {"a": fails(2, "Broken", details)})
    assert run.status == "COMPLETED"
    assert inputs(run) == [
        None,
        {"attempt": 2, "checkpoint": "7 of 9"},
        {"attempt": 3, "checkpoint": "7 of 9"},
    ]
    failure = failure_of(next(each for each in run.main if isinstance(each.data, e.ActivityTaskFailed)))
    assert (failure.message, failure.traceback, failure.checkpoint) == ("Broken: no", "lines", "7 of 9")
    assert "7 of 9" not in explain(spec(), run.main).why("a")


def test_checkpoint_of_a_time_out_is_in_the_input_of_the_next_attempt() -> None:
    given = spec(heartbeat_timeout=5)
    events = simulate(given, {"a": times_out(2)}).main.events
    first = next(event for event in events if isinstance(event.data, e.ActivityTaskTimedOut))
    timed_out = cast("e.ActivityTaskTimedOut", first.data)
    kept = [*events[: first.id - 1], evolve(first, data=evolve(timed_out, details="7"))]
    (decision,) = floto.decide(given, kept)
    found = payload.loads(decision.input)  # type: ignore[union-attr]
    assert found == {"floto.timeouts": {"attempt": 2, "checkpoint": "7", "heartbeat": 5}}


def test_latest_checkpoint_counts_even_if_a_later_attempt_left_none() -> None:
    run = simulate(spec(), {"a": fails(1, "B", joined_details("no", "", "7"), then=fails(1, "B", "no"))})
    failed = [each for each in run.main if isinstance(each.data, e.ActivityTaskFailed)]
    assert len(failed) == 2
    assert checkpoint_of(failed) == "7"
    assert checkpoint_of(()) == ""


def test_history_without_checkpoints_in_inputs_replays_without_a_difference() -> None:
    """Histories that an earlier floto decided stay as good as they were."""
    given = spec(heartbeat_timeout=5)
    history = simulate(given, {"a": times_out(2)}).main
    events = [
        evolve(event, data=evolve(event.data, details="7"))
        if isinstance(event.data, e.ActivityTaskTimedOut)
        else event
        for event in history
    ]
    assert floto.replay(given, History(events, history.execution)).divergence is None


def test_redriven_run_gives_the_checkpoint_to_the_first_attempt() -> None:
    run = simulate(spec(), {"a": fails(None, "B", joined_details("no", "", "7"))})
    planned = floto.redrive(spec(), run.main)
    new = simulate(spec(), input=payload.loads(planned.start.input))
    assert inputs(new) == [{"checkpoint": "7"}]
    begun = History(new.main.events[:1], new.main.execution)
    again = floto.redrive(spec(), begun)
    assert inputs(simulate(spec(), input=payload.loads(again.start.input))) == [{"checkpoint": "7"}]
    # Not for another input, nor where the user wants all of it again.
    for planned in (floto.redrive(spec(input=1), run.main), floto.redrive(spec(), run.main, rerun=["a"])):
        new = simulate(spec(input=1), input=payload.loads(planned.start.input))
        assert inputs(new) == [None]
