"""The evaluation of JMESPath expressions in bounded time and memory.

An expression of a few hundred characters can make a value that has 2^40 parts, since its lists share what
they hold: ``[@,@] | [@,@] | ...``. To compare it or to write it as text would not end, and nothing could
interrupt it. So each value that a node of an expression gives is counted, with all its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import inf
from typing import Any

#: Maximum parts of all values that an expression makes: at least, for each part of its data, and at most.
_LEAST, _TIMES, _MOST = 500_000, 50, 10_000_000
#: Characters of a text, and bits of a number, that count as one part more.
_CHARACTERS, _BITS = 16, 64
#: The types of values that may have several parts; a number has only few.
_LARGE = frozenset({str, list, dict})
_TOO_LARGE = "it makes values that are too large"


def search(parsed: Mapping[str, Any], data: Any) -> Any:
    """Return what a parsed expression gives on JSON values.

    Raises:
        ValueError: if the values that it makes are too large; also for other errors of JMESPath.
    """
    most = min(_LEAST + _TIMES * parts(data, inf), _MOST)
    return _interpreter()(most).visit(parsed, data)


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


def _joined(glue: Any = "", texts: Any = ()) -> int:
    """Return the parts of the glue in the text that ``join`` makes: no other function multiplies."""
    return len(glue) * len(texts) // _CHARACTERS if isinstance(glue, str) and isinstance(texts, list) else 0


@cache
def _interpreter() -> Any:
    from jmespath.visitor import TreeInterpreter  # noqa: PLC0415 - it loads random, which few specs need

    class Bounded(TreeInterpreter):  # type: ignore[misc]
        """JMESPath's interpreter, which counts the parts of each value."""

        def __init__(self, most: int) -> None:
            super().__init__()
            self._left = most

        def visit(self, node: Mapping[str, Any], value: Any) -> Any:
            found = super().visit(node, value)
            # For each element of a list: most values are numbers or short.
            self._left -= parts(found, self._left) if type(found) in _LARGE else 1
            if self._left < 0:
                raise ValueError(_TOO_LARGE)
            return found

        def visit_function_expression(self, node: Mapping[str, Any], value: Any) -> Any:
            given = [self.visit(child, value) for child in node["children"]]
            if node["value"] == "join" and _joined(*given[:2]) > self._left:
                raise ValueError(_TOO_LARGE)
            return self._functions.call_function(node["value"], given)

    return Bounded
