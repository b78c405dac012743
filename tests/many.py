"""Many random cases of one check, in batches, outside pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

#: Cases for which Hypothesis is asked at a time: it remembers all that it has tried.
_BATCH = 250


def check_many(
    cases: SearchStrategy[T],
    check: Callable[[T, Counter[str]], None],
    until: tuple[str, int],
    faults: tuple[type[Exception], ...],
) -> int:
    """Check batches of cases and print what was counted, or the first case that is wrong.

    Args:
        cases: The cases; the same in every run.
        check: Checks a case, and counts what was in it.
        until: What is counted, and how often it has to be.
        faults: The exceptions of a case that is wrong.

    Returns:
        The exit code: 1 if a case was wrong, else 0.
    """
    seen: Counter[str] = Counter()
    (what, number), batch = until, 0
    while seen[what] < number:
        batch += 1

        @seed(batch)
        @settings(
            max_examples=_BATCH,
            deadline=None,
            database=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def checked(case: T) -> None:
            check(case, seen)

        try:
            checked()
        except faults as fault:
            print(f"batch {batch}: {fault}")
            return 1
    for name, count in seen.items():
        print(f"{count:>9,} {name}")
    return 0
