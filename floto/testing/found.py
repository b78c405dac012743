"""What ``check`` found: a violation, cut down to the smallest that still shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from attrs import define, evolve, field

from floto.core.codec import Codec
from floto.core.errors import SpecError
from floto.core.history import History
from floto.core.specs import DeciderSpec
from floto.testing import cases
from floto.testing.cases import Case
from floto.testing.invariants import check_run, verify
from floto.testing.invariants.law import history_law
from floto.testing.likeness import agrees
from floto.testing.moment import Moment
from floto.testing.reductions import REDUCTIONS, Pair, size
from floto.testing.reproduction import BrokenMoment, BrokenRun, Reproduction
from floto.testing.search import Search
from floto.testing.shrinking import mended
from floto.testing.simulation import Simulation
from floto.testing.violation import Invariant, RunInvariant, Violation

#: Moves after which a run of a few tasks is seen to go on for ever.
_FEW_MOVES = 500
#: What a person takes in at a glance.
_FEW_TASKS, _FEW_EVENTS = 4, 12
_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.:]*")
#: Whatever code of a user raises over what nobody could have made.
_IMPOSSIBLE = (Exception,)


@define(eq=False)
class Found(Violation):
    """A violation that ``check`` found and cut down; ``str`` has all that a person needs."""

    reproduction: Reproduction = field(kw_only=True)
    #: Where the file for pytest is.
    saved: Path | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, violation: Violation, reproduction: Reproduction) -> Found:
        """A violation as its smallest case shows it."""
        return cls(
            violation.invariant,
            violation.sentence,
            violation.spec,
            violation.history,
            violation.decisions,
            violation.codec,
            reproduction=reproduction,
        )

    def as_pytest(self) -> str:
        """A file for pytest, which fails for as long as the invariant is broken.

        Kinds, strategies, activities and properties of your own are imported from where they are
        declared. Raises ``SpecError`` for one that cannot be, such as one in a function.
        """
        return self.reproduction.as_pytest()

    def save(self, path: str | Path | None) -> None:
        """Write that file, if there is a path for it and it can be written."""
        if path is None:
            return
        try:
            text = self.as_pytest()
        except SpecError:
            return
        self.saved = Path(path)
        self.saved.write_text(text, encoding="utf-8")

    def __str__(self) -> str:
        """What is wrong, when what happened, and how to see it again."""
        parts = [super().__str__(), self.reproduction.timeline(), self._again()]
        if not self.reproduction.is_smallest:
            parts.append("There may be something smaller: the tries were used up (shrink_budget).")
        return "\n\n".join(parts)

    def _again(self) -> str:
        if self.saved is not None:
            return f"To see it again: pytest {self.saved}"
        try:
            return f"To see it again, as a file for pytest:\n\n{self.as_pytest()}"
        except SpecError as error:
            return f"It cannot be written as a file for pytest: {error}"


def _never() -> bool:
    return False


def found_moment(violation: Violation, budget: int, is_over: Callable[[], bool] = _never) -> Found:
    """The smallest spec and history found after which the same invariant is broken.

    The history stays one that the spec itself could have made, if it is one to begin with.
    """
    pair = Pair(violation.spec, violation.history, violation.codec)
    alike = _search(pair, _shows(violation, alike=True), budget, is_over)
    pair, left = alike.run(), alike.left
    if left and not _is_small(pair):
        # What is said differs with the case, perhaps: whatever breaks the invariant will do.
        any_other = _search(pair, _shows(violation, alike=False), left, is_over)
        pair, left = any_other.run(), any_other.left
    smallest = _broken(violation.invariant, pair.spec, pair.history, pair.codec) or violation
    return Found.of(
        smallest,
        BrokenMoment(
            invariant=violation.invariant,
            sentence=smallest.sentence,
            spec=pair.spec,
            history=pair.history,
            is_smallest=left > 0,
            codec=pair.codec,
        ),
    )


def _search(
    pair: Pair, holds: Callable[[Pair], bool], budget: int, is_over: Callable[[], bool]
) -> Search[Pair]:
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


def _shows(violation: Violation, *, alike: bool) -> Callable[[Pair], bool]:
    """Whether a pair breaks the same invariant, in a history that its spec could have made."""
    must_agree = _agrees(violation.spec, violation.history, violation.codec)
    must_be_lawful = violation.invariant.holds is not history_law
    said = _shape(violation.sentence)

    def shows(pair: Pair) -> bool:
        if must_be_lawful:
            history_law(Moment(pair.spec, pair.history, ()))
        if must_agree and not agrees(pair.spec, pair.history, pair.codec):
            return False
        found = _broken(violation.invariant, pair.spec, pair.history, pair.codec)
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


def found_run(violation: Violation, case: Case, budget: int, is_over: Callable[[], bool] = _never) -> Found:
    """The smallest case found whose run breaks the same invariant."""
    invariant = violation.invariant

    def holds(found: Case) -> bool:
        return _broken_run(invariant, found) is not None

    quicker = evolve(case, patience=_FEW_MOVES)
    if case.patience is None and found_is_endless(case) and holds(quicker):
        case = quicker
    search = Search(
        best=case,
        reductions=cases.REDUCTIONS,
        mended=lambda found: found,
        size=cases.size,
        holds=holds,
        impossible=_IMPOSSIBLE,
        left=budget,
        is_over=is_over,
    )
    search.run()
    simulation, smallest = _broken_run(invariant, search.best) or (case.simulator().run(), violation)
    return Found.of(
        smallest,
        BrokenRun(
            invariant=invariant,
            sentence=smallest.sentence,
            case=search.best,
            simulation=simulation,
            is_smallest=search.left > 0,
        ),
    )


def found_is_endless(case: Case) -> bool:
    """Whether a run goes on for as long as anybody looks."""
    return case.simulator().run().is_endless


def _broken_run(invariant: RunInvariant, case: Case) -> tuple[Simulation, Violation] | None:
    simulation = case.simulator().run()
    try:
        check_run(simulation, [invariant])
    except Violation as violation:
        return simulation, violation
    return None
