"""What a daemon does next: it starts one child for each signal that asks for one.

Level-triggered, as ``decide`` is: the children and notes there should be, less those there
are. A signal is settled by the child that its event id names, or by a marker that says why
there is none; so daemons may be killed, started again and run side by side, and each signal
still starts one child. SWF applies the child policy of a run that is terminated or timed out
only, so children outlive a daemon that is continued as new or canceled, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha1
from typing import Any, cast

from attrs import evolve

from floto.core.decide.closing import as_new
from floto.core.decide.decide import MORE_TIMER, fitting, spec_of
from floto.core.decide.progress import START, Exhausted, Look, Rest, Start, Wait, next_attempt, unreadable
from floto.core.engine import validation
from floto.core.errors import HistoryError, PayloadError, PayloadsNeeded, PayloadsUnavailable, SpecError
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC, SPEC_KEY, ChildWorkflow, DeciderSpec
from floto.core.spec.task_lists import nested
from floto.core.spec.tasks import Given, TaskCodec
from floto.core.state.failures import failure_of
from floto.core.state.state import Key, Kind, State, Status
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    Decision,
    RecordMarker,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.events import Event
from floto.core.swf.identifiers import list_problems, shown
from floto.core.swf.limits import EVENT_LIMIT, OPEN_LIMIT
from floto.core.swf.shapes import WorkflowType

DAEMON_TYPE = WorkflowType("floto_daemon_type", "v1")
#: The type of children whose signal names none.
CHILD_TYPE = WorkflowType("floto_child_type", "v1")
SIGNAL = "startChildWorkflowExecution"
#: Before the event id of a signal that starts no child: the marker that says why.
NOTE_PREFIX = "floto.daemon:"
#: Events, and children that run, at which a daemon begins afresh as soon as nothing waits.
RENEW_EVENTS, RENEW_CHILDREN = EVENT_LIMIT // 2, OPEN_LIMIT * 4 // 5
#: Events at which what SWF still refuses is given up, so that it lets the daemon begin afresh.
FULL_EVENTS = EVENT_LIMIT * 4 // 5
#: Where a daemon's input carries the task lists its children were started on.
LISTS_KEY = "task_lists"
#: The most task lists that a daemon knows of beside its own, the latest.
MOST_LISTS = 100
_RENEWAL = "floto.renewal"
_CANCELED = "the daemon was canceled before it started this child"
_PROBLEM_LIMIT = 2_000
_VALUES_LIMIT = 200_000
_ID_LIMIT, _DIGITS = 200, 10


def decide_daemon(state: State, *, domain: str | None = None, codec: TaskCodec = CODEC) -> list[Decision]:
    """The decisions that a daemon's signals call for; none when nothing is to be decided.

    Specs that name another domain than ``domain`` are refused, if it is given.
    """
    more = state.items.get((Kind.TIMER, MORE_TIMER))
    if state.started is None or state.closed is not None or (more is not None and more.is_open):
        return []
    unsettled = [
        (event, look)
        for event in state.signals.get(SIGNAL, ())
        if (look := _look(event, state)) is not Rest.DONE
    ]
    room = {kind: OPEN_LIMIT - state.open_count.get(kind, 0) for kind in (Kind.CHILD, Kind.TIMER)}
    found: list[Decision] = []
    for event, look in unsettled:
        kind = Kind.TIMER if isinstance(look, Wait) else Kind.CHILD
        if look is Rest.IN_FLIGHT or (not isinstance(look, Exhausted) and room[kind] <= 0):
            continue
        decision = _decision(event, look, state, domain, codec)
        room[kind] -= not isinstance(decision, RecordMarker)
        found.append(decision)
    noted = sum(isinstance(decision, RecordMarker) for decision in found)
    return fitting([*found, *_close(state, codec)] if noted == len(unsettled) else found)


def task_lists(state: State, codec: TaskCodec = CODEC) -> tuple[str, ...]:
    """The task lists, beside its own, on which children of a daemon and theirs may wait for a decider."""
    own = state.start.task_list.name
    children = (state.items[key] for _, key in sorted(state.opened.items()) if key[0] is Kind.CHILD)
    lists = dict.fromkeys(_carried(state.start.input))
    for child in children:
        if child.opened is not None:
            data = child.opened.data
            lists |= dict.fromkeys(child_lists(data.input, data.task_list.name, codec))
    lists.pop(own, None)
    return tuple(lists)[-MOST_LISTS:]


def child_lists(input: str | None, task_list: str, codec: TaskCodec = CODEC) -> Iterable[str]:
    """The task lists of a child that carries a spec, and of the children in that spec."""
    try:
        spec = spec_of(input, codec)
    except (PayloadsNeeded, PayloadsUnavailable, SpecError):
        return ()
    # One that carries no spec is somebody else's to decide.
    return () if spec is None else dict.fromkeys(name for _, name in nested(spec, task_list) if name)


def note_of(decision: Decision) -> str | None:
    """What a decision records of a signal that starts no child, if that is what it is."""
    is_note = isinstance(decision, RecordMarker) and decision.marker_name.startswith(NOTE_PREFIX)
    return cast("RecordMarker", decision).details if is_note else None


def _look(event: Event, state: State) -> Look:
    """Where one signal stands."""
    name = _note_name(event)
    # A marker that SWF does not let the daemon record must not be tried without end.
    if name in state.markers or (Kind.MARKER, name) in state.items:
        return Rest.DONE
    item = state.items.get(_key(event))
    if item is not None and item.status is not Status.REFUSED:
        return Rest.IN_FLIGHT if item.status is Status.SCHEDULED else Rest.DONE
    if state.cancel_requested is not None:
        return Exhausted(_CANCELED)
    if item is None:
        return START
    look = next_attempt(item, str(event.id), None, state, _run_id(state))
    if state.last_event_id >= FULL_EVENTS and look != START:
        return Exhausted(failure_of(item.failures[-1]).message)
    return look


def _decision(
    event: Event, look: Look, state: State, domain: str | None, codec: TaskCodec
) -> StartChildWorkflowExecution | StartTimer | RecordMarker:
    if isinstance(look, Wait):
        return StartTimer(timer_id=look.timer_id, start_to_fire_timeout=str(look.seconds))
    if isinstance(look, Exhausted):
        return _note(event, look.message)
    try:
        return _child(event, state, domain, codec)
    except (PayloadError, SpecError) as error:
        return _note(event, unreadable(error))


def _note(event: Event, problem: str) -> RecordMarker:
    text = problem if len(problem) <= _PROBLEM_LIMIT else f"{problem[: _PROBLEM_LIMIT - 3]}..."
    details = payload.dumps({"signal": event.id, "problem": text}, "a note")
    return RecordMarker(marker_name=_note_name(event), details=details)


def _note_name(event: Event) -> str:
    return f"{NOTE_PREFIX}{event.id}"


def _key(event: Event) -> Key:
    return (Kind.CHILD, str(event.id))


def _run_id(state: State) -> str:
    if state.execution is None:
        raise HistoryError(None, "does not say of which daemon it is; the ids of its children are made of it")
    return state.execution.run_id


def _child(event: Event, state: State, domain: str | None, codec: TaskCodec) -> StartChildWorkflowExecution:
    """The child that a signal asks for. Raises ``SpecError`` or ``PayloadError``."""
    fields = _fields(event.data.input)
    kind = _workflow_type(fields.get("workflow_type"))
    task = ChildWorkflow(
        id_=str(event.id),
        workflow_type_name=kind.name,
        workflow_type_version=kind.version,
        workflow_id=fields.get("workflow_id") or _workflow_id(event, state),
        spec=_spec(fields[SPEC_KEY], domain, codec),
    )
    _refuse(task.problems())
    given = Given(
        context=_input(fields.get("input")),
        execution=state.execution,
        decision_task_list=state.start.task_list.name,
        activity_task_list=None,
        codec=codec,
    )
    started = cast("StartChildWorkflowExecution", task.start(given))
    decision = evolve(started, tag_list=_tags(fields.get("tag_list")))
    # SWF refuses an answer as a whole: one malformed child must not cost the others theirs.
    _refuse(validation.problems(decision, ""))
    return decision


def _refuse(problems: Iterable[str]) -> None:
    if found := tuple(problems):
        raise SpecError(found)


def _fields(input: str | None) -> Mapping[str, Any]:
    value = payload.loads(input)
    if not isinstance(value, dict) or SPEC_KEY not in value:
        raise SpecError((f"its input must be a JSON object with a {SPEC_KEY}, not {shown(value)}",))
    if unknown := sorted(value.keys() - _FIELDS):
        known = ", ".join(sorted(_FIELDS))
        raise SpecError((f"its input has unknown fields: {shown(unknown)}; it may have {known}",))
    return value


#: What the input of a signal may say.
_FIELDS = frozenset({SPEC_KEY, "workflow_type", "workflow_id", "input", "tag_list"})


def _spec(value: Any, domain: str | None, codec: TaskCodec) -> DeciderSpec:
    plain = payload.loads(value) if isinstance(value, str) else value
    if _is_huge(plain):
        raise SpecError(
            (f"{SPEC_KEY} holds more than {_VALUES_LIMIT:,} values; no run gets through so many",)
        )
    spec = codec.structure(plain)
    if not isinstance(spec, DeciderSpec):
        raise SpecError((f"{SPEC_KEY} must be a DeciderSpec, not a {type(spec).__name__}",))
    if domain is not None and spec.domain not in (None, domain):
        raise SpecError((f"its spec is for domain {spec.domain!r}, and this daemon is in {domain!r}",))
    return spec


def _is_huge(value: Any) -> bool:
    """Whether it would take long to read: a packed signal may hold a million tasks."""
    todo, count = [value], 0
    while todo and count <= _VALUES_LIMIT:
        item = todo.pop()
        inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        count += len(inner)
        todo += inner if count <= _VALUES_LIMIT else ()
    return count > _VALUES_LIMIT


def _workflow_type(value: Any) -> WorkflowType:
    if value is None:
        return CHILD_TYPE
    if not isinstance(value, dict) or value.keys() != {"name", "version"}:
        raise SpecError((f"workflow_type must be an object with name and version, not {shown(value)}",))
    return WorkflowType(value["name"], value["version"])


def _workflow_id(event: Event, state: State) -> str:
    """An id that no other signal gets; event ids begin again with each run of a daemon."""
    digest = sha1(_run_id(state).encode(), usedforsecurity=False).hexdigest()[:_DIGITS]
    daemon = state.execution.workflow_id if state.execution else ""
    return f"{daemon[:_ID_LIMIT]}:{digest}:{event.id}"


def _input(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or SPEC_KEY in value:
        raise SpecError((f"input must be a JSON object without {SPEC_KEY}, not {shown(value)}",))
    return value


def _tags(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag.isprintable() for tag in value):
        raise SpecError((f"tag_list must be a list of texts, not {shown(value)}",))
    return tuple(value)


def _close(state: State, codec: TaskCodec) -> list[Decision]:
    """What a daemon does that has nothing to do."""
    if state.cancel_requested is not None:
        return [CancelWorkflowExecution()]
    children = state.open_count.get(Kind.CHILD, 0)
    if not (state.last_event_id >= RENEW_EVENTS or children >= RENEW_CHILDREN or _is_old(state)):
        return []
    refused = state.items.get((Kind.CONTINUE_AS_NEW, ""))
    look = START if refused is None else next_attempt(refused, _RENEWAL, None, state, _run_id(state))
    if isinstance(look, Wait):
        return [StartTimer(timer_id=look.timer_id, start_to_fire_timeout=str(look.seconds))]
    # Where SWF refuses for good, the daemon goes on as it is.
    return [_renewed(state, codec)] if isinstance(look, Start) else []


def _is_old(state: State) -> bool:
    """Whether half of the time is over that SWF gives this run: a daemon goes on without end."""
    limit = state.start.execution_start_to_close_timeout or ""
    if state.started is None or state.last is None or not limit.isdecimal():
        return False
    return 0 < int(limit) <= 2 * (state.last.at - state.started.at).total_seconds()


def _renewed(state: State, codec: TaskCodec) -> Decision:
    """The next run, which is told where the children of this one are decided."""
    decision, lists = as_new(state, state.start.input), task_lists(state, codec)
    given = _object(state.start.input)
    if not lists or given is None:
        return decision
    try:
        input = payload.dumps({**given, LISTS_KEY: lists}, "the input of the daemon")
    except PayloadError:
        # What the user gave comes first; the lists are learned again as their children close.
        return decision
    return evolve(decision, input=input)


def _object(input: str | None) -> dict[str, Any] | None:
    """A daemon's input where it is an object or nothing; what else it may be is the user's."""
    try:
        value = payload.loads(input)
    except PayloadError:
        return None
    return {} if value is None else value if isinstance(value, dict) else None


def _carried(input: str | None) -> Iterator[str]:
    lists = (_object(input) or {}).get(LISTS_KEY)
    for name in lists if isinstance(lists, list) else ():
        if not list(list_problems(LISTS_KEY, name)):
            yield name
