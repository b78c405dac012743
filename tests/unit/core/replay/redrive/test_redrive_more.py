"""The reasons in the plan of a redrive."""

from __future__ import annotations

from floto import ActivityTask, AtLeast, DeciderSpec, Signal, redrive
from floto.testing import fails, returns, simulate

SCORE = ActivityTask(id_="score", name="score", version="1")
BOSS = Signal(id_="boss", signal_name="boss", requires=["score"])
PAY = ActivityTask(id_="pay", name="pay", version="1", requires=["boss"])
END = ActivityTask(id_="end", name="end", version="1", requires=["pay"])


def test_task_behind_a_kept_signal_names_what_runs_again() -> None:
    spec = DeciderSpec(activity_tasks=[SCORE, BOSS, PAY, END])
    run = simulate(spec, {"boss": returns("yes"), "end": fails()})
    plan = {each.task_id: each for each in redrive(spec, run.main, rerun=["score"]).plan}
    assert plan["boss"].kept
    assert plan["pay"].reason == "requires 'boss', which waits again: only its signal is kept"


def test_task_that_runs_again_is_named_before_a_kept_signal() -> None:
    other = Signal(id_="other", signal_name="other", requires=["score"])
    pay = ActivityTask(id_="pay", name="pay", version="1", requires=["boss", "other"], join=AtLeast(1))
    spec = DeciderSpec(activity_tasks=[SCORE, BOSS, other, pay, END])
    run = simulate(spec, {"boss": returns("yes"), "other": returns("no"), "end": fails()})
    plan = {each.task_id: each for each in redrive(spec, run.main, rerun=["score", "other"]).plan}
    assert plan["pay"].reason == "requires 'other', which runs again"
