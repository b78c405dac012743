"""The plan of a redrive: for each task of the old run, whether the new one keeps, skips or runs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any

from attrs import evolve, field, frozen

from floto.core.decide.child_record import with_record
from floto.core.decide.context import workflow_context
from floto.core.decide.next_step import timed_out
from floto.core.decide.progress import Progress, begin
from floto.core.decide.ruled_update import RuledUpdate
from floto.core.decide.starting import given_for
from floto.core.decide.update import unreadable
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads import payload
from floto.core.replay.decision_digest import digest_of
from floto.core.replay.recorded_decisions import recorded
from floto.core.replay.redrive.redrive_children import ChildRuns, StartingChild, starting_child
from floto.core.replay.redrive.redrive_plan import PlannedAction, PlannedTask
from floto.core.spec.rules.siblings import SiblingGroup
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import Given, Task
from floto.core.state.carried_signals import arrived_signals
from floto.core.state.failures import checkpoint_of, failure_of
from floto.core.state.redriven import Checkpoint, KeptTask, Redriven, redriven_of
from floto.core.state.state import Item, KeptItem, Kind, Origin, Status
from floto.core.swf.decisions import Decision
from floto.core.swf.events import Event, WorkflowExecutionSignaled
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import CHANGED_SIGNAL

#: For each outcome that rules decide: True if they let the task start.
_RULED: Mapping[TaskOutcome | None, bool] = {TaskOutcome.COMPLETED: True, TaskOutcome.SKIPPED: False}


@frozen
class _OldTask:
    """A task of the old run, and what the plan for the tasks that it requires means for it."""

    position: int
    task: Task
    item: Item | None
    #: The ids of those that run again, of which it needs the results.
    above: Sequence[str]
    #: Why its rules decide otherwise in the new run; empty if not.
    decides_again: str

    @property
    def id(self) -> str:
        return self.task.id_

    @property
    def closed(self) -> Event | None:
        return None if self.item is None else self.item.closed


@frozen
class Planner:
    """Plans the redrive of a run, and collects what is kept."""

    progress: Progress
    rerun: frozenset[str]
    #: Entries of the context of every task.
    shared_context: Mapping[str, Any]
    #: Generator of each generated task.
    generators: Mapping[str, str]
    run_id: str
    #: What the old run kept of one before it.
    before: Redriven | None
    runs: ChildRuns
    #: What the old run kept of attempts in one before it, by task id.
    left: Mapping[str, Checkpoint]
    #: Kept tasks by id, except signals.
    kept: dict[str, KeptTask] = field(factory=dict)
    #: Tasks that are kept, or skipped again, with everything that they require.
    clean: set[str] = field(factory=set)
    #: Signals that are kept, of tasks that wait again.
    waiting_again: set[str] = field(factory=set)
    checkpoints: list[Checkpoint] = field(factory=list)

    @classmethod
    def of(cls, progress: Progress, rerun: frozenset[str], runs: ChildRuns) -> Planner:
        """Make the planner of a run. Raises ``SpecError`` if ``rerun`` names a task that it does not have."""
        state = progress.state
        _ = state.start
        unknown = sorted(rerun - progress.plan.index.keys())
        if unknown:
            known = shown(", ".join(progress.plan.index))
            raise SpecError(tuple(f"rerun: no task {id_!r}; the tasks are {known}" for id_ in unknown))
        generators = {task.id_: id_ for id_, tasks in progress.offspring.items() for task in tasks}
        shared_context = workflow_context(state, progress.codec)
        run_id = state.execution.run_id if state.execution else ""
        before = redriven_of(state)
        left = {each.id: each for each in before.checkpoints} if before else {}
        return cls(progress, rerun, shared_context, generators, run_id, before, runs, left)

    def plan(self) -> Iterator[PlannedTask]:
        """Plan each task, and yield the plans in the order of the spec."""
        found = {}
        for position in self._in_order():
            task = self.progress.plan.tasks[position]
            generator = self.generators.get(task.id_)
            if generator is None or generator in self.kept:
                found[position] = self._planned(position, task)
        found.update(self._spared(found))
        return (found[position] for position in sorted(found))

    def _spared(self, found: Mapping[int, PlannedTask]) -> Iterator[tuple[int, PlannedTask]]:
        """Yield the tasks that run again only if too few of their siblings are kept, or only then do not."""
        for group in self.progress.groups.by_generator.values():
            if group.limits.min_successful is None or group.id not in self.kept:
                continue
            surplus, has_enough = self.progress.count_of(group).surplus, self._has_enough(group)
            for member in group.members:
                id_, action = found[member].task_id, found[member].action
                if has_enough and action is PlannedAction.RUN:
                    yield member, PlannedTask(id_, PlannedAction.SKIP, None, "enough siblings are kept")
                elif not has_enough and member in surplus:
                    yield member, PlannedTask(id_, PlannedAction.RUN, None, "never ran")

    def _has_enough(self, group: SiblingGroup) -> bool:
        kept = sum(self.progress.plan.tasks[member].id_ in self.kept for member in group.members)
        return group.limits.is_enough(kept)

    def _in_order(self) -> Iterable[int]:
        plan = self.progress.plan
        needs = {position: [*needed] for position, needed in enumerate(plan.requires)}
        for id_, generator in self.generators.items():
            needs[plan.index[id_]].append(plan.index[generator])
        return TopologicalSorter(needs).static_order()

    def _planned(self, position: int, task: Task) -> PlannedTask:
        item = self.progress.state.items.get(task.key)
        above = [id_ for id_ in self._required(position) if id_ not in self.clean]
        above = [id_ for id_ in above if not self._is_spare(id_, position)]
        old = _OldTask(position, task, item, above, "" if above else self._decides_again(position))
        return self._timed_out(old) or self._skipped(old) or self._signal(old) or self._kept_or_run(old)

    def _timed_out(self, old: _OldTask) -> PlannedTask | None:
        """Plan a task whose wait has timed out; None for other tasks."""
        limit = self.progress.plan.wait_limits.get(old.position)
        if limit is None or timed_out(old.task, limit, self.progress.state) is None:
            return None
        # A signal that arrived too late is there from the start of the new run.
        if old.closed is not None and old.id not in self.rerun:
            return self._arrived(old.task, old.closed, is_clean=False)
        return PlannedTask(old.id, PlannedAction.RUN, None, limit.message)

    def _skipped(self, old: _OldTask) -> PlannedTask | None:
        """Plan a task that is skipped again; None for other tasks."""
        if (
            self.progress.outcomes.get(old.position) is not TaskOutcome.SKIPPED
            or old.above
            or old.decides_again
        ):
            return None
        self.clean.add(old.id)
        return PlannedTask(old.id, PlannedAction.SKIP, None, "skipped by its rules")

    def _signal(self, old: _OldTask) -> PlannedTask | None:
        """Plan a signal that has arrived; None for other tasks."""
        if old.task.key[0] is not Kind.SIGNAL or old.closed is None or old.id in self.rerun:
            return None
        is_clean = not (self._ended_without_result(old) or old.above or old.decides_again)
        return self._arrived(old.task, old.closed, is_clean=is_clean)

    def _kept_or_run(self, old: _OldTask) -> PlannedTask:
        """Plan a task that is kept if nothing is in the way, and else runs again."""
        kept, reason = None, self._reason_to_run(old)
        if not reason and old.item is not None and old.closed is not None:
            kept, reason = self._kept(old.position, old.task, old.item, old.closed)
        if kept is None:
            # What is left of a task that was undone was taken back, too.
            is_anew = bool(old.above) or old.id in self.rerun or self._undo(old.position) is not None
            begins, children = ("", ()) if is_anew else self._begins(old.position, old.task, old.item)
            return PlannedTask(old.id, PlannedAction.RUN, None, reason + begins, children)
        self.kept[old.id] = kept
        self.clean.add(old.id)
        return PlannedTask(old.id, PlannedAction.KEEP, kept.origin.event_id, str(kept.origin))

    def _reason_to_run(self, old: _OldTask) -> str:
        """Return why a task runs again, whatever it would be given; empty if nothing says so."""
        ended = self._ended_without_result(old)
        if old.decides_again and (old.item is None or not ended):
            return old.decides_again
        return ended or (self._requires_again(old.above) if old.above else "")

    def _requires_again(self, above: Iterable[str]) -> str:
        """Return for which required task one runs again: a signal that is kept is named last."""
        first = min(above, key=self.waiting_again.__contains__)
        return f"requires {first!r}, which " + (
            "waits again: only its signal is kept" if first in self.waiting_again else "runs again"
        )

    def _arrived(self, task: Task, signal: Event, *, is_clean: bool) -> PlannedTask:
        """Keep a signal, also if its condition failed, or it arrived before a task that runs again."""
        if is_clean:
            self.clean.add(task.id_)
        else:
            self.waiting_again.add(task.id_)
        origin = Origin(self.run_id, signal.id, "", signal.at)
        return PlannedTask(task.id_, PlannedAction.KEEP, signal.id, str(origin))

    def _decides_again(self, position: int) -> str:
        """Return why the rules of a task that did not wait decide otherwise in the new run; empty if not.

        All that is kept has completed when the new run begins, so a condition sees more there.
        """
        progress, outcome = self.progress, self.progress.outcomes.get(position)
        group = progress.groups.of(position)
        is_surplus = group is not None and position in progress.count_of(group).surplus
        if progress.waits_for_all(position) or outcome not in _RULED or is_surplus:
            return ""
        outcomes, tasks = progress.outcomes, progress.plan.tasks
        for needed in progress.plan.requires[position]:
            outcomes = outcomes if tasks[needed].id_ in self.clean else outcomes.discard(needed)
        then = evolve(progress, outcomes=outcomes, inputs=progress.inputs.discard(position))
        is_admitted = RuledUpdate(then, progress.state).is_admitted(position, progress.state.last_event_id)
        return "" if is_admitted is _RULED[outcome] else "its rules decide again, with all that is kept"

    def _is_spare(self, id_: str, position: int) -> bool:
        """Return True if a task does not wait for one that it requires: enough of its siblings are kept."""
        groups, needed = self.progress.groups, self.progress.plan.index[id_]
        group = groups.of(needed) if groups.is_partial(needed, position) else None
        return group is not None and self._has_enough(group)

    def _required(self, position: int) -> Iterator[str]:
        plan = self.progress.plan
        yield from (plan.tasks[other].id_ for other in plan.requires[position])
        generator = self.generators.get(plan.tasks[position].id_)
        if generator is not None:
            yield generator

    def _ended_without_result(self, old: _OldTask) -> str:
        """Return why a task has no result, or none that counts; empty if it has."""
        item, position = old.item, old.position
        if item is None:
            return "no signal has arrived" if old.task.key[0] is Kind.SIGNAL else "never ran"
        if item.is_open:
            return "had not ended"
        if item.status is not Status.COMPLETED:
            return f"failed: {failure_of(item.failures[-1]).message}"
        if position in self.progress.exhausted:
            return f"failed: {self.progress.exhausted[position]}"
        if (undo := self._undo(position)) is not None:
            return f"undone by {undo.id_!r}"
        return "chosen to run again" if old.id in self.rerun else ""

    def _undo(self, position: int) -> Task | None:
        """Return the undo of a task if it has completed."""
        undo = self.progress.plan.undos.get(position)
        return undo if undo is not None and self.progress.state.is_completed(undo.key) else None

    def _kept(self, position: int, task: Task, item: Item, closed: Event) -> tuple[KeptTask | None, str]:
        """Return a completed task as kept, or None and what changed."""
        kept = item.origin if isinstance(item, KeptItem) else None
        # First: it raises PayloadsNeeded, without which each stored input would seem to have changed.
        before = self._recorded(task, item) if kept is None else kept.digest
        end = closed.at if kept is None else kept.at
        try:
            given = given_for(position, self.progress, self.shared_context)
            # What a timer waits for depends on the time; the time of its end is the same in every redrive.
            lasting = self._digest(task, evolve(given, now=end, ready_at=end))
            began = given.now if item.opened is None else item.opened.at
            now = lasting if kept else self._digest(task, evolve(given, now=began))
        except (PayloadError, SpecError) as error:
            return None, f"cannot start: {unreadable(error)}"
        if before != now:
            return None, "its declaration, input or context changed"
        origin = kept or Origin(self.run_id, closed.id, lasting, end)
        return KeptTask(task.key, origin, closed.data), ""

    def _digest(self, task: Task, given: Given) -> str:
        return self._digest_of(task, task.start(given))

    def _begins(self, position: int, task: Task, item: Item | None) -> tuple[str, tuple[PlannedTask, ...]]:
        """Keep what a task that runs again has left; return how a child begins, and what is done in it."""
        kept = self.left.get(task.id_)
        try:
            decision = task.start(given_for(position, self.progress, self.shared_context))
        except (PayloadError, SpecError):
            return "", ()
        try:
            child = starting_child(decision, self.progress)
            if child is not None and not self.progress.waits_for_all(position):
                return "; from its beginning: it did not wait for all that it requires", ()
            if child is not None:
                return self._child(task.id_, child, item, kept)
            self.checkpoints.extend(self._checkpoint(task, decision, item, kept))
        except (PayloadError, SpecError) as error:
            return f"; from its beginning: {unreadable(error)}", ()
        return "", ()

    def _child(
        self, id_: str, child: StartingChild, item: Item | None, kept: Checkpoint | None
    ) -> tuple[str, tuple[PlannedTask, ...]]:
        """Keep what completed in the last run of a child."""
        before, codec = child.before(item, kept, self.runs), self.progress.codec
        if isinstance(before, str):
            return before and f"; from its beginning: {before}", ()
        inner = Planner.of(begin(child.spec, before, codec), frozenset(), self.runs)
        plan, record = tuple(inner.plan()), inner.redriven()
        if before.closed is None and inner.before is not None:
            # The child has not begun in the old run, which only passes on what it was to keep.
            record = evolve(record, number=inner.before.number)
        if not (record.tasks or record.signals or record.checkpoints):
            return "; from its beginning: nothing in it is kept", ()
        text = payload.plain_text(record.to_json(), "what a child keeps")
        if with_record(child.decision, text, codec.payloads) is None:
            return "; from its beginning: what it keeps does not fit into its input", ()
        self.checkpoints.append(Checkpoint(id_, child.digest, text))
        return f"; goes on: {sum(each.kept for each in plan)} of {len(plan)} tasks kept", plan

    def _checkpoint(
        self, task: Task, decision: Decision | None, item: Item | None, kept: Checkpoint | None
    ) -> Iterator[Checkpoint]:
        """Yield what the last attempt at an activity left, if it would start with the same input again."""
        text = checkpoint_of(item.failures) if item is not None else ""
        if text and item is not None and item.opened is not None:
            kept = Checkpoint(task.id_, self._recorded(task, item), text)
        if kept is not None and kept.digest == self._digest_of(task, decision):
            yield kept

    def _recorded(self, task: Task, item: Item) -> str:
        """Return the digest of the decision that started an item."""
        found = None if item.opened is None else recorded(item.opened)
        return self._digest_of(task, None if found is None else found.decision)

    def _digest_of(self, task: Task, decision: Decision | None) -> str:
        # Which results a task with such a join is given depends on what had completed by then, and in the new
        # run, all that is kept has. If a result changes, its task runs again, and so does this one.
        given_some = not self.progress.waits_for_all(self.progress.plan.index[task.id_])
        return digest_of(decision, self.progress.codec, omits=task.requires if given_some else ())

    def redriven(self) -> Redriven:
        """Return what the new run keeps, after ``plan``."""
        number = 1 if self.before is None else self.before.number + 1
        tasks, signals = tuple(self.kept.values()), tuple(self._signals())
        return Redriven(tasks, signals, tuple(self.checkpoints), number, run_id=self.run_id)

    def _signals(self) -> Iterator[WorkflowExecutionSignaled]:
        """Yield the signals that need not arrive again."""
        plan = self.progress.plan
        again = {plan.tasks[plan.index[id_]].key for id_ in self.rerun}
        for signal in arrived_signals(self.progress.state):
            # The new run is started with the spec, so nothing that changed the old one's is kept.
            if (Kind.SIGNAL, signal.signal_name) not in again and signal.signal_name != CHANGED_SIGNAL:
                yield WorkflowExecutionSignaled(signal_name=signal.signal_name, input=signal.input)
