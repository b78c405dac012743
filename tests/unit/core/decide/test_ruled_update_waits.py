"""Signals with a time-out, decided on short histories."""

from __future__ import annotations

import json
from typing import Any

import pytest

from floto import CODEC, DeciderSpec, Result, Signal, SpecError, begin, decide, explain
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelTimer,
    CompleteWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    StartTimer,
)
from tests.unit.recorder import Recorder, spec, starts, task

TIMER = "floto.wait:s"


def gated(on_timeout: Any = "fail", **fields: Any) -> DeciderSpec:
    gate = Signal(id_="s", signal_name="go", requires=["a"], timeout=60, on_timeout=on_timeout, **fields)
    return spec(task("a"), gate, task("b", "s"), task("c", "b"))


def waiting() -> tuple[Recorder, int]:
    recorder = Recorder()
    recorder.complete("a")
    return recorder, start_timer(recorder)


def start_timer(recorder: Recorder) -> int:
    return recorder.add(
        e.TimerStarted(
            timer_id=TIMER, start_to_fire_timeout="60", control="s", decision_task_completed_event_id=1
        )
    )


def fire(recorder: Recorder, started: int) -> None:
    recorder.add(e.TimerFired(timer_id=TIMER, started_event_id=started))


def send(recorder: Recorder) -> None:
    recorder.add(e.WorkflowExecutionSignaled(signal_name="go", input='"yes"'))


def decided(own: DeciderSpec, recorder: Recorder) -> list[Decision]:
    """The decisions, the same for a run that was followed event by event."""
    history = recorder.history
    found = decide(own, history)
    followed = begin(own, type(history)([], history.execution))
    for event in history:
        followed = followed.observe([event])
    assert decide(followed) == found
    assert followed == begin(own, history)
    return found


def sent(found: list[Decision], id_: str) -> Any:
    """The input of the decision that starts a task."""
    return json.loads(getattr(starts(found)[id_], "input", None) or "{}")


def test_timer_starts_when_the_requirements_are_met_and_not_before() -> None:
    assert list(starts(decided(gated(), Recorder()))) == ["a"]
    recorder = Recorder()
    recorder.complete("a")
    (timer,) = decided(gated(), recorder)
    assert timer == StartTimer(timer_id=TIMER, start_to_fire_timeout="60", control="s")
    start_timer(recorder)
    assert decided(gated(), recorder) == []


def test_signal_before_the_time_out_cancels_the_timer_once() -> None:
    recorder, started = waiting()
    send(recorder)
    found = decided(gated(), recorder)
    assert CancelTimer(timer_id=TIMER) in found
    assert sent(found, "b") == {"s": "yes"}
    recorder.add(
        e.TimerCanceled(timer_id=TIMER, started_event_id=started, decision_task_completed_event_id=1)
    )
    assert list(starts(decided(gated(), recorder))) == ["b"]
    assert CancelTimer(timer_id=TIMER) not in decided(gated(), recorder)


def test_early_signal_needs_no_timer() -> None:
    recorder = Recorder()
    send(recorder)
    recorder.complete("a")
    assert [type(each).__name__ for each in decided(gated(), recorder)] == ["ScheduleActivityTask"]


def test_time_out_fails_the_run() -> None:
    recorder, started = waiting()
    fire(recorder, started)
    (failed,) = decided(gated(), recorder)
    assert isinstance(failed, FailWorkflowExecution)
    assert json.loads(failed.details or "") == {"s": "timed out after 60 seconds"}


def test_time_out_may_skip_the_signal() -> None:
    recorder, started = waiting()
    fire(recorder, started)
    (done,) = decided(gated("skip"), recorder)
    assert done == CompleteWorkflowExecution(result="{}")
    found = explain(gated("skip"), recorder.history)
    assert [str(each) for each in found["s"].conditions] == ["timed out after 60 seconds"]
    assert found["s"].status == "skipped"


def test_time_out_may_continue_with_a_result() -> None:
    own = gated(Result({"approved": False}))
    recorder, started = waiting()
    fire(recorder, started)
    assert sent(decided(own, recorder), "b") == {"s": {"approved": False}}
    assert explain(own, recorder.history)["s"].result == {"approved": False}


@pytest.mark.parametrize("on_timeout", ["skip", Result(1)])
def test_signal_after_the_time_out_changes_nothing(on_timeout: Any) -> None:
    own = gated(on_timeout)
    recorder, started = waiting()
    fire(recorder, started)
    before = begin(own, recorder.history)
    send(recorder)
    after = begin(own, recorder.history)
    assert after.outcomes == before.outcomes
    assert decided(own, recorder) == decide(before)


def test_refused_timer_is_started_again_and_fails_the_task_in_the_end() -> None:
    recorder = Recorder()
    recorder.complete("a")
    for _ in range(21):
        recorder.add(
            e.StartTimerFailed(
                timer_id=TIMER, cause="TIMER_CREATION_RATE_EXCEEDED", decision_task_completed_event_id=1
            )
        )
        (found,) = decided(gated(), recorder)
        if isinstance(found, FailWorkflowExecution):
            assert "the wait for its time-out" in (found.details or "")
            return
        assert isinstance(found, StartTimer)
    pytest.fail("the timer is started for ever")


def test_waiting_signal_says_when_it_times_out() -> None:
    recorder, _ = waiting()
    (condition,) = explain(gated(), recorder.history)["s"].conditions
    assert str(condition).startswith("waiting for signal 'go', times out at ")


def test_time_outs_round_trip_and_defaults_are_not_written() -> None:
    for own in (gated(), gated("skip"), gated(Result({"a": [1]})), gated(Result(None))):
        assert CODEC.loads(own.to_json()) == own
    assert "timeout" not in CODEC.unstructure(Signal(id_="s", signal_name="go"))


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"timeout": -1}, "timeout must be an integer number of seconds"),
        ({"timeout": "NONE"}, "timeout must be an integer number of seconds"),
        ({"timeout": 1, "on_timeout": False}, "on_timeout must be 'fail', 'skip' or Result(value)"),
        ({"on_timeout": "skip"}, "on_timeout has no effect without timeout"),
        ({"timeout": 1, "on_timeout": Result([str(n * 7919 % 10007) for n in range(40_000)])}, "characters"),
    ],
)
def test_bad_time_out_is_a_spec_error(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecError) as caught:
        spec(Signal(id_="s", signal_name="go", **fields))
    assert problem in str(caught.value)


def test_skipped_signal_counts_in_the_order_of_events() -> None:
    own = spec(
        Signal(id_="s", signal_name="go", timeout=60, on_timeout=Result(0)),
        task("b"),
        task("z", ["s", "b"], join="any", when="s"),
    )
    recorder = Recorder()
    started = start_timer(recorder)
    recorder.complete("b")
    fire(recorder, started)
    progress = begin(own, recorder.history)
    assert progress.outcomes[progress.plan.index["z"]] is TaskOutcome.SKIPPED
    assert decided(own, recorder)
