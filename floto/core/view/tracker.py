"""The status and the conditions of every task after every event, computed incrementally.

The rules are those of ``floto.core.replay.task_conditions``. An event changes few items, so only the tasks
are examined whose status or conditions may have changed: those of the changed items and of their retry
timers, the tasks whose last requirement completed, those behind a failed task, and all of a graph when the
phase of the run or the plan changes. What all tasks of one status share (the decision task, say) is one
track.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from floto.core.decide.phase import RunPhase, phase
from floto.core.decide.progress import Progress, advanced, positions_of
from floto.core.replay.task_conditions import (
    TaskReasons,
    due_conditions,
    ending_conditions,
    shared_conditions,
)
from floto.core.replay.task_status import FAILURES, TaskGraph, TaskStatus, cleanups, retried_task, task_graphs
from floto.core.replay.why_waiting import SiblingCause, sibling_conditions, sibling_of
from floto.core.state.fold import trace
from floto.core.state.state import Item, Key, Kind, State
from floto.core.swf.events import Event
from floto.core.view.cleanup_tracker import advanced_cleanup
from floto.core.view.tracks import NO_OUTCOME, NO_REASON, Board, Shared, TaskEnd, TaskTrack, Why

ENDING: Shared = ("ending", 0)
_Told = tuple[TaskStatus, Why, TaskEnd]


class RetryTimers:
    """The open retry timers by task id."""

    def __init__(self) -> None:
        self.found: dict[str, Item] = {}

    def update(self, state: State, changed: Iterable[Key]) -> list[str]:
        """Look at changed items; return the ids of the tasks whose timer opened or ended."""
        ids: list[str] = []
        for key in changed:
            item = state.items.get(key)
            id_ = None if item is None else retried_task(item)
            if item is None or id_ is None:
                continue
            ids.append(id_)
            if item.is_open:
                self.found[id_] = item
            elif id_ in self.found and self.found[id_].key == key:
                del self.found[id_]
        return ids


class Tracker:
    """Follows a run of a spec event by event.

    Args:
        progress: The progress of the run before its first event.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.board = Board()
        self._timers = RetryTimers()
        self._cleaning = cleanups(progress)
        self._graphs: tuple[TaskGraph, ...] = ()
        self.phase: RunPhase | None = None
        #: For each graph: the status, conditions and outcome of its tasks by position.
        self._told: list[dict[int, _Told]] = [{}, {}, {}]

    def observe(self, event: Event) -> None:
        """Follow the next event. Raises ``HistoryError`` and ``SpecError`` as ``Progress.observe`` does."""
        before = self.progress
        state, changed = trace((event,), before.state)
        self.progress = now = advanced(before, state, changed)
        self._timers.update(state, changed)
        was, self.phase = self.phase, phase(now)
        moved = was is not self.phase
        if moved or changed or before.exhausted is not now.exhausted:
            self._look(event.id, changed, moved=moved)
        self._share(event.id)

    def _look(self, event_id: int, changed: Collection[Key], *, moved: bool) -> None:
        """Examine the tasks that may have changed."""
        graphs, self._graphs = self._graphs, ()
        if moved:
            # The tasks of a cleanup are given the failures of the run.
            self._cleaning = cleanups(self.progress)
        else:
            has_begun = self.phase not in {RunPhase.RUNNING, RunPhase.COMPLETING}
            self._cleaning = tuple(
                advanced_cleanup(each, self.progress, changed, has_begun=has_begun) for each in self._cleaning
            )
        self._graphs = task_graphs(self.progress, self._cleaning, graphs)
        doubles: dict[str, None] = {}
        for number, graph in enumerate(self._graphs):
            old = graphs[number] if graphs else None
            for position in _changed(old, graph, changed, moved=moved):
                id_ = self._examine(event_id, number, position)
                if self._is_double(id_):
                    doubles[id_] = None
            self._name(event_id, graph, changed)
            if graph.stopping and (old is None or graph.stopping is not old.stopping):
                waits = shared_conditions(graph, TaskStatus.WAITING, Kind.ACTIVITY, ())
                self.board.share(event_id, ("stopping", number), waits)
        for id_ in doubles:
            self._set(event_id, id_, self._combined(id_))
        if graphs and graphs[0].progress.plan is not self._graphs[0].progress.plan:
            self._drop(event_id, graphs)

    def _name(self, event_id: int, graph: TaskGraph, changed: Iterable[Key]) -> None:
        if event_id > 1:
            for position in positions_of(changed, graph.progress.plan):
                self.board.subjects.setdefault(event_id, graph.progress.plan.tasks[position].id_)

    def _examine(self, event_id: int, number: int, position: int) -> str:
        graph = self._graphs[number]
        task = graph.progress.plan.tasks[position]
        told = self._told[number][position] = self._tell(number, position)
        if not self._is_double(task.id_):
            self._set(event_id, task.id_, told)
        return task.id_

    def _is_double(self, id_: str) -> bool:
        """Return True for a task of both cleanups."""
        return all(id_ in graph.progress.plan.index for graph in self._graphs[1:])

    def _tell(self, number: int, position: int) -> _Told:
        graph = self._graphs[number]
        task = graph.progress.plan.tasks[position]
        reasons, status = (
            TaskReasons(graph, position, self._timers.found.get(task.id_)),
            graph.status(position),
        )
        shared = () if graph.is_ruled_out(position) else _shared_by(graph, number, status, task.key[0])
        sibling = sibling_of(graph, position, status)
        shared += () if sibling is None else (sibling,)
        outcome = NO_OUTCOME
        if status in FAILURES:
            outcome = TaskEnd(message=reasons.result(status))
        elif status is TaskStatus.DONE:
            outcome = TaskEnd(item=reasons.item, over=reasons.timed_out_limit)
        # The conditions of a task that waits for many others change with each of these. The order of undos,
        # which no task declares, changes with what has completed; and once enough siblings have, the others
        # are not waited for.
        is_listed = graph.progress.undone or graph.progress.has_enough_for(position)
        if status is TaskStatus.WAITING and graph.progress.requirements_left(position) and not is_listed:
            return status, Why(tuple(reasons.counted()), shared, by_requirements=True), outcome
        own = tuple(reasons.own(status))
        return status, Why(own, shared) if own or shared else NO_REASON, outcome

    def _combined(self, id_: str) -> _Told:
        """Return a task that cleans up after a failure and after a cancel request, whichever occurs."""
        found: list[_Told] = []
        for graph, told in zip(self._graphs, self._told, strict=True):
            position = graph.progress.plan.index.get(id_)
            if position is not None:
                found.append(told[position])
        status = next(
            (each[0] for each in reversed(found) if each[0] is not TaskStatus.RESERVED), found[0][0]
        )
        alike = [each for each in found if each[0] is status]
        whys = [each[1] for each in alike]
        why = Why(
            tuple(dict.fromkeys(condition for each in whys for condition in each.own)),
            tuple(dict.fromkeys(name for each in whys for name in each.shared)),
            by_requirements=any(each.by_requirements for each in whys),
        )
        return status, why, alike[-1][2]

    def _set(self, event_id: int, id_: str, told: _Told) -> None:
        track = self.board.tasks.get(id_) or self._begin(id_)
        self.board.set(event_id, track, *told)

    def _begin(self, id_: str) -> TaskTrack:
        plans = [graph.progress.plan for graph in self._graphs]
        task = next(plan.tasks[plan.index[id_]] for plan in plans if id_ in plan.index)
        name = next((str(found) for each in _TYPES if (found := getattr(task, each, None))), "")
        if id_ not in plans[0].index:
            self.board.apart.add(id_)
        requires = tuple(dict.fromkeys(task.requires))
        return TaskTrack(id_, task.key, task, requires=requires, type_name=name)

    def _drop(self, event_id: int, before: Iterable[TaskGraph]) -> None:
        """Note the tasks that a generator no longer returns, and what others require now."""
        was, now = (
            {id_ for graph in graphs for id_ in graph.progress.plan.index}
            for graphs in (before, self._graphs)
        )
        for id_ in was - now:
            self.board.set(event_id, self.board.tasks[id_], None, NO_REASON, NO_OUTCOME)
        for task in self._graphs[0].progress.plan.tasks:
            self.board.tasks[task.id_].requires = tuple(dict.fromkeys(task.requires))

    def _share(self, event_id: int) -> None:
        """Follow what several tasks have in common, as far as there are such tasks."""
        graph, share = self._graphs[0], self.board.share
        for kind, ids in self.board.groups.get(TaskStatus.DUE, {}).items():
            if ids:
                share(event_id, ("due", kind), due_conditions(self.progress.state, kind))
        for generator in graph.progress.groups.by_generator:
            for cause in SiblingCause:
                share(event_id, (cause, generator), sibling_conditions(graph, (cause, generator)))
        if graph.is_ending:
            share(event_id, ENDING, ending_conditions(self.progress))


