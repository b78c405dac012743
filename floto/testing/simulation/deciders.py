"""The deciders of a simulation: they take decision tasks and answer, late, twice or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from attrs import define

from floto.core.errors import UnknownResource
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.swf.events import (
    ActivityTaskCancelRequested,
    ActivityTaskScheduled,
    Event,
    StartChildWorkflowExecutionFailed,
    StartChildWorkflowExecutionInitiated,
)
from floto.core.swf.service import PolledDecisionTask
from floto.testing.simulation.context import Move, Stage
from floto.testing.simulation.external_clients import Crowd
from floto.testing.simulation.known_runs import Run, Runs, task_id_of
from floto.testing.simulation.result import Step
from floto.testing.simulation.workers import Workers

#: A run that repeats itself is asked to stop when it has begun so often.
_REPEATS = 3


@define(eq=False)
class Answer:
    """What a decider has worked out, and is still to say."""

    run: Run
    token: str
    decisions: tuple[Decision, ...]
    #: How many events it saw.
    asked: int


class Deciders:
    """All deciders of all task lists."""

    def __init__(self, stage: Stage, runs: Runs, workers: Workers, crowd: Crowd) -> None:
        self._stage, self._runs, self._workers, self._crowd = stage, runs, workers, crowd
        #: The lists that decision tasks may wait on.
        self.lists: dict[str, None] = {}
        self.steps: list[Step] = []
        self._thinking: list[Answer] = []
        #: What is to be noted of each type of event that an answer leaves.
        self._notes: Mapping[type, Callable[[Run, Event], None]] = {
            ActivityTaskScheduled: self._scheduled,
            ActivityTaskCancelRequested: self._asked_to_stop,
            StartChildWorkflowExecutionInitiated: self._started_child,
            StartChildWorkflowExecutionFailed: self._refused_child,
        }

    def moves(self) -> Iterator[Move]:
        """The questions that can be taken now."""
        for task_list in self.lists:
            if self._stage.world.has_decision(task_list):
                yield Move("decide", task_list, self._decide)

    def answers(self) -> Iterator[Move]:
        """The answers that are still to be given."""
        for answer in self._thinking:
            yield Move("answer", answer, self._answer_at_last)

    def _decide(self, task_list: str) -> None:
        self._crowd.happen()
        task = self._stage.world.poll_decision(task_list, self._stage.now)
        if task is None:
            return
        run, luck = self._runs.of(task.execution), self._stage.luck
        self._show(run, task.events[run.shown.written :])
        self._stop_repeating(run)
        if _is_noticed(task) and luck.befalls("loses_decision"):
            return
        answer = Answer(run, task.token, self._runs.decisions(run), len(run.shown.events))
        if luck.befalls("delays_answer"):
            self._thinking.append(answer)
            self._crowd.keep_busy(task.execution)
        else:
            self._answer(answer)

    def _show(self, run: Run, events: Sequence[Event]) -> None:
        """Show a decider what is new; a newer SWF may have written something of its own there."""
        luck, added = self._stage.luck, None
        if luck.befalls("adds_events"):
            # Nothing comes before the start of a run.
            first = 0 if run.shown.written else 1
            added = first + luck.choices.pick(len(events) - first)
        run.shown.extend(events, added)

    def _stop_repeating(self, run: Run) -> None:
        """A run that repeats itself would do so for ever: somebody asks it to stop."""
        if run.is_new and run.number >= _REPEATS and run.is_continued:
            self._stage.world.request_cancel(run.execution.workflow_id, self._stage.now)
        run.is_new = False

    def _answer_at_last(self, answer: Answer) -> None:
        self._thinking.remove(answer)
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        for decision in answer.decisions:
            if isinstance(decision, ScheduleActivityTask):
                self._stage.prepare(decision.activity_type)
            elif isinstance(decision, StartChildWorkflowExecution):
                self._stage.prepare(decision.workflow_type)
        try:
            self._respond(answer)
        except UnknownResource:
            # The decision task timed out, its run is over, or it was answered before.
            return
        self._take_effect(answer)
        if self._stage.luck.befalls("delivers_twice"):
            with suppress(UnknownResource):
                self._respond(answer)
        if self._stage.luck.befalls("loses_response"):
            self._thinking.append(answer)

    def _respond(self, answer: Answer) -> None:
        self._stage.world.respond_decision(answer.token, answer.decisions, self._stage.now)

    def _take_effect(self, answer: Answer) -> None:
        run = answer.run
        events = self._stage.world.events(run.execution, run.shown.written)
        run.shown.extend(events)
        for event in events:
            note = self._notes.get(type(event.data))
            if note is not None:
                note(run, event)
        if run.spec is not None:
            left = len(run.shown.events)
            self.steps.append(Step(run.spec, answer.decisions, run.shown, answer.asked, left))

    def _scheduled(self, run: Run, event: Event) -> None:
        task_id = event.data.activity_id
        key = run.key(task_id, run.count(task_id))
        self._workers.schedule(key, run.execution, event, grows=run.grows(task_id))

    def _asked_to_stop(self, run: Run, event: Event) -> None:
        self._workers.ask_to_stop(run.execution, event.data.activity_id)

    def _started_child(self, run: Run, event: Event) -> None:
        self.lists[event.data.task_list.name] = None
        task_id = task_id_of(event.data)
        self._runs.note_child(run, event.id, run.key(task_id, run.count(task_id)))

    def _refused_child(self, run: Run, event: Event) -> None:
        if event.data.initiated_event_id:
            run.uncount(task_id_of(event.data))


def _is_noticed(task: PolledDecisionTask) -> bool:
    """Whether a decision task times out if its decider dies."""
    return task.events[0].data.task_start_to_close_timeout not in (None, "NONE")
