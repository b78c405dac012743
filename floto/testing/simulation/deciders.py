"""Simulated deciders: they poll decision tasks and respond in time, late, twice or never."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

from attrs import define

from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.embedded import Decided
from floto.core.errors import UnknownResource
from floto.core.quick_init import maker
from floto.core.state.state import State
from floto.core.swf.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.swf.events import (
    ActivityTaskCancelRequested,
    ActivityTaskScheduled,
    Event,
    StartChildWorkflowExecutionFailed,
    StartChildWorkflowExecutionInitiated,
)
from floto.core.swf.reserved_names import child_of
from floto.core.swf.service import PolledDecisionTask
from floto.testing.simulation.context import Move, SimulationContext, new_move
from floto.testing.simulation.external_clients import ExternalClients
from floto.testing.simulation.known_runs import Run, Runs
from floto.testing.simulation.result import SimulatedStep
from floto.testing.simulation.workers import Workers

#: Runs of a workflow id after which one that continues as new is canceled.
_REPEATS = 3
_new_step = maker(SimulatedStep)


@define(eq=False)
class PendingResponse:
    """A response that a decider has computed and not sent yet."""

    run: Run
    token: str
    decisions: tuple[Decision, ...]
    #: Length of the history that the decider saw.
    seen: int


class Deciders:
    """The deciders of all task lists."""

    def __init__(
        self, context: SimulationContext, runs: Runs, workers: Workers, clients: ExternalClients
    ) -> None:
        self._context, self._runs, self._workers, self._clients = context, runs, workers, clients
        #: The task lists that decision tasks may wait on; a dict for its order.
        self.lists: dict[str, None] = {}
        self.steps: list[SimulatedStep] = []
        self._pending: list[PendingResponse] = []
        #: The handler of each type of event that a response leaves.
        self._notes: Mapping[type, Callable[[Run, Event], None]] = {
            ActivityTaskScheduled: self._scheduled,
            ActivityTaskCancelRequested: self._cancel_requested,
            StartChildWorkflowExecutionInitiated: self._started_child,
            StartChildWorkflowExecutionFailed: self._refused_child,
        }

    def moves(self) -> Iterator[Move]:
        """Yield a move for each task list with a decision task to poll."""
        for task_list in self.lists:
            if self._context.world.has_decision(task_list):
                yield new_move("decide", task_list, self._decide)

    def responses(self) -> Iterator[Move]:
        """Yield a move for each response that is still to be sent."""
        for response in self._pending:
            yield new_move("answer", response, self._respond_late)

    def _decide(self, task_list: str) -> None:
        self._clients.may_interfere()
        polled = self._context.world.poll_and_decide(task_list, self._context.now, self._at_once)
        if polled is None:
            return
        task, decided = polled
        if decided is not None:
            decided.on_commit()
        elif any(response.token == task.token for response in self._pending):
            self._clients.keep_busy(task.execution)

    def _at_once(
        self, task: PolledDecisionTask, state: State, changed: ChangedKeys, _now: datetime
    ) -> Decided | None:
        """Return the response to a task; None if it is lost or late."""
        run, injector = self._runs.of(task.execution), self._context.injector
        first = task.events[0].id
        self._show(run, task.events[run.shown.written + 1 - first :])
        # Without a timeout, nobody would notice that the decider has crashed.
        is_noticed = state.start.task_start_to_close_timeout not in (None, "NONE")
        if is_noticed and injector.occurs("loses_decision"):
            return None
        decisions = self._runs.decisions(run, state, changed)
        response = PendingResponse(run, task.token, decisions, len(run.shown.events))
        if injector.occurs("delays_answer"):
            self._pending.append(response)
            return None
        self._prepare(decisions)
        return Decided(decisions, partial(self._accepted, response))

    def _show(self, run: Run, events: Sequence[Event]) -> None:
        """Show new events to the decider; the fault ``adds_events`` adds one of an unknown type."""
        injector, added = self._context.injector, None
        if injector.occurs("adds_events"):
            # No event precedes the start of a run.
            first = 0 if run.shown.written else 1
            added = first + injector.choices.pick(len(events) - first)
        run.shown.extend(events, added)

    def _respond_late(self, response: PendingResponse) -> None:
        self._pending.remove(response)
        self._prepare(response.decisions)
        try:
            self._send(response)
        except UnknownResource:
            # The decision task timed out, its run has closed, or another response was accepted before.
            return
        self._accepted(response)

    def _prepare(self, decisions: Sequence[Decision]) -> None:
        """Register the types that the decisions need."""
        for decision in decisions:
            if isinstance(decision, ScheduleActivityTask):
                self._context.prepare(decision.activity_type)
            elif isinstance(decision, StartChildWorkflowExecution):
                self._context.prepare(decision.workflow_type)

    def _accepted(self, response: PendingResponse) -> None:
        self._take_effect(response)
        if self._context.injector.occurs("delivers_twice"):
            with suppress(UnknownResource):
                self._send(response)
        if self._context.injector.occurs("loses_response"):
            self._pending.append(response)
        self._stop_repeating(response.run)

    def _stop_repeating(self, run: Run) -> None:
        """Request cancellation of a run that would continue as new for ever."""
        if run.is_new and run.number >= _REPEATS and run.is_continued:
            with suppress(UnknownResource):
                self._context.world.request_cancel(run.execution.workflow_id, self._context.now)
        run.is_new = False

    def _send(self, response: PendingResponse) -> None:
        self._context.world.respond_decision(response.token, response.decisions, self._context.now)

    def _take_effect(self, response: PendingResponse) -> None:
        run = response.run
        events = self._context.world.events(run.execution, run.shown.written)
        run.shown.extend(events)
        for event in events:
            note = self._notes.get(type(event.data))
            if note is not None:
                note(run, event)
        if run.spec is not None:
            left = len(run.shown.events)
            self.steps.append(_new_step(run.spec, response.decisions, run.shown, response.seen, left))

    def _scheduled(self, run: Run, event: Event) -> None:
        task_id = event.data.activity_id
        key = run.key(task_id, run.count(task_id))
        self._workers.schedule(key, run.execution, event, run.default_tasks(task_id))

    def _cancel_requested(self, run: Run, event: Event) -> None:
        self._workers.request_cancel(run.execution, event.data.activity_id)

    def _started_child(self, run: Run, event: Event) -> None:
        self.lists[event.data.task_list.name] = None
        task_id = child_of(event.data)
        self._runs.note_child(run, event.id, run.key(task_id, run.count(task_id)))

    def _refused_child(self, run: Run, event: Event) -> None:
        if event.data.initiated_event_id:
            run.uncount(child_of(event.data))
