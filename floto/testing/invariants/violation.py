"""What an invariant is, and what is raised where one does not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NoReturn

from attrs import define, field, frozen

from floto.core.spec.codec import Codec
from floto.core.spec.decider_spec import CODEC, DeciderSpec
from floto.core.swf.decisions import Decision
from floto.core.swf.history import History
from floto.testing.reading.moment import Moment, as_decisions
from floto.testing.simulation.result import Simulation

#: A property of a user's own: it asserts, or answers False where it does not hold.
Property = Callable[[DeciderSpec, History, Sequence[Decision]], Any]


@frozen
class Invariant:
    """What must hold of every decision."""

    #: Its number in the list of what must hold of an orchestrator; None for a property of a user's own.
    number: int | None
    name: str
    says: str
    #: Raises ``AssertionError`` with a sentence.
    holds: Callable[[Moment], None]


@frozen
class RunInvariant:
    """What must hold of a whole simulation, and shows in no single decision."""

    number: int | None
    name: str
    says: str
    holds: Callable[[Simulation], None]


def broken(sentence: str) -> NoReturn:
    """Say that an invariant does not hold, and what is to be done about it."""
    raise AssertionError(sentence)


def sentence_of(error: Exception, invariant: Invariant | RunInvariant) -> str:
    """What an invariant said when it did not hold; an error of another kind is named."""
    said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return said or invariant.says


def invariant(function: Property) -> Invariant:
    """Make a function of spec, history and decisions something that ``check`` checks at every decision."""
    says = first_line(function)

    @wraps(function)
    def holds(moment: Moment) -> None:
        if function(moment.spec, moment.history, moment.decisions) is False:
            broken(says)

    return Invariant(None, function.__name__, says, holds)


def first_line(function: Callable[..., Any]) -> str:
    """What a function says that it does."""
    words = (function.__doc__ or "").strip().splitlines()
    return words[0] if words else f"{function.__name__} holds"


@define(eq=False)
class Violation(AssertionError):
    """An invariant does not hold of a spec and a history."""

    invariant: Invariant | RunInvariant
    sentence: str
    spec: DeciderSpec
    history: History
    decisions: tuple[Decision, ...] = field(default=(), converter=as_decisions)
    codec: Codec = CODEC

    def __str__(self) -> str:
        """What is wrong, where, and which invariant says so."""
        number = "" if self.invariant.number is None else f"{self.invariant.number}, "
        return (
            f"{self.sentence}\n"
            f"at event {len(self.history)} of the history; "
            f"the invariant ({number}{self.invariant.name}): {self.invariant.says}"
        )
