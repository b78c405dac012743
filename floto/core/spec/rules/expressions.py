"""JMESPath expressions: the compiled form, and the names and kinds of nodes in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from floto.core.errors import SpecError
from floto.core.swf.identifiers import shown


@lru_cache(maxsize=512)
def compiled(expression: str) -> Any:
    """Compile an expression. Raises ``SpecError`` with the position of the problem."""
    import jmespath.exceptions  # noqa: PLC0415 - it loads random, which specs without conditions need not

    try:
        return jmespath.compile(expression)
    except jmespath.exceptions.EmptyExpressionError:
        problem = "is empty"
    except jmespath.exceptions.ParseError as error:
        detail = getattr(error, "message", None) or (
            f"unexpected {shown(error.token_value)}" if error.token_value else "it is incomplete"
        )
        hint = _hint(expression, error.lex_position)
        problem = f"cannot be read at character {error.lex_position + 1}: {detail}{hint}"
    except (RecursionError, ValueError) as error:
        problem = f"cannot be read: {shown(error)}"
    raise SpecError((f"when {shown(expression)} {problem}",))


def node_types(expression: str) -> set[str]:
    """Return the types of the nodes of an expression, in JMESPath's words. Raises ``SpecError``."""
    return {node["type"] for node in nodes_of(compiled(expression).parsed)}


def names_of(expression: str) -> set[str]:
    """Return the names that an expression looks up in the context itself. Raises ``SpecError``."""
    return set(_names(compiled(expression).parsed))


#: Nodes whose children but the first are evaluated on what the first one gives.
_OF_FIRST = frozenset(
    {"subexpression", "pipe", "projection", "value_projection", "filter_projection", "index_expression"}
)


def _names(node: Mapping[str, Any]) -> Iterator[str]:
    if node["type"] == "field":
        yield node["value"]
    children = [child for child in node["children"] if isinstance(child, dict)]
    if node["type"] == "expref":
        children = []  # evaluated on each element of a list
    for child in children[:1] if node["type"] in _OF_FIRST else children:
        yield from _names(child)


#: What is often written in place of JMESPath, by a pattern, and what to write.
_HINTS = {
    r"-?\d": "write a number between backquotes: `1`",
    r"[=](?!=)": "write == to compare",
    r"(and|or)\b": "write && and ||",
    r"-": 'write an id with other characters than letters, digits and _ in quotes: "a-b"',
}


def _hint(expression: str, position: int) -> str:
    if re.match(r"\s*not\s", expression):
        return "; write ! for not"
    rest = expression[position:]
    return next((f"; {hint}" for pattern, hint in _HINTS.items() if re.match(pattern, rest)), "")


def nodes_of(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of an expression."""
    found = [node]
    while found:
        each = found.pop()
        yield each
        found += [child for child in each["children"] if isinstance(child, dict)]
