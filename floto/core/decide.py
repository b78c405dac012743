"""What to do next: a pure function of a spec and a history.

Level-triggered: the decisions are what should be in flight, less what is in flight. They
never depend on what happened since the last decision, so a lost decision task, a crashed
decider or a refused close needs no path of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from attrs import evolve

from floto.core import payload
from floto.core.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RecordMarker,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    StartTimer,
)
from floto.core.errors import PayloadError, SpecError
from floto.core.events import Event
from floto.core.failures import failure_of
from floto.core.fold import fold
from floto.core.history import History
from floto.core.limits import OPEN_LIMIT
from floto.core.progress import START, Exhausted, Progress, Start, Wait, begin, next_attempt, unreadable
from floto.core.retry import REFUSED_TIMER, Retry
from floto.core.specs import CODEC, SPEC_KEY, DeciderSpec
from floto.core.state import EMPTY, Item, Kind, State, Status
from floto.core.tasks import NO_RESULT, Given, Task, TaskCodec
from floto.core.wire import decision_to_swf

#: Characters of one response to SWF, which takes 1 MB; the rest is room for what surrounds them.
RESPONSE_LIMIT = 900_000
_DECISION_SIZE = 20_000
#: The marker that holds the result of a run which repeats itself.
RESULT_MARKER = "floto.result"
#: A timer of 0 seconds that asks for another decision, where one response cannot hold all.
MORE_TIMER = "floto.more"
_REASON_LIMIT = 256
#: Names the wait before a run that may not be repeated yet is repeated; no task may be called so.
_REPEAT = "floto.repeat"
_MESSAGE_LIMIT = 2_000


def decide(
    spec: DeciderSpec, history: History | Iterable[Event] | State, *, codec: TaskCodec = CODEC
) -> list[Decision]:
    """The decisions that a spec calls for after a history; none when nothing is to be decided.

    Raises ``HistoryError`` for a history that cannot have happened, and ``SpecError``
    where a retry strategy answers what is no delay.
    """
    return decisions(begin(spec, _state(history), codec))


def decisions(progress: Progress) -> list[Decision]:
    """The decisions that are called for now, the same whether progress was carried forward or not."""
    state = progress.state
    more = state.items.get((Kind.TIMER, MORE_TIMER))
    if state.started is None or state.closed is not None or (more is not None and more.is_open):
        return []
    if state.cancel_requested is not None:
        return fitting(_cancel(state))
    if progress.exhausted:
        failures = {
            progress.plan.tasks[position].id_: message for position, message in progress.exhausted.items()
        }
        return fitting(_fail(state, failures))
    if len(progress.done) == len(progress.plan.tasks):
        return _close(progress)
    return fitting(_go_on(progress))


def spec_of(input: str | None, codec: TaskCodec = CODEC) -> DeciderSpec | None:
    """The spec that a run carries in its input, if any; raises ``SpecError`` where it cannot be read."""
    try:
        value = payload.loads(input)
    except PayloadError as error:
        raise SpecError((str(error),)) from error
    if not isinstance(value, dict) or SPEC_KEY not in value:
        return None
    spec = codec.structure(value[SPEC_KEY])
    if not isinstance(spec, DeciderSpec):
        raise SpecError((f"{SPEC_KEY} must be a DeciderSpec, not a {type(spec).__name__}",))
    return spec


def _state(history: History | Iterable[Event] | State) -> State:
    if isinstance(history, State):
        return history
    execution = history.execution if isinstance(history, History) else None
    return fold(history, evolve(EMPTY, execution=execution))


def _go_on(progress: Progress) -> list[Decision]:
    """Start what is ready, in spec order, as far as SWF's limits allow."""
    state = progress.state
    room: dict[Kind, int] = {}
    found: list[Decision] = []
    failures: dict[str, str] = {}
    try:
        workflow_input = _workflow_input(state.start.input)
    except PayloadError as error:
        return [_failed("the workflow's input cannot be read", {"workflow": str(error)})]
    for position in sorted(progress.steps):
        task, step = progress.plan.tasks[position], progress.steps[position]
        kind = Kind.TIMER if isinstance(step, Wait) else task.key[0]
        left = room[kind] if kind in room else OPEN_LIMIT - state.open_count.get(kind, 0)
        if left <= 0:
            continue
        room[kind] = left - 1
        try:
            decision = _decision(task, position, step, progress, workflow_input)
        except (PayloadError, SpecError) as error:
            failures[task.id_] = unreadable(error)
        else:
            found += [] if decision is None else [decision]
    return _fail(state, failures) if failures else found


