"""The progress of a run: which tasks are settled, and which need a decision.

``begin`` examines every task; ``observe`` is the incremental update, which examines the tasks whose items
changed. Both run the same function over different tasks, and their results are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha1
from types import MappingProxyType
from typing import Any, TypeVar, cast

from attrs import field, frozen
from rpds import HashTrieMap

from floto.core.decide.context import workflow_context
from floto.core.decide.next_step import Step, task_of_timer, timed_out
from floto.core.decide.ruled_update import RuledUpdate, last_event_of
from floto.core.decide.update import Update
from floto.core.errors import SpecError
from floto.core.payloads.stored import read_result
from floto.core.quick_init import maker, quick_init
from floto.core.spec import graph
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.spec.expand import Expansion, GeneratorError, expansion
from floto.core.spec.rules.joins import counts_results
from floto.core.spec.rules.siblings import (
    NO_GROUPS,
    NOTHING_SETTLED,
    SiblingCount,
    SiblingGroup,
    SiblingGroups,
    groups_of,
)
from floto.core.spec.rules.task_rules import TaskOutcome
from floto.core.spec.tasks import NO_RESULT, Task, TaskCodec
from floto.core.state.fold import state_of, trace
from floto.core.state.state import EMPTY, Key, Kind, State
from floto.core.swf.events import Event
from floto.core.swf.history import History

T = TypeVar("T")
_COMPLETED, _TIMER = TaskOutcome.COMPLETED, Kind.TIMER
_NO_MESSAGES: HashTrieMap[int, str] = HashTrieMap()
_NO_STEPS: Mapping[int, Step] = MappingProxyType({})
_NO_OUTCOMES: HashTrieMap[int, TaskOutcome] = HashTrieMap()
_NO_INPUTS: HashTrieMap[int, tuple[int, ...]] = HashTrieMap()
_NO_COUNTS: HashTrieMap[int, SiblingCount] = HashTrieMap()
_NO_TIMES: HashTrieMap[int, datetime] = HashTrieMap()
_NOTHING_JOINED: Mapping[int, Event] = MappingProxyType({})
_NOTHING_UNDONE: Mapping[int, tuple[Progress, int]] = MappingProxyType({})


@quick_init
@frozen(weakref_slot=False)
class Progress:
    """The state of a run of a spec, and the tasks that need a decision; immutable.

    ``floto.begin`` creates it, ``observe`` returns an updated one, and ``floto.decide`` decides from it.
    """

    spec: DeciderSpec
    codec: TaskCodec = field(eq=False)
    state: State
    #: The graph, including the tasks that completed generators returned.
    plan: graph.Plan = field(eq=False)
    offspring: Mapping[str, tuple[Task, ...]]
    #: Entries of the context of every task, beside the workflow's input.
    extra_context: Mapping[str, Any] = field(eq=False)
    #: Seed of the jitter; differs between runs.
    seed: str
    #: See ``requirements_left``, by position; without rules, only of tasks with several requirements.
    waiting: HashTrieMap[int, int]
    #: The decision that each ready task needs, by position. A dict, because each decision goes through all of
    #: them, which takes ten times as long with a persistent map.
    steps: Mapping[int, Step] = _NO_STEPS
    #: The outcome of each settled task, by position.
    outcomes: HashTrieMap[int, TaskOutcome] = _NO_OUTCOMES
    #: Message of each task that has failed and fails the run, by position.
    exhausted: HashTrieMap[int, str] = _NO_MESSAGES
    #: Message of each task that has failed and lets the run continue, by position.
    continued: HashTrieMap[int, str] = _NO_MESSAGES
    #: In a spec with rules: by position of each task whose join is met, the requirements that had completed.
    inputs: HashTrieMap[int, tuple[int, ...]] = _NO_INPUTS
    #: In a spec with rules: time at which each task was settled whose item does not say it, by position.
    ends: HashTrieMap[int, datetime] = _NO_TIMES
    #: In a cleanup: by position of each undo, the progress of the run and the position of what it undoes.
    undone: Mapping[int, tuple[Progress, int]] = field(eq=False, default=_NOTHING_UNDONE)
    #: In a spec with rules: the event by which each generated task joined the spec, by position.
    joined: Mapping[int, Event] = field(eq=False, default=_NOTHING_JOINED)
    #: The tasks of completed generators with limits, and how many of them are settled, by generator.
    groups: SiblingGroups = field(eq=False, default=NO_GROUPS)
    counts: HashTrieMap[int, SiblingCount] = _NO_COUNTS

    @property
    def failures(self) -> dict[str, str]:
        """The message of each failed task, by its id, in the order of the plan."""
        return {
            self.plan.tasks[position].id_: message for position, message in sorted(self.exhausted.items())
        }

    def result(self, position: int) -> Any:
        """Return the result of a completed task; for a generator, the ids of the tasks that it returned."""
        task = self.plan.tasks[position]
        if position in self.plan.generators:
            return [other.id_ for other in self.offspring.get(task.id_, ())]
        return self.own_result(position)

    def own_result(self, position: int) -> Any:
        """Return the result of a completed task as the task reads it, or that of its time-out."""
        task, limits = self.plan.tasks[position], self.plan.wait_limits
        limit = limits.get(position) if limits else None
        if limit is not None and timed_out(task, limit, self.state) is not None:
            return limit.result
        return task.result(self.state.items[task.key])

    def seen_by(self, position: int) -> dict[str, Any]:
        """Return what the condition of a task sees: its context, with stored results in place.

        Raises:
            PayloadError: if the workflow's input or a result cannot be read.
            PayloadsNeeded: if one is stored, and the codec has no store.
            PayloadsUnavailable: while the store cannot be reached.
        """
        context = {**workflow_context(self.state, self.codec), **self.extra_context}
        for id_, result in self.results_for(position).items():
            context[id_] = read_result(result, f"the result of task {id_!r}", self.codec.payloads)
        return context

    def results_for(self, position: int) -> dict[str, Any]:
        """Return the results in the context of a ready task, by the ids of their tasks."""
        tasks, found = self.plan.tasks, {}
        for needed in self.inputs_of(position):
            result = self.result(needed)
            if result is not NO_RESULT:
                found[tasks[needed].id_] = result
        if self.undone and position in self.undone:
            main, source = self.undone[position]
            found[main.plan.tasks[source].id_] = main.result(source)
        return found

    def inputs_of(self, position: int) -> Sequence[int]:
        """Return the requirements whose results are in the context of a ready task."""
        required = self.plan.requires[position]
        if not self.plan.rules:
            return required
        if position in self.inputs:
            return self.inputs[position]
        # A generator whose tasks do not fit the spec has failed before its join is asked.
        return [other for other in required if self.outcomes.get(other) is TaskOutcome.COMPLETED]

    def count_of(self, group: SiblingGroup) -> SiblingCount:
        """Return how many tasks of a group are settled."""
        return self.counts.get(group.generator, NOTHING_SETTLED)

    def waits_for_all(self, position: int) -> bool:
        """Return True if a task starts only when all that it requires is settled."""
        if not self.plan.rules:
            return True
        return not (counts_results(self.plan.rules_at(position).join) or self.may_start_early(position))

    def may_start_early(self, position: int) -> bool:
        """Return True if a task requires tasks of a generator, of which only some must complete."""
        is_partial, required = self.groups.is_partial, self.plan.requires[position]
        return bool(self.groups.generator_of) and any(is_partial(needed, position) for needed in required)

    def has_enough_for(self, position: int) -> bool:
        """Return True if a task need not wait for all tasks of a generator: enough have completed."""
        # Before the task's own requirements, which may be thousands.
        groups = self.groups.by_generator.values()
        has_enough = any(group.limits.is_enough(self.count_of(group).completed) for group in groups)
        return has_enough and self.may_start_early(position)

    def requirements_left(self, position: int, newer: Mapping[int, TaskOutcome] = _NO_OUTCOMES) -> int:
        """Return the least number of requirements that must be settled before a task may start.

        Args:
            position: The position of the task.
            newer: Outcomes by position of tasks that an update has settled, and this progress has not.
        """
        required = self.plan.requires[position]
        if len(required) == 1 and not self.plan.rules:
            # An update of ``waiting`` takes long, and here the outcome of the one requirement says the same.
            (needed,) = required
            return (newer.get(needed) or self.outcomes.get(needed)) is not _COMPLETED
        return self.waiting.get(position, 0)

    def ended_at(self, position: int) -> datetime | None:
        """Return the time at which a task was settled; None if it is not."""
        if self.plan.rules and position in self.ends:
            return self.ends[position]
        item = self.state.items.get(self.plan.tasks[position].key)
        return None if item is None or item.closed is None else item.closed.at

    def observe(self, events: Iterable[Event]) -> Progress:
        """Return the progress after the next events of the run; examine only the tasks whose items changed.

        Args:
            events: The events that directly follow those already observed.

        Raises:
            HistoryError: if the events do not follow, or cannot have happened.
        """
        return advanced(self, *trace(events, self.state))


_new_progress = maker(Progress)


def begin(
    spec: DeciderSpec, history: History | Iterable[Event] | State = EMPTY, codec: TaskCodec = CODEC
) -> Progress:
    """Return the progress of a run of a spec after a history; examine every task.

    Workflow ids of children are made from the execution that a ``History`` names: to follow a run with
    children from its first event, begin with ``History([], execution)``.

    Args:
        spec: The spec of the run.
        history: The history of the run, its events or its state; by default an empty history.
        codec: Reads generated tasks and stored values; by default floto's own kinds, and no store.

    Raises:
        HistoryError: if the history cannot have happened.
        SpecError: if ``spec`` is not a spec.
    """
    as_spec(spec, "the spec")
    return build_progress(spec, state_of(history), codec, {})


def build_progress(
    spec: DeciderSpec,
    state: State,
    codec: TaskCodec,
    extra_context: Mapping[str, Any],
    known: Mapping[str, tuple[Task, ...]] | None = None,
) -> Progress:
    """Return the progress of a run or a cleanup in a state; examine every task.

    Args:
        spec: The spec of the run or the cleanup.
        state: The state of the run.
        codec: Reads generated tasks and stored values.
        extra_context: Entries of the context of every task, beside the workflow's input.
        known: The tasks of generators that were read before, by the id of the generator.
    """
    try:
        grown, broken = expansion(spec, state, codec, known), {}
    except SpecError as error:
        grown, broken = Expansion(spec, {}), _broken(spec, state, error)
    plan = grown.spec.plan
    fresh = Progress(
        spec=spec,
        codec=codec,
        state=state,
        plan=plan,
        offspring=grown.offspring,
        extra_context=extra_context,
        seed=_seed(state),
        waiting=plan.waiting,
        joined=_joined(plan, grown.offspring, state) if plan.rules else _NOTHING_JOINED,
        groups=groups_of(plan, grown.offspring),
    )
    # No WorkflowExecutionStarted yet: nothing to decide. ``observe`` rebuilds once it arrives.
    if state.started is None:
        return fresh
    update = _update_of(fresh, state)
    for position, message in broken.items():
        update.fail(position, message, last_event_of(plan.tasks[position], state))
    update.examine(range(len(plan.tasks)))
    return progress_after(update)


def _joined(plan: graph.Plan, offspring: Mapping[str, tuple[Task, ...]], state: State) -> dict[int, Event]:
    ends = {id_: last_event_of(plan.tasks[plan.index[id_]], state) for id_ in offspring}
    return {
        plan.index[task.id_]: end for id_, end in ends.items() if end is not None for task in offspring[id_]
    }


def _update_of(before: Progress, state: State) -> Update:
    return (RuledUpdate if before.plan.rules else Update)(before, state)


def updated(before: Progress, state: State, positions: Iterable[int]) -> Progress:
    """Return the progress after the tasks at these positions, and all that follows, were examined."""
    update = _update_of(before, state)
    update.examine(positions)
    return progress_after(update)


def progress_after(update: Update) -> Progress:
    """Return the progress after an update."""
    before = update.before
    return _new_progress(
        before.spec,
        before.codec,
        update.state,
        before.plan,
        before.offspring,
        before.extra_context,
        before.seed,
        _with(before.waiting, update.waiting) if update.waiting else before.waiting,
        update.steps(),
        _with(before.outcomes, update.outcomes) if update.outcomes else before.outcomes,
        _with(before.exhausted, update.failed) if update.failed else before.exhausted,
        _with(before.continued, update.continued) if update.continued else before.continued,
        _with(before.inputs, update.inputs) if update.inputs else before.inputs,
        _with(before.ends, update.ends) if update.ends else before.ends,
        before.undone,
        before.joined,
        before.groups,
        _with(before.counts, update.counts) if update.counts else before.counts,
    )


def _with(before: HashTrieMap[int, T], new: Mapping[int, T]) -> HashTrieMap[int, T]:
    # An update of a map takes twice as long as a new one.
    return before.update(new) if before else HashTrieMap(new)


def with_failures(progress: Progress, failures: Mapping[str, str]) -> Progress:
    """Return the progress after tasks have failed that cannot be started, each with its message by id."""
    update = _update_of(progress, progress.state)
    for id_, message in failures.items():
        update.fail(progress.plan.index[id_], message)
    update.examine(())
    return progress_after(update)


def rebuilt(progress: Progress, state: State) -> Progress:
    """Return the progress in another state; examine every task, but read no generated task again."""
    is_same_run = progress.state.execution == state.execution
    known = progress.offspring if is_same_run else None
    return build_progress(progress.spec, state, progress.codec, progress.extra_context, known)


def advanced(progress: Progress, state: State, changed_keys: Iterable[Key]) -> Progress:
    """Return the progress in a later state of the run, by an incremental update if possible.

    Args:
        progress: The progress before.
        state: The later state.
        changed_keys: The keys of the items that changed since, and perhaps of others.
    """
    changed = positions_of(changed_keys, progress.plan)
    if progress.state.started is None or needs_rebuild(changed, progress, state):
        return rebuilt(progress, state)
    return updated(progress, state, changed)


def needs_rebuild(positions: Iterable[int], progress: Progress, state: State) -> bool:
    """Return True if a changed task invalidates others: a generator completed, or a settled task changed."""
    outcomes, plan = progress.outcomes, progress.plan
    return any(position in outcomes or _expands(position, plan, state) for position in positions)


def _broken(spec: DeciderSpec, state: State, error: SpecError) -> dict[int, str]:
    """Return the generator whose result is invalid, or all completed ones if their results conflict."""
    finished = [position for position in spec.plan.generators if _expands(position, spec.plan, state)]
    if isinstance(error, GeneratorError) and error.generator in spec.plan.index:
        finished = [spec.plan.index[error.generator]]
    return dict.fromkeys(finished, f"returned tasks that do not fit the spec: {error}")


def _expands(position: int, plan: graph.Plan, state: State) -> bool:
    return position in plan.generators and state.is_completed(plan.tasks[position].key)


def positions_of(keys: Iterable[Key], plan: graph.Plan) -> set[int]:
    """Return the positions of the tasks that items of these keys, and timers of their waits, belong to."""
    found = set()
    for key in keys:
        found.add(plan.by_key.get(key))
        task_id = task_of_timer(key[1]) if key[0] is _TIMER else None
        if task_id is not None:
            found.add(plan.index.get(task_id))
    found.discard(None)
    return cast("set[int]", found)


def _seed(state: State) -> str:
    if state.started is None:
        return ""
    start = state.started.data
    # Events do not name their run, so distinguish runs by the attributes of their start.
    parts = (
        state.started.at,
        start.workflow_type,
        start.input,
        start.tag_list,
        start.continued_execution_run_id,
        start.parent_workflow_execution,
        start.parent_initiated_event_id,
    )
    return sha1(repr(parts).encode(errors="backslashreplace"), usedforsecurity=False).hexdigest()
