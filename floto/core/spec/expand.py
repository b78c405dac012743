"""The spec as it stands in a run: with the tasks that finished generators returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from attrs import define, evolve, frozen

from floto.core.errors import PayloadError, PayloadsNeeded, SpecError
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import Task, TaskCodec, expands
from floto.core.state.state import State
from floto.core.swf.identifiers import shown

_Offspring = Mapping[str, tuple[Task, ...]]


@define
class GeneratorError(SpecError):
    """What one generator returned cannot be read as tasks."""

    generator: str


@frozen
class Expansion:
    """A spec with generated tasks in it, and which generator returned which."""

    spec: DeciderSpec
    offspring: _Offspring


def check_spec(spec: object) -> None:
    """Raise ``SpecError`` for what is no spec, such as its JSON."""
    if not isinstance(spec, DeciderSpec):
        problem = f"the spec must be a DeciderSpec, not {shown(spec)}"
        raise SpecError((f"{problem}; read JSON with DeciderSpec.from_json(text)",))


def expand(spec: DeciderSpec, state: State, codec: TaskCodec = CODEC) -> DeciderSpec:
    """Add what finished generators returned, right behind each, generators among it too.

    What requires a generator also requires the tasks it returned. Raises ``SpecError``
    where they cannot be read, or do not fit the rest of the spec.
    """
    check_spec(spec)
    return expansion(spec, state, codec).spec


def expansion(
    spec: DeciderSpec, state: State, codec: TaskCodec, known: _Offspring | None = None
) -> Expansion:
    """``expand``, keeping apart what was generated; ``known`` saves reading results again."""
    offspring: dict[str, tuple[Task, ...]] = {}
    tasks = list(_in_order(spec.activity_tasks, state, codec, known or {}, offspring))
    if not any(offspring.values()):
        return Expansion(spec, offspring)
    awaited = {id_ for task in tasks for id_ in task.requires if id_ in offspring}
    descendants = {id_: _descendants(id_, offspring) for id_ in awaited}
    return Expansion(evolve(spec, activity_tasks=[_held(task, descendants) for task in tasks]), offspring)


def _in_order(
    tasks: Iterable[Task],
    state: State,
    codec: TaskCodec,
    known: _Offspring,
    offspring: dict[str, tuple[Task, ...]],
) -> Iterator[Task]:
    # A stack and no recursion: generators may return generators without end.
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
        return tuple(task.generated(state.items[task.key], codec))
    except PayloadsNeeded as needed:
        what = f"the result of task {task.id_!r}"
        raise PayloadsNeeded(what, needed.reference) from None
    except (PayloadError, SpecError) as error:
        problems = error.problems if isinstance(error, SpecError) else (str(error),)
        raise GeneratorError(tuple(f"task {task.id_!r}: {each}" for each in problems), task.id_) from error


def _descendants(id_: str, offspring: _Offspring) -> dict[str, None]:
    found: dict[str, None] = {}
    waiting = [id_]
    while waiting:
        for task in offspring.get(waiting.pop(), ()):
            if task.id_ not in found:
                found[task.id_] = None
                waiting.append(task.id_)
    return found


def _held(task: Task, descendants: Mapping[str, dict[str, None]]) -> Task:
    """A task that also requires what the generators it requires have returned."""
    added: dict[str, None] = {}
    for id_ in task.requires:
        returned = descendants.get(id_, {})
        # A generated task may require its own generator; its siblings are none of its business.
        if task.id_ not in returned:
            added |= returned
    if not added:
        return task
    held: Task = evolve(cast("Any", task), requires=tuple(dict.fromkeys(task.requires) | added))
    return held
