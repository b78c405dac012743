"""Runs a spec on the pure model of SWF, in virtual time: each choice is read off a script or a seed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from floto.core.engine.deadlines import LONGEST_RUN, RUN_EVENT
from floto.core.engine.world import World
from floto.core.payloads import payload
from floto.core.spec.decider_spec import CODEC, ChildWorkflow, DeciderSpec
from floto.core.spec.expand import check_spec
from floto.core.spec.tasks import TaskCodec
from floto.core.state.state import Kind
from floto.core.swf.service import StartRequest
from floto.core.swf.shapes import WorkflowExecution
from floto.testing.simulation.choices import Choices
from floto.testing.simulation.context import MOMENT, WORKFLOW, WORKFLOW_ID, Move, Stage
from floto.testing.simulation.deciders import Deciders
from floto.testing.simulation.endings import ActivitiesError, Endings
from floto.testing.simulation.external_clients import Crowd
from floto.testing.simulation.fault_injector import FaultInjector
from floto.testing.simulation.faults import NONE, Faults
from floto.testing.simulation.known_runs import Decider, Runs, Specs
from floto.testing.simulation.outcomes import Activity, Ending
from floto.testing.simulation.result import AttemptKey, Simulation, Step
from floto.testing.simulation.workers import Workers

#: Where runs wait whose spec names no list.
_USUAL_LIST = "floto"
_TAKE = "take"
#: How long before its time-out an attempt is not kept waiting any more: moves take time, too.
_LEEWAY = timedelta(seconds=2)
#: Moves that every simulation may have, and more for each task of its spec.
_PATIENCE, _PATIENCE_PER_TASK = 2_000, 50


class Simulator:
    """One world and one spec; each move is one thing that happens there.

    Takes what ``simulate`` takes, with ``choices`` in place of seed and script.
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
        check_spec(spec)
        self.spec, self.input = spec, input
        self.choices = choices or Choices()
        self._luck = FaultInjector(self.choices, faults)
        self.world = self.make_world(self._luck)
        self._stage = Stage(self.world, self._luck)
        self._endings = Endings(activities or {}, outcomes or {}, codec, self._luck)
        specs = Specs(spec, children or {}, codec)
        self._runs = Runs(self._stage, self._endings, specs, decider)
        self._crowd = Crowd(self._stage, specs, self._endings)
        self._workers = Workers(self._stage, self._endings)
        self._deciders = Deciders(self._stage, self._runs, self._workers, self._crowd)
        self._patience = _PATIENCE + _PATIENCE_PER_TASK * _count(spec) if patience is None else patience
        self._moved = 0
        self._check_timers(activities or {})
        self._given = {"activities": activities, "input": input, "children": children, "outcomes": outcomes}
        self._given |= {"decider": decider, "patience": patience}
        self._given |= {
            "faults": None if faults == NONE else faults,
            "codec": None if codec == CODEC else codec,
        }
        self._start()

    def _check_timers(self, activities: Mapping[str, Activity]) -> None:
        timers = [task.id_ for task in self.spec.all_tasks if task.key[0] is Kind.TIMER]
        for name in activities.keys() & set(timers):
            msg = f"activities[{name!r}] is of a timer: its time passes, and nothing else can be said of it"
            raise ActivitiesError(msg)

    def unknown(self) -> set[str]:
        """What ``activities`` names and no task had, of a run that has completed: mostly a slip."""
        given: set[str] = set(self._given["activities"] or ())
        is_whole = all(info.close_status == "COMPLETED" for info in self.world.executions())
        return given - self.names() if is_whole else set()

    def names(self) -> set[str]:
        """What ``activities`` could have named."""
        return self._endings.asked | {task.id_ for task in self.spec.all_tasks}

    def make_world(self, luck: FaultInjector) -> World:
        """The service that the simulation plays on; its refusals are a matter of luck."""
        return World(refuse=luck.refuse if luck.faults.refuses else None)

    def _start(self) -> None:
        self._stage.prepare(WORKFLOW)
        text = None if self.input is None else payload.dumps(self.input, "the input of the workflow")
        task_list = self.spec.task_list or _USUAL_LIST
        self._deciders.lists[task_list] = None
        request = StartRequest(
            workflow_id=WORKFLOW_ID, workflow_type=WORKFLOW, task_list=task_list, input=text
        )
        self.world.start(request, self.now)

    @property
    def now(self) -> datetime:
        """What time it is."""
        return self._stage.now

    @property
    def steps(self) -> tuple[Step, ...]:
        """The questions that were answered by now."""
        return tuple(self._deciders.steps)

    def run(self) -> Simulation:
        """Move until nothing moves any more, or for longer than any run would."""
        for _ in self.play():
            pass
        return self.simulation()

    def play(self) -> Iterator[Step]:
        """The same; each question with its answer, as soon as there is one."""
        given = 0
        while self._moved < self._patience and (move := self._next()) is not None:
            self.make(move)
            yield from self._deciders.steps[given:]
            given = len(self._deciders.steps)

    def _next(self) -> Move | None:
        if not self._luck.may_reorder:
            return next(self._usual(), None)
        moves = self.moves()
        if len(moves) > 1 and self._luck.befalls("reorders"):
            return moves[1 + self.choices.pick(len(moves) - 1)]
        return moves[0] if moves else None

    def moves(self) -> list[Move]:
        """Everything that can happen now, in the usual order."""
        return list(self._usual())

    def make(self, move: Move) -> None:
        """Let something happen that ``moves`` has just offered."""
        self._moved += 1
        self._stage.now += MOMENT
        move.act(move.of)
        if move.name == _TAKE:
            # Most runs that are asked to stop are at work just then.
            self._crowd.interrupt()

    def cancel(self) -> None:
        """Ask the main run to stop, if it is open."""
        self._stage.now += MOMENT
        self._crowd.cancel()

    def signal(self, name: str, input: Any = None) -> None:
        """Send a signal to the main run, if it is open; ``input`` is a JSON value."""
        self._stage.now += MOMENT
        self._crowd.signal(WORKFLOW_ID, name, input)

    def _usual(self) -> Iterator[Move]:
        is_quiet = True
        for move in self._in_turn():
            is_quiet = False
            yield move
        if is_quiet:
            yield from self._at_last()

    def _in_turn(self) -> Iterator[Move]:
        is_busy = False
        for move in self._at_once():
            is_busy = True
            yield move
        due = self._due()
        if due is not None and not (is_busy and self._would_spoil(due)):
            yield Move("wait", due, self._wait)

    def _at_once(self) -> Iterator[Move]:
        yield from self._deciders.moves()
        yield from self._workers.moves()
        yield from self._deciders.answers()

    def _would_spoil(self, moment: datetime) -> bool:
        """Whether an attempt would time out that is to end otherwise: that is for other faults to say."""
        awaited = self._workers.to_answer()
        late = moment + _LEEWAY
        return bool(awaited) and any(
            due.at <= late and (due.run_id, due.event_id) in awaited for due in self.world.deadlines()
        )

    def _at_last(self) -> Iterator[Move]:
        """What happens when nothing else does: awaited signals, else the end of a run that is to end soon."""
        awaited = list(self._crowd.moves())
        yield from awaited
        expiry = None if awaited else self._expiry()
        if expiry is not None:
            yield Move("wait", expiry, self._wait)

    def _due(self) -> datetime | None:
        """When the next thing happens by itself, the end of a run that nothing keeps going aside."""
        end, due = self._workers.next_end(), self.world.next_due()
        if due is None or (end is not None and end <= due.at):
            return end
        if due.event_id == RUN_EVENT and end is None:
            others = any(each.event_id != RUN_EVENT for each in self.world.deadlines())
            return due.at if others else None
        return due.at

    def _expiry(self) -> datetime | None:
        """When a run ends that was to end within less than a year."""
        due = self.world.next_due()
        if due is None:
            return None
        started = self.world.events(WorkflowExecution("", due.run_id))[0]
        return due.at if due.at - started.at < LONGEST_RUN else None

    def _wait(self, until: datetime) -> None:
        self._workers.beat_until(until)
        self._stage.now = max(self.now, until)
        self.world.advance(self.now)

    def simulation(self) -> Simulation:
        """What has happened by now."""
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
            befell=dict(self._luck.befell),
            is_stuck=not is_endless and any(info.close_status is None for info in infos),
            is_endless=is_endless,
            arguments={name: value for name, value in self._given.items() if value is not None},
        )


