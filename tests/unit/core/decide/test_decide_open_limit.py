"""SWF's limits on what a run may have open at once."""

from __future__ import annotations

from collections import Counter

from floto import Timer, decide
from floto.core.swf.decisions import ScheduleActivityTask, StartTimer
from floto.core.swf.limits import OPEN_LIMIT
from tests.unit.recorder import Recorder, spec, task


def test_response_that_is_split_starts_no_timer_beyond_the_limit() -> None:
    timers = [Timer(id_=f"t{number}", delay_in_seconds=9) for number in range(OPEN_LIMIT)]
    long = [task(f"a{number}", input="x" * 30_000) for number in range(40)]
    decisions = decide(spec(*timers, *long), Recorder().history)
    counts = Counter(type(each) for each in decisions)
    assert counts[StartTimer] == OPEN_LIMIT
    assert 0 < counts[ScheduleActivityTask] < len(long)


def test_ready_tasks_wait_for_room() -> None:
    decisions = decide(spec(*(task(f"a{number}") for number in range(OPEN_LIMIT + 10))), Recorder().history)
    assert len(decisions) == OPEN_LIMIT
