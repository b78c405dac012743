"""Tasks that a picture shows as one."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from floto import ActivityTask, DeciderSpec, Generator, Task, Timer, view
from floto.core.view.groups import Group
from floto.testing import simulate

FIRST = ActivityTask(id_="first", name="first", version="v1")


def many(count: int, name: str = "work") -> list[ActivityTask]:
    return [
        ActivityTask(id_=f"{name} {number}", name=name, version="v1", requires=["first"])
        for number in range(count)
    ]


def groups(*tasks: Task, **activities: Any) -> tuple[Group, ...]:
    spec = DeciderSpec(activity_tasks=tasks)
    return view(simulate(spec, activities).main, spec).groups


def test_nine_declared_tasks_alike_are_a_group_and_eight_are_not() -> None:
    ids = tuple(f"work {number}" for number in range(9))
    assert groups(FIRST, *many(9)) == (Group("9 tasks work", ids),)
    assert groups(FIRST, *many(8)) == ()


def test_tasks_of_other_types_requirements_or_dependents_are_not_alike() -> None:
    assert groups(FIRST, *many(5), *many(5, "other")) == ()
    half = [Timer(id_=f"t{number}", delay_in_seconds=1, requires=[f"work {number}"]) for number in range(5)]
    assert groups(FIRST, *many(10), *half) == ()


def test_what_a_generator_returned_is_a_group() -> None:
    split = Generator(id_="split", name="split", version="v1")
    parts = [ActivityTask(id_=f"p{number}", name="part", version="v1") for number in range(2)]
    assert groups(split, split=lambda *_: parts) == (Group("tasks of split", ("p0", "p1"), "split"),)
    assert groups(split, split=lambda *_: parts[:1]) == ()


def test_without_a_spec_activities_of_one_type_are_a_group() -> None:
    spec = DeciderSpec(activity_tasks=[evolve(each, requires=()) for each in many(9) + many(5, "other")])
    found = view(simulate(spec).main).groups
    assert [(group.label, len(group.tasks)) for group in found] == [("9 tasks work", 9)]


def test_undos_of_tasks_alike_are_a_group_beside_that_of_the_tasks() -> None:
    undos = [ActivityTask(id_=f"undo {number}", name="work", version="v1") for number in range(9)]
    tasks = [evolve(task, undo=undo) for task, undo in zip(many(9), undos, strict=True)]
    found = groups(FIRST, *tasks)
    assert [group.tasks for group in found] == [
        tuple(task.id_ for task in tasks),
        tuple(undo.id_ for undo in undos),
    ]
