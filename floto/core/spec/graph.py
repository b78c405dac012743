"""The graph of tasks and their requirements: its problems, and its arrangement for the decider."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import chain, islice
from types import MappingProxyType

from attrs import frozen
from rpds import HashTrieMap

from floto.core.errors import SpecError
from floto.core.spec.own_members import member_problems
from floto.core.spec.rules.joins import JoinOption, JoinVerdict, Tally, verdict
from floto.core.spec.rules.sibling_limits import SiblingLimits, sibling_limits_of
from floto.core.spec.rules.task_rules import (
    DEFAULT_RULES,
    Rules,
    has_default_rules,
    rule_problems,
    rules_of,
    undo_of,
)
from floto.core.spec.rules.wait_limits import WaitLimit, wait_limit_of
from floto.core.spec.tasks import TASK_MEMBERS, Task, expands, is_task, own_problems
from floto.core.state.state import Key, Kind
from floto.core.swf.identifiers import id_problems, shown
from floto.core.swf.reserved_names import RESERVED_PREFIX

#: Maximum characters of a task id. SWF takes 256; the rest is for the ids of retry timers.
ID_LIMIT = 220
#: Names that occur beside task ids in a context, or in the details of a failure.
RESERVED_IDS = frozenset({"workflow", "activity_task", "child_workflow_task", "decider_spec", "..."})
_STARTED_TWICE = "{} {!r} is started by several tasks"
_SHARED = {
    Kind.SIGNAL: "{} {!r} is awaited by several tasks: let one wait for it, and the others require that one"
}
_NOTHING: Mapping[str, Iterable[str]] = MappingProxyType({})
#: Maximum number of reported cycles; finding all of them takes long.
_MAX_CYCLES = 10


@frozen(eq=False)
class Plan:
    """The tasks of a graph by position in spec order, with their requirements and dependents."""

    tasks: tuple[Task, ...]
    index: Mapping[str, int]
    by_key: Mapping[Key, int]
    requires: tuple[tuple[int, ...], ...]
    dependents: tuple[tuple[int, ...], ...]
    #: Least number of requirements that must be settled before a task may start, by position; in a spec
    #: without rules only of the tasks with several.
    waiting: HashTrieMap[int, int]
    generators: frozenset[int]
    #: Limits by position of the tasks that wait for a limited time.
    wait_limits: Mapping[int, WaitLimit]
    #: Limits by position of the generators that limit the tasks which they return.
    sibling_limits: Mapping[int, SiblingLimits]
    #: Rules by position of the tasks that have limits, or other rules than the default ones.
    rules: Mapping[int, Rules]
    #: Undos by position of the tasks that they undo.
    undos: Mapping[int, Task]
    #: In a cleanup: positions of the tasks that start after others in an order of floto's own.
    ordered: Collection[int]
    #: Rank of each position in a topological order; without rules, whose evaluation needs it, the position.
    rank: Sequence[int]

    @property
    def leaves(self) -> list[int]:
        """Positions of the tasks that no task depends on."""
        return [position for position, dependents in enumerate(self.dependents) if not dependents]

    def rules_at(self, position: int) -> Rules:
        """Return the rules of the task at a position."""
        return self.rules.get(position, DEFAULT_RULES)


def plan(tasks: Sequence[Task], after: Mapping[str, Iterable[str]] = _NOTHING) -> Plan:
    """Return the plan of tasks that have no ``problems``.

    Args:
        tasks: The tasks.
        after: By id of tasks that require nothing and start when others have ended, whatever came of these:
            the ids of the others.
    """
    index = {task.id_: position for position, task in enumerate(tasks)}
    needs = [after.get(task.id_) or task.requires for task in tasks] if after else [t.requires for t in tasks]
    requires = tuple(tuple(index[id_] for id_ in dict.fromkeys(needed)) for needed in needs)
    dependents: list[list[int]] = [[] for _ in tasks]
    for position, needed in enumerate(requires):
        for other in needed:
            dependents[other].append(position)
    waits = {position: limit for position, task in enumerate(tasks) if (limit := wait_limit_of(task))}
    generators = frozenset(position for position, task in enumerate(tasks) if expands(task))
    groups = {position: limits for position in generators if (limits := sibling_limits_of(tasks[position]))}
    rules = {
        position: rules_of(task)
        for position, task in enumerate(tasks)
        if position in waits or position in groups or not has_default_rules(task)
    }
    for position in map(index.__getitem__, after):
        own = rules_of(tasks[position])
        rules[position] = Rules(when=own.when, join="finished", on_error=own.on_error)
    most = 0 if rules else 1
    waiting = {position: len(needed) for position, needed in enumerate(requires) if len(needed) > most}
    for position, each in rules.items():
        needed = requires[position]
        waiting[position] = _least_settled(
            each.join, Tally(open=len(needed), grows=not generators.isdisjoint(needed))
        )
    return Plan(
        tuple(tasks),
        index,
        {task.key: position for position, task in enumerate(tasks)},
        requires,
        tuple(map(tuple, dependents)),
        HashTrieMap(waiting),
        generators,
        waits,
        groups,
        rules,
        {position: each.undo for position, each in rules.items() if each.undo is not None},
        frozenset(map(index.__getitem__, after)),
        _ranks(requires) if rules else range(len(tasks)),
    )


def _least_settled(join: JoinOption, tally: Tally) -> int:
    """Return how many tasks must be settled before a join has a verdict; 0 if its answer fails its task."""
    try:
        found = verdict(join, tally)
    except SpecError:
        return 0
    return 0 if isinstance(found, JoinVerdict) else found


def _ranks(requires: Sequence[Sequence[int]]) -> list[int]:
    ranks = [0] * len(requires)
    for rank, position in enumerate(TopologicalSorter(dict(enumerate(requires))).static_order()):
        ranks[position] = rank
    return ranks


def problems(*graphs: Sequence[Task], known: Collection[str] = (), checked: Iterable[Task] = ()) -> list[str]:
    """Return every problem of graphs of tasks.

    Ids are unique across the graphs, but a task may require only tasks of its own graph. The graphs behind
    the first are alternatives, of which a run takes one: the same task may be in several of them.

    Args:
        *graphs: The tasks of each graph.
        known: Further ids that tasks may require.
        checked: Tasks that have no problems of their own.
    """
    members = ", ".join(TASK_MEMBERS)
    not_tasks = [
        f"{shown(task)} is not a task; expected ActivityTask, ... or a frozen attrs class with {members}"
        for task in chain.from_iterable(graphs)
        if not is_task(task)
    ]
    if not_tasks:
        return not_tasks
    by_id = {task.id_: task for task in checked}
    unusable = dict.fromkeys(
        problem
        for task in chain.from_iterable(graphs)
        for each in filter(is_task, (task, undo_of(task)))
        if not _is_checked(each, by_id)
        for problem in member_problems(each)
    )
    if unusable:
        return [*unusable]
    tasks = [*graphs[0], *chain.from_iterable(_new_tasks(graphs[1:]))]
    tasks += filter(is_task, map(undo_of, tasks))
    unchecked = (task for task in tasks if not _is_checked(task, by_id))
    found = [problem for task in unchecked for problem in _own_problems(task)]
    if not all(isinstance(id_, str) for task in tasks for id_ in (task.id_, *task.requires)):
        # The graph cannot be examined without ids.
        return found
    found += _shared_problems(tasks)
    ids = {task.id_ for task in tasks}
    for each in graphs:
        found += _require_problems(each, ids, known)
    cycles = islice(chain.from_iterable(map(_cycles, filter(None, graphs))), _MAX_CYCLES)
    return found + [f"dependency cycle: {' -> '.join(cycle)}" for cycle in cycles]


def _is_checked(task: Task, checked: Mapping[str, Task]) -> bool:
    try:
        return checked.get(task.id_) is task
    except Exception:  # noqa: BLE001 - of a user's property, any; and an id that is wrong may not be hashable
        return False


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
        f"duplicate task id {id_!r} ({times} tasks); set id_ to make it unique"
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
                yield f"task {task.id_!r} requires {id_!r}, but cleanup tasks may require only one another"
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
    yield from (f"{what}: {problem}" for problem in rule_problems(task))
    yield from (f"{what}: {problem}" for problem in own_problems(task))


def _cycles(tasks: Sequence[Task]) -> Iterable[list[str]]:
    needs: dict[str, dict[str, None]] = {}
    for task in tasks:
        # Each of several tasks with the same id may be part of a cycle.
        needs.setdefault(task.id_, {}).update(dict.fromkeys(task.requires))
    while True:
        try:
            TopologicalSorter(needs).prepare()
        except CycleError as error:
            cycle: list[str] = error.args[1]
            # graphlib lists a requirement before its dependent.
            yield cycle[::-1]
            # Remove one of its edges to find the next cycle.
            needs[cycle[1]].pop(cycle[0], None)
        else:
            return
