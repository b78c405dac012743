"""The decisions of a daemon, which starts one child for each signal that requests one.

Level-triggered, as ``decide`` is. A signal is handled by the child that its event id names, or by a marker
that records why there is no child. So daemons may be killed, restarted and run side by side, and each signal
still starts one child. SWF applies the child policy only when a run is terminated or times out, so children
outlive a daemon that is continued as new or canceled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha1
from typing import Any

from attrs import evolve

from floto.core.decide.child_requests import (
    CHILD_TYPE,
    continue_as_new,
    decisions_for,
    need_run_id,
    next_step_of_child,
    problem_marker,
    problem_marker_name,
    start_child,
    timeout_share,
)
from floto.core.decide.closing import as_new
from floto.core.decide.decide import awaits_more, fit_response, spec_of
from floto.core.decide.next_step import Exhausted, NextStep, NoStep
from floto.core.decide.update import unreadable
from floto.core.errors import PayloadError, PayloadsNeeded, PayloadsUnavailable, SpecError
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC, ChildWorkflow, DeciderSpec, as_spec
from floto.core.spec.nested_specs import nested
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import Kind, State, Status
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    Decision,
    RecordMarker,
    StartChildWorkflowExecution,
)
from floto.core.swf.events import Event
from floto.core.swf.identifiers import list_problems, shown
from floto.core.swf.limits import EVENT_LIMIT, OPEN_LIMIT
from floto.core.swf.reserved_names import SPEC_KEY
from floto.core.swf.shapes import WorkflowType

DAEMON_TYPE = WorkflowType("floto_daemon_type", "v1")
#: Default task list of daemons.
DAEMON_LIST = "floto_daemon"
SIGNAL = "startChildWorkflowExecution"
#: Numbers of events and of open children from which an idle daemon continues as new.
RENEW_EVENTS, RENEW_CHILDREN = EVENT_LIMIT // 2, OPEN_LIMIT * 4 // 5
#: Key of a daemon's input for the task lists that its children were started on.
LISTS_KEY = "task_lists"
#: Maximum number of task lists that a daemon serves beside its own; the latest are kept.
MOST_LISTS = 100
_CANCELED = "the daemon was canceled before it started this child"
_VALUES_LIMIT = 200_000
_ID_LIMIT, _DIGITS = 200, 10


def decide_daemon(state: State, *, domain: str | None = None, codec: TaskCodec = CODEC) -> list[Decision]:
    """Return the decisions that the signals of a daemon call for; an empty list if there are none.

    Args:
        state: The state of the daemon's run.
        domain: The domain of the daemon: specs that name another are refused. None accepts all.
        codec: Reads the specs in signals.

    Raises:
        HistoryError: if the state does not name its execution, and a child is to be started.
    """
    if state.started is None or state.closed is not None or awaits_more(state):
        return []
    unsettled = [
        (event, step)
        for event in state.signals.get(SIGNAL, ())
        if (step := _next_step(event, state)) is not NoStep.DONE
    ]
    found = decisions_for(unsettled, lambda event, step: _decision(event, step, state, domain, codec), state)
    noted = sum(isinstance(decision, RecordMarker) for decision in found)
    if noted == len(unsettled):
        found += _when_idle(state, noted, codec)
    return fit_response(found, state)


def task_lists(state: State, codec: TaskCodec = CODEC) -> tuple[str, ...]:
    """Return the decision task lists of a daemon's descendants, without the daemon's own."""
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
    """Return the decision task lists of a child with a spec, and of the children in that spec."""
    try:
        spec = spec_of(input, codec)
    except (PayloadsNeeded, PayloadsUnavailable, SpecError):
        return ()
    # Another program decides for a child without a spec.
    return () if spec is None else dict.fromkeys(name for _, name in nested(spec, task_list) if name)


def _next_step(event: Event, state: State) -> NextStep:
    """Return the next step of one signal."""
    name = problem_marker_name(event)
    # Do not retry a marker that SWF refused: the refusal is permanent.
    if name in state.markers or (Kind.MARKER, name) in state.items:
        return NoStep.DONE
    item = state.items.get((Kind.CHILD, str(event.id)))
    if state.cancel_requested is not None and (item is None or item.status is Status.REFUSED):
        return Exhausted(_CANCELED)
    return next_step_of_child(str(event.id), state)


def _decision(
    event: Event, step: NextStep, state: State, domain: str | None, codec: TaskCodec
) -> StartChildWorkflowExecution | RecordMarker:
    if isinstance(step, Exhausted):
        return problem_marker(event, step.message)
    try:
        return _child(event, state, domain, codec)
    except (PayloadError, SpecError) as error:
        return problem_marker(event, unreadable(error))


def _child(event: Event, state: State, domain: str | None, codec: TaskCodec) -> StartChildWorkflowExecution:
    """Start the child that a signal requests. Raises ``SpecError`` or ``PayloadError``."""
    fields = _fields(event.data.input)
    kind = _workflow_type(fields.get("workflow_type"))
    task = ChildWorkflow(
        id_=str(event.id),
        workflow_type_name=kind.name,
        workflow_type_version=kind.version,
        workflow_id=fields.get("workflow_id") or _workflow_id(event, state),
        spec=_spec(fields[SPEC_KEY], domain, codec),
    )
    return start_child(task, _input(fields.get("input")), state, codec, _tags(fields.get("tag_list")))


def _fields(input: str | None) -> Mapping[str, Any]:
    value = payload.loads(input)
    if not isinstance(value, dict) or SPEC_KEY not in value:
        raise SpecError((f"its input must be a JSON object with a {SPEC_KEY}, not {shown(value)}",))
    if unknown := sorted(value.keys() - _FIELDS):
        known = ", ".join(sorted(_FIELDS))
        raise SpecError((f"its input has unknown fields: {shown(unknown)}; it may have {known}",))
    return value


#: Permitted fields of a signal's input.
_FIELDS = frozenset({SPEC_KEY, "workflow_type", "workflow_id", "input", "tag_list"})


def _spec(value: Any, domain: str | None, codec: TaskCodec) -> DeciderSpec:
    plain = payload.loads(value) if isinstance(value, str) else value
    if _is_huge(plain):
        raise SpecError(
            (f"{SPEC_KEY} holds more than {_VALUES_LIMIT:,} values, more than a run can process",)
        )
    spec = as_spec(codec.structure(plain), SPEC_KEY)
    if domain is not None and spec.domain not in (None, domain):
        raise SpecError((f"its spec is for domain {spec.domain!r}, and this daemon is in {domain!r}",))
    return spec


def _is_huge(value: Any) -> bool:
    """Return True if a value is too large to read: a compressed signal may hold a million tasks."""
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
    """Return a workflow id that is unique to a signal; event ids alone restart in each run of a daemon."""
    digest = sha1(need_run_id(state).encode(), usedforsecurity=False).hexdigest()[:_DIGITS]
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
        raise SpecError((f"tag_list must be a list of printable strings, not {shown(value)}",))
    return tuple(value)


def _when_idle(state: State, noted: int, codec: TaskCodec) -> list[Decision]:
    """Return the decision of a daemon without pending signals: cancel, continue as new, or none."""
    if state.cancel_requested is not None:
        return [CancelWorkflowExecution()]
    children = state.open_count.get(Kind.CHILD, 0)
    # With the events of this response: SWF schedules no decision task after it for those alone.
    events = state.last_event_id + (1 + noted if state.decision_tasks.started is not None else 0)
    if not (events >= RENEW_EVENTS or children >= RENEW_CHILDREN or timeout_share(state) >= 1 / 2):
        return []
    # After a permanent refusal the daemon goes on in this run.
    return continue_as_new(state, lambda: _continued(state, codec))


def _continued(state: State, codec: TaskCodec) -> Decision:
    """Continue as new with the task lists of the children in the input."""
    decision, lists = as_new(state, state.start.input), task_lists(state, codec)
    given = _object(state.start.input)
    if not lists or given is None:
        return decision
    try:
        input = payload.dumps({**given, LISTS_KEY: lists}, "the input of the daemon")
    except PayloadError:
        # The user's input has priority; the next run learns the lists from new children.
        return decision
    return evolve(decision, input=input)


def _object(input: str | None) -> dict[str, Any] | None:
    """Return the input of a daemon as an object, empty for no input; None if it is anything else."""
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
