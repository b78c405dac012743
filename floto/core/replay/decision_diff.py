"""First difference between recorded and new decisions, field by field."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from attrs import fields, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.replay.recorded_decisions import Recorded, values_of
from floto.core.spec.activity_timeouts import without_timeouts, without_unrecorded
from floto.core.swf import decisions as d
from floto.core.swf.decisions import DECISION_TYPES, Decision
from floto.core.swf.identifiers import shown
from floto.core.swf.reserved_names import TASK_CONTROL, TIMEOUTS_KEY
from floto.core.visible import visible

#: Fields that SWF fills in from the registered type or the run if a decision omits them. A history has the
#: values that were filled in, so it does not show whether the decision had them.
FILLED_IN = frozenset(
    {
        "task_list",
        "task_priority",
        "schedule_to_start_timeout",
        "schedule_to_close_timeout",
        "start_to_close_timeout",
        "heartbeat_timeout",
        "execution_start_to_close_timeout",
        "task_start_to_close_timeout",
        "child_policy",
        "lambda_role",
        "workflow_type_version",
    }
)
#: Value of ``Difference.field``: only one side has the decision, or each side has another.
DECISION = "decision"
#: Value of ``Difference.field``: both sides have the decision, at different positions.
ORDER = "order"
_JSON = frozenset({"input", "result", "details"})


def _task_or_workflow(decision: Any) -> Hashable:
    """Return the task that ``control`` names, since the workflow id of a task may change, or else that id."""
    control: str = decision.control or ""
    return control if control.startswith(TASK_CONTROL) else decision.workflow_id


#: Identity key of each decision type; types not listed are identified by their class.
_NAMED_BY: Mapping[type, Callable[[Any], Hashable]] = {
    d.ScheduleActivityTask: attrgetter("activity_id"),
    d.RequestCancelActivityTask: attrgetter("activity_id"),
    d.StartTimer: attrgetter("timer_id"),
    d.CancelTimer: attrgetter("timer_id"),
    d.RecordMarker: attrgetter("marker_name"),
    d.StartChildWorkflowExecution: _task_or_workflow,
    d.SignalExternalWorkflowExecution: _task_or_workflow,
    d.RequestCancelExternalWorkflowExecution: attrgetter("workflow_id"),
    d.ScheduleLambdaFunction: attrgetter("id"),
}


@frozen
class Difference:
    """First difference between two lists of decisions.

    ``field`` is a field of a decision that both have; ``decision`` if only one side has it, or
    each has another; ``order`` if both have it at different positions.
    """

    field: str
    #: Type and identity of the decision, for messages.
    what: str
    recorded: Any
    decided: Any

    def __str__(self) -> str:
        """Return one line."""
        return visible(self._sentence())

    def _sentence(self) -> str:
        recorded, decided = _shown(self.recorded), _shown(self.decided)
        if self.field == ORDER:
            return f"{recorded} was decided where now {decided} would be: the order differs"
        if self.field != DECISION:
            return f"{self.what}: {self.field} was {recorded} and would now be {decided}"
        if self.decided is None:
            return f"{recorded} was decided and would not be now"
        if self.recorded is None:
            return f"{decided} would be decided now and was not"
        return f"{recorded} was decided and {decided} would be now"


def name_of(decision: Decision) -> str:
    """Return the type and identity of a decision, for messages."""
    subject, name = subject_of(decision), type(decision).__name__
    return name if subject is None else f"{name} {subject!r}"


def subject_of(decision: Decision) -> str | None:
    """Return the id or name of what a decision is about; None if it is about the run itself."""
    named_by = _NAMED_BY.get(type(decision))
    return None if named_by is None else str(named_by(decision)).removeprefix(TASK_CONTROL)


def difference(
    recorded: Sequence[Recorded], decided: Sequence[Decision], *, exact: bool = False
) -> Difference | None:
    """Return the first difference between recorded and new decisions; None if they agree.

    Args:
        recorded: The recorded decisions.
        decided: The new decisions.
        exact: Compare also the fields of ``FILLED_IN`` that the new decision omits. Set for decisions of a
            response, not for those of a history.
    """
    for place in range(max(len(recorded), len(decided))):
        old = recorded[place] if place < len(recorded) else None
        new = decided[place] if place < len(decided) else None
        if old is None or new is None or identity(old.decision) != identity(new):
            return _difference_at(None if old is None else old.decision, new, recorded, decided)
        field = _differing_field(old, new, exact=exact)
        if field is not None:
            return Difference(field, name_of(new), getattr(old.decision, field), getattr(new, field))
    return None


def exact_difference(old: Sequence[Decision], new: Sequence[Decision]) -> Difference | None:
    """Return the first difference between the decisions of two responses, in every field."""
    if list(old) == list(new):
        return None
    return difference([_exactly_recorded(each) for each in old], new, exact=True)


def _exactly_recorded(decision: Any) -> Recorded:
    return Recorded(0, decision, _names(decision.__class__))


def _differing_field(old: Recorded, new: Decision, *, exact: bool) -> str | None:
    """Return the first field that differs; None if there is none."""
    values = values_of(old.known)
    for name, was, now in zip(old.known, values(old.decision), values(new), strict=True):
        if (
            was != now
            and not (now is None and name in FILLED_IN and not exact)
            and not _is_equal_json(name, was, now)
        ):
            return name
    return None


def _is_equal_json(name: str, was: Any, now: Any) -> bool:
    """Return True if two strings encode equal JSON: deciders and compressors differ in form only."""
    if name not in _JSON or now is None or (was is None and name != "input"):
        return False
    try:
        before, after = payload.loads(was), payload.loads(now)
        if isinstance(before, dict) and TIMEOUTS_KEY in before:
            # Recorded by a floto that did not write the attempt, or the checkpoint, into inputs.
            after = without_unrecorded(after, before)
        else:
            # Recorded by another decider, or by a floto that did not write timeouts into inputs.
            after = without_timeouts(after) or None
        return payload.encode(before, name) == payload.encode(after, name)
    except PayloadError:
        return False


def _difference_at(
    old: Decision | None, new: Decision | None, recorded: Sequence[Recorded], decided: Sequence[Decision]
) -> Difference:
    """Return the difference at a position with two different decisions, or only one.

    Args:
        old: The recorded decision at the position; None if there is none.
        new: The new decision at the position; None if there is none.
        recorded: All recorded decisions.
        decided: All new decisions.
    """
    gone, come = old, new
    if old is not None and new is not None:
        lost = identity(old) not in set(map(identity, decided))
        added = identity(new) not in {identity(each.decision) for each in recorded}
        if not lost and not added:
            return Difference(ORDER, name_of(old), old, new)
        gone, come = old if lost else None, new if added else None
    return Difference(DECISION, " and ".join(name_of(each) for each in (gone, come) if each), gone, come)


def identity(decision: Decision) -> Hashable:
    """Return a key that is unique among the decisions of a response."""
    named_by = _NAMED_BY.get(type(decision))
    return type(decision), named_by and named_by(decision)


@cache
def _names(decision: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(decision))


def _shown(value: Any) -> str:
    return name_of(value) if type(value).__name__ in DECISION_TYPES else shown(value)
