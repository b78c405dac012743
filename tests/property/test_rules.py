"""Rules of tasks against a brute-force reading of them: which tasks run, and which may."""

from __future__ import annotations

import random

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from floto import ActivityTask, decide
from floto.core.spec.rules.certainty import prospects
from floto.core.spec.rules.task_rules import Rules
from floto.core.spec.tasks import Task
from floto.testing import Simulation
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
    for _ in range(200):
        drawn = drawn_spec(choose)
        found = {id_: str(each.certainty) for id_, each in prospects(drawn.spec().activity_tasks).items()}
        assert (drawn, found) == (drawn, drawn.certainties())


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
