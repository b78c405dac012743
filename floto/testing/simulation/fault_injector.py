"""Fault injection: decides, at each opportunity, whether a fault occurs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from floto.core.engine.decisions.refusal_causes import CAUSES
from floto.core.swf.decisions import Decision
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.faults import NONE, Faults

#: Share of permanent refusals, of decisions that can be refused either way.
_PERMANENT = 0.25


class FaultInjector:
    """Draws faults at their rates, until the maximum number has occurred."""

    def __init__(self, choices: Choices, faults: Faults) -> None:
        self.choices, self.faults = choices, faults
        #: How often each fault occurred, by its name.
        self.occurred: Counter[str] = Counter()
        self._left = 0 if faults == NONE else faults.most

    def occurs(self, name: str) -> bool:
        """Return True if a fault occurs now, and count it."""
        if not self._left:
            return False
        rate: float = getattr(self.faults, name)
        if not rate or not self.choices.happens(rate, name):
            return False
        self.occurred[name] += 1
        self._left -= 1
        return True

    @property
    def is_done(self) -> bool:
        """True if no fault can occur any more."""
        return not self._left

    @property
    def may_reorder(self) -> bool:
        """True while a fault may change the order."""
        return bool(self.faults.reorders and self._left)

    def refuse(self, decision: Decision) -> str | None:
        """Return the cause for which SWF refuses a decision, or None if it accepts it."""
        causes = CAUSES.get(type(decision))
        if causes is None or not self.occurs("refuses"):
            return None
        is_permanent = not causes.transient or self.choices.happens(_PERMANENT)
        return self._one_of(causes.permanent if is_permanent else causes.transient)

    def _one_of(self, causes: Sequence[str]) -> str:
        return causes[self.choices.pick(len(causes))]