def _decision(
    task: Task, position: int, step: Start | Wait, progress: Progress, workflow_input: Any
) -> Decision | None:
    if isinstance(step, Wait):
        return StartTimer(timer_id=step.timer_id, start_to_fire_timeout=str(step.seconds), control=task.id_)
    context = {} if workflow_input is None else {"workflow": workflow_input}
    for needed in progress.plan.requires[position]:
        result = _result(needed, progress)
        if result is not NO_RESULT:
            context[progress.plan.tasks[needed].id_] = result
    given = Given(
        context=context,
        execution=progress.state.execution,
        decision_task_list=progress.spec.task_list or progress.state.start.task_list.name,
        activity_task_list=progress.spec.default_activity_task_list,
        codec=progress.codec,
    )
    return _checked(task.start(given), task)


def _checked(decision: Decision | None, task: Task) -> Decision | None:
    """What a task of any kind decides, if SWF will take it."""
    for field in ("input", "control"):
        length = len(getattr(decision, field, None) or "")
        if length > payload.LIMIT:
            what = f"the {field} of task {task.id_!r}"
            raise PayloadError(what, f"is {length:,} characters long; SWF takes {payload.LIMIT:,}")
    return decision


def _result(position: int, progress: Progress) -> Any:
    """What a task passes on; a generator, the ids of its tasks."""
    task = progress.plan.tasks[position]
    if position in progress.plan.generators:
        return [other.id_ for other in progress.offspring.get(task.id_, ())]
    return task.result(progress.state.items[task.key])


@lru_cache(maxsize=64)
def _workflow_input(text: str | None) -> Any:
    """What a workflow was given, frozen: one value for all tasks and decisions."""
    value = payload.loads(text)
    if isinstance(value, dict) and SPEC_KEY in value:
        # The spec is for the decider; tasks would only carry it along.
        value = {key: item for key, item in value.items() if key != SPEC_KEY} or None
    return payload.frozen(value)


def fitting(found: list[Decision]) -> list[Decision]:
    """As many decisions as one response holds, and a timer that asks for the rest."""
    if sum(map(_most, found)) <= RESPONSE_LIMIT:
        return found
    size = 0
    for count, decision in enumerate(found):
        size += len(json.dumps(decision_to_swf(decision))) + 2
        if size > RESPONSE_LIMIT:
            return [*found[:count], StartTimer(timer_id=MORE_TIMER, start_to_fire_timeout="0")]
    return found


def _most(decision: Decision) -> int:
    """The most characters a decision can take: JSON writes some as a pair of six."""
    texts = (getattr(decision, name, None) for name in ("input", "result", "details"))
    return _DECISION_SIZE + 12 * sum(len(text) for text in texts if text)


def _close(progress: Progress) -> list[Decision]:
    """Complete with the results of the tasks that nothing depends on, or begin again."""
    plan = progress.plan
    try:
        results = {plan.tasks[leaf].id_: _result(leaf, progress) for leaf in plan.leaves}
        results = {id_: result for id_, result in results.items() if result is not NO_RESULT}
        result = payload.dumps_plain(results, "the result of the workflow")
    except (PayloadError, SpecError) as error:
        return [_failed("the result cannot be recorded", {"result": unreadable(error)})]
    if progress.spec.repeat_workflow:
        return _repeat(progress, result)
    return [CompleteWorkflowExecution(result=result)]


