"""Runs a spec on the pure engine of SWF, in virtual time; a script or a seed makes each choice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import chain
from typing import Any

from floto.core.engine.deadlines import LONGEST_RUN, RUN_EVENT
from floto.core.engine.world import World
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC, DeciderSpec, as_spec, run_settings
from floto.core.spec.nested_specs import nested_tasks
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import Kind
from floto.core.swf.floto_defaults import DEFAULT_TASK_LIST
from floto.core.swf.history import History
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.context import MOMENT, WORKFLOW, WORKFLOW_ID, Move, SimulationContext, new_move
from floto.testing.simulation.deciders import Deciders
from floto.testing.simulation.default_tasks import needed_tasks
from floto.testing.simulation.endings import Endings
from floto.testing.simulation.external_clients import ExternalClients
from floto.testing.simulation.fault_injector import FaultInjector
from floto.testing.simulation.faults import NONE, Faults
from floto.testing.simulation.known_runs import Decider, Runs, SpecLookup
from floto.testing.simulation.outcomes import ActivitiesError, Activity, Ending
from floto.testing.simulation.result import AttemptKey, SimulatedStep, Simulation
from floto.testing.simulation.workers import Workers

_TAKE = "take"
#: Virtual time that is left before the time-out of an attempt, for the moves until its response.
_LEEWAY = timedelta(seconds=2)
#: Default patience in moves, and its increase for each task of the spec, or that a generator returns.
_PATIENCE, _PATIENCE_PER_TASK = 2_000, 50


def _enough(tasks: int) -> int:
    return _PATIENCE + _PATIENCE_PER_TASK * tasks


class Simulator:
    """One engine and one spec, run move by move; a move is one thing that happens.

    Takes the arguments of ``simulate``, with ``choices`` in place of ``seed`` and ``script``.
    """

    def __init__(  # noqa: PLR0913 - all but the spec are optional and named
        self,
        spec: DeciderSpec,
        activities: Mapping[str, Activity] | None = None,
        input: Any = None,
        *,
        choices: Choices | None = None,
        faults: Faults = NONE,
        children: Mapping[str, DeciderSpec] | None = None,
        outcomes: Mapping[AttemptKey, Ending] | None = None,
        codec: TaskCodec = CODEC,
        decider: Decider | None = None,
        patience: int | None = None,
    ) -> None:
        as_spec(spec, "the spec")
        self.spec, self.input = spec, input
        self.choices = choices or Choices()
        self._injector = FaultInjector(self.choices, faults)
        self.world = self.make_world(self._injector)
        self._context = SimulationContext(self.world, self._injector)
        of_children = children or {}
        self._endings = Endings(
            activities or {}, outcomes or {}, codec, self._injector, spec=spec, children=of_children
        )
        specs = SpecLookup(spec, of_children, codec)
        self._runs = Runs(self._context, self._endings, specs, decider)
        self._clients = ExternalClients(self._context, self._runs, self._endings)
        self._workers = Workers(self._context, self._endings)
        self._deciders = Deciders(self._context, self._runs, self._workers, self._clients)
        needed = sum(1 + needed_tasks(task) for task in nested_tasks(spec))
        self._patience = _enough(needed) if patience is None else patience
        self._is_patience_given = patience is not None
        self._moved = 0
        self._check_outcomes(activities or {})
        self._given = {"activities": activities, "input": input, "children": children, "outcomes": outcomes}
        self._given |= {"decider": decider, "patience": patience}
        self._given |= {
            "faults": None if faults == NONE else faults,
            "codec": None if codec == CODEC else codec,
        }
        self._start()

    def _check_outcomes(self, activities: Mapping[str, Activity]) -> None:
        """Raise ``ActivitiesError`` for an outcome that a timer or a signal of the spec cannot have."""
        for task in self.spec.all_tasks:
            if task.key[0] is Kind.TIMER and task.id_ in activities:
                msg = f"activities[{task.id_!r}] names a timer; timers cannot be given an outcome"
                raise ActivitiesError(msg)
            if task.key[0] is Kind.SIGNAL:
                self._endings.of_signal(task)

    def unknown(self) -> set[str]:
        """Return names in ``activities`` that no task of a completed run had: mostly misspelt."""
        given: set[str] = set(self._given["activities"] or ())
        is_whole = all(info.close_status == "COMPLETED" for info in self.world.executions())
        return given - self.names() if is_whole else set()

    def names(self) -> set[str]:
        """Return the names that ``activities`` could have used."""
        return self._endings.looked_up | {task.id_ for task in self.spec.all_tasks}

    def make_world(self, injector: FaultInjector) -> World:
        """Make the engine of the simulation; the injector decides what it refuses."""
        return World(refuse=injector.refuse if injector.faults.refuses else None)

    def _start(self) -> None:
        self._context.prepare(WORKFLOW)
        text = None if self.input is None else payload.dumps(self.input, "the input of the workflow")
        task_list = self.spec.task_list or DEFAULT_TASK_LIST
        self._deciders.lists[task_list] = None
        timeout, policy = run_settings(self.spec)
        request = StartRequest(
            workflow_id=WORKFLOW_ID,
            workflow_type=WORKFLOW,
            task_list=task_list,
            input=text,
            execution_timeout=timeout,
            child_policy=policy,
        )
        self.world.start(request, self.now)

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self._context.now

    @property
    def steps(self) -> tuple[SimulatedStep, ...]:
        """The decision tasks that were responded to, with their responses."""
        return tuple(self._deciders.steps)

    def run(self) -> Simulation:
        """Run until nothing more can happen, or for ``patience`` moves, and return the simulation."""
        for _ in self.play():
            pass
        return self.simulation()

    def play(self) -> Iterator[SimulatedStep]:
        """Run like ``run``, and yield each decision task with its response at once."""
        given = 0
        while self._has_patience() and (move := self._next()) is not None:
            self.make(move)
            yield from self._deciders.steps[given:]
            given = len(self._deciders.steps)

    def _has_patience(self) -> bool:
        if self._moved >= self._patience and not self._is_patience_given:
            # Runs of one workflow id count once: a workflow that repeats itself for ever is stopped.
            tasks: dict[str, int] = {}
            for run in self._runs.all():
                id_, count = run.execution.workflow_id, len(run.progress.plan.tasks) if run.progress else 0
                tasks[id_] = max(count, tasks.get(id_, 0))
            self._patience = max(self._patience, _enough(sum(tasks.values())))
        return self._moved < self._patience

    def _next(self) -> Move | None:
        if not self._injector.may_reorder:
            return next(self._default_moves(), None)
        moves = self.moves()
        if len(moves) > 1 and self._injector.occurs("reorders"):
            return moves[1 + self.choices.pick(len(moves) - 1)]
        return moves[0] if moves else None

    def spec_of(self, history: History) -> DeciderSpec | None:
        """Return the spec that a run is decided by; None before its first decision task, or without one."""
        return None if history.execution is None else self._runs.of(history.execution).spec

    def moves(self) -> list[Move]:
        """Return everything that can happen now, in the default order."""
        return list(self._default_moves())

    def make(self, move: Move) -> None:
        """Carry out a move that ``moves`` has just returned."""
        self._moved += 1
        self._context.now += MOMENT
        move.act(move.of)
        if move.name == _TAKE:
            # Most runs are canceled while activities run.
            self._clients.may_cancel()

    def cancel(self) -> None:
        """Request cancellation of the main run, if it is open."""
        self._context.now += MOMENT
        self._clients.cancel()

    def signal(self, name: str, input: Any = None) -> None:
        """Send a signal to the main run, if it is open.

        Args:
            name: The name of the signal.
            input: Its input, a JSON value; None for none.
        """
        self._context.now += MOMENT
        self._clients.signal(WORKFLOW_ID, name, input)

    def _default_moves(self) -> Iterator[Move]:
        is_quiet, is_busy = True, False
        parts = (
            self._deciders.moves(),
            self._workers.moves(),
            self._clients.moves(),
            self._deciders.responses(),
        )
        for move in chain(*parts):
            is_quiet, is_busy = False, True
            yield move
        due = self._due()
        if due is not None and not (is_busy and self._would_spoil(due)):
            is_quiet = False
            yield new_move("wait", due, self._wait)
        if is_quiet:
            yield from self._at_last()

    def _would_spoil(self, moment: datetime) -> bool:
        """Return True if waiting until then would time out an attempt whose worker is to respond."""
        awaited = self._workers.to_respond()
        late = moment + _LEEWAY
        return bool(awaited) and any(
            due.at <= late and (due.run_id, due.event_id) in awaited for due in self.world.deadlines()
        )

    def _at_last(self) -> Iterator[Move]:
        """Yield what happens when nothing else can: awaited signals, else the time-out of a run."""
        awaited = list(self._clients.last_moves())
        yield from awaited
        expiry = None if awaited else self._expiry()
        if expiry is not None:
            yield new_move("wait", expiry, self._wait)

    def _due(self) -> datetime | None:
        """Return the next deadline, without the time-out of a run that nothing keeps going."""
        ends = (self._workers.next_end(), self._clients.next_arrival())
        end, due = min(filter(None, ends), default=None), self.world.next_due()
        if due is None or (end is not None and end <= due.at):
            return end
        if due.event_id == RUN_EVENT and end is None:
            others = any(each.event_id != RUN_EVENT for each in self.world.deadlines())
            return due.at if others else None
        return due.at

    def _expiry(self) -> datetime | None:
        """Return the time-out of the next run to end, if that is less than a year after its start."""
        due = self.world.next_due()
        if due is None:
            return None
        started = self.world.events(WorkflowExecution("", due.run_id))[0]
        return due.at if due.at - started.at < LONGEST_RUN else None

    def _wait(self, until: datetime) -> None:
        self._workers.heartbeat_until(until)
        self._context.now = max(self.now, until)
        self.world.advance(self.now)

    def simulation(self) -> Simulation:
        """Return the simulation as it stands now."""
        infos, runs = tuple(self.world.executions()), self._runs.all()
        is_endless = self._moved >= self._patience
        return Simulation(
            spec=self.spec,
            input=self.input,
            steps=self.steps,
            histories=tuple(run.shown.history() for run in runs),
            infos=infos,
            script=self.choices.script,
            outcomes=dict(self._endings.noted),
            attempts=+runs[0].attempts,
            befell=dict(self._injector.occurred),
            is_stuck=not is_endless and any(info.close_status is None for info in infos),
            is_endless=is_endless,
            arguments={name: value for name, value in self._given.items() if value is not None},
        )


def check_names(unknown: Collection[str], names: Iterable[str]) -> None:
    """Raise ``ActivitiesError`` for names in ``activities`` that no task had."""
    for name in sorted(unknown):
        close = get_close_matches(name, sorted(names), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        msg = f"activities[{name!r}] names no task: no task has that id or type name{hint}"
        raise ActivitiesError(msg)


def simulate(  # noqa: PLR0913 - all but the spec are optional
    spec: DeciderSpec,
    activities: Mapping[str, Activity] | None = None,
    input: Any = None,
    seed: int = 0,
    faults: Faults = NONE,
    *,
    script: Sequence[int] | None = None,
    children: Mapping[str, DeciderSpec] | None = None,
    outcomes: Mapping[AttemptKey, Ending] | None = None,
    codec: TaskCodec = CODEC,
    decider: Decider | None = None,
    patience: int | None = None,
) -> Simulation:
    """Run a spec to its end in virtual time; the same arguments give the same histories.

    Args:
        spec: The spec to run.
        activities: Outcomes or functions by task id, or else by the name of the activity type, child type or
            signal. Tasks without an entry succeed. A child with an entry ends so, also if it has a spec,
            which is not run. An entry by the type of a child with a spec, or by the name of a signal, is for
            the activities of that name instead, if there are any. A signal with an entry arrives when its
            task waits for it, and not when nothing else can happen.
        input: The input of the workflow, a JSON value.
        seed: Seed of the choices, where ``script`` is None; without faults there are none to make.
        faults: The faults to inject; none by default.
        script: The numbers of the choices, in place of ``seed``: ``Simulation.script`` repeats a simulation.
        children: Specs by workflow type name, for children that carry none.
        outcomes: ``Simulation.outcomes`` of another simulation: the same attempts end the same.
        codec: Codec that knows your own task kinds and retry strategies.
        decider: Function of a spec and a history that decides in place of floto.
        patience: Moves after which the simulation is stopped; by default 2,000 and 50 for each task, also for
            those that generators return.

    Raises:
        ActivitiesError: An entry of ``activities`` is neither an outcome nor a function, or names no task.
        NoSuchTimeout: A task was to time out and has no such time-out.
        ServiceFault: SWF would refuse a whole response.

    Errors of a retry strategy, a task kind or ``decider`` are raised as they are.
    """
    simulator = Simulator(
        spec,
        activities,
        input,
        choices=Choices.of(seed, script),
        faults=faults,
        children=children,
        outcomes=outcomes,
        codec=codec,
        decider=decider,
        patience=patience,
    )
    simulation = simulator.run()
    check_names(simulator.unknown(), simulator.names())
    return simulation
