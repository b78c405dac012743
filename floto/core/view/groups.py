"""Groups of tasks that a picture shows as one: what one generator returned, and declared tasks alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

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
    found: dict[tuple[object, ...], list[str]] = {}
    for id_, track in tasks.items():
        if id_ not in generated:
            key = (
                track.type_name or track.kind_name,
                track.kind_name,
                frozenset(track.requires),
                tuple(dependents.get(id_, ())),
            )
            found.setdefault(key, []).append(id_)
    for (name, *_), ids in found.items():
        if len(ids) > _ALIKE:
            yield Group(f"{len(ids):,} tasks {name}", tuple(ids))
