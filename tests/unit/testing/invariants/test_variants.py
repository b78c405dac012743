"""Changed histories that must be decided alike."""

from __future__ import annotations

from floto import ActivityTask, DeciderSpec, FixedDelay, Signal
from floto.testing import check


def test_signal_and_the_time_out_of_its_wait_are_not_swapped() -> None:
    # Of the two, the first counts: the order is the result of the wait.
    rows = ActivityTask(id_="rows", name="rows", version="1", retry_strategy=FixedDelay(1, 3))
    asked = Signal(id_="asked", signal_name="go", timeout=3600)
    check(DeciderSpec(activity_tasks=[rows, asked]), max_examples=400, seed=0)
