"""Effect of a changed spec on recorded runs, closed and open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum

from attrs import field, frozen

from floto.core.replay.decision_diff import Difference, exact_difference, identity, subject_of
from floto.core.replay.decision_tasks import RecordedOutcome, decision_tasks
from floto.core.replay.recorded_decisions import check_readable
from floto.core.replay.replay import Divergence, decided_at
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import TaskCodec
from floto.core.swf.closing_events import CLOSING_EVENTS
from floto.core.swf.decisions import (
    CLOSE_DECISIONS,
    CancelTimer,
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    RequestCancelActivityTask,
    RequestCancelExternalWorkflowExecution,
    ScheduleActivityTask,
    ScheduleLambdaFunction,
    StartChildWorkflowExecution,
    StartTimer,
)
from floto.core.swf.history import History, as_history


class Verdict(StrEnum):
    """Kind of the first difference between the decisions of the old and the new spec."""

    SAME = "same"
    MORE = "schedules more"
    LESS = "schedules less"
    INPUT = "different input"
    #: Other settings, another order, other tasks, another result.
    OTHER = "decides otherwise"
    FAILS = "would fail"


@frozen(kw_only=True)
class Compared:
    """Decisions of both specs for one history, at each decision task that a decider responded to."""

    history: History = field(repr=lambda history: f"<{len(history)} events>")
    verdict: Verdict
    #: First decision task with different decisions; ``recorded`` are those of the old spec.
    divergence: Divergence | None
    #: First decision task at which the old spec does not decide what was recorded.
    stranger: Divergence | None
    is_open: bool
    #: First difference between the decisions at the end of the history; None if the run is closed.
    next: Difference | None
    #: For a run in flight: what the old spec and the new one decide at that moment.
    decided_next: tuple[Sequence[Decision], Sequence[Decision]] = field(repr=False)

    @property
    def is_safe(self) -> bool:
        """Return True if deploying the new spec now changes nothing for this run."""
        return not self.is_open or self.next is None

    def __str__(self) -> str:
        """Return one line, and one more for an open run."""
        lines = [f"{self.verdict}{f': {self.divergence}' if self.divergence else ''}"]
        if self.stranger is not None:
            lines.append(f"the old spec does not decide this either: {self.stranger}")
        if self.is_open:
            lines.append(self._deployment())
        return "\n".join(lines)

    def _deployment(self) -> str:
        """Say what a deployment does to this run, which is in flight."""
        if self.next is None:
            return "safe: on deploy nothing changes"
        did = ", ".join(_changes(*self.decided_next))
        return f"not safe: on deploy this {did or 'decides otherwise'} at once ({self.next})"


@frozen
class Comparison:
    """Effect of a changed spec on each of several histories."""

    histories: tuple[Compared, ...]

    @property
    def totals(self) -> Mapping[Verdict, int]:
        """Number of histories by verdict."""
        counts = Counter(each.verdict for each in self.histories)
        return {verdict: counts[verdict] for verdict in Verdict}

    @property
    def is_safe(self) -> bool:
        """Return True if deploying the new spec now changes nothing for any open run."""
        return all(each.is_safe for each in self.histories)


def compare(
    old_spec: DeciderSpec, new_spec: DeciderSpec, histories: Iterable[History], codec: TaskCodec = CODEC
) -> Comparison:
    """Decide histories by two specs, and report where and how the decisions first differ.

    Args:
        old_spec: The spec that decided the histories.
        new_spec: The spec to deploy.
        histories: Histories of closed and open runs.
        codec: Codec of task results; with the payload store of the runs if they have one.

    Returns:
        The comparison of each history, in the order given.

    Raises:
        HistoryError: A history cannot have happened.
        PayloadsNeeded: The decisions may differ only because values are stored and ``codec`` has no store.
    """
    return Comparison(tuple(_compared(old_spec, new_spec, history, codec) for history in histories))


def _compared(old_spec: DeciderSpec, new_spec: DeciderSpec, history: History, codec: TaskCodec) -> Compared:
    asked = list(enumerate(decision_tasks(as_history(history).events), start=1))
    answered = [(number, each) for number, each in asked if each.outcome is RecordedOutcome.ANSWERED]
    moments = [*(task.started for _, task in answered), len(history)]
    olds, news = (decided_at(spec, history, moments, codec) for spec in (old_spec, new_spec))
    verdict, first, stranger = Verdict.SAME, None, None
    for (number, task), old, new in zip(answered, olds, news, strict=False):
        apart = exact_difference(old, new) if first is None else None
        if apart is not None:
            verdict, first = _verdict(old, new, apart), Divergence(number, task.ended, apart)
        strange = task.difference_from(old) if stranger is None else None
        if strange is not None:
            check_readable(task.recorded, codec)
            stranger = Divergence(number, task.ended, strange)
    ends = (next(olds), next(news))
    is_open = not history.events or type(history.events[-1].data) not in CLOSING_EVENTS
    return Compared(
        history=history,
        verdict=verdict,
        divergence=first,
        stranger=stranger,
        is_open=is_open,
        next=exact_difference(*ends),
        decided_next=ends,
    )


def _changes(before: Sequence[Decision], after: Sequence[Decision]) -> Iterator[str]:
    """Yield what only the new spec decides, and what it does not start any more, as people call it."""
    old, new = ({identity(each): each for each in decided} for decided in (before, after))
    added = [each for key, each in new.items() if key not in old]
    dropped = [each for key, each in old.items() if key not in new]
    changes = [(verb, _of(added, kinds)) for verb, kinds in _VERBS.items()]
    changes.append(("no longer starts", _of(dropped, _STARTS)))
    for verb, decisions in changes:
        names = [repr(name) for each in decisions if (name := subject_of(each)) is not None]
        if decisions:
            yield " ".join([verb, ", ".join(names)]).rstrip()


def _of(decisions: Iterable[Decision], kinds: tuple[type, ...]) -> list[Decision]:
    return [each for each in decisions if isinstance(each, kinds)]


_STARTS = (ScheduleActivityTask, StartTimer, StartChildWorkflowExecution, ScheduleLambdaFunction)
_STOPS = (RequestCancelActivityTask, CancelTimer, RequestCancelExternalWorkflowExecution)
#: How decisions are called that only the new spec makes.
_VERBS: Mapping[str, tuple[type, ...]] = {
    "starts": _STARTS,
    "stops": _STOPS,
    "completes the run": (CompleteWorkflowExecution,),
    "fails the run": (FailWorkflowExecution,),
    "cancels the run": (CancelWorkflowExecution,),
    "continues the run as new": (ContinueAsNewWorkflowExecution,),
}


def _verdict(old: Sequence[Decision], new: Sequence[Decision], apart: Difference) -> Verdict:
    if _fails(new) and not _fails(old):
        return Verdict.FAILS
    before, after = _work(old), _work(new)
    if before < after:
        return Verdict.MORE
    if after < before:
        return Verdict.LESS
    return Verdict.INPUT if apart.field == "input" else Verdict.OTHER


def _fails(decided: Sequence[Decision]) -> bool:
    return any(isinstance(decision, FailWorkflowExecution) for decision in decided)


def _work(decided: Sequence[Decision]) -> set[Hashable]:
    """Return the identities of the decisions that do not close the run."""
    return {identity(decision) for decision in decided if not isinstance(decision, CLOSE_DECISIONS)}
