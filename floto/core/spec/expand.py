"""The expanded spec of a run: with the tasks that completed generators returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from attrs import define, evolve, frozen

from floto.core.errors import PayloadError, PayloadsNeeded, SpecError
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec, changed
from floto.core.spec.rules.sibling_limits import returned_problems, sibling_limits_of
from floto.core.spec.tasks import Task, TaskCodec, expands, returned_tasks
from floto.core.state.state import State

_Offspring = Mapping[str, tuple[Task, ...]]


@define
class GeneratorError(SpecError):
    """The result of one generator cannot be read as tasks."""

    generator: str


@frozen
class Expansion:
    """A spec with its generated tasks, and the tasks of each generator by its id."""

    spec: DeciderSpec
    offspring: _Offspring


def expand(spec: DeciderSpec, state: State, codec: TaskCodec = CODEC) -> DeciderSpec:
    """Return a spec with the tasks that completed generators returned, each behind its generator.

    Tasks that require a generator also require the tasks that it returned.

    Args:
        spec: The spec of the run.
        state: The state of the run.
        codec: Reads the generated tasks.

    Raises:
        SpecError: if ``spec`` is not a spec, or generated tasks cannot be read or do not fit it.
        PayloadsNeeded: if generated tasks are stored and ``codec`` has no store.
        PayloadsUnavailable: while the store cannot be reached.
    """
    as_spec(spec, "the spec")
    return expansion(spec, state, codec).spec


def expansion(
    spec: DeciderSpec, state: State, codec: TaskCodec, known: _Offspring | None = None
) -> Expansion:
    """Return the expanded spec and its generated tasks; ``known`` are those that were read before."""
    offspring: dict[str, tuple[Task, ...]] = {}
    tasks = list(_in_order(spec.activity_tasks, state, codec, known or {}, offspring))
    if not any(offspring.values()):
        return Expansion(spec, offspring)
    awaited = {id_ for task in tasks for id_ in task.requires if id_ in offspring}
    descendants = {id_: _descendants(id_, offspring) for id_ in awaited}
    grown = tuple(_with_generated(task, descendants) for task in tasks)
    return Expansion(changed(spec, activity_tasks=grown), offspring)


def _in_order(
    tasks: Iterable[Task],
    state: State,
    codec: TaskCodec,
    known: _Offspring,
    offspring: dict[str, tuple[Task, ...]],
) -> Iterator[Task]:
    # Use a stack instead of recursion: generators may return generators to any depth.
    levels = [iter(tasks)]
    while levels:
        task = next(levels[-1], None)
        if task is None:
            levels.pop()
            continue
        yield task
        if expands(task) and task.id_ not in offspring and state.is_completed(task.key):
            offspring[task.id_] = known.get(task.id_) or _generated(task, state, codec)
            levels.append(iter(offspring[task.id_]))


def _generated(task: Task, state: State, codec: TaskCodec) -> tuple[Task, ...]:
    if not expands(task):
        return ()
    try:
        tasks = returned_tasks(task, state.items[task.key], codec)
    except PayloadsNeeded as needed:
        what = f"the result of task {task.id_!r}"
        raise PayloadsNeeded(what, needed.reference) from None
    except (PayloadError, SpecError) as error:
        problems = error.problems if isinstance(error, SpecError) else (str(error),)
        raise GeneratorError(tuple(f"task {task.id_!r}: {each}" for each in problems), task.id_) from error
    found = returned_problems(sibling_limits_of(task), len(tasks), has_generators=any(map(expands, tasks)))
    if problems := tuple(f"task {task.id_!r}: {each}" for each in found):
        raise GeneratorError(problems, task.id_)
    return tasks


def _descendants(id_: str, offspring: _Offspring) -> dict[str, None]:
    found: dict[str, None] = {}
    waiting = [id_]
    while waiting:
        for task in offspring.get(waiting.pop(), ()):
            if task.id_ not in found:
                found[task.id_] = None
                waiting.append(task.id_)
    return found


def _with_generated(task: Task, descendants: Mapping[str, dict[str, None]]) -> Task:
    """Return a task that also requires the tasks which its required generators returned."""
    added: dict[str, None] = {}
    for id_ in task.requires:
        returned = descendants.get(id_, {})
        # A generated task may require its own generator without requiring its siblings.
        if task.id_ not in returned:
            added |= returned
    if not added:
        return task
    extended: Task = evolve(cast("Any", task), requires=tuple(dict.fromkeys(task.requires) | added))
    return extended
