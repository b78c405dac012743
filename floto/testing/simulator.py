"""Runs a spec on the pure model of SWF, in virtual time: each choice is read off a script or a seed."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve, field, frozen

from floto.core import payload
from floto.core.decide import spec_of
from floto.core.decisions import Decision, ScheduleActivityTask, StartChildWorkflowExecution
from floto.core.errors import SpecError, UnknownResource
from floto.core.events import (
    ActivityTaskScheduled,
    Event,
    StartChildWorkflowExecutionFailed,
    StartChildWorkflowExecutionInitiated,
    WorkflowExecutionStarted,
)
from floto.core.expand import check_spec, expand
from floto.core.fold import fold
from floto.core.history import History
from floto.core.ports import DecisionTask, StartRequest
from floto.core.service.deadlines import LONGEST_RUN, RUN_EVENT
from floto.core.service.world import World
from floto.core.shapes import ActivityType, WorkflowExecution, WorkflowType
from floto.core.specs import CODEC, ChildWorkflow, DeciderSpec
from floto.core.state import Kind
from floto.core.tasks import Task, TaskCodec
from floto.testing.attempts import NEVER, Attempt, Manner, NoSuchTimeout, heard_of, manner_of, seconds, ways
from floto.testing.choices import Choices
from floto.testing.faults import NONE, Faults
from floto.testing.outcomes import USUAL, Activity, Ending, How
from floto.testing.refusals import CAUSES
from floto.testing.runs import Run, Runs, task_id_of
from floto.testing.simulation import AttemptKey, Simulation, Step
from floto.testing.work import Work, fitting

#: When every simulation begins.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
WORKFLOW = WorkflowType("simulated", "v1")
WORKFLOW_ID = "simulated"
_MOMENT = timedelta(milliseconds=10)
#: Where runs wait whose spec names no list.
_USUAL_LIST = "floto"
#: A run that repeats itself is asked to stop when it has begun so often.
_REPEATS = 3
#: Moves that every simulation may have, and more for each task of its spec.
_PATIENCE, _PATIENCE_PER_TASK = 5_000, 50

Decider = Callable[[DeciderSpec, History], Sequence[Decision]]


@frozen
class Move:
    """Something that can happen now."""

    name: str
    #: What it happens to: a task list, an attempt, an answer, a signal, a moment.
    of: Any
    act: Callable[[Any], None] = field(repr=False)


@define(eq=False)
class Answer:
    """What a decider has worked out, and not told yet."""

    run: Run
    token: str
    decisions: tuple[Decision, ...]
    #: How many events it saw.
    asked: int


class Simulator:
    """One world and one spec; each move is one thing that happens in it.

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
        self.spec, self.input, self.faults = spec, input, faults
        self.choices = choices or Choices()
        self.now = BEGINNING
        self.world = self.make_world()
        self.steps: list[Step] = []
        self.befell: Counter[str] = Counter()
        self.moved = 0
        self._work = Work(activities or {}, codec)
        self._codec = codec
        self._given = outcomes or {}
        self._outcomes: dict[AttemptKey, Ending] = {}
        self._patience = patience or _PATIENCE + _PATIENCE_PER_TASK * _count(spec)
        self._lists: dict[str, None] = {}
        self._waiting: list[Attempt] = []
        self._held: list[Attempt] = []
        self._thinking: list[Answer] = []
        self._types: set[ActivityType | WorkflowType] = set()
        self._is_asked_to_stop = False
        self._children = children or {}
        self._runs = Runs(self._spec_for, codec, decider)
        self.arguments: Mapping[str, Any] = {}
        #: What has to be noted of each type of event that an answer leaves.
        self._notes: Mapping[type, Callable[[Run, Event], None]] = {
            ActivityTaskScheduled: self._scheduled,
            StartChildWorkflowExecutionInitiated: self._started_child,
            StartChildWorkflowExecutionFailed: self._refused_child,
        }
        self._start()

    def make_world(self) -> World:
        """The service that the simulation plays on."""
        return World(refuse=self._refuse if self.faults.refuses else None)

    def _start(self) -> None:
        self._prepare(WORKFLOW)
        text = None if self.input is None else payload.dumps(self.input, "the input of the workflow")
        task_list = self.spec.task_list or _USUAL_LIST
        self._lists[task_list] = None
        request = StartRequest(
            workflow_id=WORKFLOW_ID, workflow_type=WORKFLOW, task_list=task_list, input=text
        )
        self.world.start(request, self.now)

    def _prepare(self, type_: ActivityType | WorkflowType) -> None:
        if type_ not in self._types:
            self._types.add(type_)
            if isinstance(type_, WorkflowType):
                self.world.prepare([type_])
            else:
                self.world.prepare((), [type_])

    # What may go wrong.

    def _befalls(self, name: str) -> bool:
        rate: float = getattr(self.faults, name)
        if rate <= 0 or self.befell.total() >= self.faults.most or not self.choices.happens(rate):
            return False
        self.befell[name] += 1
        return True

    def _refuse(self, decision: Decision) -> str | None:
        causes = CAUSES.get(type(decision))
        if causes is None or not self._befalls("refuses"):
            return None
        kinds = [each for each in (causes.passing, causes.final) if each]
        kind = kinds[self.choices.pick(len(kinds))]
        return kind[self.choices.pick(len(kind))]

    # What can happen, and what does.

    def run(self) -> Simulation:
        """Move until nothing moves any more, or for longer than any run would."""
        while self.moved < self._patience and (move := self._next()) is not None:
            self.make(move)
        return self.simulation()

    def _next(self) -> Move | None:
        if self.faults.reorders and self.befell.total() < self.faults.most:
            moves = self.moves()
            if len(moves) > 1 and self._befalls("reorders"):
                return moves[1 + self.choices.pick(len(moves) - 1)]
            return moves[0] if moves else None
        return next(self._usual(), None)

    def moves(self) -> list[Move]:
        """Everything that can happen now, in the usual order."""
        return list(self._usual())

    def make(self, move: Move) -> None:
        """Let something happen that ``moves`` offered last."""
        self.moved += 1
        self.now += _MOMENT
        move.act(move.of)

    def _usual(self) -> Iterator[Move]:
        yield from self._at_once()
        due = self._due()
        if due is not None:
            yield Move("wait", due, self._wait)
            return
        if self._thinking or self._held:
            return
        awaited = self.awaited_signals()
        for execution, task in awaited:
            yield Move("send", (execution, task), self._send)
        expiry = None if awaited else self._expiry()
        if expiry is not None:
            yield Move("wait", expiry, self._wait)

    def _at_once(self) -> Iterator[Move]:
        for task_list in self._lists:
            if self.world.has_decision(task_list):
                yield Move("decide", task_list, self._decide)
        for attempt in tuple(self._waiting):
            if self.world.is_waiting(attempt.execution, attempt.event.id):
                yield Move("take", attempt, self._take)
            else:
                self._waiting.remove(attempt)
        for attempt in self._held:
            if attempt.ends_at is not None and attempt.ends_at <= self.now:
                yield Move("end", attempt, self._end)
        for answer in self._thinking:
            yield Move("answer", answer, self._answer)

    def _due(self) -> datetime | None:
        """When the next thing happens by itself, the end of a run that nothing keeps going aside."""
        ends = [attempt.ends_at for attempt in self._held if attempt.ends_at is not None]
        end = min((at for at in ends if at > self.now), default=None)
        due = self.world.next_due()
        if due is None or (end is not None and end <= due.at):
            return end
        if due.event_id == RUN_EVENT and end is None:
            others = any(each.event_id != RUN_EVENT for each in self.world.deadlines())
            return due.at if others else None
        return due.at

    def _expiry(self) -> datetime | None:
        """When a run ends that was to end within less than a year, and now waits for nothing else."""
        due = self.world.next_due()
        if due is None:
            return None
        started = self.world.events(WorkflowExecution("", due.run_id))[0]
        return due.at if due.at - started.at < LONGEST_RUN else None

    # Deciders.

    def _decide(self, task_list: str) -> None:
        self._happen()
        task = self.world.poll_decision(task_list, self.now)
        if task is None:
            return
        run = self._run(task.execution)
        self._show(run, task.events[run.shown.written :])
        self._stop_repeating(run)
        if self._times(task) and self._befalls("loses_decision"):
            return
        decisions = self._decisions(run)
        answer = Answer(run, task.token, decisions, len(run.shown.events))
        if self._befalls("delays_answer"):
            if next(self._at_once(), None) is None:
                self._send_noise(task.execution)
            self._thinking.append(answer)
        else:
            self._answer(answer)

    @staticmethod
    def _times(task: DecisionTask) -> bool:
        return task.events[0].data.task_start_to_close_timeout not in (None, "NONE")

    def _show(self, run: Run, events: Sequence[Event]) -> None:
        """Show a decider what is new; a newer SWF may have written something of its own there."""
        added = self._befalls("adds_events")
        # Nothing comes before the start of a run.
        first = 0 if run.shown.written else 1
        run.shown.extend(events, first + self.choices.pick(len(events) - first) if added else None)

    def _decisions(self, run: Run) -> tuple[Decision, ...]:
        return self._runs.decisions(run, self._ending_of_child)

    def _run(self, execution: WorkflowExecution) -> Run:
        known = self._runs.begun(execution)
        if known is not None:
            return known
        runs = [info.execution for info in self.world.executions()]
        same = [each.run_id for each in runs if each.workflow_id == execution.workflow_id]
        return self._runs.begin(execution, 1 + same.index(execution.run_id))

    def _spec_for(self, execution: WorkflowExecution, start: WorkflowExecutionStarted) -> DeciderSpec | None:
        """The spec that a run is decided by; None for a child that nobody has one for."""
        if execution.workflow_id == WORKFLOW_ID:
            return self.spec
        return spec_of(start.input, self._codec) or self._children.get(start.workflow_type.name)

    def _answer(self, answer: Answer) -> None:
        if answer in self._thinking:
            self._thinking.remove(answer)
        decisions = answer.decisions
        for decision in decisions:
            if isinstance(decision, ScheduleActivityTask):
                self._prepare(decision.activity_type)
            elif isinstance(decision, StartChildWorkflowExecution):
                self._prepare(decision.workflow_type)
        try:
            self.world.respond_decision(answer.token, decisions, self.now)
        except UnknownResource:
            return
        self._took_effect(answer)
        if self._befalls("delivers_twice"):
            with suppress(UnknownResource):
                self.world.respond_decision(answer.token, decisions, self.now)
        if self._befalls("loses_response"):
            self._thinking.append(answer)

    def _took_effect(self, answer: Answer) -> None:
        run = answer.run
        events = self.world.events(run.execution, run.shown.written)
        run.shown.extend(events)
        for event in events:
            note = self._notes.get(type(event.data))
            if note is not None:
                note(run, event)
        self.steps.append(
            Step(run.spec or self.spec, answer.decisions, run.shown, answer.asked, len(run.shown.events))
        )

    def _stop_repeating(self, run: Run) -> None:
        """A run that repeats itself would do so for ever: somebody asks it to stop."""
        if run.is_new and run.number >= _REPEATS and run.is_continued:
            self.world.request_cancel(run.execution.workflow_id, self.now)
        run.is_new = False

    # Children without a spec.

    def _started_child(self, run: Run, event: Event) -> None:
        data: StartChildWorkflowExecutionInitiated = event.data
        self._lists[data.task_list.name] = None
        task_id = task_id_of(data)
        self._runs.note_child(run, event.id, run.key(task_id, run.count(task_id)))

    def _refused_child(self, run: Run, event: Event) -> None:
        data: StartChildWorkflowExecutionFailed = event.data
        if data.initiated_event_id:
            run.uncount(task_id_of(data))

    def _ending_of_child(self, run: Run) -> Ending:
        """How a child ends that nobody has a spec for."""
        key = self._runs.key_of_child(run)
        ending = self._given.get(key)
        if ending is None:
            ending = self._fault(key) or self._work.ending(key.task_id, run.type_name, key.attempt)
        if ending is None:
            ending = self._work.call(key.task_id, run.type_name, run.start.input)
        if ending.how is How.TIMES_OUT:
            self._check_times_out(key, run)
        self._outcomes[key] = ending
        return evolve(ending, value=self._work.value(ending, key.task_id, None))

    def _check_times_out(self, key: AttemptKey, run: Run) -> None:
        lasts = seconds(run.start.execution_start_to_close_timeout)
        if lasts is None or timedelta(seconds=lasts) >= LONGEST_RUN:
            raise NoSuchTimeout(key.task_id, "START_TO_CLOSE", ())

    def _fault(self, key: AttemptKey) -> Ending | None:
        for name, reason in (("fails", "Passing"), ("fails_for_good", "Final")):
            if self._befalls(name):
                return Ending(how=How.FAILS, reason=reason, details=f"attempt {key.attempt}")
        return None

    # Workers.

    def _scheduled(self, run: Run, event: Event) -> None:
        data: ActivityTaskScheduled = event.data
        key = run.key(data.activity_id, run.count(data.activity_id))
        ending, is_late = self._ending(key, data)
        manner = Manner.ANSWER if is_late or ending is None else manner_of(ending, data)
        attempt = Attempt(key, run.execution, event, ending, manner, is_late)
        if ending is not None:
            self._outcomes[key] = ending
        if manner is not Manner.STAY_AWAY:
            insort(self._waiting, attempt, key=lambda each: -int(each.scheduled.task_priority or 0))

    def _ending(self, key: AttemptKey, data: ActivityTaskScheduled) -> tuple[Ending | None, bool]:
        """How an attempt ends, and whether its worker answers all the same, too late."""
        given = self._given.get(key)
        if given is not None:
            return given, False
        possible = ways(data)
        if possible and self._befalls("times_out"):
            names = tuple(possible)
            return Ending(how=How.TIMES_OUT, timeout_type=names[self.choices.pick(len(names))]), False
        if "HEARTBEAT" in possible and self._befalls("loses_heartbeat"):
            return Ending(how=How.TIMES_OUT, timeout_type="HEARTBEAT"), True
        if self._befalls("loses_worker"):
            noticed = heard_of(possible)
            if noticed is None:
                return Ending(how=How.FAILS, reason="Lost", details="its worker died"), False
            return Ending(how=How.TIMES_OUT, timeout_type=noticed), False
        ending = self._fault(key)
        return ending or self._work.ending(key.task_id, data.activity_type.name, key.attempt), False

    def _take(self, attempt: Attempt) -> None:
        self._waiting.remove(attempt)
        task = self.world.take_activity(attempt.execution, attempt.event.id, self.now)
        if task is None:
            return
        attempt.token = task.token
        if attempt.manner is Manner.DIE:
            return
        data = attempt.scheduled
        if attempt.ending is None:
            attempt.ending = self._work.call(data.activity_id, data.activity_type.name, data.input)
            self._outcomes[attempt.key] = attempt.ending
        self._held.append(attempt)
        if attempt.manner is Manner.ANSWER:
            attempt.ends_at = self.now + timedelta(seconds=attempt.ending.seconds)
        if attempt.is_late:
            late = timedelta(seconds=int(data.heartbeat_timeout or 0))
            attempt.ends_at = self.now + late + _MOMENT
        else:
            attempt.beat(self.now)

    def _end(self, attempt: Attempt) -> None:
        self._held.remove(attempt)
        with suppress(UnknownResource):
            self._report(attempt)

    def _report(self, attempt: Attempt) -> None:
        if self.world.heartbeat(attempt.token, None, self.now):
            self.world.cancel_activity(attempt.token, "as asked", self.now)
            return
        ending, data = fitting(attempt.ending or Ending()), attempt.scheduled
        if ending.how is How.FAILS:
            self.world.fail_activity(attempt.token, ending.reason, ending.details, self.now)
        else:
            text = self._work.text(ending, data.activity_id, data.input)
            self.world.complete_activity(attempt.token, text, self.now)

    # Time.

    def _wait(self, until: datetime) -> None:
        while (beating := min(self._held, key=_beats_by, default=None)) and beating.beats_by <= until:
            self._beat(beating)
        self.now = max(self.now, until)
        self.world.advance(self.now)

    def _beat(self, attempt: Attempt) -> None:
        """Send a heartbeat just before it would be missed, or never where that was missed already."""
        at = attempt.beats_by - _MOMENT
        if at < self.now:
            attempt.beats_by = NEVER
            return
        self.now = at
        try:
            asked = self.world.heartbeat(attempt.token, None, self.now)
        except UnknownResource:
            self._held.remove(attempt)
            return
        attempt.beat(self.now)
        if asked and attempt.manner is Manner.ANSWER:
            self._held.remove(attempt)
            self.world.cancel_activity(attempt.token, "as asked", self.now)

    # What comes from outside.

    def _happen(self) -> None:
        """Somebody may send a signal, or ask the run to stop."""
        if self._befalls("signals"):
            awaited = self.awaited_signals()
            which = self.choices.pick(1 + len(awaited))
            if which:
                self._send(awaited[which - 1])
            else:
                self._send_noise(WorkflowExecution(WORKFLOW_ID, ""))
        if not self._is_asked_to_stop and self._befalls("cancels"):
            self.cancel()

    def cancel(self) -> None:
        """Ask the main run to stop, if it is open."""
        self._is_asked_to_stop = True
        with suppress(UnknownResource):
            self.world.request_cancel(WORKFLOW_ID, self.now)

    def signal(self, name: str, input: Any = None) -> None:
        """Send a signal to the main run, if it is open."""
        text = None if input is None else payload.dumps(input, f"the input of signal {name!r}")
        with suppress(UnknownResource):
            self.world.signal(WORKFLOW_ID, name, text, self.now)

    def _send_noise(self, execution: WorkflowExecution) -> None:
        with suppress(UnknownResource):
            self.world.signal(execution.workflow_id, "noise", '"hello"', self.now)

    def _send(self, awaited: tuple[WorkflowExecution, Task]) -> None:
        execution, task = awaited
        name = task.key[1]
        ending = self._work.ending(task.id_, name, 1) or Ending()
        usual = {"to": execution.workflow_id, "said": name}
        value = usual if ending.value is USUAL else ending.value
        text = payload.dumps(value, f"the input of signal {name!r}")
        self.world.signal(execution.workflow_id, name, text, self.now)

    def awaited_signals(self) -> list[tuple[WorkflowExecution, Task]]:
        """The signals that open runs have tasks for, and were not sent, by run."""
        return [
            (info.execution, task)
            for info in self.world.executions()
            if info.close_status is None
            for task in self._awaited_by(info.execution)
        ]

    def _awaited_by(self, execution: WorkflowExecution) -> list[Task]:
        events = self.world.events(execution)
        state = fold(events)
        try:
            spec = self._spec_for(execution, events[0].data)
            spec = None if spec is None else expand(spec, state, self._codec)
        except SpecError:
            # Its decider will say what is wrong with it.
            return []
        if spec is None:
            return []
        tasks = {task.key: task for task in spec.all_tasks if task.key[0] is Kind.SIGNAL}
        return [task for key, task in tasks.items() if key not in state.items]

    # What is left.

    def simulation(self) -> Simulation:
        """What has happened by now."""
        infos = tuple(self.world.executions())
        runs = [self._run(info.execution) for info in infos]
        for run in runs:
            run.shown.extend(self.world.events(run.execution, run.shown.written))
        return Simulation(
            spec=self.spec,
            input=self.input,
            steps=tuple(self.steps),
            histories=tuple(run.shown.history() for run in runs),
            infos=infos,
            script=self.choices.script,
            outcomes=dict(self._outcomes),
            attempts=dict(runs[0].attempts),
            befell=dict(self.befell),
            is_stuck=self.moved < self._patience and any(info.close_status is None for info in infos),
            is_endless=self.moved >= self._patience,
            arguments=self.arguments,
        )


def _beats_by(attempt: Attempt) -> datetime:
    return attempt.beats_by


def _count(spec: DeciderSpec) -> int:
    """How many tasks a spec declares, those of its children too."""
    inner = [task.spec for task in spec.all_tasks if isinstance(task, ChildWorkflow) and task.spec]
    return len(spec.all_tasks) + sum(map(_count, inner))


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
    """
    given = {
        "activities": activities,
        "input": input,
        "faults": None if faults == NONE else faults,
        "children": children,
        "outcomes": outcomes,
        "codec": None if codec == CODEC else codec,
        "decider": decider,
        "patience": patience,
    }
    choices = Choices.seeded(seed) if script is None else Choices(script)
    simulator = Simulator(
        spec,
        activities,
        input,
        choices=choices,
        faults=faults,
        children=children,
        outcomes=outcomes,
        codec=codec,
        decider=decider,
        patience=patience,
    )
    simulator.arguments = {name: value for name, value in given.items() if value is not None}
    return simulator.run()
