"""The coverage names the tasks that no run has started: nothing about them was checked."""

from __future__ import annotations

from typing import Any

from floto import ActivityTask, ChildWorkflow, DeciderSpec, Signal, Task
from floto.testing import Coverage, check, returns, simulate


def work(id_: str, *requires: str, **settings: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="1", requires=requires, **settings)


def spec(*tasks: Task, **settings: Any) -> DeciderSpec:
    return DeciderSpec(activity_tasks=tasks, **settings)


RISKY = (work("a"), work("b", "a", when="a.risk > `10`"), work("e", "b"))


def test_report_names_tasks_that_no_run_started() -> None:
    report = check(spec(*RISKY), max_examples=30)
    assert report.coverage.never["tasks"] == ("b", "e")
    hint = "never started     b, e (give outcomes with activities= that lead to them)"
    assert hint in str(report).splitlines()


def test_report_names_no_tasks_if_all_were_started() -> None:
    report = check(spec(*RISKY), activities={"a": returns({"risk": 11})}, max_examples=30)
    assert "tasks" not in report.coverage.never
    assert "never started" not in str(report)


def test_task_that_one_of_several_runs_started_is_not_named() -> None:
    coverage = Coverage()
    for risk in (9, 11, 9):
        coverage.add(simulate(spec(*RISKY), {"a": returns({"risk": risk})}))
    assert "tasks" not in coverage.never


def test_tasks_of_children_are_named_with_the_type_of_the_child() -> None:
    kid = ChildWorkflow(id_="kid", workflow_type_name="kind", workflow_type_version="1", spec=spec(*RISKY))
    coverage = Coverage()
    coverage.add(simulate(spec(kid)))
    assert coverage.never["tasks"] == ("b of kind", "e of kind")


def test_signal_whose_wait_timed_out_is_not_named() -> None:
    gate = Signal(id_="s", signal_name="ok", timeout=9)
    coverage = Coverage()
    coverage.add(simulate(spec(gate, work("e", "s"))))
    assert coverage.never["tasks"] == ("e",)


def test_cleanup_tasks_and_undos_are_not_named() -> None:
    coverage = Coverage()
    coverage.add(simulate(spec(work("a", undo=work("u")), on_failure=[work("f")], on_cancel=[work("c")])))
    assert "tasks" not in coverage.never


def test_first_of_many_tasks_are_named() -> None:
    many = [work(f"t{number}", "a", when="a.never") for number in range(30)]
    coverage = Coverage()
    coverage.add(simulate(spec(work("a"), *many)))
    assert len(coverage.never["tasks"]) == 30
    assert "t18, t19, and 10 more" in " ".join(str(coverage).split())
