"""The progress of a run: which tasks are settled, and which need a decision.

``begin`` examines every task; ``observe`` is the incremental update, which examines the tasks whose items
changed. Both run the same function over different tasks, and their results are equal.

Whether a task is skipped is not recorded in the history but computed from it. So a condition must see the
same results at every later decision: tasks are settled in the order of the events that settle them, and a
condition sees the results that were there at the event that met the join of its task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha1
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen
from rpds import HashTrieMap

from floto.core.decide.context import workflow_context
from floto.core.decide.retrying import Exhausted, Look, Rest, Start, Step, Wait, look_at, retry_timer_id
from floto.core.errors import PayloadError, SpecError
from floto.core.payloads.stored import read_result
from floto.core.quick_init import quick_init
from floto.core.spec import graph
from floto.core.spec.conditions import holds
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.spec.expand import Expansion, GeneratorError, expansion
from floto.core.spec.rules import JoinVerdict, Tally, TaskOutcome, counts_results, rules_of, verdict
from floto.core.spec.tasks import NO_RESULT, Task, TaskCodec
from floto.core.state.fold import state_of, trace
from floto.core.state.state import EMPTY, Key, Kind, State
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.reserved_names import RETRY_PREFIX

#: ``isinstance`` is faster with a tuple than with the union.
_STEPS = (Start, Wait)
_NO_MESSAGES: HashTrieMap[int, str] = HashTrieMap()
_NO_STEPS: HashTrieMap[int, Step] = HashTrieMap()
_NO_OUTCOMES: HashTrieMap[int, TaskOutcome] = HashTrieMap()
_NO_INPUTS: HashTrieMap[int, tuple[int, ...]] = HashTrieMap()
_NOTHING_JOINED: Mapping[int, int] = MappingProxyType({})


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
    given: Mapping[str, Any] = field(eq=False)
    #: Seed of the jitter; differs between runs.
    seed: str
    #: Least number of requirements that must be settled before a task may start, by position; 0 if absent.
    waiting: HashTrieMap[int, int]
    #: The decision that each ready task needs, by position.
    steps: HashTrieMap[int, Step] = _NO_STEPS
    #: The outcome of each settled task, by position.
    outcomes: HashTrieMap[int, TaskOutcome] = _NO_OUTCOMES
    #: Message of each task that has failed and fails the run, by position.
    exhausted: HashTrieMap[int, str] = _NO_MESSAGES
    #: Message of each task that has failed and lets the run continue, by position.
    continued: HashTrieMap[int, str] = _NO_MESSAGES
    #: In a spec with rules: by position of each task whose join is met, the requirements that had completed.
    inputs: HashTrieMap[int, tuple[int, ...]] = _NO_INPUTS
    #: In a spec with rules: id of the event by which each generated task joined the spec, by position.
    joined: Mapping[int, int] = field(eq=False, default=_NOTHING_JOINED)

    @property
    def failures(self) -> dict[str, str]:
        """The message of each failed task, by its id."""
        return {self.plan.tasks[position].id_: message for position, message in self.exhausted.items()}

    def result(self, position: int) -> Any:
        """Return the result of a completed task; for a generator, the ids of the tasks that it returned."""
        task = self.plan.tasks[position]
        if position in self.plan.generators:
            return [other.id_ for other in self.offspring.get(task.id_, ())]
        return task.result(self.state.items[task.key])

    def seen_by(self, position: int) -> dict[str, Any]:
        """Return what the condition of a task sees: its context, with stored results in place.

        Raises:
            PayloadError: if the workflow's input or a result cannot be read.
            PayloadsNeeded: if one is stored, and the codec has no store.
            PayloadsUnavailable: while the store cannot be reached.
        """
        context = {**workflow_context(self.state, self.codec), **self.given}
        for needed in self.inputs_of(position):
            id_, result = self.plan.tasks[needed].id_, self.result(needed)
            if result is not NO_RESULT:
                context[id_] = read_result(result, f"the result of task {id_!r}", self.codec.payloads)
        return context

    def inputs_of(self, position: int) -> Sequence[int]:
        """Return the requirements whose results are in the context of a ready task."""
        return self.inputs[position] if self.plan.rules else self.plan.requires[position]

    def observe(self, events: Iterable[Event]) -> Progress:
        """Return the progress after the next events of the run; examine only the tasks whose items changed.

        Args:
            events: The events that directly follow those already observed.

        Raises:
            HistoryError: if the events do not follow, or cannot have happened.
            SpecError: if a retry strategy returns something that is not a delay.
        """
        return observe(self, events)


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
        SpecError: if ``spec`` is not a spec, or a retry strategy returns something that is not a delay.
    """
    as_spec(spec, "the spec")
    return begin_given(spec, state_of(history), codec, {})


