"""Conditions of tasks: JMESPath expressions (https://jmespath.org) over the context of a task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from floto.core.errors import SpecError
from floto.core.frozen import thawed
from floto.core.swf.identifiers import shown
from floto.core.visible import shortened

#: Maximum characters of the data in the message of a condition that fails on it.
_DATA_SHOWN = 500
#: The errors that an expression may raise on data; those of JMESPath are ``ValueError``.
_ERRORS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def condition_problems(expression: Any) -> Iterable[str]:
    """Yield the problems of a condition in a spec, one line each."""
    if not isinstance(expression, str):
        yield f"when must be a JMESPath expression or None, not {shown(expression)}"
        return
    try:
        compiled = _compiled(expression)
    except SpecError as error:
        yield from error.problems
        return
    import jmespath.functions  # noqa: PLC0415 - it loads random, which specs without conditions need not

    known = jmespath.functions.Functions.FUNCTION_TABLE
    called = {node["value"] for node in _nodes(compiled.parsed) if node["type"] == "function_expression"}
    unknown = called - known.keys()
    if any(map(_is_field_of_not, _nodes(compiled.parsed))):
        yield f"when {shown(expression)}: JMESPath reads !a.b as (!a).b, which is null; write !(a.b)"
    if unknown:
        yield f"when {shown(expression)} calls unknown functions: {', '.join(sorted(unknown))}"


def holds(expression: str, context: Mapping[str, Any]) -> bool:
    """Return True if a condition holds: unless it gives null, false, ``""``, ``[]`` or ``{}``.

    Args:
        expression: The JMESPath expression.
        context: The context of the task, as JSON values.

    Raises:
        SpecError: if the expression fails on the context.
    """
    data = thawed(context)
    try:
        found = _compiled(expression).search(data)
    except _ERRORS as error:
        raise SpecError((_problem_on_data(expression, data, error),)) from error
    return not (found is None or found is False or found in ("", [], {}))


def _problem_on_data(expression: str, data: Any, error: Exception) -> str:
    text = shortened(json.dumps(data, sort_keys=True), _DATA_SHOWN)
    detail = shortened(str(error) or type(error).__name__, _DATA_SHOWN)
    return f"when {shown(expression)} failed: {detail}; the data was {text}"


def node_types(expression: str) -> set[str]:
    """Return the types of the nodes of an expression, in JMESPath's words. Raises ``SpecError``."""
    return {node["type"] for node in _nodes(_compiled(expression).parsed)}


def names_of(expression: str) -> set[str]:
    """Return the names that an expression looks up in the context itself. Raises ``SpecError``."""
    return set(_names(_compiled(expression).parsed))


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


@lru_cache(maxsize=512)
def _compiled(expression: str) -> Any:
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
    found = (hint for pattern, hint in _HINTS.items() if re.match(pattern, rest))
    return "".join(f"; {hint}" for hint in islice(found, 1))


def _is_field_of_not(node: Mapping[str, Any]) -> bool:
    is_field = node["type"] == "subexpression"
    return is_field and bool(node["children"][0]["type"] == "not_expression")


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of an expression."""
    nodes = [node]
    while nodes:
        each = nodes.pop()
        yield each
        nodes += [child for child in each["children"] if isinstance(child, dict)]
