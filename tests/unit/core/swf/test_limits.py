"""SWF's limits: each number stands in one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from floto.core.swf import limits

FLOTO = Path(limits.__file__).parents[2]
HOME = Path("core/swf/limits.py")
#: The numbers of SWF's limits that are not everyday ones.
NUMBERS = {
    256,
    1_000,
    1_024,
    1_600,
    2_048,
    25_000,
    32_768,
    100_000,
    31_536_000,
    99_999_999,
    10**8,
    2**31,
    2**31 - 1,
}
#: Forms of limits inside of strings: the digits of a number, a year in seconds.
FORMS = ("{1,8}", "31536000", "99999999")
#: The same numbers with another meaning, by file.
OTHER: dict[str, set[int]] = {
    "adapters/history_files/foreign_forms.py": {1_000},  # milliseconds of a second
    "adapters/http/requests.py": {1_024},  # bytes of a kilobyte
    "adapters/processes/presence.py": {1_000},  # files that are read
    "core/engine/stores/backlogs.py": {1_000},  # redeliveries that are listed
    "core/engine/api/pages.py": {1_024},  # bytes of a kilobyte
    "core/engine/deadlines.py": {256},  # cached durations
    "core/engine/tokens.py": {1_024},  # remembered tokens
    "core/engine/step_context.py": {1_000},  # microseconds of a millisecond
    "core/payloads/reference.py": {256},  # megabytes of a store
    "core/spec/field_checks.py": {1_024},  # cached objects
    "core/spec/retry.py": {1_000},  # retries
    "core/swf/wire.py": {1_000},  # milliseconds of a second
    "core/visible.py": {1_000},  # milliseconds of a second
    "pages/documents.py": {1_024},  # bytes of a kilobyte
    "pages/listing/filters.py": {1_000},  # milliseconds of a second
    "pages/listing/listing.py": {1_000},  # milliseconds of a second
    "pages/web/requests.py": {256, 1_024, 32_768},  # sizes of a form and of a file, in kilobytes
    "pages/document/sections.py": {1_000},  # milliseconds of a second
    "pages/web/site.py": {1_000},  # milliseconds of a second
    "pictures/scale.py": {1_000},  # milliseconds of a second
    "runtime/cli/show.py": {1_000},  # characters on a screen
    "runtime/deciders/decider.py": {256},  # runs in memory
    "runtime/deciders/deciding_at_once.py": {256, 1_000},  # plans that are remembered; events of a run
    "runtime/deciders/decider_process_main.py": {1_024},  # bytes of a read
    "runtime/runs/redriving.py": {1_000},  # histories of children
    "testing/random_specs.py": {1_024},  # kept strategies
    "testing/checking/check.py": {1_000},  # schedules that are explored
    "testing/invariants/retries.py": {1_000, 1_024},  # attempts; cached objects
    "testing/simulation/choices.py": {256},  # sides of a die
    "trouble_log.py": {256},  # subjects of messages
}
#: The second reading of histories shares no figures with what it judges.
INDEPENDENT = Path("testing/reading")


def value(node: ast.AST) -> object:
    """The value of a constant expression; None for any other node."""
    if not isinstance(node, ast.Constant | ast.BinOp):
        return None
    if any(
        isinstance(each, ast.Name | ast.Attribute | ast.Call | ast.Mod | ast.JoinedStr)
        for each in ast.walk(node)
    ):
        return None
    try:
        return ast.literal_eval(node) if isinstance(node, ast.Constant) else computed(node)
    except (ValueError, TypeError):
        return None


def computed(node: ast.BinOp) -> object:
    left, right = value(node.left), value(node.right)
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    match node.op:
        case ast.Pow() if abs(right) < 64:
            return left**right
        case ast.Mult():
            return left * right
        case ast.Sub():
            return left - right
        case _:
            return None


def copies(path: Path) -> Iterator[object]:
    """The numbers of limits in a module, and the strings that hold one."""
    for node in ast.walk(ast.parse(path.read_text())):
        found = value(node)
        if isinstance(found, str):
            yield from (form for form in FORMS if form in found)
        elif found in NUMBERS:
            yield found


MODULES = sorted(path.relative_to(FLOTO) for path in FLOTO.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_no_other_module_repeats_a_limit(module: Path) -> None:
    if module != HOME and not module.is_relative_to(INDEPENDENT):
        assert set(copies(FLOTO / module)) <= OTHER.get(str(module), set())
