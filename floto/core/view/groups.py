"""Groups of tasks that a picture shows as one: what one generator returned, and declared tasks alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from floto.core.spec.rules.task_rules import undo_of
from floto.core.view.tracks import TaskTrack

#: Most declared tasks alike that are shown one by one.
_ALIKE = 8


@frozen
class Group:
    """Tasks that are shown as one."""

    label: str
    tasks: tuple[str, ...]
    #: The generator that returned them; None for declared tasks.
    parent: str | None = None


def groups(tasks: Mapping[str, TaskTrack], offspring: Mapping[str, Sequence[str]]) -> tuple[Group, ...]:
    """Return the groups of a run's tasks; no task is in two of them.

    Args:
        tasks: The tasks by id.
        offspring: The ids of the tasks that each generator returned.
    """
    found = [
        Group(f"tasks of {generator}", tuple(ids), generator)
        for generator, ids in offspring.items()
        if len(ids) > 1
    ]
    generated = {id_ for ids in offspring.values() for id_ in ids}
    return (*found, *_alike(tasks, generated))


def _alike(tasks: Mapping[str, TaskTrack], generated: set[str]) -> Iterator[Group]:
    dependents: dict[str, list[str]] = {}
    for id_, track in tasks.items():
        for other in track.requires:
            dependents.setdefault(other, []).append(id_)
    undos = {id_: undo_of(track.task) for id_, track in tasks.items()}
    undone = {undo.id_: id_ for id_, undo in undos.items() if undo is not None}
    found: dict[tuple[tuple[object, ...], ...], list[str]] = {}
    for id_ in tasks:
        if id_ not in generated:
            # Undos are alike if what they undo is, too.
            both = (id_, undone[id_]) if id_ in undone else (id_,)
            found.setdefault(tuple(_likeness(tasks[each], dependents) for each in both), []).append(id_)
    for ((name, *_), *_), ids in found.items():
        if len(ids) > _ALIKE:
            yield Group(f"{len(ids):,} tasks {name}", tuple(ids))


def _likeness(track: TaskTrack, dependents: Mapping[str, Sequence[str]]) -> tuple[object, ...]:
    kind = track.kind_name
    return track.type_name or kind, kind, frozenset(track.requires), tuple(dependents.get(track.id, ()))
