"""The task list that decides each child of a spec."""

from __future__ import annotations

import pytest

from floto import ActivityTask, ChildWorkflow, DeciderSpec
from floto.core.decide.decide import decide
from floto.core.spec.nested_specs import nested, nested_tasks
from floto.core.spec.task_lists import own_list, owner_of, workflow_of
from floto.core.swf.decisions import StartChildWorkflowExecution
from tests.unit.recorder import Recorder

OWN = own_list("w")


def child(task_list: str | None, spec_list: str | None) -> ChildWorkflow:
    inner = DeciderSpec(activity_tasks=[ActivityTask(name="a", version="1")], task_list=spec_list)
    return ChildWorkflow(
        workflow_type_name="c", workflow_type_version="1", id_="c", task_list=task_list, spec=inner
    )


@pytest.mark.parametrize("task_list", [None, "of-task"])
@pytest.mark.parametrize("spec_list", [None, "of-child"])
@pytest.mark.parametrize("parent_list", [None, "of-parent"])
def test_nested_names_the_list_on_which_the_child_is_started(
    task_list: str | None, spec_list: str | None, parent_list: str | None
) -> None:
    spec = DeciderSpec(activity_tasks=[child(task_list, spec_list)], task_list=parent_list)
    history = Recorder().history
    (started,) = decide(spec, history)
    assert isinstance(started, StartChildWorkflowExecution)
    assert started.task_list is not None
    assert [name for _, name in nested(spec, "decide")] == ["decide", started.task_list.name]


def test_nested_names_the_own_list_of_a_confined_run_for_children_that_name_none() -> None:
    spec = DeciderSpec(activity_tasks=[child(None, None)], task_list="of-parent")
    assert [name for _, name in nested(spec, OWN)] == [OWN, OWN]


def test_nested_tasks_are_those_of_the_spec_and_of_its_children() -> None:
    spec = DeciderSpec(activity_tasks=[child(None, None)])
    assert [type(task) for task in nested_tasks(spec)] == [ChildWorkflow, ActivityTask]


def test_own_list_of_a_run_is_known_from_the_workflow_ids_of_its_children() -> None:
    for workflow_id in ("w", "a:b", "a/b", "x" * 300):
        task_list = own_list(workflow_id)
        for child in ("", ":child", ":child:x"):
            assert owner_of(task_list, workflow_id + child) == workflow_id
        assert owner_of(task_list, "another") is None
    assert owner_of("floto", "w") is None


def test_own_list_names_its_run_unless_it_may_have_a_hash() -> None:
    found = [workflow_of(own_list(id_)) for id_ in ("w", "a:b", "floto-b38cea8c9ca8", "x" * 300)]
    assert found == ["w", None, "floto-b38cea8c9ca8", None]
    assert workflow_of("floto") is None
