"""The tasks of a spec as nodes and arrows, with their status in a history."""

from __future__ import annotations

from attrs import frozen

from floto.core.replay.recorded_progress import recorded_progress
from floto.core.replay.task_status import TaskStatus, task_statuses
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.rules.task_rules import rules_text
from floto.core.spec.tasks import TaskCodec
from floto.core.state.attempts import attempt_count
from floto.core.state.state import EMPTY, State
from floto.core.view.arrows import Arrow, arrows, cleanup_roles


@frozen
class Node:
    """One task."""

    id: str
    kind: str
    #: None without a history.
    status: TaskStatus | None = None
    attempt: int = 0
    #: The id of the generator that returned the task, if any.
    parent: str | None = None
    #: ``on failure``, ``on cancel`` or ``on failure or cancel`` for a cleanup task; ``undo`` for an undo.
    role: str = ""
    #: The rules of the task that are not the default ones.
    rules: str = ""


@frozen
class Graph:
    """Nodes in the order of the spec, and arrows between their indices."""

    nodes: tuple[Node, ...]
    arrows: tuple[Arrow, ...]


def graph(spec: DeciderSpec, state: State | None = None, codec: TaskCodec = CODEC) -> Graph:
    """Return the graph of a spec; with the state of a run, also generated tasks and the status of each task.

    Args:
        spec: The spec.
        state: The state of a run of it, if there is one.
        codec: Decodes the specs that generators returned.
    """
    progress = recorded_progress(spec, EMPTY if state is None else state, codec)
    found = task_statuses(progress)
    tasks = [task for task, _ in found]
    roles = cleanup_roles(progress)
    parents = {task.id_: generator for generator, found in progress.offspring.items() for task in found}
    nodes = tuple(
        Node(
            task.id_,
            type(task).__name__,
            None if state is None else status,
            attempt_count(progress.state.items.get(task.key)),
            parents.get(task.id_),
            roles.get(task.id_, ""),
            rules_text(task),
        )
        for task, status in found
    )
    return Graph(nodes, tuple(arrows(tasks, parents)))
