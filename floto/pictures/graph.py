"""The tasks of a spec as nodes and arrows, each in the state a history leaves it in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.expand import expansion
from floto.core.spec.tasks import Task, TaskCodec
from floto.core.state.state import EMPTY, State
from floto.pictures.task_status import rows


@frozen
class Node:
    """One task."""

    id: str
    kind: str
    #: As ``floto run`` shows it; None where there is no history.
    state: str | None = None
    attempt: int = 0
    #: The generator that returned it, if any.
    parent: str | None = None
    #: What it cleans up after: ``on failure``, ``on cancel`` or ``on failure or cancel``.
    role: str = ""


@frozen
class Arrow:
    """From a task to one that waits for it, or from a generator to what it returned."""

    start: int
    end: int
    generated: bool = False


@frozen
class Graph:
    """Nodes in spec order, and arrows between their positions."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def graph(spec: DeciderSpec, state: State | None = None, codec: TaskCodec = CODEC) -> Graph:
    """The graph of a spec, with generated tasks and states where there is a run to take them from."""
    grown = expansion(spec, EMPTY if state is None else state, codec)
    tasks = grown.spec.all_tasks
    roles = {task.id_: "on failure" for task in spec.on_failure}
    roles |= {
        task.id_: "on failure or cancel" if task.id_ in roles else "on cancel" for task in spec.on_cancel
    }
    parents = {task.id_: generator for generator, found in grown.offspring.items() for task in found}
    standing = rows(tasks, state or EMPTY)
    nodes = tuple(
        Node(
            task.id_,
            type(task).__name__,
            None if state is None else row.state,
            row.attempt,
            parents.get(task.id_),
            roles.get(task.id_, ""),
        )
        for task, row in zip(tasks, standing, strict=True)
    )
    return Graph(nodes, tuple(_arrows(tasks, parents)))


def _arrows(tasks: Sequence[Task], parents: Mapping[str, str]) -> Iterator[Arrow]:
    position = {task.id_: number for number, task in enumerate(tasks)}
    generated: dict[str, set[str]] = {}
    for id_, generator in parents.items():
        generated.setdefault(generator, set()).add(id_)
    for number, task in enumerate(tasks):
        parent = parents.get(task.id_)
        if parent is not None:
            yield Arrow(position[parent], number, generated=True)
        needed = set(task.requires)
        for id_ in dict.fromkeys(task.requires):
            # The way through what a generator returned says it all.
            if id_ != parent and not generated.get(id_, set()) & needed:
                yield Arrow(position[id_], number)
