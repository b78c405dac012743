"""Minimises a violation: to a spec and a history, or to a simulation where those would not show it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import evolve

from floto.core.errors import SpecError
from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.swf.events import ActivityTaskScheduled, StartChildWorkflowExecutionInitiated
from floto.core.swf.history import History
from floto.core.swf.reserved_names import child_of
from floto.testing.checking import case_reductions
from floto.testing.checking.minimized_violation import MinimizedViolation
from floto.testing.checking.shrink import repaired
from floto.testing.checking.verifying import simulate_case, verify_run
from floto.testing.invariants import DECIDES, verify
from floto.testing.invariants.law import history_law
from floto.testing.invariants.violation import Invariant, RunInvariant, Violation
from floto.testing.printing.reproduction import BrokenMoment, BrokenRun
from floto.testing.reading.moment import Moment
from floto.testing.shrinking.equivalence import agrees
from floto.testing.shrinking.reductions import REDUCTIONS, Pair, size
from floto.testing.shrinking.search import Search
from floto.testing.simulation.case import Case
from floto.testing.simulation.result import Simulation

#: Moves after which a run of a few tasks counts as endless.
_FEW_MOVES = 500
#: Sizes up to which a person sees the problem at a glance.
_FEW_TASKS, _FEW_EVENTS = 4, 12
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.:]*")
#: Exceptions that user code may raise on impossible inputs: the candidate does not reproduce the violation.
_IMPOSSIBLE = (Exception,)

_IsOver = Callable[[], bool]
T = TypeVar("T")


def minimized(case: Case, violation: Violation, budget: int, is_over: _IsOver) -> MinimizedViolation:
    """Return the smallest reproduction found of a violation that a case has led to.

    A spec and a history say most, and are checked fastest. Where the history records the result of a user's
    function, such a test would go on failing after the function is fixed: then the reproduction is a
    simulation that calls the function.
    """
    if isinstance(violation.invariant, RunInvariant):
        return _minimized_run(violation, case, budget, is_over)
    found = _minimized_moment(violation, violation.invariant, budget, is_over)
    if not _calls_functions(case, found.history):
        return found
    again = _minimized_run(violation, case, budget, is_over)
    try:
        again.as_pytest()
    except SpecError as error:
        note = f"The history records the result of a function, which the test does not call: {error}"
        reproduction: Any = found.reproduction
        return evolve(found, reproduction=evolve(reproduction, note=note))
    return evolve(found, reproduction=again.reproduction)


def _calls_functions(case: Case, history: History) -> bool:
    """Return True if functions of the user had a part in a history."""
    functions = {name for name, activity in case.activities.items() if callable(activity)}
    return any(functions & _names(event.data) for event in history)


def _names(data: object) -> set[str]:
    """Return the names under which ``activities`` may have declared how a task ends."""
    if isinstance(data, ActivityTaskScheduled):
        return {data.activity_id, data.activity_type.name}
    if isinstance(data, StartChildWorkflowExecutionInitiated):
        return {child_of(data), data.workflow_type.name}
    return set()


def _minimized_moment(
    violation: Violation, invariant: Invariant, budget: int, is_over: _IsOver
) -> MinimizedViolation:
    """Return the smallest spec and history found that break the same invariant.

    The history stays one that the spec itself could have made, if it is one to begin with.
    """
    is_possible = _is_possible(violation, invariant)

    def broken(pair: Pair) -> Violation | None:
        if not is_possible(pair):
            return None
        return _broken(invariant, pair.spec, pair.history, violation.codec)

    search = Search(
        best=Pair(violation.spec, violation.history, violation.codec),
        reductions=REDUCTIONS,
        repaired=repaired(None),
        size=size,
        holds=_shows_the_same(broken, violation),
        impossible=_IMPOSSIBLE,
        left=budget,
        is_over=is_over,
    )
    pair = _smallest(search, broken)
    smallest = _broken(invariant, pair.spec, pair.history, violation.codec) or violation
    reproduction = BrokenMoment(
        invariant=invariant,
        sentence=smallest.sentence,
        spec=pair.spec,
        history=pair.history,
        is_smallest=search.left > 0,
        codec=violation.codec,
    )
    return MinimizedViolation.of(smallest, reproduction)


def _shows_the_same(broken: Callable[[T], Violation | None], violation: Violation) -> Callable[[T], bool]:
    """Return a predicate for a violation with the same sentence."""
    said = _shape(violation.sentence)

    def alike(thing: T) -> bool:
        found = broken(thing)
        return found is not None and _shape(found.sentence) == said

    return alike


def _smallest(search: Search[T], broken: Callable[[T], Violation | None]) -> T:
    """Return the smallest candidate with the same sentence; if that is large, one that breaks the invariant.

    Sentences may differ from case to case; but another sentence may be another problem as well.
    """
    best = search.run()
    if not search.left or _is_small(broken(best)):
        return best
    search.holds = lambda thing: broken(thing) is not None
    other = search.run()
    return other if _is_small(broken(other)) else best


def _is_small(violation: Violation | None) -> bool:
    if violation is None:
        return False
    return len(violation.spec.all_tasks) <= _FEW_TASKS and len(violation.history) <= _FEW_EVENTS


def _is_possible(violation: Violation, invariant: Invariant) -> Callable[[Pair], bool]:
    """Return a predicate for histories that SWF could have written and the spec could have made."""
    must_agree = _agrees(violation.spec, violation.history, violation.codec)
    must_be_lawful = invariant.holds is not history_law

    def is_possible(pair: Pair) -> bool:
        try:
            if must_be_lawful:
                history_law(Moment(pair.spec, pair.history, ()))
            return not must_agree or agrees(pair.spec, pair.history, pair.codec)
        except _IMPOSSIBLE:
            return False

    return is_possible


def _shape(sentence: str) -> str:
    """Return a sentence without quoted values and numbers, which differ from case to case."""
    return _VARIES.sub("", sentence)


def _agrees(spec: DeciderSpec, history: History, codec: Codec) -> bool:
    try:
        return agrees(spec, history, codec)
    except _IMPOSSIBLE:
        return False


def _broken(invariant: Invariant, spec: DeciderSpec, history: History, codec: Codec) -> Violation | None:
    """Return the violation of this very invariant, or None."""
    try:
        verify(spec, history, [invariant], codec)
    except Violation as violation:
        return violation if violation.invariant == invariant else None
    return None


def _minimized_run(violation: Violation, case: Case, budget: int, is_over: _IsOver) -> MinimizedViolation:
    """Return the smallest case found whose run breaks the same invariant."""
    invariant = violation.invariant

    def broken(found: Case) -> Violation | None:
        run = _broken_run(invariant, found)
        return None if run is None else run[1]

    # The sentence about a whole run differs from run to run.
    is_whole = isinstance(invariant, RunInvariant)
    holds = (lambda found: broken(found) is not None) if is_whole else _shows_the_same(broken, violation)
    search = Search(
        best=_with_less_patience(case, holds),
        reductions=case_reductions.REDUCTIONS,
        repaired=lambda found: found,
        size=case_reductions.size,
        holds=holds,
        impossible=_IMPOSSIBLE,
        left=budget,
        is_over=is_over,
    )
    smallest = search.run()
    simulation, last = _broken_run(invariant, smallest) or (None, violation)
    reproduction = BrokenRun(
        invariant=invariant,
        sentence=last.sentence,
        case=smallest,
        simulation=simulation,
        history=last.history,
        is_smallest=search.left > 0,
    )
    return MinimizedViolation.of(last, reproduction)


def _with_less_patience(case: Case, holds: Callable[[Case], bool]) -> Case:
    """Let a case that never ends be stopped sooner, if it shows the violation all the same."""
    quicker = evolve(case, patience=_FEW_MOVES)
    try:
        return quicker if simulate_case(case).is_endless and holds(quicker) else case
    except Violation:
        return case


def _broken_run(
    invariant: Invariant | RunInvariant, case: Case
) -> tuple[Simulation | None, Violation] | None:
    """Return the simulation of a case, if there is one, and its violation; None if the invariant holds."""
    simulation = None
    try:
        simulation = simulate_case(case)
        verify_run(simulation, [invariant])
    except Violation as violation:
        return (simulation, violation) if violation.invariant in (invariant, DECIDES) else None
    return None