def begin_given(
    spec: DeciderSpec,
    state: State,
    codec: TaskCodec,
    given: Mapping[str, Any],
    known: Mapping[str, tuple[Task, ...]] | None = None,
) -> Progress:
    """Return the progress of a run or a cleanup in a state.

    Args:
        spec: The spec of the run or the cleanup.
        state: The state of the run.
        codec: Reads generated tasks and stored values.
        given: Entries of the context of every task, beside the workflow's input.
        known: Generated tasks that were read before.
    """
    try:
        grown, broken = expansion(spec, state, codec, known), _NO_MESSAGES
    except SpecError as error:
        grown, broken = Expansion(spec, {}), _broken(spec, state, error)
    plan = grown.spec.plan
    fresh = Progress(
        spec=spec,
        codec=codec,
        state=state,
        plan=plan,
        offspring=grown.offspring,
        given=given,
        seed=_seed(state),
        waiting=plan.waiting,
        outcomes=HashTrieMap(dict.fromkeys(broken, TaskOutcome.FAILED)),
        exhausted=broken,
        joined=_joined(plan, grown.offspring, state) if plan.rules else _NOTHING_JOINED,
    )
    # No WorkflowExecutionStarted yet: nothing to decide. ``observe`` rebuilds once it arrives.
    return fresh if state.started is None else _Update(fresh, state).updated(range(len(plan.tasks)))


def _joined(plan: graph.Plan, offspring: Mapping[str, tuple[Task, ...]], state: State) -> dict[int, int]:
    by = {id_: plan.tasks[plan.index[id_]] for id_ in offspring}
    return {
        plan.index[task.id_]: _event_of(by[id_], state) for id_, tasks in offspring.items() for task in tasks
    }


def in_state(progress: Progress, state: State) -> Progress:
    """Return the progress in another state, as ``begin`` does; known generated tasks are not read again."""
    is_same = progress.state.execution == state.execution
    known = progress.offspring if is_same else None
    return begin_given(progress.spec, state, progress.codec, progress.given, known)


def observe(progress: Progress, events: Iterable[Event]) -> Progress:
    """Return the progress after new events, by an incremental update if possible. Raises ``HistoryError``."""
    state, changed_keys = trace(events, progress.state)
    changed = _positions(changed_keys, progress.plan)
    if progress.state.started is None or _needs_rebuild(changed, progress, state):
        return begin_given(progress.spec, state, progress.codec, progress.given, progress.offspring)
    return _Update(progress, state).updated(changed)


def _needs_rebuild(positions: Iterable[int], progress: Progress, state: State) -> bool:
    """Return True if a changed task invalidates others: a generator completed, or a settled task changed."""
    outcomes, plan = progress.outcomes, progress.plan
    return any(position in outcomes or _expands(position, plan, state) for position in positions)


def _broken(spec: DeciderSpec, state: State, error: SpecError) -> HashTrieMap[int, str]:
    """Return the generator whose result is invalid, or all completed ones if their results conflict."""
    finished = [position for position in spec.plan.generators if _expands(position, spec.plan, state)]
    if isinstance(error, GeneratorError) and error.generator in spec.plan.index:
        finished = [spec.plan.index[error.generator]]
    return HashTrieMap(dict.fromkeys(finished, f"returned tasks that do not fit the spec: {error}"))


