"""Redrives of runs whose generators limit the tasks that they returned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from floto import DeciderSpec, Generator, decide, fold, redrive
from floto.core.replay.redrive.redrive_plan import PlannedAction
from floto.core.swf.history import History
from floto.testing import fails, simulate
from tests.unit.recorder import Recorder, spec, starts, task

MEMBERS = [task(f"m{number}") for number in range(4)]


def limited(**limits: Any) -> DeciderSpec:
    many = Generator(name="g", version="v", id_="g", **limits)
    return spec(many, task("behind", "g"), task("last", "behind"))


def run(own: DeciderSpec, *failing: str) -> History:
    """The history of a run in which these tasks fail."""
    outcomes: dict[str, Any] = {"g": lambda: MEMBERS, **{id_: fails(1) for id_ in failing}}
    simulation = simulate(own, activities=outcomes)
    assert simulation.status == "FAILED"
    return simulation.main


def planned(own: DeciderSpec, history: History, **more: Any) -> dict[str, PlannedAction]:
    return {each.task_id: each.action for each in redrive(own, history, **more).plan}


def begun(own: DeciderSpec, history: History, **more: Any) -> list[str]:
    """The tasks that the first decision of the new run starts."""
    record = Recorder()
    record.data[0] = record.data[0].__class__(
        child_policy="TERMINATE",
        task_list=fold(history).start.task_list,
        workflow_type=fold(history).start.workflow_type,
        input=redrive(own, history, **more).start.input,
        execution_start_to_close_timeout="100",
    )
    return sorted(starts(decide(own, record.history)))


def ids(plan: Mapping[str, PlannedAction], action: PlannedAction) -> list[str]:
    return [id_ for id_, each in plan.items() if each is action]


def test_tolerated_failures_run_again_and_what_completed_is_kept() -> None:
    own = limited(tolerated_failures=1)
    history = run(own, "m2", "m3")
    assert ids(planned(own, history), PlannedAction.KEEP) == ["g", "m0", "m1"]
    assert begun(own, history) == ["m2", "m3"]


def test_siblings_that_are_not_needed_are_not_run_again() -> None:
    own = limited(min_successful=2, max_in_flight=1)
    history = run(own, "last")
    plan = planned(own, history)
    assert ids(plan, PlannedAction.SKIP) == ["m2", "m3"]
    assert plan["behind"] is PlannedAction.KEEP
    assert begun(own, history) == ["last"]


def test_failed_sibling_that_is_not_needed_does_not_run_again() -> None:
    own = limited(min_successful=2)
    history = run(own, "m2", "last")
    plan = planned(own, history)
    assert (plan["behind"], plan["m2"]) == (PlannedAction.KEEP, PlannedAction.SKIP)
    assert begun(own, history) == ["last"]


def test_siblings_that_were_not_needed_run_where_one_that_completed_is_to_run_again() -> None:
    own = limited(min_successful=2, max_in_flight=1)
    history = run(own, "last")
    plan = planned(own, history, rerun=["m1"])
    assert ids(plan, PlannedAction.RUN) == ["m1", "m2", "m3", "behind", "last"]
    assert begun(own, history, rerun=["m1"]) == ["m1"]
