"""Conditions of tasks: JMESPath expressions (https://jmespath.org) over the context of a task."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from floto.core.errors import SpecError
from floto.core.frozen import thawed
from floto.core.spec.rules.bounded_search import search
from floto.core.spec.rules.expressions import compiled, nodes_of
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
        parsed = compiled(expression).parsed
    except SpecError as error:
        yield from error.problems
        return
    import jmespath.functions  # noqa: PLC0415 - it loads random, which specs without conditions need not

    known = jmespath.functions.Functions.FUNCTION_TABLE
    called = {node["value"] for node in nodes_of(parsed) if node["type"] == "function_expression"}
    unknown = called - known.keys()
    if any(map(_is_field_of_not, nodes_of(parsed))):
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
        found = search(compiled(expression).parsed, data)
    except _ERRORS as error:
        raise SpecError((_problem_on_data(expression, data, error),)) from error
    return not (found is None or found is False or found in ("", [], {}))


def _problem_on_data(expression: str, data: Any, error: Exception) -> str:
    text = shortened(json.dumps(data, sort_keys=True), _DATA_SHOWN)
    detail = shortened(str(error) or type(error).__name__, _DATA_SHOWN)
    return f"when {shown(expression)} failed: {detail}; the data was {text}"


def _is_field_of_not(node: Mapping[str, Any]) -> bool:
    is_field = node["type"] == "subexpression"
    return is_field and bool(node["children"][0]["type"] == "not_expression")
