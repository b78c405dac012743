"""Invariants of whole runs, which no single decision shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from floto.core.errors import PayloadError
from floto.core.spec.decider_spec import DeciderSpec
from floto.core.spec.rules.joins import counts_results
from floto.core.spec.rules.task_rules import rules_of
from floto.core.spec.rules.wait_limits import wait_limit_of
from floto.core.state.state import Key, Kind
from floto.core.swf.events import ActivityTaskTimedOut
from floto.core.swf.history import History
from floto.testing.invariants.law import check_history
from floto.testing.invariants.violation import broken
from floto.testing.reading.moment import Moment
from floto.testing.reading.oracle import summarize
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.faults import Faults
from floto.testing.simulation.outcomes import How
from floto.testing.simulation.result import Simulation
from floto.testing.simulation.simulator import Simulator


def results_fit(simulation: Simulation) -> None:
    """Each result of your functions can be sent: it is JSON, and no longer than SWF takes."""
    for key, ending in simulation.outcomes.items():
        if ending.how is How.FAILS and ending.reason == PayloadError.__name__:
            broken(f"task {key.task_id!r}: {ending.details}")


_ANY_ORDER = Faults(reorders=0.5, most=100)


def every_run_ends(simulation: Simulation) -> None:
    """No run is stuck: an open one has something in flight, or gets work or is closed."""
    if simulation.is_stuck:
        broken(f"the run is stuck: nothing will ever happen again, and {_waiting(simulation)} wait for ever")


def no_run_goes_on_for_ever(simulation: Simulation) -> None:
    """Every run of a spec ends, unless the spec repeats the workflow."""
    if simulation.is_endless and not _repeats(simulation):
        broken(
            f"the run does not end, with {_waiting(simulation)} not done: a decision is made again and again"
        )


def _repeats(simulation: Simulation) -> bool:
    return any(spec.repeat_workflow for spec in simulation.last_specs.values())


def _waiting(simulation: Simulation) -> str:
    """Return the tasks of the open runs that have not completed, for a message."""
    specs = simulation.last_specs
    ids = [
        id_
        for history, info in zip(simulation.histories, simulation.infos, strict=True)
        if info.close_status is None and history.execution in specs
        for id_ in _unsettled(specs[history.execution], history)
    ]
    return f"tasks {', '.join(map(repr, ids))}" if ids else "all tasks"


def _unsettled(spec: DeciderSpec, history: History) -> list[str]:
    graph = Moment(spec, history, ()).in_turn
    return [id_ for id_ in graph.tasks if id_ not in graph.settled]


def histories_obey_the_law(simulation: Simulation) -> None:
    """All histories of a run are valid SWF histories, to their ends."""
    for history in simulation.histories:
        check_history(history)


def script_plays_the_same_again(simulation: Simulation) -> None:
    """Each simulation repeated with its script gives the same histories: ids, of children too, and inputs."""
    if len(simulation.script) % _ONE_IN == 0:
        again = _simulated(simulation, Choices(simulation.script), {})
        if again.histories != simulation.histories:
            broken("repeated with the same script, the run differs: something is not deterministic")


#: Repeating a run costs as much as the run: check one in so many.
_ONE_IN = 4


def _simulated(like: Simulation, choices: Choices, changed: Mapping[str, Any]) -> Simulation:
    return Simulator(like.spec, choices=choices, **{**like.arguments, **changed}).run()


def order_makes_no_difference(simulation: Simulation) -> None:
    """Any order of the same outcomes gives the same close, and the same attempts with the same inputs.

    Unless a task starts after the first of those that it requires, or waits for a limited time, or a
    generator tolerates failures. Of a run that failed, the close alone: which tasks had started when it
    failed depends on the order.
    """
    if len(simulation.script) % 2 or not _has_its_own_end(simulation) or _repeats(simulation):
        return
    specs = simulation.last_specs
    if any(
        _depends_on_order(specs[each.execution], each)
        for each in simulation.histories
        if each.execution in specs
    ):
        return
    changed = {"faults": _ANY_ORDER, "outcomes": simulation.outcomes}
    other = _simulated(simulation, Choices.seeded(len(simulation.script)), changed)
    # Another order may cause time-outs.
    if _timed_out(simulation) or _timed_out(other) or other.is_endless:
        return
    if other.status != simulation.status or other.result != simulation.result:
        broken(
            f"in another order the run ends otherwise: {other.status} with {other.result!r:.200}, "
            f"not {simulation.status} with {simulation.result!r:.200}"
        )
    if simulation.status == "COMPLETED":
        _check_attempts(simulation, other)


def _depends_on_order(spec: DeciderSpec, history: History) -> bool:
    moment = Moment(spec, history, ())
    tasks = moment.known.values()
    return moment.depends_on_which_end_first or any(
        counts_results(rules_of(task).join) or wait_limit_of(task) is not None for task in tasks
    )


def _has_its_own_end(simulation: Simulation) -> bool:
    """Return True if only the outcomes of attempts, which stay the same, can have closed the run."""
    is_spoilt = simulation.befell.get("cancels") or simulation.befell.get("refuses")
    return not is_spoilt and simulation.status in ("COMPLETED", "FAILED")


def _check_attempts(simulation: Simulation, other: Simulation) -> None:
    ours, theirs = dict(_scheduled(simulation)), dict(_scheduled(other))
    for row in sorted(ours.keys() | theirs.keys()):
        if ours.get(row, _NOT_MADE) != theirs.get(row, _NOT_MADE):
            _, _, (kind, id_), number = row
            broken(
                f"in another order, attempt {number} at {kind} {id_!r} is given something else, or not made"
            )


#: Workflow id, number of its run, key of the task, number of the attempt.
_Row = tuple[str, int, Key, int]
_NOT_MADE = "not made"


def _timed_out(simulation: Simulation) -> bool:
    return any(
        isinstance(event.data, ActivityTaskTimedOut) for each in simulation.histories for event in each
    )


def _scheduled(simulation: Simulation) -> Iterator[tuple[_Row, str | None]]:
    """Yield every attempt of the runs that completed, with its input."""
    numbers: Counter[str] = Counter()
    for history, info in zip(simulation.histories, simulation.infos, strict=True):
        workflow_id = info.execution.workflow_id
        numbers[workflow_id] += 1
        if info.close_status == "COMPLETED":
            for key, number, given in _attempts(history):
                yield (workflow_id, numbers[workflow_id], key, number), given


def _attempts(history: History) -> Iterator[tuple[Key, int, str | None]]:
    for key, attempts in summarize(history).attempts.items():
        # A signal may be sent although no task waits for it; its effect shows in other inputs. Timers of
        # retries after refusals are not part of the work.
        if key[0] is not Kind.SIGNAL and not key[1].startswith("floto."):
            for number, attempt in enumerate(attempts, start=1):
                yield key, number, getattr(attempt.opened.data, "input", None)
