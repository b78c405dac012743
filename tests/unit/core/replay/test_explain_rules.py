"""Explanations and pictures of tasks with rules."""

from __future__ import annotations

from floto import AtLeast, DeciderSpec, Signal, explain, fold
from floto.core.decide.progress import begin
from floto.core.replay.task_status import TaskStatus, task_statuses
from floto.pictures.dot import dot, mermaid
from floto.pictures.graph import graph
from floto.testing import fails, returns, simulate
from tests.unit.recorder import Recorder, spec, task

RULED = spec(
    task("a"),
    task("few", "a", when="a.rows > `10`"),
    task("after", "few"),
    task("lost", on_error="continue"),
    task("two", ["a", "lost"], join=AtLeast(2)),
    Signal(id_="go", signal_name="go"),
    task("first", ["a", "go"], join="any"),
)


def lines(own: DeciderSpec, recorder: Recorder, id_: str) -> list[str]:
    return explain(own, recorder.history).why(id_).split("\n")


def recorded() -> Recorder:
    recorder = Recorder()
    recorder.complete("a", {"rows": 3})
    recorder.fail("lost")
    return recorder


def test_skipped_task_shows_its_condition_and_the_values_that_it_saw() -> None:
    assert lines(RULED, recorded(), "few") == [
        "few: skipped",
        '  its condition is false: a.rows > `10` on {"a": {"rows": 3}}',
    ]


def test_skipped_task_shows_the_join_that_cannot_be_met() -> None:
    assert lines(RULED, recorded(), "after") == [
        "after: skipped",
        "  its join cannot be met: all of 1 (1 skipped)",
    ]
    (_, reason) = lines(RULED, recorded(), "two")
    assert (
        reason == "  its join cannot be met: AtLeast(2) of 2 (1 completed, 1 failed, and the run continues)"
    )


def test_failure_that_lets_the_run_continue_says_so() -> None:
    first, *_, last = lines(RULED, recorded(), "lost")
    assert first == "lost: failed: 'Error: boom'"
    assert last == "  the run continues without its result"


def test_task_that_waits_for_some_of_several_says_so() -> None:
    found = lines(RULED, Recorder(), "first")
    assert found[-1] == "  its join any does not need all of them"


def test_condition_of_any_shows_the_result_that_came_first_also_when_there_are_more() -> None:
    own = spec(task("b"), task("c"), task("z", ["b", "c"], join="any", when="b"))
    recorder = Recorder()
    recorder.complete("c", 1)
    recorder.complete("b", 2)
    assert lines(own, recorder, "z")[1:] == ['  its condition is false: b on {"c": 1}']


def test_completed_run_shows_what_was_skipped_and_what_failed() -> None:
    run = simulate(RULED, {"a": returns({"rows": 3}), "lost": fails()})
    found = {task.id_: status for task, status in task_statuses(begin(RULED, run.main))}
    assert found == {
        "a": TaskStatus.DONE,
        "few": TaskStatus.SKIPPED,
        "after": TaskStatus.SKIPPED,
        "lost": TaskStatus.FAILED,
        "two": TaskStatus.SKIPPED,
        "go": TaskStatus.DONE,
        "first": TaskStatus.DONE,
    }


def test_cleanup_task_that_may_start_after_a_failed_one_is_not_shown_as_skipped() -> None:
    own = spec(
        task("a"), on_failure=[task("x"), task("y"), task("z", ["x", "y"], join="any"), task("v", ["x", "y"])]
    )
    recorder = Recorder()
    recorder.fail("a")
    recorder.fail("x")
    recorder.schedule("y")
    found = {task.id_: status for task, status in task_statuses(begin(own, recorder.history))}
    assert (found["z"], found["v"]) == (TaskStatus.WAITING, TaskStatus.SKIPPED)


def test_reserved_cleanup_task_is_not_shown_as_skipped_by_its_condition() -> None:
    own = spec(task("a"), on_failure=[task("x", when="failures.a"), task("y", when="sum(failures)")])
    found = {task.id_: status for task, status in task_statuses(begin(own, Recorder().history))}
    assert (found["x"], found["y"]) == (TaskStatus.RESERVED, TaskStatus.RESERVED)


def test_cleanup_tasks_of_a_closed_run_are_skipped_or_have_failed() -> None:
    own = spec(task("a"), on_failure=[task("x", when="failures.b"), task("y"), task("z", "x")])
    found = explain(own, simulate(own).main)
    assert {each.status for each in found.tasks.values()} == {TaskStatus.DONE, TaskStatus.SKIPPED}
    assert [str(each)[:14] for each in found["x"].conditions] == ["the run closed"]
    found = explain(own, simulate(own, {"a": fails(), "y": fails()}).main)
    assert [found[id_].status for id_ in "axyz"] == [
        TaskStatus.FAILED,
        TaskStatus.SKIPPED,
        TaskStatus.FAILED,
        TaskStatus.SKIPPED,
    ]


def test_undo_of_a_task_that_may_still_complete_waits() -> None:
    own = spec(task("a", undo=task("undo a")), task("b"), on_failure=[task("z")])
    recorder = Recorder()
    recorder.schedule("a")
    recorder.fail("b")
    assert lines(own, recorder, "undo a") == [
        "undo a: waiting",
        "  waiting for a to stop (cancellation requested)",
    ]
    assert lines(own, recorder, "z")[0] == "z: waiting"


def test_graphs_show_rules() -> None:
    drawn = graph(RULED, fold(recorded().history))
    assert {node.id: node.rules for node in drawn.nodes if node.rules} == {
        "few": "when a.rows > `10`",
        "lost": "on_error continue",
        "two": "join AtLeast(2)",
        "first": "join any",
    }
    assert "when a.rows > `10`" in dot(drawn)
    assert "on#95;error continue" in mermaid(drawn) or "on_error continue" in mermaid(drawn)


def test_message_of_a_task_that_failed_before_an_attempt_is_whole() -> None:
    reason = "score.risk > `10`"
    own = spec(task("score"), task("ask", "score", when=reason))
    run = simulate(own, {"score": returns({"risk": "high", "more": "x" * 100})})
    first, message = explain(own, run.main).why("ask").split("\n")
    assert first.startswith("ask: failed: ")
    assert message.startswith(f"  when {reason!r} failed: ")
    assert message.endswith('{"score": {"more": "' + "x" * 100 + '", "risk": "high"}}')
