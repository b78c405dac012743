"""A schedule in the pure model of SWF: its runs take their time, decisions are lost, and time advances."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from attrs import evolve, frozen

from floto.core.decide.schedule import SCHEDULE_TYPE, ScheduleView, schedule_input, view_schedule
from floto.core.engine.world import World
from floto.core.payloads import payload
from floto.core.spec.schedule import SCHEDULE_CODEC, Schedule
from floto.core.state.fold import fold
from floto.core.state.state import EMPTY, Kind, State, Status
from floto.core.swf import events as e
from floto.core.swf.decisions import (
    CancelWorkflowExecution,
    CompleteWorkflowExecution,
    Decision,
    FailWorkflowExecution,
    StartTimer,
)
from floto.core.swf.history import History
from floto.core.swf.service import PolledDecisionTask, StartRequest
from floto.core.swf.shapes import WorkflowExecution, WorkflowType

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
LIST = "floto_schedules"
JOB = WorkflowType("job", "1")


def at(seconds: float) -> datetime:
    """The time so many seconds after the beginning."""
    return BEGINNING + timedelta(seconds=seconds)


def schedule_of(**more: Any) -> Schedule:
    """A schedule of jobs that another program decides for."""
    return Schedule(**{"id_": "s", "workflow_type": JOB, **more})


@frozen
class Work:
    """How long a run works, and how it ends."""

    seconds: float = 0
    fails: bool = False
    #: Seconds until it follows a cancel request.
    stops_after: float = 0


class Stage:
    """One schedule, its runs, its world and its clock."""

    def __init__(
        self,
        schedule: Schedule,
        work: Callable[[int], Work] = lambda _: Work(),
        *,
        loses: Callable[[int], bool] = lambda _: False,
        refuse: Callable[[Decision], str | None] | None = None,
        now: datetime = BEGINNING,
    ) -> None:
        self.world = World("d", refuse=refuse)
        self.schedule, self.work, self.loses, self.now = schedule, work, loses, now
        #: Times between which nobody decides for the schedule.
        self.outages: list[tuple[datetime, datetime]] = []
        self.decided = count()
        self.stopped: list[str] = []
        self.world.prepare([SCHEDULE_TYPE, JOB, WorkflowType("floto_child_type", "v1")])
        request = StartRequest(
            workflow_id=schedule.id_,
            workflow_type=SCHEDULE_TYPE,
            task_list=LIST,
            input=schedule_input(schedule),
        )
        self.world.start(request, self.now)
        self._order: dict[str, int] = {}
        self._states: dict[str, State] = {}

    def tick(self, seconds: float = 0.01) -> None:
        self.now += timedelta(seconds=seconds)

    def signal(self, name: str, input: Any = None) -> None:
        self.tick()
        text = None if input is None else payload.dumps(input, "the input")
        self.world.signal(self.schedule.id_, name, text, self.now)

    def update(self, schedule: Schedule) -> None:
        self.signal("update", SCHEDULE_CODEC.unstructure(schedule))

    def run(self, until: datetime) -> None:
        """Decide and let time pass until a time."""
        while self.step(until):
            pass
        self.now = max(self.now, until)
        self.world.advance(self.now)

    def step(self, until: datetime) -> bool:
        """Do the next thing before a time; return False if there is none."""
        self.world.advance(self.now)
        due = self.world.next_deadline()
        if self.is_out():
            if self.children():
                return True
            ends = min(end for begin, end in self.outages if begin <= self.now < end)
            return self.wait(min(each for each in (due, ends) if each is not None), until)
        if self.decide() is not None or self.children():
            return True
        due = self.world.next_deadline()
        return due is not None and self.wait(due, until)

    def wait(self, due: datetime, until: datetime) -> bool:
        if due > until:
            return False
        self.now = max(self.now, due)
        self.world.advance(self.now)
        return True

    def is_out(self) -> bool:
        return any(begin <= self.now < end for begin, end in self.outages)

    def poll(self) -> PolledDecisionTask | None:
        self.tick()
        return self.world.poll_decision(LIST, self.now)

    def decide(self) -> ScheduleView | None:
        """One decision of the schedule; None if there is no decision task."""
        task = self.poll()
        while task is not None and task.workflow_type != SCHEDULE_TYPE:
            self.work_on(task)
            task = self.poll()
        if task is None:
            return None
        found = view_schedule(self._state(task))
        for workflow_id in found.terminate:
            self.stopped.append(workflow_id)
            self.world.terminate(workflow_id, "overlap", None, self.now)
        if not self.loses(next(self.decided)):
            self.tick()
            self.world.respond_decision(task.token, found.decisions, self.now)
        return found

    def children(self) -> bool:
        """Decide for one run; return False if there is no decision task."""
        self.tick()
        task = self.world.poll_decision("floto", self.now)
        if task is not None:
            self.work_on(task)
        return task is not None

    def work_on(self, task: PolledDecisionTask) -> None:
        """Decide for one run of the schedule."""
        self._order.setdefault(task.execution.run_id, len(self._order))
        work = self.work(self._order[task.execution.run_id])
        self.tick()
        self.world.respond_decision(task.token, _of_child(self._state(task), work), self.now)

    def _state(self, task: PolledDecisionTask) -> State:
        """Return the state of a run, from what is known of it and the new events."""
        known = self._states.get(task.execution.run_id) or state_of((), task.execution)
        known = self._states[task.execution.run_id] = fold(task.events[known.last_event_id :], known)
        return known

    @property
    def runs(self) -> list[History]:
        """The histories of the schedule's runs."""
        infos = [info for info in self.world.executions() if info.workflow_type == SCHEDULE_TYPE]
        return [self.world.history(info.execution) for info in infos]

    @property
    def view(self) -> ScheduleView:
        """The schedule as its latest history says."""
        last = self.runs[-1]
        return view_schedule(state_of(last.events, last.execution))

    @property
    def fires(self) -> list[str]:
        """The time in the workflow id of each run, in order of start, without the date."""
        infos = [info for info in self.world.executions() if info.workflow_type != SCHEDULE_TYPE]
        return [info.execution.workflow_id.removeprefix("s-20260101T") for info in infos]

    @property
    def notes(self) -> list[str]:
        """The problems of signals."""
        events = [event.data for run in self.runs for event in run]
        markers = [data for data in events if isinstance(data, e.MarkerRecorded)]
        noted = [payload.loads(data.details) for data in markers if data.marker_name != "floto.schedule"]
        return [each["problem"] for each in noted]


def _of_child(state: State, work: Work) -> list[Decision]:
    def over(name: str, seconds: float) -> bool | list[Decision]:
        timer = state.items.get((Kind.TIMER, name))
        if timer is None:
            return [StartTimer(timer_id=name, start_to_fire_timeout=str(math.ceil(seconds)))]
        return timer.status is Status.COMPLETED

    if state.cancel_requested is not None:
        stopped = not work.stops_after or over("stop", work.stops_after)
        if stopped is True:
            return [CancelWorkflowExecution()]
        if stopped:
            return stopped
    done = over("work", work.seconds)
    if done is not True:
        return done or []
    return [FailWorkflowExecution(reason="sorry")] if work.fails else [CompleteWorkflowExecution()]


def state_of(events: tuple[e.Event, ...], execution: WorkflowExecution | None) -> State:
    """A state that knows of which run it is."""
    return fold(events, evolve(EMPTY, execution=execution))