def _count(spec: DeciderSpec) -> int:
    """How many tasks a spec declares, those of its children too."""
    inner = [task.spec for task in spec.all_tasks if isinstance(task, ChildWorkflow) and task.spec]
    return len(spec.all_tasks) + sum(map(_count, inner))


def check_names(unknown: Collection[str], names: Iterable[str]) -> None:
    """Raise ``ActivitiesError`` for names of activities that no task had."""
    for name in sorted(unknown):
        close = get_close_matches(name, sorted(names), 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        msg = f"activities[{name!r}] is of no task: nothing has that id, or a type of that name{hint}"
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
    """Run a spec to its end, in virtual time; the same arguments give the same bytes.

    ``activities`` says how tasks end, by task id or else by the name of the activity's or child's type:
    with an outcome, or with the function that does the work. What is not given succeeds. ``script`` is
    numbers in place of those of ``seed``. ``children`` are specs by workflow type name, for children that
    carry none. ``outcomes`` are those of another simulation: the same attempts end the same.
    ``decider`` decides in place of floto. ``patience`` is after how many moves to give up.

    What a retry strategy, a task kind or a decider raises is raised here. So is the ``ServiceFault`` with
    which SWF would refuse a whole answer, and ``NoSuchTimeout`` for a task that was to time out and cannot.
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
