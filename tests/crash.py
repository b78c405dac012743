"""Kill the server before and after every commit of a workload, restart it, and compare the result.

    python -m tests.crash [--every N]

Every acknowledged call is in the file, every other call is wholly in it or not at all, and each deadline
fires once: the file ends like that of a run without kills. Exits with 1 if it does not.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.workload import Content, Workload, content, is_sound


def calm(directory: Path) -> list[Content]:
    """Return the content of the file after each call of a run without kills."""
    seen: list[Content] = []
    workload = Workload(directory, after_each=lambda _number: seen.append(content(workload.path)))
    workload.run()
    return seen


def crashes(directory: Path, expected: list[Content], every: int = 1) -> Iterator[tuple[int, str, str]]:
    """Kill at each commit until there are no more; gives its number, when, and the call it belonged to."""
    for number in itertools.count(1, every):
        for when in ("before", "after"):
            place = directory / f"{number} {when}"
            place.mkdir()
            workload = Workload(place, kill_at=number, when=when, expected=expected)
            workload.run()
            assert content(workload.path) == expected[-1], f"killed {when} commit {number}"
            assert is_sound(workload.path)
            if not workload.crashed and number > _OPENING:
                return
            yield number, when, workload.crashed or "opening the file"


#: Commits that make the tables and take up what others left, before the first call.
_OPENING = 3


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th commit")
    options = parser.parse_args()
    began, killed = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="floto-crash-") as name:
        directory = Path(name)
        (directory / "calm").mkdir()
        expected = calm(directory / "calm")
        try:
            for number, when, operation in crashes(directory, expected, options.every):
                killed[operation] += 1
                print(f"{when} commit {number}: {operation}", flush=True)  # noqa: T201
        except AssertionError as error:
            print(f"FAILED: {error}")  # noqa: T201
            return 1
    seconds = time.monotonic() - began
    print(f"{len(expected)} calls, {sum(killed.values())} kills in {len(killed)} operations, {seconds:.0f} s")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
