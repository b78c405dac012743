"""The graph that tasks and their requirements make: what is wrong with it, and how it is walked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice

from attrs import frozen
from rpds import HashTrieMap

from floto.core.spec.tasks import Task, expands, is_checked, is_task
from floto.core.state.state import Key, Kind
from floto.core.swf.identifiers import id_problems, shown

#: SWF takes ids of 256 characters; the rest is for the ids of timers that wait for a retry.
ID_LIMIT = 220
#: Ids that begin like this belong to floto.
RESERVED_PREFIX = "floto."
#: Names that stand beside the ids of tasks in a context, or in the details of a failure.
RESERVED_IDS = frozenset({"workflow", "activity_task", "child_workflow_task", "decider_spec", "..."})
_STARTED_TWICE = "{} {!r} is started by several tasks"
_SHARED = {
    Kind.SIGNAL: "{} {!r} is awaited by several tasks: let one wait for it, and the others require that one"
}
#: More circles than this are not told; finding all of them takes long.
_CIRCLES = 10


@frozen(eq=False)
class Plan:
    """Tasks by position in spec order, with who waits for whom."""

    tasks: tuple[Task, ...]
    index: Mapping[str, int]
    by_key: Mapping[Key, int]
    requires: tuple[tuple[int, ...], ...]
    dependents: tuple[tuple[int, ...], ...]
    #: How many requirements each task that has some waits for at the start.
    waiting: HashTrieMap[int, int]
    generators: frozenset[int]

    @property
    def leaves(self) -> list[int]:
        """The tasks that nothing depends on."""
        return [position for position, dependents in enumerate(self.dependents) if not dependents]


def plan(tasks: Sequence[Task]) -> Plan:
    """Arrange tasks that have no ``problems``."""
    index = {task.id_: position for position, task in enumerate(tasks)}
    requires = tuple(tuple(index[id_] for id_ in dict.fromkeys(task.requires)) for task in tasks)
    dependents: list[list[int]] = [[] for _ in tasks]
    for position, needed in enumerate(requires):
        for other in needed:
            dependents[other].append(position)
    return Plan(
        tuple(tasks),
        index,
        {task.key: position for position, task in enumerate(tasks)},
        requires,
        tuple(map(tuple, dependents)),
        HashTrieMap({position: len(needed) for position, needed in enumerate(requires) if needed}),
        frozenset(position for position, task in enumerate(tasks) if expands(task)),
    )


def problems(*graphs: Sequence[Task], known: Collection[str] = ()) -> list[str]:
    """Everything that is wrong with graphs of tasks; ``known`` are further ids they may require.

    They share their ids, but tasks require only others of their own graph. The graphs behind the first are
    alternatives, of which a run takes one: the same task may be in several of them.
    """
    strange = [
        f"{shown(task)} is no task: it must be a frozen attrs class like ActivityTask"
        for task in chain.from_iterable(graphs)
        if not is_task(task)
    ]
    if strange:
        return strange
    tasks = [*graphs[0], *chain.from_iterable(_new_tasks(graphs[1:]))]
    found = [problem for task in tasks for problem in _own_problems(task)]
    if not all(isinstance(id_, str) for task in tasks for id_ in (task.id_, *task.requires)):
        # Without ids there is no graph to look at.
        return found
    found += _shared_problems(tasks)
    ids = {task.id_ for task in tasks}
    for each in graphs:
        found += _require_problems(each, ids, known)
    circles = islice(chain.from_iterable(map(_circles, graphs)), _CIRCLES)
    return found + [f"tasks require one another in a circle: {' -> '.join(circle)}" for circle in circles]


def _new_tasks(graphs: Sequence[Sequence[Task]]) -> Iterator[list[Task]]:
    """Yield the tasks of each graph that no earlier one has."""
    before: list[Task] = []
    for each in graphs:
        known = {shown(task.id_): task for task in before}  # an id that is wrong may not be hashable
        yield [task for task in each if known.get(shown(task.id_)) != task]
        before += each


def _shared_problems(tasks: Sequence[Task]) -> list[str]:
    ids = Counter(task.id_ for task in tasks)
    found = [
        f"task {id_!r} is there {times} times: an id must be unique, set id_"
        for id_, times in ids.items()
        if times > 1
    ]
    keys = Counter(task.key for task in tasks if ids[task.id_] == 1)
    found += [
        _SHARED.get(kind, _STARTED_TWICE).format(kind, id_)
        for (kind, id_), times in keys.items()
        if times > 1
    ]
    return found


def _require_problems(tasks: Sequence[Task], ids: Collection[str], known: Collection[str]) -> Iterable[str]:
    own = {task.id_ for task in tasks}
    for task in tasks:
        for id_ in dict.fromkeys(task.requires):
            if id_ in ids and id_ not in own:
                yield f"task {task.id_!r} requires {id_!r}, but tasks that clean up require only one another"
            elif id_ not in own and id_ not in known:
                yield f"task {task.id_!r} requires {id_!r}, which is not in the spec"


def _own_problems(task: Task) -> Iterable[str]:
    what = f"task {shown(task.id_)}"
    yield from id_problems(f"the id of {what}", task.id_, ID_LIMIT)
    if isinstance(task.id_, str) and (task.id_.startswith(RESERVED_PREFIX) or task.id_ in RESERVED_IDS):
        yield f"{what}: this id is reserved by floto; set another id_"
    for id_ in task.requires:
        if not isinstance(id_, str):
            yield f"{what}: requires must hold tasks or ids, not {shown(id_)}"
    if is_checked(task):
        yield from (f"{what}: {problem}" for problem in task.problems())


def _circles(tasks: Sequence[Task]) -> Iterable[list[str]]:
    needs: dict[str, dict[str, None]] = {}
    for task in tasks:
        # Of tasks with one id, each may be part of a circle.
        needs.setdefault(task.id_, {}).update(dict.fromkeys(task.requires))
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            # graphlib names a requirement before who requires it.
            yield circle[::-1]
            # Without one of its edges the next circle shows.
            needs[circle[1]].pop(circle[0], None)
        else:
            return
