"""Conditions of tasks: truth, errors and their messages."""

from __future__ import annotations

from typing import Any

import pytest

from floto import SpecError
from floto.core.frozen import frozen
from floto.core.spec.rules.conditions import condition_problems, holds
from floto.core.spec.rules.expressions import names_of


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_empty_values_null_and_false_are_false(value: Any) -> None:
    assert not holds("workflow", frozen({"workflow": value}))
    assert holds("!workflow", frozen({"workflow": value}))


@pytest.mark.parametrize("value", [0, 0.0, True, "0", "false", [None], {"a": None}])
def test_other_values_are_true(value: Any) -> None:
    assert holds("workflow", frozen({"workflow": value}))
    assert not holds("!workflow", frozen({"workflow": value}))


def test_absent_value_is_false() -> None:
    assert not holds("load.rows", {})


def test_frozen_values_are_lists_and_objects_for_expressions() -> None:
    context = frozen({"workflow": {"sizes": [1, 2, 3]}})
    assert holds("sum(workflow.sizes) == `6` && type(workflow) == 'object'", context)
    assert holds("length(workflow.sizes[?@ > `1`]) == `2`", context)


def test_expression_that_fails_on_the_data_names_both() -> None:
    with pytest.raises(SpecError) as raised:
        holds("sum(a.b)", {"a": {"b": "x" * 1000}})
    (problem,) = raised.value.problems
    assert problem.startswith("when 'sum(a.b)' failed: In function sum()")
    assert '; the data was {"a": {"b": "xxxx' in problem
    assert len(problem) < 1200


@pytest.mark.parametrize(
    "expression", ["abs('x')", "a[::0]", "max_by(a, &b)", 'sort(`[1, "a"]`)', "abs(`1`, `2`)"]
)
def test_every_error_of_an_expression_is_a_spec_error(expression: str) -> None:
    assert list(condition_problems(expression)) == []
    with pytest.raises(SpecError, match=r"failed: .*; the data was"):
        holds(expression, {"a": [{"b": 1}, {"b": "x"}]})


@pytest.mark.parametrize("expression", ["!a.b", "c && !a.b.d", "[?!a.b]"])
def test_field_of_a_negation_which_is_always_null_is_refused(expression: str) -> None:
    (problem,) = condition_problems(expression)
    assert problem.endswith("JMESPath reads !a.b as (!a).b, which is null; write !(a.b)")
    assert not list(condition_problems(expression.replace("!a.b.d", "!(a.b.d)").replace("!a.b", "!(a.b)")))


def test_nested_function_is_found() -> None:
    (problem,) = condition_problems("a[?mine(@)] | length(other(@))")
    assert problem.endswith("calls unknown functions: mine, other")


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("a.b && c[0].d || workflow", {"a", "c", "workflow"}),
        ("length(rows[?size > `3` && kind == 'x'].name) > `1`", {"rows"}),
        ("a | b", {"a"}),
        ("max_by(rows, &size).size", {"rows"}),
        ("[a, {x: b}][*].c", {"a", "b"}),
        ("!(a.b) && *.c", {"a"}),
        ('"send-mail".ok == `true`', {"send-mail"}),
    ],
)
def test_names_of_an_expression_are_those_of_the_context_itself(expression: str, names: set[str]) -> None:
    assert names_of(expression) == names


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("a.x > 100", "write a number between backquotes: `1`"),
        ("a.x == -1", "write a number between backquotes: `1`"),
        ("a.x = `1`", "write == to compare"),
        ("a.ok and a.b", "write && and ||"),
        ("not a.ok", "write ! for not"),
        ("a-b.ok", 'in quotes: "a-b"'),
    ],
)
def test_unreadable_expression_is_given_a_hint(expression: str, hint: str) -> None:
    (problem,) = condition_problems(expression)
    assert problem.endswith(hint)
