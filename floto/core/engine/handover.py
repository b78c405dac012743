"""Handover: a step gives the tasks that it schedules to polls that wait for them.

Without it, the end of an activity, the decision that it causes and the start of the next activity are three
steps. With it they are one, with the events of three: the decision task goes to a waiting decider, and the
activity tasks of its decisions go to waiting workers. Tasks that were scheduled long before, or that have a
higher priority, go first.

A step hands over no tasks of new runs, and none that a message of another run schedules. After a message to
another run, or a deadline that is due at once, it hands over no further task.

Nothing has happened until the step is saved: if a decider fails, the step is repeated without a handover.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen

from floto.core.engine import commands as c
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.embedded import Decided
from floto.core.engine.polled_tasks import activity_task, decision_task, token_of
from floto.core.engine.run import EngineRun
from floto.core.engine.step import apply
from floto.core.engine.step_context import StepContext
from floto.core.engine.stores.records import TaskQueue, priority_of, task_queue_of
from floto.core.engine.tokens import TaskKind
from floto.core.quick_init import maker, quick_init
from floto.core.state.state import Kind, State
from floto.core.swf import events as e
from floto.core.swf.events import Event
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask

#: Returns the decisions for a task, given the state, the keys that changed lately and the time of the clock;
#: None to leave the task to the thread that polls.
Decide = Callable[[PolledDecisionTask, State, ChangedKeys, datetime], Decided | None]

#: Least number of events, if there are so many, of a task that is decided at once. A decider may know the run
#: from several decisions ago: of one transaction, it knows none until the commit, and others decide too.
_LATEST_EVENTS = 500
_decide_at_once, _start = maker(c.DecideAtOnce), maker(c.StartActivityTask)
_respond_decision = maker(c.RespondDecisionTaskCompleted)


class WaitingPoll(Protocol):
    """A poll that waits for a task."""

    @property
    def identity(self) -> str | None:
        """Identity of the decider or worker, for the history."""
        ...

    @property
    def decide(self) -> Decide | None:
        """The function of a decider that decides at once; None for others."""
        ...


class WaitingPolls(Protocol):
    """The polls that wait while a call is carried out."""

    def take(self, task_queue: TaskQueue, priority: int) -> WaitingPoll | None:
        """Take the poll that is the next to get a task of a queue.

        Returns None if there is none, or if a deadline or another task goes before one of this priority.
        """
        ...

    def give(self, poll: Any, task: Any, decided: Decided | None) -> None:
        """Give a taken poll its task, and what its decider decided about it at once."""
        ...

    def put_back(self, poll: Any) -> None:
        """Let a taken poll wait again."""
        ...


@quick_init
@frozen(weakref_slot=False)
class RunTasks:
    """The tasks that a step of a run starts.

    Args:
        run: The run before the step.
        history: Returns its events after an id.
        check: Raises SWF's fault for a command with malformed fields.
    """

    run: EngineRun
    history: Callable[[str, int], Sequence[Event]]
    check: Callable[[Any], None]

    def decide_at_once(
        self, scheduled: int, identity: str | None, decide: Decide | None, now: datetime
    ) -> c.DecideAtOnce:
        """Return the command that starts a decision task; the reply is the task and what was decided.

        Args:
            scheduled: Id of the event that scheduled the task.
            identity: Identity of the decider, for the history.
            decide: Decides; None to leave the task to the thread that polls.
            now: Time of the clock.
        """

        def respond(state: State, events: Sequence[Event], changed: ChangedKeys) -> Any:
            token = token_of(self.run, TaskKind.DECISION, scheduled, events[-1].id)
            # What decides at once has the state: a copy of a long history would be most of the step.
            first = min(state.decision_tasks.previous_started, events[-1].id - _LATEST_EVENTS)
            after = 0 if decide is None else max(first - 1, 0)
            task = decision_task(state, token, (*self.history(self.run.execution.run_id, after), *events))
            decided = None if decide is None else decide(task, state, changed, now)
            if decided is None:
                return (task, None), None
            response = _respond_decision(token=token, decisions=tuple(decided.decisions))
            self.check(response)
            return (task, decided), response

        return _decide_at_once(decide=respond, identity=identity)

    def activity(self, scheduled: Event, started: Event) -> PolledActivityTask:
        """Return an activity task that was started."""
        token = token_of(self.run, TaskKind.ACTIVITY, scheduled.id, started.id)
        return activity_task(self.run.execution, scheduled.data, token)


class Handover:
    """Dispatches the tasks of one step to waiting polls.

    Args:
        polls: The polls that wait.
        tasks: The tasks of the run.
    """

    def __init__(self, polls: WaitingPolls, tasks: RunTasks) -> None:
        self._polls, self._tasks = polls, tasks
        self._taken: list[WaitingPoll] = []
        self._given: list[tuple[WaitingPoll, Any, Decided | None]] = []

    @property
    def has_begun(self) -> bool:
        """True if a poll was taken: an error of the step is then that of the handover."""
        return bool(self._taken)

    def __call__(self, context: StepContext) -> None:
        """Give the tasks that the events of the context schedule to polls."""
        self._hand_decision_task(context)
        for scheduled in _scheduled_activities(context):
            self._hand_activity(context, scheduled)

    def deliver(self) -> None:
        """Give the polls their tasks, after the step was saved; the others wait again."""
        for poll, task, decided in self._given:
            self._taken.remove(poll)
            self._polls.give(poll, task, decided)
        for poll in reversed(self._taken):
            self._polls.put_back(poll)

    def cancel(self) -> None:
        """Give no tasks: the step is repeated without this."""
        self._given.clear()

    def _take(self, kind: TaskKind, scheduled: Event) -> WaitingPoll | None:
        data = scheduled.data
        task_queue = task_queue_of(self._tasks.run.domain, kind, data.task_list.name)
        poll = self._polls.take(task_queue, priority_of(data))
        if poll is not None:
            self._taken.append(poll)
        return poll

    def _hand_decision_task(self, context: StepContext) -> None:
        scheduled = context.decision_tasks.scheduled
        if context.decision_tasks.started is not None or scheduled is None or not _may_continue(context):
            return
        if _is_due_at_once(scheduled):
            return
        poll = self._take(TaskKind.DECISION, scheduled)
        if poll is not None:
            tasks, now = self._tasks, context.now
            found = apply(context, tasks.decide_at_once(scheduled.id, poll.identity, poll.decide, now))
            if found is not None:
                self._given.append((poll, *found))

    def _hand_activity(self, context: StepContext, scheduled: Event) -> None:
        if not _may_continue(context) or context.open_item(scheduled.id, Kind.ACTIVITY) is None:
            return
        poll = self._take(TaskKind.ACTIVITY, scheduled)
        if poll is not None:
            started = apply(context, _start(scheduled_event_id=scheduled.id, identity=poll.identity))
            # The start may be the event that exceeds the limit of a history, and closes the run.
            if not context.is_full:
                self._given.append((poll, self._tasks.activity(scheduled, started), None))


def _may_continue(context: StepContext) -> bool:
    """Return True if a step may start more tasks: messages to other runs go first."""
    return not (context.messages or context.is_full or not context.is_open)


def _scheduled_activities(context: StepContext) -> list[Event]:
    """Return the activities that a step has scheduled, in the order in which their queues are served."""
    timed = [event for event in context.events if type(event.data) in _TIMEOUTS]
    found = [event for event in timed if type(event.data) is e.ActivityTaskScheduled]
    if not found or any(map(_is_due_at_once, timed)):
        return []
    if len(found) > 1:
        found.sort(key=_serving_order)
    return found


def _serving_order(scheduled: Event) -> tuple[str, int, int]:
    data = scheduled.data
    return data.task_list.name, -priority_of(data), scheduled.id


def _is_due_at_once(event: Event) -> bool:
    """Return True if an event sets a deadline without any time: it fires before its task is claimed."""
    return any(getattr(event.data, name) == "0" for name in _TIMEOUTS[type(event.data)])


#: Fields of events that set a deadline at once.
_TIMEOUTS: Mapping[type, tuple[str, ...]] = {
    e.DecisionTaskScheduled: ("schedule_to_start_timeout",),
    e.ActivityTaskScheduled: ("schedule_to_start_timeout", "schedule_to_close_timeout"),
    e.TimerStarted: ("start_to_fire_timeout",),
}
