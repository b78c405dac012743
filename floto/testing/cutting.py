"""A violation cut down: to a spec and a history, or to a simulation where those would not show it."""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import evolve

from floto.core.codec import Codec
from floto.core.errors import SpecError
from floto.core.events import ActivityTaskScheduled, StartChildWorkflowExecutionInitiated
from floto.core.history import History
from floto.core.specs import DeciderSpec
from floto.testing import cases
from floto.testing.cases import Case
from floto.testing.found import Found
from floto.testing.invariants import DECIDES, verify
from floto.testing.invariants.law import history_law
from floto.testing.likeness import agrees
from floto.testing.moment import Moment
from floto.testing.reductions import REDUCTIONS, Pair, size
from floto.testing.reproduction import BrokenMoment, BrokenRun
from floto.testing.runs import task_id_of
from floto.testing.search import Search
from floto.testing.shrinking import mended
from floto.testing.simulation import Simulation
from floto.testing.verifying import played, verify_run
from floto.testing.violation import Invariant, RunInvariant, Violation

#: Moves after which a run of a few tasks is seen to go on for ever.
_FEW_MOVES = 500
#: What a person takes in at a glance.
_FEW_TASKS, _FEW_EVENTS = 4, 12
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.:]*")
#: Whatever code of a user raises over what nobody could have made.
_IMPOSSIBLE = (Exception,)

_IsOver = Callable[[], bool]


def found_in(case: Case, violation: Violation, budget: int, is_over: _IsOver) -> Found:
    """The smallest that shows a violation that a case has led to, found in so many tries.

    A spec and a history say most, and are quickest to look at. Where what a user's function
    returned is part of the history, that would go on failing when the function is mended: then it is a
    simulation that calls the function.
    """
    if isinstance(violation.invariant, RunInvariant):
        return _found_run(violation, case, budget, is_over)
    found = _found_moment(violation, violation.invariant, budget, is_over)
    if not _calls_functions(case, found.history):
        return found
    again = _found_run(violation, case, budget, is_over)
    try:
        again.as_pytest()
    except SpecError:
        return found
    return evolve(found, reproduction=again.reproduction)


def _calls_functions(case: Case, history: History) -> bool:
    """Whether functions of the user's had a part in a history."""
    functions = {name for name, activity in case.activities.items() if callable(activity)}
    return any(functions & _names(event.data) for event in history)


def _names(data: object) -> set[str]:
    """By which names somebody may have said how a task ends."""
    if isinstance(data, ActivityTaskScheduled):
        return {data.activity_id, data.activity_type.name}
    if isinstance(data, StartChildWorkflowExecutionInitiated):
        return {task_id_of(data), data.workflow_type.name}
    return set()


def _found_moment(violation: Violation, invariant: Invariant, budget: int, is_over: _IsOver) -> Found:
    """The smallest spec and history found after which the same invariant is broken.

    The history stays one that the spec itself could have made, if it is one to begin with.
    """
    pair = Pair(violation.spec, violation.history, violation.codec)
    alike = _search(pair, _shows(violation, invariant, alike=True), budget, is_over)
    pair, left = alike.run(), alike.left
    if left and not _is_small(pair):
        # What is said differs with the case, perhaps: whatever breaks the invariant will do.
        any_other = _search(pair, _shows(violation, invariant, alike=False), left, is_over)
        pair, left = any_other.run(), any_other.left
    smallest = _broken(invariant, pair.spec, pair.history, violation.codec) or violation
    reproduction = BrokenMoment(
        invariant=invariant,
        sentence=smallest.sentence,
        spec=pair.spec,
        history=pair.history,
        is_smallest=left > 0,
        codec=violation.codec,
    )
    return Found.of(smallest, reproduction)


def _search(pair: Pair, holds: Callable[[Pair], bool], budget: int, is_over: _IsOver) -> Search[Pair]:
    return Search(
        best=pair,
        reductions=REDUCTIONS,
        mended=mended(None),
        size=size,
        holds=holds,
        impossible=_IMPOSSIBLE,
        left=budget,
        is_over=is_over,
    )


def _is_small(pair: Pair) -> bool:
    return len(pair.spec.all_tasks) <= _FEW_TASKS and len(pair.history) <= _FEW_EVENTS


def _shows(violation: Violation, invariant: Invariant, *, alike: bool) -> Callable[[Pair], bool]:
    """Whether a pair breaks the same invariant, in a history that its spec could have made."""
    must_agree = _agrees(violation.spec, violation.history, violation.codec)
    must_be_lawful = invariant.holds is not history_law
    said = _shape(violation.sentence)

    def shows(pair: Pair) -> bool:
        if must_be_lawful:
            history_law(Moment(pair.spec, pair.history, ()))
        if must_agree and not agrees(pair.spec, pair.history, pair.codec):
            return False
        found = _broken(invariant, pair.spec, pair.history, violation.codec)
        return found is not None and (not alike or _shape(found.sentence) == said)

    return shows


def _shape(sentence: str) -> str:
    """A sentence without what differs from case to case: what it quotes, and numbers."""
    return _VARIES.sub("", sentence)


def _agrees(spec: DeciderSpec, history: History, codec: Codec) -> bool:
    try:
        return agrees(spec, history, codec)
    except _IMPOSSIBLE:
        return False


def _broken(invariant: Invariant, spec: DeciderSpec, history: History, codec: Codec) -> Violation | None:
    """The violation of this very invariant; another is none."""
    try:
        verify(spec, history, [invariant], codec)
    except Violation as violation:
        return violation if violation.invariant == invariant else None
    return None


def _found_run(violation: Violation, case: Case, budget: int, is_over: _IsOver) -> Found:
    """The smallest case found whose run breaks the same invariant."""
    invariant = violation.invariant

    def holds(found: Case) -> bool:
        return _broken_run(invariant, found) is not None

    search = Search(
        best=_impatient(case, holds),
        reductions=cases.REDUCTIONS,
        mended=lambda found: found,
        size=cases.size,
        holds=holds,
        impossible=_IMPOSSIBLE,
        left=budget,
        is_over=is_over,
    )
    smallest = search.run()
    simulation, broken = _broken_run(invariant, smallest) or (None, violation)
    reproduction = BrokenRun(
        invariant=invariant,
        sentence=broken.sentence,
        case=smallest,
        simulation=simulation,
        history=broken.history,
        is_smallest=search.left > 0,
    )
    return Found.of(broken, reproduction)


def _impatient(case: Case, holds: Callable[[Case], bool]) -> Case:
    """A case that goes on for ever is seen to do so much sooner."""
    quicker = evolve(case, patience=_FEW_MOVES)
    try:
        return quicker if played(case).is_endless and holds(quicker) else case
    except Violation:
        return case


def _broken_run(
    invariant: Invariant | RunInvariant, case: Case
) -> tuple[Simulation | None, Violation] | None:
    """The simulation of a case, if there is one, and how it breaks an invariant; else nothing."""
    simulation = None
    try:
        simulation = played(case)
        verify_run(simulation, [invariant])
    except Violation as violation:
        return (simulation, violation) if violation.invariant in (invariant, DECIDES) else None
    return None