def _repeat(progress: Progress, result: str) -> list[Decision]:
    """Continue as new with everything passed on, after a marker that keeps the result."""
    state = progress.state
    marker = state.markers.get(RESULT_MARKER)
    noted: list[Decision] = []
    if marker is None or marker.data.details != result:
        noted.append(RecordMarker(marker_name=RESULT_MARKER, details=result))
    refused = state.items.get((Kind.CONTINUE_AS_NEW, ""))
    look = START if refused is None else next_attempt(refused, _REPEAT, None, state, progress.seed)
    if isinstance(look, Exhausted):
        return [*noted, _failed("the workflow cannot be repeated", {"repeat_workflow": look.message})]
    if isinstance(look, Wait):
        return [StartTimer(timer_id=look.timer_id, start_to_fire_timeout=str(look.seconds))]
    return [*noted, as_new(state)] if isinstance(look, Start) else []


def as_new(state: State) -> ContinueAsNewWorkflowExecution:
    """Continue a run as new, with everything it was started with."""
    # SWF takes what is missing here from the registered type, not from this run.
    start = state.start
    return ContinueAsNewWorkflowExecution(
        input=start.input,
        execution_start_to_close_timeout=start.execution_start_to_close_timeout,
        task_list=start.task_list,
        task_priority=start.task_priority,
        task_start_to_close_timeout=start.task_start_to_close_timeout,
        child_policy=start.child_policy,
        tag_list=start.tag_list,
        workflow_type_version=start.workflow_type.version,
        lambda_role=start.lambda_role,
    )


def _cancel(state: State) -> list[Decision]:
    """Ask what is open to stop, and cancel the run when all of it has; SWF drops timers with the run."""
    awaited = [key for _, key in sorted(state.opened.items()) if key[0] in _AWAITED]
    found = [
        decision for key in dict.fromkeys(awaited) for decision in _ASKS[key[0]](state.items[key], state)
    ]
    return found if awaited else [CancelWorkflowExecution()]


def _ask_activity(item: Item, _: State) -> Iterable[Decision]:
    if item.cancel is None:
        yield RequestCancelActivityTask(activity_id=item.key[1])


def _ask_child(item: Item, state: State) -> Iterable[Decision]:
    # A child that is still being started cannot be asked; its start wakes the decider.
    if item.status is Status.STARTED and item.opened is not None:
        workflow_id = item.opened.data.workflow_id
        asked = state.items.get((Kind.EXTERNAL_CANCEL, workflow_id))
        if asked is None or _may_ask_again(asked):
            yield RequestCancelExternalWorkflowExecution(workflow_id=workflow_id)


def _ask_nobody(_item: Item, _state: State) -> Iterable[Decision]:
    """SWF has no way to stop a Lambda function."""
    return ()


#: What a run that is canceled waits for, and how each is asked to stop.
_ASKS: dict[Kind, Callable[[Item, State], Iterable[Decision]]] = {
    Kind.ACTIVITY: _ask_activity,
    Kind.CHILD: _ask_child,
    Kind.LAMBDA: _ask_nobody,
}
_AWAITED = frozenset(_ASKS)


def _may_ask_again(asked: Item) -> bool:
    if asked.status is not Status.REFUSED:
        return False
    failures = tuple(map(failure_of, asked.failures))
    retry = Retry(task_id=asked.key[1], seed="", failures=failures)
    return failures[-1].passes and REFUSED_TIMER.delay(retry) is not None


def _fail(state: State, failures: dict[str, str]) -> list[Decision]:
    """Fail the run; children would live on, so they are asked to stop first, each when it runs."""
    children = dict.fromkeys(key for _, key in sorted(state.opened.items()) if key[0] is Kind.CHILD)
    found = [decision for key in children for decision in _ask_child(state.items[key], state)]
    if any(state.items[key].status is Status.SCHEDULED for key in children):
        return found
    return [*found, _failed(f"failed: {', '.join(sorted(failures))}", failures)]


def _failed(reason: str, failures: dict[str, str]) -> Decision:
    details = {id_: _cut(message, _MESSAGE_LIMIT) for id_, message in sorted(failures.items())}
    while len(text := payload.encode(details, "the failures")) > payload.LIMIT:
        # Messages past SWF's limit: keep the first half of them, and say so.
        kept = list(details.items())[: max(1, len(details) // 2 - 1)]
        details = {**dict(kept), "...": f"and {len(failures) - len(kept)} more"}
    return FailWorkflowExecution(reason=_cut(reason, _REASON_LIMIT), details=text)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
