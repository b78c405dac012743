"""Every run once, those that depart least from the usual first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from floto.testing import Choices, Taken
from floto.testing.checking.exhaustive import Explored, explore


class Tree:
    """Runs of three choices; a second option at the first adds one more."""

    def __init__(self) -> None:
        self.runs: list[tuple[int, ...]] = []

    def run(self, script: Sequence[int]) -> Sequence[Taken]:
        choices = Choices(script)
        answers = [choices.happens(0.1), choices.pick(3), choices.pick(2)]
        if answers[0]:
            answers.append(choices.pick(4))
        self.runs.append(tuple(map(int, answers)))
        return choices.taken


def test_every_run_is_explored_once() -> None:
    tree = Tree()
    assert explore(tree.run, 1_000) == Explored(30, 30, 4, is_complete=True)
    assert len(set(tree.runs)) == len(tree.runs) == 3 * 2 + 3 * 2 * 4
    departures = [sum(map(bool, run)) for run in tree.runs]
    assert departures == sorted(departures)


@pytest.mark.parametrize(("most", "runs", "departures"), [(1, 1, 0), (4, 1, 0), (5, 5, 1), (29, 24, 3)])
def test_round_starts_only_if_it_can_finish(most: int, runs: int, departures: int) -> None:
    tree = Tree()
    explored = explore(tree.run, most)
    assert (explored.deviations, explored.is_complete) == (departures, False)
    assert explored.runs == len(tree.runs) <= most
    assert len(tree.runs) == runs


def test_exploration_ends_at_the_time_limit() -> None:
    tree = Tree()
    explored = explore(tree.run, 1_000, lambda: len(tree.runs) >= 3)
    assert explored == Explored(3, 1, 0, is_complete=False)
    assert str(explored).startswith("not exhaustive")
