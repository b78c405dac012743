"""Change floto's decisions in one place at a time, and show which mutants the kit's invariants detect.

    python -m tests.mutants [--only MODULE[:LINE]] [--seconds N] [--count N] [--seed N]
                           [--all] [--list]

Every mutant runs in a separate process, two at a time, until an invariant is violated or its seconds
are over. Exits with 1 if fewer than 95 % of the mutants that are not equivalent are detected. Not
collected by pytest: it takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.mutation.catalog import MODULES, ROOT, SAMPLE, SEED, equivalents, every, sample
from tests.mutation.operators import Mutant
from tests.mutation.runner import UNKNOWN

ENOUGH = 0.95
_AT_A_TIME = 2
#: Seconds for a process to start and to stop.
_GRACE = 60
#: How many times as long as on a machine of its own a process may take.
_LOADED = 6


@frozen
class Verdict:
    """The verdict on one mutant."""

    mutant: Mutant
    #: ``invariant``, ``crash`` or ``hang``; None for a survivor.
    by: str | None
    what: str
    runs: int
    seconds: float

    def __str__(self) -> str:
        how = f"{self.by}: {self.what}" if self.by else "SURVIVED"
        return (
            f"{_place(self.mutant)} {self.seconds:5.1f} s, {self.runs:5} runs  {' '.join(how.split()):.100}"
        )


def _place(mutant: Mutant) -> str:
    return f"floto/core/{MODULES[mutant.module]}:{mutant.line}"


def examine(seconds: float, mutant: Mutant | None = None) -> dict[str, Any]:
    """Run the invariants against a mutant, or against floto as it is."""
    named = [] if mutant is None else [mutant.module, mutant.text]
    command = [sys.executable, "-m", "tests.mutation.runner", str(seconds), *named]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_LOADED * seconds + _GRACE,
        )
    except subprocess.TimeoutExpired:
        return {"by": "hang", "what": "never came to an end", "runs": 0, "seconds": seconds + _GRACE}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        if done.returncode == UNKNOWN:
            raise SystemExit(last)
        return {"by": "crash", "what": last, "runs": 0, "seconds": 0.0}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def verdicts(tried: Iterable[Mutant], seconds: float) -> Iterator[Verdict]:
    """Try mutants, two at a time."""

    def verdict(mutant: Mutant) -> Verdict:
        return Verdict(mutant, **examine(seconds, mutant))

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for each in pool.map(verdict, tried):
            print(each, flush=True)
            yield each


def report(found: list[Verdict], left_out: int) -> str:
    """Return a summary of all verdicts, and each survivor with its change."""
    seen, survivors = Counter(each.by for each in found if each.by), [each for each in found if not each.by]
    seconds = sorted(each.seconds for each in found) or [0.0]
    kinds = ", ".join(f"{count} by {by}" for by, count in sorted(seen.items()))
    lines = [
        f"{len(found) + left_out} mutants, {left_out} of them known to change nothing",
        f"{len(found) - len(survivors)} of {len(found)} seen ({share(found):.1%}): {kinds or 'none'}",
        f"{statistics.median(seconds):.1f} s a mutant in the median, {seconds[-1]:.1f} s at the most",
    ]
    for each in survivors:
        lines += ["", f"{_place(each.mutant)} {each.mutant.scope}  survived {each.runs} runs"]
        lines += [f"  - {each.mutant.before}", f"  + {each.mutant.after}"]
    return "\n".join(lines)


def share(found: list[Verdict]) -> float:
    """Return the share of detected mutants among those that are not equivalent."""
    return sum(1 for each in found if each.by) / len(found) if found else 1.0


def chosen(arguments: argparse.Namespace) -> list[Mutant]:
    """Return the selected mutants."""
    path, _, line = (arguments.only or "").partition(":")
    module = Path(path).stem
    if not arguments.only and not arguments.all:
        return sample(arguments.count, arguments.seed)
    found = [mutant for name in MODULES if not module or name == module for mutant in every(name)]
    return [mutant for mutant in found if not line or mutant.line == int(line)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="MODULE[:LINE]", help="every mutant of a module, or of one line")
    parser.add_argument("--seconds", type=float, default=60, help="of the processor, for each mutant (60)")
    parser.add_argument("--count", type=int, default=SAMPLE, help=f"how many to try ({SAMPLE})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"which to try ({SEED})")
    parser.add_argument("--all", action="store_true", help="every mutant there is, in place of a sample")
    parser.add_argument("--list", action="store_true", help="show them, and try none")
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> int:
    """Try the selected mutants."""
    known = equivalents()
    asked = chosen(arguments)
    tried = [mutant for mutant in asked if mutant.text not in known]
    if arguments.list:
        for mutant in asked:
            because = f"  ({known[mutant.text]})" if mutant.text in known else ""
            print(f"{_place(mutant)} {mutant.text}{because}")
        return 0
    clean = examine(arguments.seconds / 2)
    if clean["by"]:
        print(f"floto as it is does not hold: {clean['by']}: {clean['what']}")
        return 2
    found = list(verdicts(tried, arguments.seconds))
    print(f"\n{report(found, len(asked) - len(tried))}")
    return 0 if share(found) >= ENOUGH else 1


if __name__ == "__main__":
    raise SystemExit(main(_arguments()))
