"""Edits of a spec, one function for each class: a new spec, or None where there is nothing to edit."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve

from floto import (
    CODEC,
    ActivityTask,
    ChildWorkflow,
    DeciderSpec,
    ExponentialBackoff,
    FixedDelay,
    Generator,
    InstantRetry,
    RetryStrategy,
    Task,
    Timer,
)

Edit = Callable[[DeciderSpec, random.Random], DeciderSpec | None]
_NEW = "another"


def _with(spec: DeciderSpec, tasks: Sequence[Task]) -> DeciderSpec:
    return evolve(spec, activity_tasks=tasks)


def _each(kind: type[Any], change: Callable[[Any, random.Random], Any]) -> Edit:
    """Change one task of a kind."""

    def edit(spec: DeciderSpec, chance: random.Random) -> DeciderSpec | None:
        places = [place for place, task in enumerate(spec.activity_tasks) if isinstance(task, kind)]
        if not places:
            return None
        place = chance.choice(places)
        tasks = list(spec.activity_tasks)
        tasks[place] = change(tasks[place], chance)
        return _with(spec, tasks)

    return edit


def _set(kind: type[Any], **fields: Any) -> Edit:
    return _each(kind, lambda task, _: evolve(task, **fields))


def _unset(kind: type[Any], name: str) -> Edit:
    return _each(kind, lambda task, _: evolve(task, **{name: None}))


def _retried(strategy: RetryStrategy | None) -> Edit:
    """Give all activities another strategy."""

    def edit(spec: DeciderSpec, _: random.Random) -> DeciderSpec:
        tasks: Sequence[Any] = spec.activity_tasks
        activities = (ActivityTask, ChildWorkflow)
        return _with(
            spec,
            [evolve(t, retry_strategy=strategy) if isinstance(t, activities) else t for t in tasks],
        )

    return edit


def _fresh(requires: Sequence[str] = ()) -> ActivityTask:
    return ActivityTask(name="work", version="v1", id_="added", requires=requires)


def _removed(spec: DeciderSpec, chance: random.Random) -> DeciderSpec | None:
    tasks = spec.activity_tasks
    if not tasks:
        return None
    gone = chance.choice(tasks)
    return _with(
        spec,
        [
            evolve(task, requires=[id_ for id_ in task.requires if id_ != gone.id_])  # type: ignore[misc]
            for task in tasks
            if task is not gone
        ],
    )


def _leaves(spec: DeciderSpec) -> list[str]:
    needed = {id_ for task in spec.activity_tasks for id_ in task.requires}
    return [task.id_ for task in spec.activity_tasks if task.id_ not in needed]


def _at_the_end(spec: DeciderSpec, _: random.Random) -> DeciderSpec:
    return _with(spec, [*spec.activity_tasks, _fresh(_leaves(spec))])


def _beside(spec: DeciderSpec, _: random.Random) -> DeciderSpec:
    return _with(spec, [*spec.activity_tasks, _fresh()])


def _first(spec: DeciderSpec, _: random.Random) -> DeciderSpec:
    return _with(spec, [_fresh(), *spec.activity_tasks])


def _between(make: Callable[[Sequence[str]], Task]) -> Edit:
    """Put a task between one that requires something and what it requires."""

    def edit(spec: DeciderSpec, chance: random.Random) -> DeciderSpec | None:
        places = [place for place, task in enumerate(spec.activity_tasks) if task.requires]
        if not places:
            return None
        place = chance.choice(places)
        tasks: list[Any] = list(spec.activity_tasks)
        added = make(tasks[place].requires)
        tasks[place : place + 1] = [added, evolve(tasks[place], requires=[added.id_])]
        return _with(spec, tasks)

    return edit


def _require_added(spec: DeciderSpec, chance: random.Random) -> DeciderSpec | None:
    tasks: list[Any] = list(spec.activity_tasks)
    pairs = [(a, b) for b in range(len(tasks)) for a in range(b) if tasks[a].id_ not in tasks[b].requires]
    if not pairs:
        return None
    before, after = chance.choice(pairs)
    tasks[after] = evolve(tasks[after], requires=[*tasks[after].requires, tasks[before].id_])
    return _with(spec, tasks)


def _require_removed(spec: DeciderSpec, chance: random.Random) -> DeciderSpec | None:
    places = [place for place, task in enumerate(spec.activity_tasks) if task.requires]
    if not places:
        return None
    place = chance.choice(places)
    tasks: list[Any] = list(spec.activity_tasks)
    gone = chance.choice(tasks[place].requires)
    tasks[place] = evolve(tasks[place], requires=[id_ for id_ in tasks[place].requires if id_ != gone])
    return _with(spec, tasks)


def _reversed(spec: DeciderSpec, _: random.Random) -> DeciderSpec | None:
    tasks = spec.activity_tasks
    return _with(spec, tasks[::-1]) if len(tasks) > 1 else None


def _id_changed(spec: DeciderSpec, chance: random.Random) -> DeciderSpec | None:
    tasks: Sequence[Any] = spec.activity_tasks
    if not tasks:
        return None
    old = chance.choice(tasks).id_
    ids = {old: _NEW}
    return _with(
        spec,
        [
            evolve(
                task, id_=ids.get(task.id_, task.id_), requires=[ids.get(id_, id_) for id_ in task.requires]
            )
            for task in tasks
        ],
    )


def _offspring_changed(task: Generator, _: random.Random) -> Generator:
    offspring = [*task.input["tasks"], CODEC.unstructure(ActivityTask(name="work", version="v1", id_=_NEW))]
    return evolve(task, input={"tasks": offspring})


def _as_activity(task: Generator, _: random.Random) -> ActivityTask:
    return ActivityTask(name=task.name, version=task.version, id_=task.id_, requires=task.requires)


def _child_spec(task: ChildWorkflow, _: random.Random) -> ChildWorkflow:
    return evolve(task, spec=DeciderSpec(activity_tasks=[ActivityTask(name="work", version="v1", id_=_NEW)]))


def _through_json(spec: DeciderSpec, _: random.Random) -> DeciderSpec:
    return DeciderSpec.from_json(spec.to_json())


def _requires_twice(spec: DeciderSpec, _: random.Random) -> DeciderSpec:
    tasks: Sequence[Any] = spec.activity_tasks
    return _with(spec, [evolve(task, requires=[*task.requires, *task.requires[::-1]]) for task in tasks])


EDITS: Mapping[str, Edit] = {
    "nothing but JSON": _through_json,
    "requires said twice": _requires_twice,
    "activity name": _set(ActivityTask, name=_NEW),
    "activity version": _set(ActivityTask, version="v2"),
    "input": _set(ActivityTask, input={"a": "changed"}),
    "task list": _set(ActivityTask, task_list=_NEW),
    "default task list": lambda spec, _: evolve(spec, default_activity_task_list=_NEW),
    "priority": _set(ActivityTask, task_priority=7),
    "schedule-to-start time-out": _set(ActivityTask, schedule_to_start_timeout=77),
    "start-to-close time-out": _set(ActivityTask, start_to_close_timeout=77),
    "schedule-to-close time-out": _set(ActivityTask, schedule_to_close_timeout=77),
    "heartbeat time-out": _set(ActivityTask, heartbeat_timeout=77),
    "a time-out removed": _unset(ActivityTask, "start_to_close_timeout"),
    "retries added": _retried(InstantRetry(9)),
    "retries removed": _retried(None),
    "retry delay": _retried(FixedDelay(11, 3)),
    "retry jitter": _retried(ExponentialBackoff(retries=3, initial=50, jitter=0.9)),
    "a task removed": _removed,
    "a task added at the end": _at_the_end,
    "a task added beside": _beside,
    "a task added first": _first,
    "a task put between": _between(_fresh),
    "a timer put between": _between(
        lambda requires: Timer(id_="wait", delay_in_seconds=3, requires=requires)
    ),
    "a requirement added": _require_added,
    "a requirement removed": _require_removed,
    "timer delay": _set(Timer, delay_in_seconds=77, until=None),
    "order of tasks": _reversed,
    "id of a task": _id_changed,
    "workflow id of a child": _set(ChildWorkflow, workflow_id=_NEW),
    "type of a child": _set(ChildWorkflow, workflow_type_version="v2"),
    "input of a child": _set(ChildWorkflow, input={"a": "changed"}),
    "spec of a child": _each(ChildWorkflow, _child_spec),
    "child policy": _set(ChildWorkflow, child_policy="ABANDON"),
    "time-out of a child": _set(ChildWorkflow, execution_start_to_close_timeout=7777),
    "what a generator is asked": _each(Generator, _offspring_changed),
    "a generator made an activity": _each(Generator, _as_activity),
    "repeat": lambda spec, _: evolve(spec, repeat_workflow=True) if spec.activity_tasks else None,
}
