"""The decisions are exactly those that a second, naive reading of spec and history calls for."""

from __future__ import annotations

import zlib

from floto.core.decide.decide import decide
from floto.testing.invariants import mutated_histories
from floto.testing.invariants.own_code import is_own
from floto.testing.invariants.sameness import difference
from floto.testing.invariants.violation import broken
from floto.testing.reading.moment import Moment


def exactly_what_is_called_for(moment: Moment) -> None:
    """What is decided is what the spec calls for after this history: all, in order, nothing else."""
    said = difference(moment.expected.decisions, moment.decisions)
    if said:
        broken(said)


def rare_things_are_followed_by_what_is_called_for(moment: Moment) -> None:
    """If now SWF had refused, or data were damaged, the decisions would be what is called for then."""
    if any(map(is_own, moment.known.values())):
        # A kind of the user's own need not make sense of damaged data.
        return
    number = zlib.crc32(repr((len(moment.history), len(moment.known))).encode())
    history = mutated_histories.mutated(moment.history, moment.decisions, number)
    if history is not None:
        found = decide(moment.spec, history, codec=moment.codec)
        demanded = Moment(moment.spec, history, found, moment.codec).expected
        said = difference(demanded.decisions, found)
        if said:
            broken(f"had something rare happened just now, {said}")
