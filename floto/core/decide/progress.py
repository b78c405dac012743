"""The progress of a run: which tasks are done, exhausted, or need a decision.

``begin`` examines every task; ``observe`` is the incremental update, which examines the tasks whose items
changed. Both run the same function over different tasks, and their results are equal.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from hashlib import sha1
from types import MappingProxyType

from attrs import field, frozen
from rpds import HashTrieMap, HashTrieSet

from floto.core.decide.retrying import Exhausted, Look, Rest, Step, look_at
from floto.core.errors import PayloadError, SpecError
from floto.core.quick_init import quick_init
from floto.core.spec import graph
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
from floto.core.spec.expand import Expansion, GeneratorError, expansion
from floto.core.spec.tasks import Task, TaskCodec
from floto.core.state.fold import state_of, trace
from floto.core.state.state import EMPTY, Key, Kind, State
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.reserved_names import RETRY_PREFIX

_NONE: HashTrieMap[int, str] = HashTrieMap()
_NO_COUNTS: Mapping[int, int] = MappingProxyType({})


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
    #: The tasks that each completed generator returned, by its id.
    offspring: Mapping[str, tuple[Task, ...]]
    #: Number of requirements that have not completed, by position, of the tasks with several: an update of
    #: the map takes long, and for a task with one requirement ``done`` says the same.
    waiting: HashTrieMap[int, int]
    #: The decision that each ready task needs, by position.
    steps: HashTrieMap[int, Step]
    #: Positions of the completed tasks.
    done: HashTrieSet[int]
    #: Message of each task that has failed, by position.
    exhausted: HashTrieMap[int, str]
    #: Seed of the jitter; differs between runs.
    seed: str = ""

    @property
    def failures(self) -> dict[str, str]:
        """The message of each failed task, by its id, in the order of the plan."""
        return {
            self.plan.tasks[position].id_: message for position, message in sorted(self.exhausted.items())
        }

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
    return _begin(spec, state_of(history), codec, {})


def _begin(
    spec: DeciderSpec, state: State, codec: TaskCodec, known: Mapping[str, tuple[Task, ...]]
) -> Progress:
    try:
        grown, broken = expansion(spec, state, codec, known), _NONE
    except SpecError as error:
        grown, broken = Expansion(spec, {}), _broken(spec, state, error)
    plan = grown.spec.plan
    fresh = Progress(
        spec=spec,
        codec=codec,
        state=state,
        plan=plan,
        offspring=grown.offspring,
        waiting=plan.waiting,
        steps=HashTrieMap(),
        done=HashTrieSet(),
        exhausted=broken,
        seed=_seed(state),
    )
    # No WorkflowExecutionStarted yet: nothing to decide. ``observe`` rebuilds once it arrives.
    return fresh if state.started is None else _updated(fresh, state, range(len(plan.tasks)))


def in_state(progress: Progress, state: State) -> Progress:
    """Return the progress in another state, as ``begin`` does; known generated tasks are not read again."""
    is_same = progress.state.execution == state.execution
    return _begin(progress.spec, state, progress.codec, progress.offspring if is_same else {})


def observe(progress: Progress, events: Iterable[Event]) -> Progress:
    """Return the progress after new events, by an incremental update if possible. Raises ``HistoryError``."""
    return advanced(progress, *trace(events, progress.state))


def advanced(progress: Progress, state: State, changed_keys: Iterable[Key]) -> Progress:
    """Return the progress in a later state, given the keys of the items that changed since."""
    changed = positions_of(changed_keys, progress.plan)
    if progress.state.started is None or _needs_rebuild(changed, progress, state):
        return _begin(progress.spec, state, progress.codec, progress.offspring)
    return _updated(progress, state, changed)


def _needs_rebuild(positions: Iterable[int], progress: Progress, state: State) -> bool:
    """Return True if a changed task invalidates others: a generator completed, or a settled task changed."""
    done, exhausted, plan = progress.done, progress.exhausted, progress.plan
    for position in positions:
        if position in done or position in exhausted or _expands(position, plan, state):
            return True
    return False


def _broken(spec: DeciderSpec, state: State, error: SpecError) -> HashTrieMap[int, str]:
    """Return the generator whose result is invalid, or all completed ones if their results conflict."""
    finished = [position for position in spec.plan.generators if _expands(position, spec.plan, state)]
    if isinstance(error, GeneratorError) and error.generator in spec.plan.index:
        finished = [spec.plan.index[error.generator]]
    return HashTrieMap(dict.fromkeys(finished, f"returned tasks that do not fit the spec: {error}"))


def _expands(position: int, plan: graph.Plan, state: State) -> bool:
    return position in plan.generators and state.is_completed(plan.tasks[position].key)


def positions_of(keys: Iterable[Key], plan: graph.Plan) -> set[int]:
    """Return the positions of the tasks that items of these keys, and their retry timers, belong to."""
    found = {plan.by_key.get(key) for key in keys}
    for kind, id_ in keys:
        if kind is Kind.TIMER and id_.startswith(RETRY_PREFIX):
            found.add(plan.index.get(id_.removeprefix(RETRY_PREFIX).rpartition(":")[0]))
    return {position for position in found if position is not None}


def _updated(progress: Progress, state: State, positions: Iterable[int]) -> Progress:
    plan, seed = progress.plan, progress.seed
    # Collect changes in dicts, so that the maps are copied once and not once per task.
    waiting: dict[int, int] = {}
    done: dict[int, None] = {}
    looks: dict[int, Look] = {}
    todo = list(positions)
    while todo:
        position = todo.pop()
        look = looks[position] = look_at(plan.tasks[position], state, seed)
        if look is not Rest.DONE or position in done or position in progress.done:
            continue
        # A signal may arrive before the requirements of its task complete; the last requirement
        # examines the task again.
        if unmet(position, progress, done, waiting):
            continue
        done[position] = None
        for dependent in plan.dependents[position]:
            if len(plan.requires[dependent]) > 1:
                waiting[dependent] = unmet(dependent, progress, done, waiting) - 1
            if not waiting.get(dependent):
                todo.append(dependent)
    return Progress(
        progress.spec,
        progress.codec,
        state,
        plan,
        progress.offspring,
        progress.waiting.update(waiting) if waiting else progress.waiting,
        _steps(progress, looks, done, waiting),
        progress.done.update(done) if done else progress.done,
        _exhausted(progress, looks),
        seed,
    )


def unmet(
    position: int, progress: Progress, done: Container[int] = (), waiting: Mapping[int, int] = _NO_COUNTS
) -> int:
    """Return the number of a task's requirements that have not completed.

    Args:
        position: The position of the task.
        progress: The progress of its run.
        done: Positions of the tasks that have completed since.
        waiting: Numbers that have changed since, by position.
    """
    requires = progress.plan.requires[position]
    if len(requires) == 1:
        (needed,) = requires
        return needed not in done and needed not in progress.done
    return waiting[position] if position in waiting else progress.waiting.get(position, 0)


def _steps(
    progress: Progress, looks: Mapping[int, Look], done: Container[int], waiting: Mapping[int, int]
) -> HashTrieMap[int, Step]:
    steps = progress.steps
    for position, look in looks.items():
        if isinstance(look, Step) and not unmet(position, progress, done, waiting):
            steps = steps.insert(position, look)
        elif position in steps:
            steps = steps.remove(position)
    return steps


def _exhausted(progress: Progress, looks: Mapping[int, Look]) -> HashTrieMap[int, str]:
    new = {position: look.message for position, look in looks.items() if isinstance(look, Exhausted)}
    return progress.exhausted.update(new) if new else progress.exhausted


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
