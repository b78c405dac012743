"""The classes of invariants, and the error that is raised where one does not hold."""

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

#: A user-defined property: it asserts, or returns False where it does not hold.
Property = Callable[[DeciderSpec, History, Sequence[Decision]], Any]


@frozen
class Invariant:
    """An invariant of every decision."""

    #: Its number in the list of docs/testing.md; None for a user-defined property.
    number: int | None
    name: str
    says: str
    #: Raises ``AssertionError`` with a sentence.
    holds: Callable[[Moment], None]


@frozen
class RunInvariant:
    """An invariant of a whole simulation, which no single decision shows."""

    number: int | None
    name: str
    says: str
    holds: Callable[[Simulation], None]


def broken(sentence: str) -> NoReturn:
    """Raise ``AssertionError`` with the sentence that describes the violation."""
    raise AssertionError(sentence)


def sentence_of(error: Exception, invariant: Invariant | RunInvariant) -> str:
    """Return the message of a broken invariant; an error of another type is named."""
    said = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return said or invariant.says


def invariant(function: Property) -> Invariant:
    """Turn a function into an invariant that ``check`` checks at every decision.

    Args:
        function: A function of a spec, a history and the decisions: it asserts, or returns False where the
            invariant does not hold. The first line of its docstring is the text of the invariant.
    """
    says = first_line(function)

    @wraps(function)
    def holds(moment: Moment) -> None:
        if function(moment.spec, moment.history, moment.decisions) is False:
            broken(says)

    return Invariant(None, function.__name__, says, holds)


def first_line(function: Callable[..., Any]) -> str:
    """Return the first line of a function's docstring."""
    words = (function.__doc__ or "").strip().splitlines()
    return words[0] if words else f"{function.__name__} holds"


@define(eq=False)
class Violation(AssertionError):
    """An invariant does not hold for a spec and a history."""

    invariant: Invariant | RunInvariant
    sentence: str
    spec: DeciderSpec
    history: History
    decisions: tuple[Decision, ...] = field(default=(), converter=as_decisions)
    codec: Codec = CODEC

    def __str__(self) -> str:
        """Return the problem, the event and the invariant."""
        number = "" if self.invariant.number is None else f"{self.invariant.number}, "
        return (
            f"{self.sentence}\n"
            f"at event {len(self.history)} of the history; "
            f"the invariant ({number}{self.invariant.name}): {self.invariant.says}"
        )
