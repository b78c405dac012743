"""The spec of a run, expanded: a second reading of what generators returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from attrs import evolve, frozen

from floto.core.errors import PayloadError, SpecError
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.rules.sibling_limits import sibling_limits_of
from floto.core.spec.tasks import Task, TaskCodec, expands, returned_tasks
from floto.testing.reading.oracle import HistorySummary


@frozen
class ExpandedSpec:
    """A spec with its generated tasks."""

    spec: DeciderSpec
    #: The tasks that each completed generator returned.
    returned: Mapping[str, tuple[Task, ...]]
    #: Why generators cannot be expanded, by their ids; ``spec`` is the declared one then.
    broken: Mapping[str, str]


@frozen
class _UnreadableError(Exception):
    task_id: str
    problems: tuple[str, ...]


def expand_spec(spec: DeciderSpec, summary: HistorySummary, codec: TaskCodec) -> ExpandedSpec:
    """Add the tasks that completed generators returned, each right behind its generator."""
    returned: dict[str, tuple[Task, ...]] = {}
    try:
        tasks = list(_with_offspring(spec.activity_tasks, summary, codec, returned))
        grown = evolve(spec, activity_tasks=[_held(task, returned) for task in tasks])
    except _UnreadableError as error:
        text = str(SpecError(tuple(f"task {error.task_id!r}: {each}" for each in error.problems)))
        return _broken(spec, summary, text, error.task_id)
    except SpecError as error:
        return _broken(spec, summary, str(error), None)
    return ExpandedSpec(grown if any(returned.values()) else spec, returned, {})


def _with_offspring(
    tasks: Iterable[Task], summary: HistorySummary, codec: TaskCodec, returned: dict[str, tuple[Task, ...]]
) -> Iterator[Task]:
    for task in tasks:
        yield task
        if expands(task) and task.id_ not in returned and summary.completed(task.key):
            try:
                returned[task.id_] = returned_tasks(task, summary.item(task.key), codec)
            except (PayloadError, SpecError) as error:
                problems = error.problems if isinstance(error, SpecError) else (str(error),)
                raise _UnreadableError(task.id_, problems) from error
            if too_few := tuple(_too_few(task, returned[task.id_])):
                raise _UnreadableError(task.id_, too_few)
            yield from _with_offspring(returned[task.id_], summary, codec, returned)


def _too_few(task: Task, returned: Sequence[Task]) -> Iterator[str]:
    """Yield why the tasks of a generator cannot be as many as must complete."""
    limits = sibling_limits_of(task)
    least = None if limits is None else limits.min_successful
    if least is not None and len(returned) < least:
        yield f"the number of tasks that it returned is {len(returned)}, min_successful is {least}"
    if least is not None and [each for each in returned if expands(each)]:
        yield "it returned a generator, which min_successful does not permit"


def _held(task: Task, returned: Mapping[str, tuple[Task, ...]]) -> Task:
    """Let a task that requires a generator also require all its descendants, unless it is one itself."""
    requires = dict.fromkeys(task.requires)
    for id_ in task.requires:
        offspring = descendants(id_, returned)
        if task.id_ not in offspring:
            requires |= dict.fromkeys(offspring)
    if len(requires) == len(dict.fromkeys(task.requires)):
        return task
    return cast("Task", evolve(cast("Any", task), requires=tuple(requires)))


def descendants(id_: str, returned: Mapping[str, tuple[Task, ...]]) -> list[str]:
    """Return the ids of all tasks that a generator returned, directly or through other generators."""
    found: dict[str, None] = {}
    waiting = [id_]
    while waiting:
        for task in returned.get(waiting.pop(), ()):
            if task.id_ not in found:
                found[task.id_] = None
                waiting.append(task.id_)
    return list(found)


def _broken(spec: DeciderSpec, summary: HistorySummary, text: str, task_id: str | None) -> ExpandedSpec:
    finished = [task.id_ for task in spec.activity_tasks if expands(task) and summary.completed(task.key)]
    blamed = (
        [task_id] if task_id is not None and task_id in {t.id_ for t in spec.activity_tasks} else finished
    )
    return ExpandedSpec(spec, {}, dict.fromkeys(blamed, f"returned tasks that do not fit the spec: {text}"))
