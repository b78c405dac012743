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
#: Where a decision is made, each module under its folder.
MODULES = {
    "decide": "decide/decide.py",
    "closing": "decide/closing.py",
    "phase": "decide/phase.py",
    "starting": "decide/starting.py",
    "progress": "decide/progress.py",
    "cleanup": "decide/cleanup.py",
    "update": "decide/update.py",
    "ruled_update": "decide/ruled_update.py",
    "retrying": "decide/retrying.py",
    "state": "state/state.py",
    "retry": "spec/retry.py",
    "rules": "spec/rules/task_rules.py",
    "sibling_limits": "spec/rules/sibling_limits.py",
    "siblings": "spec/rules/siblings.py",
    "conditions": "spec/rules/conditions.py",
}
SAMPLE = 150
SEED = 6
_PER_STATEMENT = 2


def every(module: str) -> list[Mutant]:
    """Every mutant of a module."""
    return mutants(module, ast.parse((CORE / MODULES[module]).read_text()))


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
