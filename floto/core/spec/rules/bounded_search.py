"""The evaluation of JMESPath expressions in bounded time and memory.

An expression of a few hundred characters can make a value that has 2^40 parts, since its lists share what
they hold: ``[@,@] | [@,@] | ...``. To compare it or to write it as text would not end, and nothing could
interrupt it. So the work of an expression is counted: its steps, and the parts of the values that it makes,
compares and passes to functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import inf
from typing import Any

#: Maximum work of an expression: at least, and for each part of its data.
_LEAST, _TIMES = 5_000_000, 20
#: Characters of a text, and bits of a number, that count as one part more.
_CHARACTERS, _BITS = 16, 64
#: The nodes whose values may have more parts than what they are made of, and those that copy long lists.
_MULTIPLIES = frozenset({"multi_select_list", "multi_select_dict"})
_COPIES = frozenset(
    {"flatten", "slice", "projection", "filter_projection", "value_projection", "function_expression"}
)
_TOO_LARGE = "it makes values that are too large"


def search(parsed: Mapping[str, Any], data: Any) -> Any:
    """Return what a parsed expression gives on JSON values.

    Raises:
        ValueError: if that takes too much work; also for other errors of JMESPath.
    """
    return _interpreter()(max(_LEAST, _TIMES * parts(data, inf))).visit(parsed, data)


def parts(value: Any, most: float) -> int:
    """Return the number of parts of a JSON value; what several lists share counts several times.

    Raises:
        ValueError: if there are more than ``most``.
    """
    found, todo = 1, [value]
    while todo and found <= most:
        each = todo.pop()
        if isinstance(each, str):
            found += len(each) // _CHARACTERS
        elif isinstance(each, int):
            found += each.bit_length() // _BITS
        elif isinstance(each, list | dict):
            # Counted before they are listed: a short list may hold a long one many times.
            found += len(each)
            if found <= most:
                todo += each
                todo += each.values() if isinstance(each, dict) else ()
    if found > most:
        raise ValueError(_TOO_LARGE)
    return found


def _length(value: Any) -> int:
    """Return the number of parts that a function reads of an argument, or of its result."""
    if isinstance(value, str):
        return len(value) // _CHARACTERS
    return len(value) if isinstance(value, list | dict) else 0


def _work_of(function: str, given: Sequence[Any], most: float) -> int:
    """Return the work of a function that is more than to read its arguments once."""
    if function == "join" and len(given) > 1 and isinstance(given[0], str):
        return len(given[0]) * _length(given[1]) // _CHARACTERS
    if function == "contains" and len(given) > 1 and isinstance(given[0], list):
        return len(given[0]) * parts(given[1], most)
    return 0


def _with(node: Any, values: Sequence[Any]) -> Any:
    """Return a node with the values of its children in place of them."""
    return {**node, "children": [{"type": "literal", "children": [], "value": each} for each in values]}


@cache
def _interpreter() -> Any:
    from jmespath.visitor import TreeInterpreter  # noqa: PLC0415 - it loads random, which few specs need

    class Bounded(TreeInterpreter):  # type: ignore[misc]
        """JMESPath's interpreter, which counts its work."""

        def __init__(self, most: int) -> None:
            super().__init__()
            self._left = most

        def _count(self, work: int) -> None:
            self._left -= work
            if self._left < 0:
                raise ValueError(_TOO_LARGE)

        def visit(self, node: Any, value: Any) -> Any:
            found, kind = super().visit(node, value), node["type"]
            if kind in _MULTIPLIES:
                self._count(parts(found, self._left))
            else:
                self._count(1 + _length(found) if kind in _COPIES else 1)
            return found

        def visit_comparator(self, node: Any, value: Any) -> Any:
            sides = [self.visit(child, value) for child in node["children"]]
            self._count(min(parts(side, self._left) for side in sides))
            return super().visit_comparator(_with(node, sides), value)

        def visit_function_expression(self, node: Any, value: Any) -> Any:
            given = [self.visit(child, value) for child in node["children"]]
            self._count(sum(map(_length, given)) + _work_of(node["value"], given, self._left))
            return super().visit_function_expression(_with(node, given), value)

    return Bounded
