"""Children that could never start are violations that name the task."""

from __future__ import annotations

import pytest

from floto import ActivityTask, ChildWorkflow, DeciderSpec
from floto.testing import MinimizedViolation, check


def child(id_: str, *tasks: ActivityTask | ChildWorkflow) -> ChildWorkflow:
    return ChildWorkflow(
        id_=id_,
        workflow_type_name="kid",
        workflow_type_version="1",
        workflow_id="same",
        spec=DeciderSpec(activity_tasks=tasks),
    )


def test_child_with_the_workflow_id_of_its_own_run_is_a_violation() -> None:
    nested = child("outer", child("inner", ActivityTask(id_="a", name="work", version="1")))
    with pytest.raises(MinimizedViolation, match="task 'inner' has the workflow id of its own run, 'same'"):
        check(DeciderSpec(activity_tasks=[nested]), max_examples=10)