def _expands(position: int, plan: graph.Plan, state: State) -> bool:
    return position in plan.generators and state.is_completed(plan.tasks[position].key)


def _positions(keys: Iterable[Key], plan: graph.Plan) -> set[int]:
    """Return the positions of the tasks that items of these keys, and their retry timers, belong to."""
    found = {plan.by_key.get(key) for key in keys}
    for kind, id_ in keys:
        if kind is Kind.TIMER and id_.startswith(RETRY_PREFIX):
            found.add(plan.index.get(id_.removeprefix(RETRY_PREFIX).rpartition(":")[0]))
    return {position for position in found if position is not None}


class _Update:
    """An update of a progress; changes are collected in dicts, so that maps are copied once."""

    __slots__ = ("before", "inputs", "looks", "messages", "outcomes", "state", "todo", "waiting")

    def __init__(self, before: Progress, state: State) -> None:
        self.before, self.state = before, state
        self.waiting: dict[int, int] = {}
        self.outcomes: dict[int, TaskOutcome] = {}
        self.looks: dict[int, Look] = {}
        self.inputs: dict[int, tuple[int, ...]] = {}
        self.messages: dict[TaskOutcome, dict[int, str]] = {}
        #: Tasks to examine: the id of the event at which, the rank in the graph, the position.
        self.todo: list[tuple[int, int, int]] = []

    def updated(self, positions: Iterable[int]) -> Progress:
        """Return the progress after the tasks at these positions, and all that follows, were examined."""
        before, rank, todo = self.before, self.before.plan.rank, self.todo
        joined = before.joined
        todo += [(joined.get(position, 0), rank[position], position) for position in positions]
        # Without rules, the order makes no difference.
        heapify(todo)
        pop = heappop if before.plan.rules else list.pop
        while todo:
            now, _, position = pop(todo)
            if position not in self.outcomes and position not in before.outcomes:
                self._examine(position, now)
        messages = self.messages
        return Progress(
            before.spec,
            before.codec,
            self.state,
            before.plan,
            before.offspring,
            before.given,
            before.seed,
            before.waiting.update(self.waiting) if self.waiting else before.waiting,
            self._steps(),
            before.outcomes.update(self.outcomes) if self.outcomes else before.outcomes,
            before.exhausted.update(messages.get(TaskOutcome.FAILED, {})) if messages else before.exhausted,
            before.continued.update(messages.get(TaskOutcome.CONTINUED, {}))
            if messages
            else before.continued,
            before.inputs.update(self.inputs) if self.inputs else before.inputs,
            before.joined,
        )

    def _examine(self, position: int, now: int) -> None:
        plan, state = self.before.plan, self.state
        # A signal may arrive before the requirements of its task are settled; the last requirement
        # examines the task again.
        waiting, before = self.waiting, self.before.waiting
        is_ready = not (waiting[position] if position in waiting else before.get(position))
        if is_ready and plan.rules:
            is_ready = self._is_admitted(position, now)
            if position in self.outcomes:
                return
        look = self.looks[position] = look_at(plan.tasks[position], state, self.before.seed)
        if not (isinstance(look, Exhausted) or (is_ready and look is Rest.DONE)):
            return
        at = _event_of(plan.tasks[position], state) if plan.rules else now
        if at > now:
            heappush(self.todo, (at, plan.rank[position], position))
        elif isinstance(look, Exhausted):
            self._fail(position, look.message, now)
        else:
            self._settle(position, TaskOutcome.COMPLETED, now)

    def _left(self, position: int) -> int:
        waiting = self.waiting
        return waiting[position] if position in waiting else self.before.waiting.get(position, 0)

    def _is_admitted(self, position: int, now: int) -> bool:
        """Return True if the join of a task is met and its condition holds; else settle it or let it wait."""
        plan = self.before.plan
        if position in self.inputs or position in self.before.inputs:
            return True
        rules = rules_of(plan.tasks[position])
        found = verdict(rules.join, self._tally(position))
        if not isinstance(found, JoinVerdict):
            self.waiting[position] = found
            return False
        if found is JoinVerdict.SKIP:
            self._settle(position, TaskOutcome.SKIPPED, now)
            return False
        self.inputs[position] = tuple(
            needed for needed in plan.requires[position] if self._outcome(needed) is TaskOutcome.COMPLETED
        )
        return rules.when is None or self._is_true(rules.when, position, now)

    def _outcome(self, position: int) -> TaskOutcome | None:
        return self.outcomes.get(position) or self.before.outcomes.get(position)

    def _tally(self, position: int) -> Tally:
        plan = self.before.plan
        found = Counter(map(self._outcome, plan.requires[position]))
        generators = [self._outcome(each) for each in plan.requires[position] if each in plan.generators]
        grows = None in generators
        if counts_results(rules_of(plan.tasks[position]).join):
            # The tasks that a generator returned count, and not the generator.
            found[TaskOutcome.COMPLETED] -= generators.count(TaskOutcome.COMPLETED)
        return Tally(
            found[TaskOutcome.COMPLETED],
            found[TaskOutcome.CONTINUED],
            found[TaskOutcome.FAILED],
            found[TaskOutcome.SKIPPED],
            found[None],
            grows,
        )

    def _is_true(self, when: str, position: int, now: int) -> bool:
        """Return True if the condition of a task is true; else settle the task."""
        inputs = self.before.inputs.insert(position, self.inputs[position])
        try:
            is_true = holds(when, evolve(self.before, state=self.state, inputs=inputs).seen_by(position))
        except (PayloadError, SpecError) as error:
            self._fail(position, unreadable(error), now)
            return False
        if not is_true:
            self._settle(position, TaskOutcome.SKIPPED, now)
        return is_true

    def _fail(self, position: int, message: str, now: int) -> None:
        continues = rules_of(self.before.plan.tasks[position]).on_error == "continue"
        outcome = TaskOutcome.CONTINUED if continues else TaskOutcome.FAILED
        self.messages.setdefault(outcome, {})[position] = message
        self._settle(position, outcome, now)

    def _settle(self, position: int, outcome: TaskOutcome, now: int) -> None:
        plan, waiting, before = self.before.plan, self.waiting, self.before.waiting
        self.outcomes[position] = outcome
        for dependent in plan.dependents[position]:
            left = waiting[dependent] if dependent in waiting else before.get(dependent)
            # ``all`` does not count a failed requirement: its task never starts.
            if not left or (outcome is TaskOutcome.FAILED and rules_of(plan.tasks[dependent]).join == "all"):
                continue
            waiting[dependent] = left - 1
            if left == 1:
                at = max(now, self.before.joined.get(dependent, 0))
                heappush(self.todo, (at, plan.rank[dependent], dependent))

    def _steps(self) -> HashTrieMap[int, Step]:
        steps = self.before.steps
        for position, look in self.looks.items():
            if isinstance(look, _STEPS) and position not in self.outcomes and not self._left(position):
                steps = steps.insert(position, look)
            elif position in steps:
                steps = steps.remove(position)
        return steps


def _event_of(task: Task, state: State) -> int:
    """Return the id of the event by which a task completed or was exhausted."""
    item = state.items[task.key]
    timer = state.items.get((Kind.TIMER, retry_timer_id(task.id_, len(item.failures))))
    closed = () if item.closed is None else (item.closed,)
    refused = () if timer is None else timer.failures
    return max((event.id for event in (*closed, *item.failures[-1:], *refused[-1:])), default=0)


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


def unreadable(error: PayloadError | SpecError) -> str:
    """Return the message of an unusable payload or spec as one line."""
    return str(error).replace("\n", "; ")
