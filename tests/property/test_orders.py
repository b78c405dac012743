"""What must not matter: the order and the batches in which things happen, and noise."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st

from floto import DeciderSpec, History, decide
from floto.core import events as e
from floto.core.events import Event
from tests.property import oracle
from tests.property.oracle import account
from tests.property.simulator import Plot, Simulation, simulate
from tests.property.strategies import SETTINGS, plots, specs

_MARKER = e.MarkerRecorded(marker_name="noise", decision_task_completed_event_id=1)
_NEWER = e.OtherEvent(type="WorkflowExecutionAdmired", attributes={"by": "everybody"})


@SETTINGS
@given(specs(), plots(), st.lists(st.integers(0, 40), max_size=60))
def test_11_batching_confluence(spec: DeciderSpec, plot: Plot, script: list[int]) -> None:
    """The same outcomes in another order give the same attempts with the same inputs, and the same end."""
    one = simulate(spec, plot)
    other = simulate(spec, attrs.evolve(plot, script=tuple(script)))
    # A time-out is an outcome that another order may bring about.
    assume(not _timed_out(one) and not _timed_out(other))
    assert oracle.close_status(one.main) == oracle.close_status(other.main)
    if oracle.close_status(one.main) == "WorkflowExecutionCompleted":
        assert _scheduled(one) == _scheduled(other)
        assert _result(one) == _result(other)


def _timed_out(simulation: Simulation) -> bool:
    return any(type(event.data) is e.ActivityTaskTimedOut for each in simulation.histories for event in each)


def _scheduled(simulation: Simulation) -> list[tuple[str, str, int, str | None]]:
    rows = []
    for history in simulation.histories:
        assert history.execution is not None
        for id_, attempts in account(history).attempts.items():
            for number, attempt in enumerate(attempts):
                if isinstance(attempt.opened.data, e.WorkflowExecutionSignaled):
                    # Who sends signals may send them for nothing; what comes of one shows in other inputs.
                    continue
                given_input = getattr(attempt.opened.data, "input", None)
                rows.append((history.execution.workflow_id, id_, number, given_input))
    return sorted(rows, key=repr)


def _result(simulation: Simulation) -> str | None:
    result: str | None = simulation.main.events[-1].data.result
    return result


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True), st.integers(0, 2**20))
def test_12_noise_immunity(spec: DeciderSpec, plot: Plot, where: int) -> None:
    """Markers, newer event types, timed-out decision tasks and signals do not change what is decided."""
    for step in simulate(spec, plot).steps:
        for noise in ([_MARKER], [_NEWER], [e.WorkflowExecutionSignaled(signal_name="noise")]):
            noisy = with_noise(step.history, 2 + where % len(step.history), noise)
            assert decide(step.spec, noisy) == list(step.decisions)


@SETTINGS
@given(specs(), plots(refusals=True, cancels=True))
def test_12_lost_decision_tasks(spec: DeciderSpec, plot: Plot) -> None:
    """A decision task that timed out, and is asked again, is answered the same."""
    for step in simulate(spec, plot).steps:
        started = step.history.events[-1]
        timed_out = e.DecisionTaskTimedOut(
            timeout_type="START_TO_CLOSE",
            scheduled_event_id=started.data.scheduled_event_id,
            started_event_id=started.id,
        )
        scheduled = step.history.events[started.data.scheduled_event_id - 1].data
        again = e.DecisionTaskStarted(scheduled_event_id=started.id + 2)
        asked_again = _appended(step.history, [timed_out, scheduled, again])
        assert decide(step.spec, asked_again) == list(step.decisions)


def _appended(history: History, data: list[Any]) -> History:
    last = history.events[-1]
    new = [Event(last.id + number, last.at, each) for number, each in enumerate(data, start=1)]
    return attrs.evolve(history, events=(*history.events, *new))


def with_noise(history: History, before: int, noise: list[Any]) -> History:
    """The same history with more events before event ``before``, and every reference moved along."""
    shift = len(noise)

    def moved(event_id: int) -> int:
        return event_id + shift if event_id >= before else event_id

    events = [Event(moved(event.id), event.at, _moved(event.data, moved)) for event in history]
    at = history.events[min(before, len(history)) - 1].at
    events += [Event(before + number, at, each) for number, each in enumerate(noise)]
    return attrs.evolve(history, events=sorted(events, key=lambda event: event.id))


#: References into the histories of other runs.
_ELSEWHERE = ("parent_initiated_event_id", "external_initiated_event_id")


def _moved(data: Any, moved: Any) -> Any:
    changes = {
        field.name: moved(getattr(data, field.name))
        for field in attrs.fields(type(data))
        if field.name.endswith("event_id")
        and field.name not in _ELSEWHERE
        and getattr(data, field.name) is not None
    }
    return attrs.evolve(data, **changes)
