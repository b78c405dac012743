"""What a spec would decide at each decision task of a run, beside what was decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import field, frozen

from floto.core.decide.decide import decisions
from floto.core.decide.progress import Progress
from floto.core.errors import FlotoError, HistoryError, PayloadsNeeded
from floto.core.replay.decision_tasks import DecisionTaskRecord, RecordedOutcome, decision_tasks
from floto.core.replay.replay import Divergence, Step, compared
from floto.core.spec.decider_spec import CODEC
from floto.core.spec.tasks import TaskCodec
from floto.core.swf.decisions import Decision
from floto.core.swf.history import History


@frozen
class Check:
    """The decision tasks of a run, and the verdict of their replay."""

    #: In one sentence; empty without a spec.
    verdict: str
    decision_tasks: tuple[DecisionTaskRecord, ...] = field(
        repr=lambda tasks: f"<{len(tasks)} decision tasks>"
    )
    #: For each of them: whether the spec decides the same; None if there is no response, or no spec.
    same: tuple[bool | None, ...] = field(repr=False)
    divergence: Divergence | None = None


class SpecDecisions:
    """Collects the decisions of a spec at the decision tasks of a run.

    Args:
        history: The history of the run.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._codec: TaskCodec = CODEC
        self._answers: list[tuple[Decision, ...]] = []
        self._problem = ""
        self._asked: list[DecisionTaskRecord] = []
        try:
            self._asked = decision_tasks(history.events)
        except HistoryError as error:
            self._problem = str(error)
        self._taken = {task.started for task in self._asked if task.started}

    def add(self, progress: Progress) -> None:
        """Decide, if the last event of the run started a decision task."""
        if progress.state.last_event_id not in self._taken or self._problem:
            return
        self._codec = progress.codec
        try:
            self._answers.append(tuple(decisions(progress)))
        except FlotoError as error:
            self._problem = str(error)

    def check(self, *, has_spec: bool) -> Check:
        """Return the verdict."""
        asked = tuple(self._asked)
        unknown = Check("", asked, (None,) * len(asked))
        if not has_spec:
            return unknown
        if self._problem:
            return Check(f"cannot be checked: {self._problem}", asked, unknown.same)
        done = compared(self._history, asked, self._all())
        try:
            done.check_readable(self._codec)
        except PayloadsNeeded as error:
            return Check(f"cannot be checked: {error}", asked, unknown.same)
        verdict = "the spec decides as recorded" if done.divergence is None else str(done.divergence)
        return Check(verdict, asked, tuple(_same(done.steps)), done.divergence)

    def _all(self) -> Iterator[tuple[Decision, ...]]:
        yield from self._answers
        yield ()


def _same(steps: Sequence[Step]) -> Iterator[bool | None]:
    for step in steps:
        yield None if step.outcome is not RecordedOutcome.ANSWERED else step.difference is None
