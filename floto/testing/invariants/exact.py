"""The decisions are exactly those that a second, naive reading of spec and history calls for."""

from __future__ import annotations

from floto.testing.invariants.sameness import difference
from floto.testing.moment import Moment
from floto.testing.violation import broken


def exactly_what_is_called_for(moment: Moment) -> None:
    """What is decided is what the spec calls for after this history: all, in order, nothing else."""
    said = difference(moment.demand.decisions, moment.decisions)
    if said:
        broken(said)
