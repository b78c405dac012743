"""``check``: what must hold of every decision and every run, over the runs that a spec can have."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.spec.expand import check_spec
from floto.testing.checking.checker import Checker
from floto.testing.checking.coverage import Coverage
from floto.testing.checking.exhaustive import Explored
from floto.testing.checking.minimized_violation import MinimizedViolation
from floto.testing.checking.verifying import Rule, sorted_rules
from floto.testing.invariants import INVARIANTS, RUN_INVARIANTS
from floto.testing.simulation.case import Case
from floto.testing.simulation.faults import Faults
from floto.testing.simulation.outcomes import Activity
from floto.testing.simulation.simulator import check_names

#: How often something smaller is tried when something was found.
SHRINK_BUDGET = 2_000
#: So many runs are explored one by one; more are better made at random.
MOST_EXPLORED = 1_000


@frozen(kw_only=True)
class Report:
    """What ``check`` has looked at, and found sound."""

    #: How many runs were simulated.
    runs: int
    #: At how many different decisions the invariants were checked.
    moments: int
    #: How far the runs were explored one by one; the others were random.
    explored: Explored
    coverage: Coverage = field(repr=False)
    #: What was not checked, and why.
    notes: tuple[str, ...] = ()

    @property
    def is_exhaustive(self) -> bool:
        """Whether all runs were made that have at most one choice unlike the usual."""
        return self.explored.is_complete or self.explored.departures > 0

    def __str__(self) -> str:
        """What was done, and a table of what it reached."""
        if not self.runs:
            return f"the time was over before one run was: {self.moments:,} decisions, every invariant held"
        sound = f"{self.runs:,} runs, {self.moments:,} different decisions: every invariant held"
        rest = self.runs - self.explored.whole
        return "\n".join([sound, f"{self.explored}; {rest:,} others", *self.notes, str(self.coverage)])


def check(  # noqa: PLR0913 - all but the spec are optional
    spec: DeciderSpec,
    *,
    activities: Mapping[str, Activity] | None = None,
    input: Any = None,
    properties: Iterable[Rule] = (),
    faults: Faults | None = None,
    children: Mapping[str, DeciderSpec] | None = None,
    max_examples: int = 100,
    max_seconds: float | None = None,
    seed: int = 0,
    save: str | Path | None = None,
    codec: Codec = CODEC,
    shrink_budget: int = SHRINK_BUDGET,
    on_progress: Callable[[Report], None] | None = None,
) -> Report:
    """Simulate runs of a spec and check what must hold of every decision and of every run.

    First all runs with one choice unlike the usual (a fault, another order), if ``max_examples`` runs and
    half of ``max_seconds`` are enough for that, then random ones. ``properties`` are checked beside floto's
    own invariants: functions of spec, history and decisions that assert. ``faults`` are all there are, unless
    given. ``codec`` knows kinds and strategies of your own. What else is given is as ``simulate`` takes it.
    The same arguments check the same runs, in any process, unless ``max_seconds`` ends them early.
    ``on_progress`` is told after each run what was done so far, and when the time is over within one.

    Raises ``Violation`` for the first that is broken, cut down to the smallest spec and history that were
    found in ``shrink_budget`` tries, with a file for pytest, which is written to ``save`` if given.
    """
    check_spec(spec)
    case = Case(
        spec=spec,
        activities=dict(activities or {}),
        input=input,
        faults=Faults.all() if faults is None else faults,
        children=dict(children or {}),
        codec=codec,
    )
    # What is simulated may change the directory.
    directory = Path.cwd()
    moments, runs = sorted_rules(properties)
    time_limit = TimeLimit(max_seconds)
    checker = Checker(
        case=case,
        invariants=(*INVARIANTS, *moments),
        run_invariants=(*RUN_INVARIANTS, *runs),
        is_over=lambda: time_limit.is_over,
        shrink_budget=shrink_budget,
        on_run=None if on_progress is None else lambda: on_progress(_report(checker)),
    )
    try:
        checker.explore(min(max_examples, MOST_EXPLORED), lambda: time_limit.is_half_over)
        if not checker.explored.is_complete:
            checker.sample(seed, max_examples - checker.runs)
    except MinimizedViolation as found:
        found.save(save, directory)
        raise
    check_names(checker.unknown or (), checker.names)
    return _report(checker, tuple(_notes(case)))


def _report(checker: Checker, notes: tuple[str, ...] = ()) -> Report:
    return Report(
        runs=checker.runs,
        moments=checker.moments,
        explored=checker.explored,
        coverage=checker.coverage,
        notes=notes,
    )


def _notes(case: Case) -> Iterator[str]:
    """What cannot be checked as things are."""
    try:
        case.codec.unstructure(case.spec)
    except SpecError as error:
        what = f"not checked: that the spec stays the same when it is written as JSON. {error}"
        yield f"{what}, and pass that codec as codec="


class TimeLimit:
    """How much of so many seconds is over; None for no end."""

    def __init__(self, limit: float | None) -> None:
        self._limit = math.inf if limit is None else limit
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        """Whether it is time to stop."""
        return self.seconds >= self._limit

    @property
    def is_half_over(self) -> bool:
        """Whether it is time for something else."""
        return self.seconds >= self._limit / 2
