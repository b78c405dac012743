"""Conditions, joins and errors that let a run continue, decided on short histories."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from floto import (
    CODEC,
    ActivityTask,
    AtLeast,
    DeciderSpec,
    Generator,
    History,
    InstantRetry,
    Signal,
    Timer,
    begin,
    decide,
)
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.swf import events as e
from floto.core.swf.decisions import CompleteWorkflowExecution, FailWorkflowExecution, StartTimer
from floto.core.swf.events import Event
from floto.testing.simulation.context import BEGINNING
from tests.unit.recorder import Recorder, generator, spec, starts, task


def started(own: DeciderSpec, recorder: Recorder) -> list[str]:
    return list(starts(decide(own, recorder.history)))


def outcome(own: DeciderSpec, recorder: Recorder, id_: str) -> TaskOutcome | None:
    progress = begin(own, recorder.history)
    return progress.outcomes.get(progress.plan.index[id_])


def result(own: DeciderSpec, recorder: Recorder) -> Any:
    (decision,) = decide(own, recorder.history)
    assert isinstance(decision, CompleteWorkflowExecution)
    return json.loads(decision.result or "null")


def context(own: DeciderSpec, recorder: Recorder, id_: str) -> Any:
    return json.loads(getattr(starts(decide(own, recorder.history))[id_], "input", None) or "{}")


def recorded(*ids: str) -> Recorder:
    recorder = Recorder()
    for id_ in ids:
        recorder.complete(id_, {"ok": id_})
    return recorder


BRANCH = spec(
    task("a"),
    task("yes", "a", when="a.n > `1`"),
    task("no", "a", when="!(a.n > `1`)"),
    task("behind", "no"),
    task("end", ["yes", "no"]),
)


def test_false_condition_skips_the_task_and_what_requires_only_it() -> None:
    recorder = Recorder()
    recorder.complete("a", {"n": 2})
    assert started(BRANCH, recorder) == ["yes"]
    assert outcome(BRANCH, recorder, "no") is outcome(BRANCH, recorder, "behind") is TaskOutcome.SKIPPED
    recorder.complete("yes", "done")
    assert context(BRANCH, recorder, "end") == {"yes": "done"}
    recorder.complete("end", "over")
    assert result(BRANCH, recorder) == {"end": "over"}


def test_run_of_skipped_tasks_completes_without_results() -> None:
    own = spec(task("a", when="workflow.n"), task("b", "a"))
    assert result(own, Recorder()) == {}
    assert started(own, Recorder({"n": 1})) == ["a"]


def test_condition_that_fails_on_the_data_fails_the_task() -> None:
    own = spec(task("a", when="sum(workflow)"), task("b"))
    (failed,) = decide(own, Recorder({"n": 1}).history)
    assert isinstance(failed, FailWorkflowExecution)
    assert "when 'sum(workflow)' failed" in json.loads(failed.details or "")["a"]
    own = spec(task("a", when="sum(workflow)", on_error="continue"), task("b"))
    assert started(own, Recorder({"n": 1})) == ["b"]
    assert outcome(own, Recorder({"n": 1}), "a") is TaskOutcome.CONTINUED


def test_any_starts_after_the_first_result_and_sees_it_alone_at_every_later_decision() -> None:
    own = spec(
        task("a"), task("b"), task("z", ["a", "b"], join="any", when="!a", retry_strategy=InstantRetry(1))
    )
    assert "z" not in started(own, Recorder())
    recorder = recorded("b")
    assert context(own, recorder, "z") == {"b": {"ok": "b"}}
    recorder.fail("z")
    recorder.complete("a", {"ok": "a"})
    assert context(own, recorder, "z")["b"] == {"ok": "b"}
    assert "a" not in context(own, recorder, "z")
    # From the whole history, the order of events decides and not that of the spec.
    recorder = recorded("a", "b")
    assert outcome(own, recorder, "z") is TaskOutcome.SKIPPED


def test_early_signal_counts_from_the_moment_when_its_own_requirements_are_settled() -> None:
    own = spec(
        task("late"),
        task("b"),
        Signal(id_="s", signal_name="s", requires=["late"]),
        task("z", ["s", "b"], join="any", when="b"),
    )
    recorder = Recorder()
    recorder.add(e.WorkflowExecutionSignaled(signal_name="s", input='"early"'))
    recorder.complete("b", 1)
    assert context(own, recorder, "z") == {"b": 1}
    recorder.complete("late")
    assert context(own, recorder, "z") == {"b": 1}


def test_at_least_waits_for_so_many_results_and_is_skipped_once_they_cannot_come() -> None:
    own = spec(
        *(task(id_, on_error="continue") for id_ in "abc"),
        task("z", [*"abc"], join=AtLeast(2)),
        task("y", "z"),
    )
    assert "z" in started(own, recorded("a", "c"))
    recorder = recorded("a")
    recorder.fail("b")
    assert outcome(own, recorder, "z") is None
    recorder.fail("c")
    assert outcome(own, recorder, "z") is outcome(own, recorder, "y") is TaskOutcome.SKIPPED
    recorder = Recorder()
    recorder.fail("b")
    recorder.fail("c")
    assert outcome(own, recorder, "z") is TaskOutcome.SKIPPED  # while a is still open


def test_finished_starts_whatever_came_of_the_requirements() -> None:
    own = spec(
        task("a", when="`false`"),
        task("b", on_error="continue"),
        task("c"),
        task("z", [*"abc"], join="finished"),
    )
    recorder = Recorder()
    recorder.fail("b")
    assert outcome(own, recorder, "z") is None
    recorder.complete("c", 3)
    assert context(own, recorder, "z") == {"c": 3}


def test_tasks_that_cannot_be_read_settle_what_requires_their_generator() -> None:
    own = spec(
        generator("g"),
        task("y", "g", join="finished", when="sum(workflow)"),
        task("z", "g", join="finished", when="`false`"),
    )
    failed, unreadable = Recorder(), Recorder()
    failed.fail("g")
    unreadable.complete("g", "no tasks")
    for recorder in (failed, unreadable):
        (decision,) = decide(own, recorder.history)
        assert isinstance(decision, FailWorkflowExecution)
        assert decision.reason == "failed: g, y"
        assert outcome(own, recorder, "z") is TaskOutcome.SKIPPED


def test_finished_cleanup_task_starts_after_a_failed_one() -> None:
    own = spec(task("a"), on_failure=[task("x"), task("y", "x", join="finished"), task("z", "x")])
    recorder = Recorder()
    recorder.fail("a")
    recorder.add(
        e.MarkerRecorded(
            marker_name="floto.failures", details='{"a":"x"}', decision_task_completed_event_id=1
        )
    )
    recorder.fail("x")
    assert started(own, recorder) == ["y"]
    recorder.complete("y")
    (failed,) = decide(own, recorder.history)
    assert isinstance(failed, FailWorkflowExecution)
    assert failed.reason == "failed: a, x"


def test_condition_of_a_cleanup_task_sees_the_failures() -> None:
    own = spec(task("a"), on_failure=[task("x", when="failures.a"), task("y", when="failures.b")])
    recorder = Recorder()
    recorder.fail("a")
    assert started(own, recorder) == ["x"]


def test_continued_failure_counts_for_all_and_not_for_any() -> None:
    own = spec(
        task("a", on_error="continue"),
        task("b", "a"),
        task("c", "a", join="any"),
        task("d", "a", join=AtLeast(1)),
    )
    recorder = Recorder()
    recorder.fail("a")
    assert started(own, recorder) == ["b"]
    assert context(own, recorder, "b") == {}
    recorder.complete("b", 1)
    assert result(own, recorder) == {"b": 1}
    assert dict(begin(own, recorder.history).continued) == {0: "Error: boom"}


@pytest.mark.parametrize(
    ("join", "expected"), [(AtLeast(2), ["y"]), ("any", ["y", "z"]), ("finished", ["y"])]
)
def test_joins_count_the_tasks_that_a_generator_returned_and_not_the_generator(
    join: Any, expected: list[str]
) -> None:
    own = spec(generator("g"), task("z", "g", join=join))
    assert outcome(own, Recorder(), "z") is None
    recorder = Recorder()
    recorder.complete("g", CODEC.unstructure([task("x"), task("y")]))
    assert started(own, recorder) == ["x", "y"]
    recorder.complete("x")
    assert started(own, recorder) == expected
    recorder.complete("y")
    assert started(own, recorder) == ["z"]


def test_join_is_skipped_once_a_generator_has_returned_too_few_tasks() -> None:
    own = spec(task("a"), generator("g"), task("few", ["a", "g"], join=AtLeast(3)))
    recorder = Recorder()
    recorder.start("a")
    assert outcome(own, recorder, "few") is None
    recorder.complete("g", CODEC.unstructure([task("m")]))
    assert outcome(own, recorder, "few") is TaskOutcome.SKIPPED


def test_skipped_generator_returns_nothing() -> None:
    own = spec(Generator(name="g", version="v", id_="g", when="`false`"), task("z", "g"))
    assert result(own, Recorder()) == {}


def test_condition_sees_the_ids_that_a_generator_returned() -> None:
    own = spec(generator("g"), task("z", "g", when="length(g) == `1`"))
    recorder = Recorder()
    recorder.complete("g", CODEC.unstructure([task("x")]))
    recorder.complete("x", 5)
    assert context(own, recorder, "z") == {"g": ["x"], "x": 5}


def delay_of_timer(tasks: Sequence[ActivityTask], recorder: Recorder, **timer: Any) -> str:
    """Return the delay of a timer to the next minute, when each event is ten seconds after the one before."""
    own = spec(*tasks, Timer(id_="t", until="cron * * * * *", **timer))
    events = [
        Event(n, BEGINNING + timedelta(seconds=10 * n), data) for n, data in enumerate(recorder.data, 1)
    ]
    (timer_started,) = (each for each in decide(own, History(events)) if isinstance(each, StartTimer))
    return timer_started.start_to_fire_timeout


def test_time_of_a_timer_counts_from_the_requirement_that_met_its_join() -> None:
    tasks = [task("a", on_error="continue"), task("no", "a", when="a.x"), task("b", on_error="continue")]
    recorder = Recorder()
    recorder.fail("a")  # events 2 to 4, at 20 to 40 seconds
    recorder.complete("b")  # events 5 to 7, at 50 to 70 seconds
    assert delay_of_timer(tasks, recorder, requires=["no", "b"]) == "50"
    # The time has passed at 70 seconds: the failure and what is skipped with it were at 40 seconds.
    assert delay_of_timer(tasks, recorder, requires=["no"], join="finished") == "0"
    assert delay_of_timer(tasks, recorder, requires=["a"]) == "0"
    recorder.complete("c")
    recorder.fail("d")
    more = [*tasks, task("c"), task("d", on_error="continue")]
    # The join was met at 70 seconds, and the event at 130 seconds is after the minute at 120.
    assert delay_of_timer(more, recorder, requires=["b", "c", "d"], join="any") == "0"
    assert delay_of_timer(more, recorder, requires=["b", "c", "d"]) == "50"
