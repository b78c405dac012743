"""Which tasks of crashed processes time out: the cause of the crashes, and no task that ran beside it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from floto.core.engine.crashes import MAX_REDELIVERIES, after_crash, is_lost, is_suspect
from tests.property.setup import SETTINGS


def lost(tasks: list[int], culprit: int, slots: int, steps_each: int) -> set[int]:
    """The tasks that time out when processes with so many slots run them, and one task ends its process."""
    waiting, redeliveries, found = tasks, dict.fromkeys(tasks, 0), set[int]()
    running: list[int] = []
    step = 0
    while running or waiting:
        for task in waiting:
            is_alone = not any(is_suspect(redeliveries[each]) for each in running)
            if len(running) < slots and (is_alone or not is_suspect(redeliveries[task])):
                running.append(task)
        if culprit in running:
            redeliveries |= after_crash({task: redeliveries[task] for task in running})
            found |= {task for task in running if is_lost(redeliveries[task])}
            running = []
        elif (step := step + 1) % steps_each == 0:
            tasks = [task for task in tasks if task != running[0]]
            running = running[1:]
        waiting = [task for task in tasks if task not in running and task not in found]
    return found


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.data())
@SETTINGS
def test_only_the_cause_of_crashes_times_out(
    count: int, slots: int, steps_each: int, data: st.DataObject
) -> None:
    culprit = data.draw(st.integers(0, count - 1))
    tasks = data.draw(st.permutations(range(count)))
    assert lost(tasks, culprit, slots, steps_each) == {culprit}


def test_suspects_that_no_crash_tells_apart_time_out_in_the_end() -> None:
    tasks = dict.fromkeys("ab", 0)
    crashes = 0
    while not any(map(is_lost, tasks.values())):
        tasks, crashes = after_crash(tasks), crashes + 1
    assert (tasks, crashes) == (dict.fromkeys("ab", crashes), 6)


@given(st.dictionaries(st.integers(), st.integers(0, MAX_REDELIVERIES - 1)))
def test_task_is_started_again_after_its_first_crashes(tasks: dict[int, int]) -> None:
    assert after_crash(tasks) == {task: redeliveries + 1 for task, redeliveries in tasks.items()}
