"""Schedules over random durations, failures, pauses, outages and lost decisions, against a naive reading."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime, timedelta
from random import Random
from unittest.mock import patch

import pytest
from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from floto.core.decide import schedule as module
from floto.core.decide import schedule_memory
from floto.core.replay.explain import explain_started
from floto.core.replay.why_report import RunContext, stalls
from floto.core.spec.schedule import Overlap, Schedule
from floto.core.swf import events as e
from tests.property.schedule_stage import BEGINNING, Stage, Work, schedule_of, state_of

SECOND = timedelta(seconds=1)
#: What the workflow ids of runs have before the time of day.
PREFIX = "s-20260101T"
STOPPING = ("cancel_other", "terminate_other")
_CLOSED = (
    e.ChildWorkflowExecutionCompleted,
    e.ChildWorkflowExecutionFailed,
    e.ChildWorkflowExecutionCanceled,
    e.ChildWorkflowExecutionTerminated,
)


@frozen
class Happened:
    """One thing that the histories of a schedule tell: a signal, the end of a run, or a decision."""

    at: datetime
    what: str
    #: The workflow id of the run, without that of the schedule; empty for others.
    fire: str = ""


def happened(stage: Stage) -> list[Happened]:
    """Return what happened to a schedule, in order; each decision after what it could see."""
    found: list[Happened] = []
    for run in stage.runs:
        seen: dict[int, datetime] = {}
        waiting: dict[int, list[Happened]] = {}
        batch: list[Happened] = []
        for event in run:
            data = event.data
            if isinstance(data, e.WorkflowExecutionSignaled):
                batch.append(Happened(event.at, data.signal_name))
            elif isinstance(data, _CLOSED):
                name = data.workflow_execution.workflow_id.removeprefix(PREFIX)
                failed = isinstance(data, e.ChildWorkflowExecutionFailed)
                batch.append(Happened(event.at, "failed" if failed else "closed", name))
            elif isinstance(data, e.DecisionTaskStarted):
                seen[event.id], waiting[event.id], batch = event.at, batch, []
            elif isinstance(data, e.DecisionTaskTimedOut):
                # What a lost decision saw, the next one sees.
                batch = [*waiting.pop(data.started_event_id, []), *batch]
            elif isinstance(data, e.DecisionTaskCompleted):
                found += waiting[data.started_event_id]
                found.append(Happened(seen[data.started_event_id], "decided"))
    return found


@frozen
class Wanted:
    """A run that is wanted: of a fire, or of a trigger with its number."""

    at: datetime
    number: int = 0

    @property
    def name(self) -> str:
        """The end of the workflow id."""
        return f"{self.at:%H%M%SZ}" + (f"-{self.number}" if self.number else "")


@define
class Naive:
    """A naive reading: a list of all fires that were not handled, one open run, and a queue."""

    schedule: Schedule
    todo: list[datetime]
    #: Maximum number of fires that are counted of one pause.
    most_paused: int
    running: list[Wanted] = field(factory=list)
    queue: list[Wanted] = field(factory=list)
    paused: bool = False
    starts: list[str] = field(factory=list)
    stops: set[str] = field(factory=set)
    counts: Counter[str] = field(factory=Counter)

    def read(self, story: list[Happened]) -> None:
        batch: list[Happened] = []
        for each in story:
            if each.what != "decided":
                batch.append(each)
                continue
            for one in batch:
                self.pass_time(one.at, each.at)
                self.follow(one)
            self.pass_time(each.at, each.at)
            batch = []

    def pass_time(self, until: datetime, now: datetime) -> None:
        while self.todo and self.todo[0] <= until and not self.paused:
            fire = self.todo.pop(0)
            is_late = (now - fire).total_seconds() > self.schedule.catch_up
            if is_late and not self.is_busy():
                self.counts["missed"] += 1
            elif self.schedule.overlap in STOPPING and self.todo and self.todo[0] <= until:
                self.counts["overlap"] += 1
            else:
                self.want(Wanted(fire))

    def held(self) -> list[Wanted]:
        """Return what waits because of a pause, which fires do and triggers do not."""
        return [each for each in self.queue if self.paused and not each.number]

    def is_busy(self) -> bool:
        waits = len(self.queue) > len(self.held())
        return self.schedule.overlap != "allow_all" and (bool(self.running) or waits)

    def want(self, wanted: Wanted) -> None:
        policy = self.schedule.overlap
        if not self.is_busy():
            self.start(wanted)
        elif policy == "skip" or (policy == "buffer_one" and len(self.queue) > len(self.held())):
            self.counts["overlap"] += 1
        elif policy in STOPPING:
            self.counts["overlap"] += len(self.queue)
            self.queue = [wanted]
            self.stops |= {each.name for each in self.running}
        else:
            self.queue.append(wanted)

    def start(self, wanted: Wanted) -> None:
        self.running.append(wanted)
        self.starts.append(wanted.name)

    def follow(self, one: Happened) -> None:
        if one.what == "trigger":
            self.counts["trigger"] += 1
            self.want(Wanted(one.at, self.counts["trigger"]))
        elif one.what == "pause":
            self.paused = True
        elif one.what == "resume" and self.paused:
            self.paused = False
            left_out = [fire for fire in self.todo if fire <= one.at]
            self.counts["paused"] += min(len(left_out), self.most_paused)
            self.todo = self.todo[len(left_out) :]
        elif one.fire:
            run = next(each for each in self.running if each.name == one.fire)
            self.running.remove(run)
            if one.what == "failed" and self.schedule.pause_on_failure and run.name not in self.stops:
                self.paused = True
        while not self.running and (ready := [each for each in self.queue if each not in self.held()]):
            self.queue.remove(ready[0])
            self.start(ready[0])


@st.composite
def stages(draw: st.DrawFn, overlap: str, losses: tuple[float, ...]) -> Stage:
    """A schedule that has run for some minutes, with all that may happen to it."""
    every = draw(st.integers(4, 60))
    schedule = schedule_of(
        every=every,
        overlap=overlap,
        catch_up=draw(st.sampled_from([10, 60, 3_600])),
        pause_on_failure=draw(st.booleans()),
    )
    random = Random(draw(st.integers(0, 2**32)))
    longest, fails, loses = (
        draw(st.integers(0, 150)),
        draw(st.sampled_from([0, 0.2])),
        draw(st.sampled_from(losses)),
    )
    work = [
        Work(random.randint(0, longest), random.random() < fails, random.choice([0, 0, 7]))
        for _ in range(400)
    ]
    stage = Stage(schedule, lambda number: work[number % 400], loses=lambda _: random.random() < loses)
    length = random.randint(60, 900)
    for _ in range(draw(st.integers(0, 2))):
        begin = BEGINNING + random.randint(0, length) * SECOND
        stage.outages.append((begin, begin + random.randint(1, 300) * SECOND))
    for at in sorted(random.randint(1, length) for _ in range(draw(st.integers(0, 4)))):
        stage.run(BEGINNING + at * SECOND)
        stage.signal(random.choice(["pause", "resume", "trigger"]))
    stage.run(BEGINNING + length * SECOND)
    # All is decided that is to be decided now.
    stage.outages, stage.loses = [], lambda _: False
    stage.run(stage.now + 61 * SECOND)
    return stage


# Fires that one decision leaves to the next are late, and beside others, if that one is lost.
@pytest.mark.parametrize(("most_fires", "losses"), [(3, (0,)), (schedule_memory.MOST_FIRES, (0, 0.1))])
@pytest.mark.parametrize("overlap", list(Overlap))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_starts_and_stops_are_those_of_a_naive_reading(
    overlap: str, most_fires: int, losses: tuple[float, ...], data: st.DataObject
) -> None:
    """Every overlap policy does what a list of fires, one open run and a queue do."""
    with patch.object(schedule_memory, "MOST_FIRES", most_fires):
        stage = data.draw(stages(overlap, losses))
    story = happened(stage)
    fires = stage.schedule.fires(BEGINNING, 2_000)
    naive = Naive(stage.schedule, list(fires), most_fires)
    naive.read(story)
    assert naive.starts == stage.fires
    memory = stage.view.memory
    for why in ("missed", "overlap", "paused"):
        assert memory.counts.get(why, 0) == naive.counts[why]
    canceled = {
        info.execution.workflow_id.removeprefix(PREFIX)
        for info in stage.world.executions()
        if any(
            isinstance(event.data, e.WorkflowExecutionCancelRequested)
            for event in stage.world.history(info.execution)
        )
    }
    stopped = {each.removeprefix(PREFIX) for each in stage.stopped} | canceled
    # A run that ends by itself before its stop takes effect needs none.
    assert stopped <= naive.stops
    assert naive.stops - stopped <= {one.fire for one in story}


@pytest.mark.parametrize("overlap", list(Overlap))
def test_short_histories_start_what_one_long_history_starts(
    overlap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fires() -> tuple[int, list[str]]:
        stage = Stage(
            schedule_of(every=20, overlap=overlap), lambda number: Work(number % 3 * 20 + 9)
        )  # no tie with a fire
        stage.run(BEGINNING + 1_500 * SECOND)
        return len(stage.runs), stage.fires

    whole = fires()
    monkeypatch.setattr(module, "RENEW_EVENTS", 50)
    parts = fires()
    assert (whole[0], parts[1]) == (1, whole[1])
    assert parts[0] > 5


@pytest.mark.parametrize("overlap", list(Overlap))
@settings(max_examples=6, deadline=None)
@given(
    jumps=st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([-3_600, -7, 90, 86_400])), min_size=1, max_size=4
    ),
    longest=st.integers(0, 100),
)
def test_no_fire_starts_twice_or_is_lost_when_the_clock_jumps(
    overlap: str, jumps: list[tuple[int, int]], longest: int
) -> None:
    schedule = schedule_of(every=600, overlap=overlap)
    stage = Stage(schedule, lambda number: Work(number * 37 % (longest + 1)))
    for minutes, seconds in jumps:
        stage.run(stage.now + minutes * 60 * SECOND)
        stage.now += seconds * SECOND
    # Until the clock is beyond all that it has shown before, and every run has ended.
    stage.run(max(stage.now, stage.view.memory.after) + 3_601 * SECOND)
    memory = stage.view.memory
    unstarted = sum(memory.counts.get(why, 0) for why in ("missed", "overlap", "paused"))
    due = [each for each in schedule.fires(BEGINNING, 2_000) if each <= memory.after]
    assert len(stage.fires) == len(set(stage.fires))
    waiting = [each for each in due for span in memory.waiting if span.after < each <= span.until]
    assert len(stage.fires) + unstarted + len(waiting) == len(due)


def test_a_year_of_a_nightly_job_with_failures_and_an_outage() -> None:
    schedule = schedule_of(cron="30 2 * * *", time_zone="Europe/Berlin", id_="nightly")
    begun = time.monotonic()
    stage = Stage(schedule, lambda number: Work(3_600, fails=number % 50 == 49))
    stage.outages = [(BEGINNING + timedelta(days=100), BEGINNING + timedelta(days=103))]
    stage.run(BEGINNING + timedelta(days=365))
    seconds = time.monotonic() - begun
    memory = stage.view.memory
    # Two nights of the outage are missed, the last is caught up, and still runs at the next fire.
    assert memory.counts == {"completed": 355, "failed": 7, "missed": 2, "overlap": 1}
    assert len(stage.fires) == len(set(stage.fires)) == 362
    assert "nightly-20260329T010000Z" in stage.fires
    assert "nightly-20261025T003000Z" in stage.fires
    assert max(map(len, stage.runs)) < 5_000
    assert len(stage.runs) > 1
    last = stage.runs[-1]
    state = state_of(last.events, last.execution)
    context = RunContext(workflow_id="nightly", domain="d", state=state, now=stage.now)
    waits, failures = map(str, stalls(explain_started(state, last.events), context))
    assert waits == (
        "the run: waiting for a signal or its next fire, at the latest until 2027-01-01 01:30:00Z"
    )
    assert failures.endswith("failed; sorry")
    assert [each.status for each in memory.recent] == ["completed"] * len(memory.recent)
    assert [(each.why, each.count, f"{each.first:%m-%d}") for each in memory.unstarted] == [
        ("missed", 2, "04-11"),
        ("overlap", 1, "04-14"),
    ]
    # Under a second on an idle machine of 2026; the bound is for a busy one.
    assert seconds < 20
