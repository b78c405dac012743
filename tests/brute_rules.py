"""Which tasks run, by a brute-force reading of rules, against floto: over every small graph.

    python -m tests.brute_rules [TASKS]

Takes every graph of 1 to TASKS (by default 4) activities with every combination of joins and of planned
outcomes, plays its run, and compares the tasks that ran with those that the reading says. Exits with 1 where
they differ. CI plays a sample (``tests/property/test_rules.py``).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import attrs
from attrs import frozen

from floto import ActivityTask, AtLeast, DeciderSpec, Generator, begin, decide
from floto.core.spec.rules.joins import JoinOption
from floto.core.swf.decisions import CompleteWorkflowExecution
from tests.unit.recorder import Recorder, spec, starts, task

JOINS: tuple[JoinOption, ...] = ("all", "any", AtLeast(2), "finished")
#: Planned outcomes: completed, failed (and the run continues), skipped by its condition.
DONE, LOST, SKIPPED = "CFS"


@frozen
class Case:
    """Of each task the required ones, which are earlier ones, its join, and its outcome if it runs."""

    requires: tuple[tuple[int, ...], ...]
    joins: tuple[JoinOption, ...]
    plans: tuple[str, ...]


def fates(case: Case, least: Sequence[int | None] = ()) -> list[str]:
    """What becomes of each task: the definition of the joins, word by word.

    Args:
        case: The graph, its joins, and what becomes of the tasks that run.
        least: For each task that is a generator, the number of its tasks that complete before joins that
            count are decided; they count in its place.
    """
    found: list[str] = []
    for requires, join, planned in zip(case.requires, case.joins, case.plans, strict=True):
        before = [found[each] for each in requires]
        for each in requires if str(join) not in ("all", "finished") else ():
            certain = least[each] if least else None
            if certain is not None and found[each] == DONE:
                before += [DONE] * (certain - 1)
        may_run = {
            "all": not before or any(each != SKIPPED for each in before),
            "any": DONE in before,
            "AtLeast(2)": before.count(DONE) >= 2,
            "AtLeast(3)": before.count(DONE) >= 3,
            "finished": True,
        }[str(join)]
        found.append(planned if may_run else SKIPPED)
    return found


def declared(case: Case) -> DeciderSpec:
    return spec(
        *(
            task(
                f"t{number}",
                [f"t{each}" for each in requires],
                join=join,
                when="`false`" if planned == SKIPPED else None,
                on_error="continue",
            )
            for number, (requires, join, planned) in enumerate(
                zip(case.requires, case.joins, case.plans, strict=True)
            )
        )
    )


def played(case: Case) -> tuple[list[str], bool]:
    """What became of each task in a run of floto, and whether the run completes in the end."""
    own, recorder = declared(case), Recorder()
    progress, found = begin(own, recorder.history), [SKIPPED] * len(case.plans)
    while True:
        decisions = decide(progress)
        ready = list(starts(decisions))
        if not ready:
            return found, [type(each) for each in decisions] == [CompleteWorkflowExecution]
        # One at a time, the last first: the joins that count see each result by itself.
        number = int(ready[-1][1:])
        seen, found[number] = len(recorder.data), case.plans[number]
        if case.plans[number] == DONE:
            recorder.complete(ready[-1])
        else:
            recorder.fail(ready[-1])
        progress = progress.observe(recorder.history.events[seen:])


def cases(tasks: int) -> Iterator[Case]:
    """Every case of so many tasks."""
    subsets = [
        [tuple(each for each in range(number) if bits >> each & 1) for bits in range(1 << number)]
        for number in range(tasks)
    ]
    for requires, joins, plans in product(
        product(*subsets), product(JOINS, repeat=tasks), product((DONE, LOST, SKIPPED), repeat=tasks)
    ):
        yield Case(requires, joins, plans)


def drawn(choose: random.Random, tasks: int) -> Case:
    """A random case of so many tasks."""
    requires = tuple(
        tuple(each for each in range(number) if choose.random() < 0.5) for number in range(tasks)
    )
    joins = tuple(choose.choice((*JOINS, AtLeast(3))) for _ in range(tasks))
    return Case(requires, joins, tuple(choose.choice((DONE, LOST, SKIPPED)) for _ in range(tasks)))


@frozen
class OpenSpec:
    """A spec with conditions and outcomes that are not known before it runs."""

    requires: tuple[tuple[int, ...], ...]
    joins: tuple[JoinOption, ...]
    #: By task: None, or ``true``, ``false``, or ``open``.
    conditions: tuple[str | None, ...]
    #: By task: whether its failure lets the run continue.
    continues: tuple[bool, ...]
    #: By task: None, or of a generator the number of its tasks that must complete.
    least: tuple[int | None, ...]

    def spec(self) -> DeciderSpec:
        tasks: list[ActivityTask] = []
        for number, requires in enumerate(self.requires):
            condition = self.conditions[number]
            when = f"workflow.t{number}" if condition == "open" else condition and f"`{condition}`"
            on_error = "continue" if self.continues[number] else "fail"
            required = [f"t{each}" for each in requires]
            rules = {"join": self.joins[number], "when": when, "on_error": on_error}
            own = task(f"t{number}", required, **rules)
            fields = {field.name: getattr(own, field.name) for field in attrs.fields(ActivityTask)}
            least = self.least[number]
            tasks.append(own if least is None else Generator(**fields, min_successful=least))
        return spec(*tasks)

    def certainties(self) -> Mapping[str, str]:
        """Whether each task always, sometimes or never runs, from all runs in which no task fails the run."""
        may = [self._may(number) for number in range(len(self.requires))]
        runs = [fates(Case(self.requires, self.joins, plans), self.least) for plans in product(*may)]
        found = {}
        for number in range(len(self.requires)):
            ran = [fate[number] != SKIPPED for fate in runs]
            found[f"t{number}"] = "always" if all(ran) else "sometimes" if any(ran) else "never"
        return found

    def _may(self, number: int) -> Sequence[str]:
        if self.conditions[number] == "false":
            return [SKIPPED]
        ran = [DONE, LOST] if self.continues[number] else [DONE]
        return [*ran, SKIPPED] if self.conditions[number] == "open" else ran


def drawn_spec(choose: random.Random, most: int = 8) -> OpenSpec:
    """A random spec of at most so many tasks; every third is open, so that all its runs can be tried."""
    case = drawn(choose, choose.randint(1, most))
    tasks = range(len(case.requires))
    conditions = tuple(choose.choice((None, None, None, "true", "false", "open", "open")) for _ in tasks)
    continues = tuple(choose.random() < 0.3 for _ in tasks)
    least = tuple(choose.choice((None, None, None, 1, 2, 3)) for _ in tasks)
    return OpenSpec(case.requires, case.joins, conditions, continues, least)


def main() -> int:
    began, tried = time.monotonic(), 0
    for tasks in range(1, int(sys.argv[1] if len(sys.argv) > 1 else 4) + 1):
        for case in cases(tasks):
            tried += 1
            if played(case) != (fates(case), True):
                print(f"{case}: {played(case)}, expected {fates(case)}")
                return 1
        print(f"{tried:,} cases of up to {tasks} tasks agree, after {time.monotonic() - began:,.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
