"""Expressions that make large values end soon, and all others give what JMESPath gives."""

from __future__ import annotations

import time
from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floto import DeciderSpec
from floto.core.spec.rules.bounded_search import parts, search
from floto.core.spec.rules.expressions import compiled
from floto.core.swf.decisions import FailWorkflowExecution, ScheduleActivityTask
from floto.testing import simulate
from tests.unit.recorder import task

DATA = {"s": "y" * 30_000, "items": [{"price": n, "name": "x"} for n in range(1_000)]}
DOUBLED = " | ".join(["[@,@]"] * 40)
BOMBS = {
    "comparison": f"({DOUBLED}) == ({DOUBLED})",
    "text": f"{DOUBLED} | to_string(@)",
    "object": " | ".join(["{a: @, b: @}"] * 40) + " | to_string(@)",
    "mapped": " | ".join(["map(&[@,@], [@,@])"] * 25),
    "flattened": " | ".join(["`[1]`", *["[@[], @[]][]"] * 40]),
    "joined": f"join('', [{','.join(['s'] * 30)}]) | [{','.join(['@'] * 90)}] | join('', @)",
    "glued": "join(s, items[*].name) | [@,@,@,@] | join('', @)",
    "numbers": f"[`{'9' * 4_000}`] | {DOUBLED} | to_string(@)",
    "repeated": f"[{','.join(['to_string(items)'] * 3_000)}]",
}


@pytest.mark.parametrize("expression", BOMBS.values(), ids=BOMBS)
def test_expression_that_makes_large_values_is_refused_soon(expression: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match="too large"):
        search(compiled(expression).parsed, DATA)
    # Without a bound, none of them ends within a minute.
    assert time.process_time() - began < 10


ROWS = {"rows": [{"id": n, "name": "x"} for n in range(200_000)]}


@pytest.mark.parametrize(
    "expression",
    [
        "length(rows) > `5`",
        "rows[?id > `5` && name == 'x'] | length(@) > `10`",
        "rows[:1000] | [?contains(`[" + ",".join(map(str, range(1_000))) + "]`, id)] | length(@) == `1000`",
    ],
)
def test_condition_on_much_data_holds(expression: str) -> None:
    assert search(compiled(expression).parsed, ROWS) is True


def test_task_whose_condition_makes_large_values_fails() -> None:
    spec = DeciderSpec(activity_tasks=[task("a", when=BOMBS["comparison"])])
    simulation = simulate(spec)
    [*_, last] = simulation.steps
    [failed] = last.decisions
    assert isinstance(failed, FailWorkflowExecution)
    assert not isinstance(failed, ScheduleActivityTask)
    assert "it makes values that are too large" in str(failed.details)


@pytest.mark.parametrize(
    ("value", "count"),
    [(1, 1), ("", 1), ("x" * 32, 3), (2**128, 3), ([1, [2]], 4), ({"a": {"b": 1}}, 3), ([[[]] * 3] * 2, 9)],
)
def test_parts_of_a_value_are_counted_as_often_as_they_are_in_it(value: Any, count: int) -> None:
    assert parts(value, count) == count
    with pytest.raises(ValueError, match="too large"):
        parts(value, count - 1)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
EXPRESSIONS = (
    "a.b",
    "a[0].b || b",
    "[?a > `0`].b",
    "a[*].[b, c]",
    "{x: a, y: b.c}",
    "a[].b | [0]",
    "*.a && !b",
    "sort(a) == b",
    "join('-', a)",
    "length(a) > `1`",
    "map(&b, a)",
    "max_by(a, &b).c",
    "to_string(@)",
)


@given(VALUES, st.sampled_from(EXPRESSIONS))
def test_bounded_search_gives_what_jmespath_gives(data: Any, expression: str) -> None:
    def outcome(ask: Any) -> Any:
        try:
            return ask()
        except Exception as error:  # noqa: BLE001 - the same error in both
            return type(error), str(error)

    expected = outcome(lambda: jmespath.search(expression, data))
    assert outcome(lambda: search(compiled(expression).parsed, data)) == expected