#: The fields of tasks that name the type of what they start.
_TYPES = ("name", "workflow_type_name")


def _shared_by(graph: TaskGraph, number: int, status: TaskStatus, kind: Kind) -> tuple[Shared, ...]:
    """Return the names of the tracks whose conditions a task has, too."""
    if status is TaskStatus.WAITING and graph.stopping:
        return (("stopping", number),)
    if status is TaskStatus.DUE:
        return (("due", kind),)
    return (ENDING,) if status is TaskStatus.SKIPPED and graph.is_ending else ()


def _changed(
    before: TaskGraph | None,
    now: TaskGraph,
    keys: Iterable[Key],
    *,
    moved: bool,
) -> Iterable[int]:
    """Return the positions of the tasks whose status or conditions may have changed."""
    progress = now.progress
    plan = progress.plan
    if (
        before is None
        or moved
        or progress.offspring is not before.progress.offspring
        or now.stopping != before.stopping
    ):
        return range(len(plan.tasks))
    found = positions_of(keys, plan)
    found |= set(_behind(found, before, now))
    found |= now.admitted ^ before.admitted
    if now.blocked is not before.blocked:
        others = {
            position
            for position in now.blocked.keys() | before.blocked.keys()
            if now.blocked.get(position) != before.blocked.get(position)
        }
        found.update(other for position in others for other in plan.dependents[position])
    return found


def _behind(positions: Iterable[int], before: TaskGraph, now: TaskGraph) -> Iterator[int]:
    """Yield the tasks that may start or be skipped because a requirement was settled."""
    progress, todo = now.progress, list(positions)
    while todo:
        position = todo.pop()
        if progress.outcomes.get(position) is before.progress.outcomes.get(position):
            continue
        for dependent in progress.plan.dependents[position]:
            if progress.plan.rules or position in now.blocked or not progress.requirements_left(dependent):
                yield dependent
                todo.append(dependent)
