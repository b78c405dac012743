"""A decision point: a decision task and its response, with what several invariants need to know of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from attrs import field, frozen

from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.tasks import Given, Task
from floto.core.state.state import Kind
from floto.core.swf.decisions import Decision, RecordMarker
from floto.core.swf.history import History
from floto.core.swf.limits import OPEN_LIMIT
from floto.testing.reading import oracle
from floto.testing.reading.expanded_spec import ExpandedSpec
from floto.testing.reading.expected_closes import Expected
from floto.testing.reading.expected_decisions import Reading
from floto.testing.reading.expected_status import ExpectedGraph
from floto.testing.reading.failure_texts import given_failures, read_failures
from floto.testing.reading.oracle import HistorySummary


def as_decisions(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Return decisions as a tuple."""
    return tuple(decisions)


@frozen(eq=False)
class Moment:
    """A decision point: a spec, a history up to a decision task, and the decisions; properties are cached."""

    spec: DeciderSpec
    history: History
    decisions: tuple[Decision, ...] = field(converter=as_decisions)
    codec: Codec = CODEC

    @cached_property
    def reading(self) -> Reading:
        """The second, naive reading of spec and history."""
        return Reading(self.spec, self.summary, self.history.execution, self.codec)

    @cached_property
    def summary(self) -> HistorySummary:
        """The summary of the history."""
        return oracle.summarize(self.history)

    @property
    def expanded(self) -> ExpandedSpec:
        """The spec with the tasks that its generators returned."""
        return self.reading.expanded

    @property
    def expected(self) -> Expected:
        """The decisions that must be made, by the naive reading."""
        return self.reading.expected

    @cached_property
    def known(self) -> dict[str, Task]:
        """Every task by its id, cleanup tasks and generated tasks included."""
        return {task.id_: task for task in self.expanded.spec.all_tasks}

    @cached_property
    def noted(self) -> dict[str, str] | None:
        """The recorded failures of a run whose cleanup has begun, with these decisions at the latest."""
        notes = [each for each in self.decisions if isinstance(each, RecordMarker)]
        details = [each.details for each in notes if each.marker_name == oracle.FAILURES]
        return read_failures(details[-1]) if details else self.reading.noted

    @property
    def cleaning(self) -> str | None:
        """The field of the spec whose tasks clean up after these decisions; None while none do."""
        if self.noted is not None:
            return "on_failure"
        return "on_cancel" if self.summary.cancel_requested is not None else None

    @cached_property
    def in_turn(self) -> ExpectedGraph:
        """The graph whose tasks may be started."""
        if self.noted is not None:
            return self.reading.after_failure(self.noted, self.expected.faults)
        if self.cleaning is None:
            return self.reading.main
        return self.reading.after_cancel(self.expected.faults)

    @property
    def is_full(self) -> bool:
        """True if a limit of SWF or of a generator may hold back ready tasks."""
        if any(group.limits.max_in_flight is not None for group in self.in_turn.groups):
            return True
        asks = any(oracle.opens(decision) == (Kind.TIMER, oracle.MORE) for decision in self.decisions)
        return asks or len(self.summary.under_way()) + len(self.in_turn.due) > OPEN_LIMIT

    @property
    def depends_on_which_end_first(self) -> bool:
        """True if the outcome of a task may depend on which others have ended before it."""
        return any(group.tolerates for group in self.reading.main.groups)

    def is_one_in(self, number: int) -> bool:
        """Return True for one in so many decision points, always the same ones: for expensive checks."""
        return zlib.crc32(str(len(self.history)).encode()) % number == 0

    @cached_property
    def started(self) -> dict[str, Decision]:
        """The decisions that start tasks, by task id; timers of retries are not among them."""
        by_key = {task.key: task.id_ for task in self.known.values()}
        keys = [(oracle.opens(decision), decision) for decision in self.decisions]
        return {by_key[key]: decision for key, decision in keys if key in by_key}

    @cached_property
    def given(self) -> dict[str, Any]:
        """The context that every startable task gets; raises ``PayloadError``."""
        return {**self.reading.given, **({} if self.noted is None else given_failures(self.noted))}

    def given_to(self, id_: str) -> Given:
        """Return what a startable task may use to start."""
        return self.reading.given_to(self.in_turn, id_, self.given)

    @property
    def is_open(self) -> bool:
        """True if the run has begun and has not closed."""
        return self.summary.began is not None and self.summary.closed is None

    @property
    def is_waiting(self) -> bool:
        """True if nothing may start before other work has stopped, or the response was split."""
        awaited = (Kind.ACTIVITY, Kind.CHILD, Kind.LAMBDA)
        own = {task.key for task in self.in_turn.tasks.values()}
        open_ = [each.key for each in self.summary.under_way()]
        stopping = self.cleaning and any(key[0] in awaited and key not in own for key in open_)
        return bool(stopping) or (Kind.TIMER, oracle.MORE) in open_

    @cached_property
    def closing(self) -> list[Decision]:
        """The decisions that close the run."""
        return oracle.closing(self.decisions)
