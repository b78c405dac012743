"""Invariants of signals: a run that continues another begins with the signals that were not used."""

from __future__ import annotations

from floto.core.state.state import Kind
from floto.core.swf.events import WorkflowExecutionContinuedAsNew
from floto.testing.invariants.violation import broken
from floto.testing.reading.carried import left_over, signals_of
from floto.testing.reading.moment import Moment
from floto.testing.reading.oracle import summarize
from floto.testing.simulation.result import Simulation


def no_signal_is_lost(simulation: Simulation) -> None:
    """Each signal that no task of a run has used reaches the run that continues it, once and in order."""
    specs = simulation.last_specs
    by_run = {history.execution.run_id: history for history in simulation.histories if history.execution}
    for history in simulation.histories:
        closed = history.events[-1].data if history.events else None
        if not isinstance(closed, WorkflowExecutionContinuedAsNew) or history.execution not in specs:
            continue
        spec, summary = specs[history.execution], summarize(history)
        tasks = Moment(spec, history, ()).expanded.spec.activity_tasks
        left = left_over(summary.signals, {task.key[1] for task in tasks if task.key[0] is Kind.SIGNAL})
        found = summarize(by_run[closed.new_execution_run_id]).signals[: len(left)]
        begun = signals_of(by_run[closed.new_execution_run_id].events[0].data)
        if found != left or begun != left:
            broken(f"signals {left!r:.200} were not used, and the next run begins with {begun!r:.200}")
