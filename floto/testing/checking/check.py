"""``check``: simulates runs of a spec and checks the invariants of each decision and run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec
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

#: Default number of candidates that are tried to minimise a violation.
SHRINK_BUDGET = 2_000
#: Maximum number of runs that are explored exhaustively; more are better made at random.
MOST_EXPLORED = 1_000


@frozen(kw_only=True)
class Report:
    """A report on the runs that ``check`` simulated and found correct."""

    #: Number of simulated runs.
    runs: int
    #: Number of different decision points at which the invariants were checked.
    moments: int
    #: Extent of the exhaustive exploration; the other runs were random.
    explored: Explored
    coverage: Coverage = field(repr=False)
    #: Remarks on what was not checked.
    notes: tuple[str, ...] = ()

    @property
    def is_exhaustive(self) -> bool:
        """True if all runs with at most one deviation from the default schedule were checked."""
        return self.explored.is_complete or self.explored.deviations > 0

    def __str__(self) -> str:
        """Return a summary and a table of the coverage."""
        if not self.runs:
            return (
                "time limit reached before the first run finished "
                f"({self.moments:,} decisions checked, no violation)"
            )
        sound = f"{self.runs:,} runs, {self.moments:,} different decisions: every invariant held"
        rest = self.runs - self.explored.whole
        return "\n".join([sound, f"{self.explored}; random: {rest:,} runs", *self.notes, str(self.coverage)])


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
    """Simulate runs of a spec, and check the invariants of every decision and of every run.

    First come all runs with one deviation from the default schedule (a fault, or another order), if
    ``max_examples`` runs and half of ``max_seconds`` are enough for that, then random runs. The same
    arguments check the same runs, in any process, unless ``max_seconds`` ends them early.

    Args:
        spec: The spec to check.
        activities: Outcomes or functions by task id or type name, as for ``simulate``.
        input: The input of the workflow, a JSON value.
        properties: Invariants of your own, checked beside floto's: functions of a spec, a history and
            decisions that assert.
        faults: The faults to inject; all of them by default.
        children: Specs by workflow type name, for children that carry none.
        max_examples: Maximum number of runs.
        max_seconds: Maximum duration in seconds; None for no limit.
        seed: Seed of the random runs.
        save: Path of the pytest file for a violation; None writes none.
        codec: Codec that knows your own task kinds and retry strategies.
        shrink_budget: Maximum number of candidates that are tried to minimise a violation.
        on_progress: Called in the calling thread with the report so far: after each run, and when the time
            limit ends a run.

    Raises:
        MinimizedViolation: The first violation found, with the smallest spec and history and a pytest file.
        ActivitiesError: An entry of ``activities`` is neither an outcome nor a function, or names no task.
        SpecError: The spec is invalid.
    """
    as_spec(spec, "the spec")
    case = Case(
        spec=spec,
        activities=dict(activities or {}),
        input=input,
        faults=Faults.all() if faults is None else faults,
        children=dict(children or {}),
        codec=codec,
    )
    # Simulated functions may change the directory.
    directory = Path.cwd()
    moments, runs = sorted_rules(properties)
    time_limit = SecondsLeft(max_seconds)
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
    """Yield what cannot be checked with these arguments."""
    try:
        case.codec.unstructure(case.spec)
    except SpecError as error:
        what = f"not checked: that the spec stays the same when it is written as JSON. {error}"
        yield f"{what}, and pass that codec as codec="


class SecondsLeft:
    """A limit in seconds since its creation; None for no limit."""

    def __init__(self, limit: float | None) -> None:
        self._limit = math.inf if limit is None else limit
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the creation."""
        return time.monotonic() - self._began

    @property
    def is_over(self) -> bool:
        """True if the limit is reached."""
        return self.seconds >= self._limit

    @property
    def is_half_over(self) -> bool:
        """True if half of the limit is reached."""
        return self.seconds >= self._limit / 2
