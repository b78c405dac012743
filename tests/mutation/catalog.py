"""Which mutants there are, which of them are tried, and which are known to change nothing."""

from __future__ import annotations

import ast
import tomllib
import zlib
from collections import Counter
from itertools import zip_longest
from pathlib import Path

from tests.mutation.operators import Mutant, mutants

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "floto" / "core"
#: Where a decision is made: the path of each module under ``floto/core``, by its name.
MODULES = {
    Path(path).stem: path
    for path in (
        "decide/decide.py",
        "decide/closing.py",
        "decide/phase.py",
        "decide/starting.py",
        "decide/progress.py",
        "decide/cleanup.py",
        "decide/update.py",
        "decide/ruled_update.py",
        "decide/next_step.py",
        "state/state.py",
        "spec/retry.py",
        "spec/rules/task_rules.py",
        "spec/rules/joins.py",
        "spec/rules/sibling_limits.py",
        "spec/rules/siblings.py",
        "spec/rules/conditions.py",
        "spec/rules/undo_order.py",
    )
}
#: What says how a spec must be, or words a message, and decides nothing; the unit tests examine it.
_CHECKS = frozenset(
    {"_is_field_of_not", "_problem_on_data", "is_monotone", "rules_text", "SiblingGroup.tolerated"}
)
SAMPLE = 150
SEED = 6
_PER_STATEMENT = 2


def every(module: str) -> list[Mutant]:
    """Every mutant of a module."""
    found = mutants(module, ast.parse((CORE / MODULES[module]).read_text()))
    return [mutant for mutant in found if not _is_check(mutant.scope)]


def _is_check(scope: str) -> bool:
    return scope in _CHECKS or scope.endswith(("problems", ".__str__"))


def sample(count: int = SAMPLE, seed: int = SEED) -> list[Mutant]:
    """So many mutants, evenly over the modules and their statements, the same each time."""
    turns = zip_longest(*(_shuffled(module, seed) for module in MODULES))
    return [mutant for turn in turns for mutant in turn if mutant is not None][:count]


def _shuffled(module: str, seed: int) -> list[Mutant]:
    taken, kept = Counter[int](), []
    # By their texts, so that what is new in a module does not choose others in all of it.
    for mutant in sorted(every(module), key=lambda mutant: zlib.crc32(f"{seed} {mutant.text}".encode())):
        taken[id(mutant.place.statement)] += 1
        if taken[id(mutant.place.statement)] <= _PER_STATEMENT:
            kept.append(mutant)
    return kept


def equivalents() -> dict[str, str]:
    """Why a mutant changes nothing that floto promises, by its text."""
    table = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text())
    return {text: row["because"] for row in table.get("equivalent", ()) for text in row["mutants"]}
