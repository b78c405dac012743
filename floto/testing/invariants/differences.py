"""Descriptions of the first difference between two lists of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from attrs import fields

from floto.core.swf.decisions import Decision
from floto.core.swf.identifiers import shown
from floto.testing.invariants.violation import broken
from floto.testing.reading.oracle import name, opens


def difference(expected: Sequence[Decision], found: Sequence[Decision]) -> str | None:
    """Describe the first difference between the decisions; None where they are equal."""
    for place, (one, other) in enumerate(zip_longest(expected, found), start=1):
        if one != other or type(one) is not type(other):
            return f"decision {place} is {_described(other, one)}, and should be {_described(one, other)}"
    return None


def check_same(expected: Sequence[Decision], found: Sequence[Decision], when: str = "") -> None:
    """Report an invariant as broken unless the decisions are equal; ``when`` precedes the difference."""
    problem = difference(expected, found)
    if problem:
        broken(f"{when}, {problem}" if when else problem)


def apart(one: Any, other: Any) -> tuple[str, str]:
    """Describe two different results so that the difference is visible."""
    if isinstance(one, Decision) and isinstance(other, Decision):
        return _described(one, other), _described(other, one)
    return shown(one), shown(other)


def _described(decision: Decision | None, beside: Decision | None) -> str:
    if decision is None:
        return "missing"
    opened = opens(decision)
    what = name(decision) if opened is None else f"{name(decision)} of {opened[0]} {opened[1]!r}"
    if type(decision) is not type(beside):
        return what
    differing = {
        each.name: getattr(decision, each.name)
        for each in fields(type(decision))
        if getattr(decision, each.name) != getattr(beside, each.name)
    }
    return f"{what} with {', '.join(f'{each}={shown(value)}' for each, value in differing.items())}"
