"""Rules of tasks against a brute-force reading of them: which tasks run, and which may."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from floto.core.spec.certainty import prospects
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
