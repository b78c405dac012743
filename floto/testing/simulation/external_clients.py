"""Simulated clients outside the runs: they send signals and request cancellation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from floto.core.errors import SpecError, UnknownResource
from floto.core.payloads import payload
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.expand import expand
from floto.core.spec.tasks import Task, TaskCodec
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.context import WORKFLOW_ID, Move, SimulationContext
from floto.testing.simulation.endings import Endings
from floto.testing.simulation.known_runs import Runs
from floto.testing.simulation.outcomes import How
from floto.testing.simulation.signal_arrivals import PossibleSignal, SignalArrivals, signals_of

#: A signal that no task waits for.
_NOISE = "noise"


class ExternalClients:
    """Sends the signals that tasks wait for, and injects other signals and cancel requests.

    A signal with an outcome is sent when it arrives, one without when nothing else can happen.
    """

    def __init__(self, context: SimulationContext, runs: Runs, endings: Endings) -> None:
        self._context, self._runs, self._endings = context, runs, endings
        self._arrivals = SignalArrivals(context, runs, endings)
        self._has_canceled = False

    def may_interfere(self) -> None:
        """Send a signal or request cancellation, if the faults say so."""
        injector = self._context.injector
        if injector.occurs("signals"):
            noise = [PossibleSignal(execution, _NOISE) for execution in self._context.open_executions()]
            signals = [*noise, *filter(self._may_arrive, self._awaited())]
            self._send(signals[injector.choices.pick(len(signals))])
        self.may_cancel()

    def may_cancel(self) -> None:
        """Request cancellation of the main run, if the faults say so."""
        if not self._has_canceled and self._context.injector.occurs("cancels"):
            self.cancel()

    def keep_busy(self, execution: WorkflowExecution) -> None:
        """Send a signal to a run while its decider computes a response."""
        self._send(PossibleSignal(execution, _NOISE))

    def cancel(self) -> None:
        """Request cancellation of the main run, if it is open."""
        self._has_canceled = True
        with suppress(UnknownResource):
            self._context.world.request_cancel(WORKFLOW_ID, self._context.now)

    def signal(self, workflow_id: str, name: str, input: Any = None) -> None:
        """Send a signal to the open run of a workflow id, if there is one."""
        text = None if input is None else payload.dumps(input, f"the input of signal {name!r}")
        with suppress(UnknownResource):
            self._context.world.signal(workflow_id, name, text, self._context.now)

    def moves(self) -> Iterator[Move]:
        """Yield a move for each signal that arrives now by its outcome."""
        for signal in self._arrivals.due():
            yield Move("send", signal, self._send)

    def next_arrival(self) -> datetime | None:
        """Return when the next signal with an outcome arrives after now, or None."""
        return self._arrivals.next()

    def last_moves(self) -> Iterator[Move]:
        """Yield a move for each signal without an outcome that a task waits for and no client has sent."""
        for signal in self._awaited():
            if signal.task is not None and self._endings.of_signal(signal.task) is None:
                yield Move("send", signal, self._send)

    def _may_arrive(self, signal: PossibleSignal) -> bool:
        ending = None if signal.task is None else self._endings.of_signal(signal.task)
        return ending is None or ending.how is not How.TIMES_OUT

    def _send(self, signal: PossibleSignal) -> None:
        signal_input = "hello" if signal.task is None else self._endings.signal_input(signal.task)
        self.signal(signal.execution.workflow_id, signal.name, signal_input)

    def _awaited(self) -> list[PossibleSignal]:
        runs = self._context.open_executions()
        return [signal for execution in runs for signal in self._awaited_by(execution)]

    def _awaited_by(self, execution: WorkflowExecution) -> Iterator[PossibleSignal]:
        events = self._context.world.events(execution)
        state = fold(events)
        try:
            spec = self._runs.spec_of(execution, state.start)
        except SpecError:
            # The decider fails the run and reports the error.
            return
        tasks = () if spec is None else _tasks_of(spec, state, self._runs.specs.codec)
        named = {task.key: task for task in signals_of(tasks)}
        for key, task in named.items():
            if key not in state.items:
                yield PossibleSignal(execution, key[1], task)


def _tasks_of(spec: DeciderSpec, state: State, codec: TaskCodec) -> Sequence[Task]:
    try:
        return expand(spec, state, codec).all_tasks
    except SpecError:
        # The run fails for what a generator returned, and its cleanup may wait for signals.
        return spec.all_tasks
