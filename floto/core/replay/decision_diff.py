"""Decisions held against decisions, field by field: the first difference, as data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from attrs import fields, frozen

from floto.core.errors import PayloadError
from floto.core.payloads import payload
from floto.core.replay.recorded_decisions import Recorded
from floto.core.spec.activity_timeouts import TIMEOUTS_KEY, split, without_attempt, without_timeouts
from floto.core.state.state import TASK_CONTROL
from floto.core.swf import decisions as d
from floto.core.swf.decisions import DECISION_TYPES, Decision
from floto.core.swf.identifiers import shown
from floto.core.visible import visible

#: What SWF takes from the registered type, or from the run, where a decision says nothing. A
#: history shows what was taken, so it cannot tell that nothing was said.
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
#: The difference is that one side has this decision and the other has not.
DECISION = "decision"
#: The difference is that the same decisions stand in another order.
ORDER = "order"
_JSON = frozenset({"input", "result", "details"})


def _task_or_workflow(decision: Any) -> Hashable:
    """The task that floto named in ``control``, which stays when the id of its workflow changes."""
    control: str = decision.control or ""
    return control if control.startswith(TASK_CONTROL) else decision.workflow_id


#: What of a decision says which one it is; for the others, their class.
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
    """Where two lists of decisions first differ.

    ``field`` is a field of the decision that both have; ``decision`` where only one side
    has it, or each has another; ``order`` where both have it in other places.
    """

    field: str
    #: Which decision, as people say it.
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
    """A decision as people say it."""
    subject, name = subject_of(decision), type(decision).__name__
    return name if subject is None else f"{name} {subject!r}"


def subject_of(decision: Decision) -> str | None:
    """Return the id or name of what a decision is about; None where it is about the run itself."""
    named_by = _NAMED_BY.get(type(decision))
    return None if named_by is None else str(named_by(decision)).removeprefix(TASK_CONTROL)


def difference(
    recorded: Sequence[Recorded], decided: Sequence[Decision], *, exact: bool = False
) -> Difference | None:
    """The first difference between what was recorded and what is decided.

    ``exact``: what was recorded says what it left out, as an answer does and a history does not.
    """
    for place in range(max(len(recorded), len(decided))):
        old = recorded[place] if place < len(recorded) else None
        new = decided[place] if place < len(decided) else None
        if old is None or new is None or identity(old.decision) != identity(new):
            return _apart(None if old is None else old.decision, new, recorded, decided)
        field = _field(old, new, exact=exact)
        if field is not None:
            return Difference(field, name_of(new), getattr(old.decision, field), getattr(new, field))
    return None


def exact_difference(old: Sequence[Decision], new: Sequence[Decision]) -> Difference | None:
    """The first difference between two answers, in every field."""
    if list(old) == list(new):
        return None
    return difference([_written(each) for each in old], new, exact=True)


def _written(decision: Any) -> Recorded:
    return Recorded(0, decision, _names(decision.__class__))


def _field(old: Recorded, new: Decision, *, exact: bool) -> str | None:
    """The first field that the two have differently."""
    before = old.decision
    for name in old.known:
        was, now = getattr(before, name), getattr(new, name)
        if (
            was != now
            and not (now is None and name in FILLED_IN and not exact)
            and not _alike(name, was, now)
        ):
            return name
    return None


def _alike(name: str, was: Any, now: Any) -> bool:
    """Whether two texts say the same JSON: other deciders and other compressors write it otherwise."""
    if name not in _JSON or now is None or (was is None and name != "input"):
        return False
    try:
        before, after = payload.loads(was), payload.loads(now)
        if not (isinstance(before, dict) and TIMEOUTS_KEY in before):
            # Recorded before time-outs were written into inputs, or by another decider.
            after = without_timeouts(after) or None
        elif split(before)[1].attempt is None:
            # Recorded before the attempt was.
            after = without_attempt(after)
        return payload.encode(before, name) == payload.encode(after, name)
    except PayloadError:
        return False


def _apart(
    old: Decision | None, new: Decision | None, recorded: Sequence[Recorded], decided: Sequence[Decision]
) -> Difference:
    """The difference where one place holds two decisions, or one."""
    gone, come = old, new
    if old is not None and new is not None:
        lost = identity(old) not in set(map(identity, decided))
        added = identity(new) not in {identity(each.decision) for each in recorded}
        if not lost and not added:
            return Difference(ORDER, name_of(old), old, new)
        gone, come = old if lost else None, new if added else None
    return Difference(DECISION, " and ".join(name_of(each) for each in (gone, come) if each), gone, come)


def identity(decision: Decision) -> Hashable:
    """What tells a decision from the others of an answer."""
    named_by = _NAMED_BY.get(type(decision))
    return type(decision), named_by and named_by(decision)


@cache
def _names(decision: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(decision))


def _shown(value: Any) -> str:
    return name_of(value) if type(value).__name__ in DECISION_TYPES else shown(value)
