"""How far a spec has come: which tasks are done, exhausted, or want something decided.

``begin`` looks at every task; ``observe`` looks at those whose items just moved. Both are
the same function over different tasks, and their results are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from hashlib import sha1

from attrs import field, frozen
from rpds import HashTrieMap, HashTrieSet

from floto.core.errors import PayloadError, SpecError
from floto.core.spec import graph
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.expand import Expansion, GeneratorError, check_spec, expansion
from floto.core.spec.retry import NO_RETRY, NOT_SERVED_BACKOFF, REFUSED, REFUSED_TIMER, Retry, RetryStrategy
from floto.core.spec.tasks import Task, TaskCodec
from floto.core.state.failures import NOT_SERVED, Failure, failure_of
from floto.core.state.fold import state_of, trace
from floto.core.state.state import EMPTY, Item, Key, Kind, State, Status
from floto.core.swf.events import Event
from floto.core.swf.history import History
from floto.core.swf.identifiers import shown
from floto.core.swf.limits import LATE_EVENTS

#: The id of a timer that waits for a retry: this, the id of the task, and how many attempts have failed.
RETRY_PREFIX = "floto.retry:"
#: SWF runs end after a year; no wait needs to be longer.
_YEAR = 31_536_000


@frozen
class Start:
    """An attempt is to be started."""


@frozen
class Wait:
    """A timer is to be started, after which the next attempt is due."""

    timer_id: str
    seconds: int


@frozen
class Exhausted:
    """There will be no further attempt."""

    message: str


class Rest(Enum):
    """Nothing is to be decided for a task."""

    IN_FLIGHT = "in flight"
    DONE = "done"


Step = Start | Wait
Look = Step | Exhausted | Rest
START = Start()
_NONE: HashTrieMap[int, str] = HashTrieMap()


@frozen
class Progress:
    """How far a run of a spec has come: its state, and the tasks that want something decided; immutable.

    ``floto.begin`` makes it, ``observe`` carries it forward by new events, and ``floto.decide`` takes it.
    """

    spec: DeciderSpec
    codec: TaskCodec = field(eq=False)
    state: State
    #: The graph with what finished generators returned.
    plan: graph.Plan = field(eq=False)
    #: What each finished generator returned.
    offspring: Mapping[str, tuple[Task, ...]]
    #: How many requirements a task that has some still waits for.
    waiting: HashTrieMap[int, int]
    #: What to decide for each task that is ready, by position.
    steps: HashTrieMap[int, Step]
    done: HashTrieSet[int]
    exhausted: HashTrieMap[int, str]
    #: Differs from run to run; jitter is made from it.
    seed: str = ""

    @property
    def failures(self) -> dict[str, str]:
        """Why each exhausted task failed, by its id."""
        return {self.plan.tasks[position].id_: message for position, message in self.exhausted.items()}

    def observe(self, events: Iterable[Event]) -> Progress:
        """Return the progress after the next events of the run; looks only at tasks whose items they moved.

        Raises:
            HistoryError: for events that do not follow, or that cannot have happened.
            SpecError: where a retry strategy answers what is no delay.
        """
        return observe(self, events)


def begin(
    spec: DeciderSpec, history: History | Iterable[Event] | State = EMPTY, codec: TaskCodec = CODEC
) -> Progress:
    """Return how far a run of a spec has come in a history, by default an empty one; looks at every task.

    Workflow ids of children are made from the execution that a ``History`` names: to follow a run with
    children from its first event, begin with ``History([], execution)``.

    Raises:
        HistoryError: for a history that cannot have happened.
        SpecError: for what is no spec, or where a retry strategy answers what is no delay.
    """
    check_spec(spec)
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
    # Before its start a run wants nothing; what follows begins it.
    return fresh if state.started is None else _look_again(fresh, state, range(len(plan.tasks)))


def observe(progress: Progress, events: Iterable[Event]) -> Progress:
    """Follow a run on by its new events, looking only at what they moved. Raises ``HistoryError``."""
    state, touched = trace(events, progress.state)
    moved = {position for key in touched for position in _positions(key, progress.plan)}
    if progress.state.started is None or any(_unsettles(position, progress, state) for position in moved):
        return _begin(progress.spec, state, progress.codec, progress.offspring)
    return _look_again(progress, state, moved)


def _unsettles(position: int, progress: Progress, state: State) -> bool:
    """Whether a move changes more than its own task: new tasks, or an end that was none."""
    settled = position in progress.done or position in progress.exhausted
    return settled or _expands(position, progress.plan, state)


def _broken(spec: DeciderSpec, state: State, error: SpecError) -> HashTrieMap[int, str]:
    """The generator whose result cannot be read, else all whose results do not fit together."""
    finished = [position for position in spec.plan.generators if _expands(position, spec.plan, state)]
    if isinstance(error, GeneratorError) and error.generator in spec.plan.index:
        finished = [spec.plan.index[error.generator]]
    return HashTrieMap(dict.fromkeys(finished, f"returned tasks that do not fit the spec: {error}"))


def _expands(position: int, plan: graph.Plan, state: State) -> bool:
    return position in plan.generators and state.is_completed(plan.tasks[position].key)


def _positions(key: Key, plan: graph.Plan) -> Iterable[int]:
    position = plan.by_key.get(key)
    if position is not None:
        yield position
    if key[0] is Kind.TIMER and key[1].startswith(RETRY_PREFIX):
        waiting_for = plan.index.get(key[1].removeprefix(RETRY_PREFIX).rpartition(":")[0])
        if waiting_for is not None:
            yield waiting_for


def _look_again(progress: Progress, state: State, positions: Iterable[int]) -> Progress:
    plan, seed = progress.plan, progress.seed
    # What changes is gathered in dicts, so that the maps are copied once and not once per task.
    waiting: dict[int, int] = {}
    done: dict[int, None] = {}
    looks: dict[int, Look] = {}
    todo = list(positions)
    while todo:
        position = todo.pop()
        look = looks[position] = look_at(plan.tasks[position], state, seed)
        if look is not Rest.DONE or position in done or position in progress.done:
            continue
        # What comes by itself, as a signal does, may come before what its task requires; the last of
        # that looks at the task again.
        if _held(position, progress, waiting):
            continue
        done[position] = None
        for dependent in plan.dependents[position]:
            left = waiting[dependent] if dependent in waiting else progress.waiting[dependent]
            waiting[dependent] = left - 1
            if left == 1:
                todo.append(dependent)
    return Progress(
        progress.spec,
        progress.codec,
        state,
        plan,
        progress.offspring,
        progress.waiting.update(waiting),
        _steps(progress, looks, waiting),
        progress.done.update(done),
        _exhausted(progress, looks),
        seed,
    )


def _held(position: int, progress: Progress, waiting: Mapping[int, int]) -> int:
    """How many requirements a task still waits for."""
    return waiting[position] if position in waiting else progress.waiting.get(position, 0)


def _steps(
    progress: Progress, looks: Mapping[int, Look], waiting: Mapping[int, int]
) -> HashTrieMap[int, Step]:
    steps = progress.steps
    for position, look in looks.items():
        if isinstance(look, Step) and not _held(position, progress, waiting):
            steps = steps.insert(position, look)
        elif position in steps:
            steps = steps.remove(position)
    return steps


def _exhausted(progress: Progress, looks: Mapping[int, Look]) -> HashTrieMap[int, str]:
    new = {position: look.message for position, look in looks.items() if isinstance(look, Exhausted)}
    return progress.exhausted.update(new) if new else progress.exhausted


def look_at(task: Task, state: State, seed: str) -> Look:
    """Where one task stands, its requirements aside."""
    item = state.items.get(task.key)
    if item is None:
        return START
    if item.is_open:
        return Rest.IN_FLIGHT
    if item.status is Status.COMPLETED:
        return Rest.DONE
    return next_attempt(item, task.id_, task.retry_strategy, state, seed)


def next_attempt(item: Item, id_: str, strategy: RetryStrategy | None, state: State, seed: str) -> Look:
    """What follows the failure of an attempt; a wait is a timer, so it survives every crash."""
    failures = tuple(map(failure_of, item.failures))
    last = failures[-1]
    if last.status is not Status.REFUSED:
        asked, counted = (
            strategy,
            tuple(failure for failure in failures if failure.status is not Status.REFUSED),
        )
    elif last.passes:
        asked, counted = _backoff(item.key[0], last), _trailing_refusals(failures)
    else:
        return Exhausted(last.message)
    delay = None if asked is None else asked.delay(Retry(task_id=id_, seed=seed, failures=counted))
    if delay is None:
        return Exhausted(last.message)
    seconds = _seconds(delay, id_, asked)
    return _wait(f"{RETRY_PREFIX}{id_}:{len(failures)}", seconds, state) if seconds else START


def _backoff(kind: Kind, refusal: Failure) -> RetryStrategy:
    """Return the waits after refusals that pass."""
    if kind is Kind.TIMER:
        return REFUSED_TIMER
    if refusal.reason != NOT_SERVED:
        return REFUSED
    # Many tasks that are given back fill a history sooner than one: better to fail than to be ended by SWF.
    return NOT_SERVED_BACKOFF if refusal.event_id < LATE_EVENTS else NO_RETRY


def _trailing_refusals(failures: Sequence[Failure]) -> tuple[Failure, ...]:
    first = len(failures)
    while first and failures[first - 1].status is Status.REFUSED:
        first -= 1
    return tuple(failures[first:])


def _seconds(delay: float, id_: str, strategy: RetryStrategy | None) -> int:
    if type(delay) not in (int, float) or not 0 <= delay < math.inf:
        problem = (
            f"its retry strategy answered {shown(delay)}, where it should answer seconds (0 or more) or None"
        )
        raise SpecError((f"task {id_!r}: {problem}: {shown(strategy)}",))
    return min(math.ceil(delay), _YEAR)


def _wait(timer_id: str, seconds: int, state: State) -> Look:
    timer = state.items.get((Kind.TIMER, timer_id))
    if timer is None:
        return Wait(timer_id, seconds)
    if timer.is_open:
        return Rest.IN_FLIGHT
    if timer.status is Status.COMPLETED:
        return START
    # The wait itself was refused, and waiting for it would need another timer.
    failures = tuple(map(failure_of, timer.failures))
    again = REFUSED_TIMER.delay(Retry(task_id=timer_id, seed="", failures=failures))
    final = failures[-1].status is Status.REFUSED and not failures[-1].passes
    if final or again is None:
        return Exhausted(f"the wait for its retry: {failures[-1].message}")
    return Wait(timer_id, seconds)


def _seed(state: State) -> str:
    if state.started is None:
        return ""
    start = state.started.data
    # SWF's events do not name their run: what they say of its start must tell runs apart.
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
    """One line that says why a payload or a spec could not be used."""
    return str(error).replace("\n", "; ")
