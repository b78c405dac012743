"""Invariants of decisions: they are those of a second, naive reading of spec and history."""

from __future__ import annotations

import zlib

from floto.core.decide.decide import decide
from floto.testing.invariants import mutated_histories
from floto.testing.invariants.differences import check_same
from floto.testing.invariants.own_code import is_own
from floto.testing.reading.moment import Moment


def exactly_what_is_called_for(moment: Moment) -> None:
    """All decisions, and no others, are made that the spec calls for after this history, in order."""
    check_same(moment.expected.decisions, moment.decisions)


def rare_things_are_followed_by_what_is_called_for(moment: Moment) -> None:
    """After a refusal or damaged data the decisions are those that the spec calls for."""
    if any(map(is_own, moment.known.values())):
        # A user-defined kind need not make sense of damaged data.
        return
    number = zlib.crc32(repr((len(moment.history), len(moment.known))).encode())
    history = mutated_histories.mutated(moment.history, moment.decisions, number)
    if history is not None:
        found = decide(moment.spec, history, codec=moment.codec)
        expected = Moment(moment.spec, history, found, moment.codec).expected
        check_same(expected.decisions, found, "with a mutated history")
