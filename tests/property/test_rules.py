"""Rules of tasks against a brute-force reading of them: which tasks run, and which may."""

from __future__ import annotations

import random
import runpy
from pathlib import Path

from attrs import evolve, frozen
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from floto import CODEC, ActivityTask, DeciderSpec, decide, explain
from floto.core.replay.task_status import TaskStatus
from floto.core.spec.rules.certainty import Certainty, prospects
from floto.core.spec.rules.task_rules import Rules
from floto.core.spec.tasks import Task
from floto.extend import JoinVerdict, Kind, Tally
from floto.testing import Simulation
from floto.testing.checking.verifying import verify_run
from floto.testing.strategies import runs, specs
from tests.brute_rules import cases, drawn, drawn_spec, fates, played
from tests.property.setup import SETTINGS


def test_every_graph_of_two_tasks_runs_what_the_reading_says() -> None:
    for tasks in (1, 2):
        for case in cases(tasks):
            assert (case, *played(case)) == (case, fates(case), True)


@settings(SETTINGS, max_examples=150)
@given(st.randoms(use_true_random=False), st.integers(3, 7))
def test_larger_graphs_run_what_the_reading_says(choose: random.Random, tasks: int) -> None:
    case = drawn(choose, tasks)
    assert (case, *played(case)) == (case, fates(case), True)


def test_certainty_of_tasks_equals_that_of_all_runs() -> None:
    choose = random.Random(15)
    for _ in range(2_000):
        drawn = drawn_spec(choose)
        found = {id_: str(each.certainty) for id_, each in prospects(drawn.spec().activity_tasks).items()}
        assert (drawn, found) == (drawn, drawn.certainties())


#: A join of one's own, which is monotone.
Share = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "extensions" / "share.py"))["Share"]


@frozen
class Missing:
    """A join of one's own: start once one of the tasks has not completed; it waits for ever if all have."""

    def verdict(self, tally: Tally) -> JoinVerdict | None:
        return JoinVerdict.START if tally.continued + tally.failed + tally.skipped else None


OWN = CODEC.with_type("Share", Share).with_type("Missing", Missing)
OWN_SPECS = specs(joins=[Share(0.5), Share(1), Missing()], codec=OWN)


@SETTINGS
@given(runs(OWN_SPECS, codec=OWN))
def test_runs_with_joins_of_ones_own_keep_all_invariants(run: Simulation) -> None:
    verify_run(run)


@SETTINGS
@given(OWN_SPECS)
def test_joins_of_ones_own_are_read_back_from_json(spec: DeciderSpec) -> None:
    assert DeciderSpec.from_json(spec.to_json(OWN), OWN) == spec


@SETTINGS
@given(runs(OWN_SPECS, codec=OWN))
def test_certainty_holds_with_joins_of_ones_own(run: Simulation) -> None:
    assume(run.status == "COMPLETED")
    tasks = run.spec.activity_tasks
    found = prospects(tasks)
    statuses = explain(run.spec, run.main, codec=OWN).tasks
    for task in tasks:
        certainty, is_skipped = found[task.id_].certainty, statuses[task.id_].status is TaskStatus.SKIPPED
        # A signal whose time is up is skipped, too.
        if certainty is not Certainty.SOMETIMES and task.key[0] is not Kind.SIGNAL:
            assert is_skipped is (certainty is Certainty.NEVER)


def plain(task: Task) -> Task:
    return evolve(task, when=None, join="all", on_error="fail") if isinstance(task, Rules) else task


@SETTINGS
@given(runs(specs()), st.data())
def test_spec_without_rules_is_decided_like_one_with_a_skipped_task_beside_it(
    run: Simulation, data: st.DataObject
) -> None:
    """A rule anywhere in a spec makes the update examine tasks by the events that settle them."""
    tasks = tuple(map(plain, run.spec.activity_tasks))
    own = evolve(run.spec, activity_tasks=tasks)
    skipped = ActivityTask(id_="beside", name="a", version="v1", when="`false`")
    ruled = evolve(run.spec, activity_tasks=(*tasks, skipped))
    history = data.draw(st.sampled_from(run.histories))
    end = data.draw(st.integers(1, len(history)))
    assert decide(own, evolve(history, events=history.events[:end])) == decide(
        ruled, evolve(history, events=history.events[:end])
    )
