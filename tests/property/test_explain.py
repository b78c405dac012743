"""The reasons given for a wait are the reasons of the wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from floto import CODEC, DeciderSpec, Generator, History, Task, decide, expand, explain, fold
from floto.core.replay.explain import Explained, Explanation
from floto.core.replay.task_status import FAILURES, TaskStatus
from floto.core.replay.why_waiting import Cause, Condition
from floto.core.state.state import Kind, Status
from floto.core.swf import events as e
from floto.core.swf.decisions import StartTimer
from floto.core.swf.shapes import ActivityType, TaskList, WorkflowExecution, WorkflowType
from floto.testing import Faults, Simulation
from floto.testing.reading.moment import Moment
from floto.testing.strategies import runs, specs
from tests.property.setup import SETTINGS
from tests.replay_many import spec_for
from tests.unit.recorder import Recorder, spec
from tests.unit.recorder import task as work

LIST = TaskList("l")
TYPE = WorkflowType("child", "v1")
RUN = WorkflowExecution("c", "r")


class Writer:
    """Goes on with a history by hand."""

    def __init__(self, history: History, spec: DeciderSpec) -> None:
        self.events = list(history.events)
        self.execution = history.execution
        self.tasks = {each.id_: each for each in expand(spec, fold(history)).all_tasks}
        self.over: set[str] = set()

    @property
    def history(self) -> History:
        return History(self.events, self.execution)

    def add(self, data: Any) -> int:
        at = self.events[-1].at + timedelta(milliseconds=1)
        self.events.append(e.Event(len(self.events) + 1, at, data))
        return len(self.events)

    def complete(self, id_: str) -> None:
        """Let a task complete, and before it all that it requires, begun or not."""
        if id_ in self.over or id_ not in self.tasks:
            return
        self.over.add(id_)
        task = self.tasks[id_]
        # A signal may have come before what its task requires.
        for needed in task.requires:
            self.complete(needed)
        if not fold(self.events).is_completed(task.key):
            self.end(task)

    def end(self, task: Task) -> None:
        """Let an attempt run to its end."""
        kind, id_ = task.key
        if kind is Kind.SIGNAL:
            self.add(e.WorkflowExecutionSignaled(signal_name=id_))
            return
        item = fold(self.events).items.get(task.key)
        opened = self.open(task) if item is None or not item.is_open else item.opened.id  # type: ignore[union-attr]
        taken = item is not None and item.status is Status.STARTED
        if kind is Kind.TIMER:
            self.add(e.TimerFired(timer_id=id_, started_event_id=opened))
        elif kind is Kind.ACTIVITY:
            began = 1 if taken else self.add(e.ActivityTaskStarted(scheduled_event_id=opened))
            result = "[]" if isinstance(task, Generator) else "1"
            self.add(
                e.ActivityTaskCompleted(scheduled_event_id=opened, started_event_id=began, result=result)
            )
        else:
            who: dict[str, Any] = {
                "workflow_execution": RUN,
                "workflow_type": TYPE,
                "initiated_event_id": opened,
            }
            began = 1 if taken else self.add(e.ChildWorkflowExecutionStarted(**who))
            self.add(e.ChildWorkflowExecutionCompleted(**who, started_event_id=began))

    def open(self, task: Task) -> int:
        kind, id_ = task.key
        own: dict[str, Any] = {"decision_task_completed_event_id": 1, "task_list": LIST}
        if kind is Kind.TIMER:
            del own["task_list"]
            return self.add(e.TimerStarted(timer_id=id_, start_to_fire_timeout="1", **own))
        if kind is Kind.ACTIVITY:
            work = ActivityType("work", "v1")
            return self.add(e.ActivityTaskScheduled(activity_type=work, activity_id=id_, **own))
        control = f"floto.task:{id_}"
        return self.add(
            e.StartChildWorkflowExecutionInitiated(
                workflow_id="c", workflow_type=TYPE, control=control, child_policy="TERMINATE", **own
            )
        )

    def fire(self, id_: str) -> None:
        """Let the time until the retry of a task pass."""
        for key, item in fold(self.events).items.items():
            if key[0] is Kind.TIMER and item.is_open and item.opened and item.opened.data.control == id_:
                self.add(e.TimerFired(timer_id=key[1], started_event_id=item.opened.id))


def started(spec: DeciderSpec, history: History) -> set[str]:
    """The tasks for which the next decision starts an attempt, or the wait for one."""
    found = decide(spec, history)
    waits = {each.control for each in found if isinstance(each, StartTimer) and each.control}
    return waits | Moment(spec, history, found).started.keys()


def moment(run: Simulation, data: st.DataObject) -> tuple[DeciderSpec, History, Explanation]:
    history = data.draw(st.sampled_from(run.histories))
    own = spec_for(run.spec, history)
    end = data.draw(st.integers(1, len(history)))
    return own, History(history.events[:end], history.execution), explain(own, history, end)


@SETTINGS
@given(runs(specs()), st.data())
def test_due_tasks_are_those_the_next_decision_starts(run: Simulation, data: st.DataObject) -> None:
    """Those tasks and no others; and what is done, open or retried is what the history says."""
    own, history, found = moment(run, data)
    due = {task.task for task in found.tasks.values() if task.status is TaskStatus.DUE}
    assert due == started(own, history)
    asked = Moment(own, history, ())
    read, keys = asked.summary, {id_: task.key for id_, task in asked.known.items()}
    closed = fold(history).closed is not None
    signals = {id_ for id_, key in keys.items() if key[0] is Kind.SIGNAL}
    over = {id_ for graph in (asked.reading.main, asked.in_turn) for id_ in graph.over}
    for task in found.tasks.values():
        if task.status is TaskStatus.DONE:
            assert read.completed(keys[task.task]) or task.task in over
        # A generator may have completed with what is no use, and a signal have come early.
        elif task.status not in FAILURES and task.task not in signals:
            assert not read.completed(keys[task.task])
        if task.status in (TaskStatus.RUNNING, TaskStatus.QUEUED):
            assert read.in_flight(keys[task.task])
        assert bool(task.conditions) or task.status in (TaskStatus.DONE, *FAILURES, TaskStatus.DUE)
        assert not closed or task.status in (TaskStatus.DONE, *FAILURES, TaskStatus.SKIPPED)
        if task.task not in signals:
            refused = [each for each in read.failures[keys[task.task]] if hasattr(each.data, "cause")]
            assert len(task.attempts) == len(read.attempts[keys[task.task]]) + len(refused)


@SETTINGS
@given(runs(specs()), st.data())
def test_task_starts_exactly_when_its_conditions_hold(run: Simulation, data: st.DataObject) -> None:
    """Every condition is needed, and together they are enough; a signal is then all that is missing."""
    own, history, found = moment(run, data)
    waiting = [t for t in found.tasks.values() if t.status in (TaskStatus.WAITING, TaskStatus.RETRYING)]
    assume(waiting)
    task = data.draw(st.sampled_from(waiting))
    # The writer lets generators return nothing.
    assume(not [each for each in Writer(history, own).tasks.values() if must_return(each, history)])
    check_conditions(own, history, task.task, data.draw(st.permutations(task.conditions)))


def check_conditions(own: DeciderSpec, history: History, id_: str, conditions: Sequence[Condition]) -> None:
    """Let the conditions of a waiting task become true in some order; the last one of them starts it."""
    found, writer = explain(own, history), Writer(history, own)
    for condition in conditions:
        # What one condition takes may have made another one true.
        if condition.cause is Cause.COUNTED:
            continue
        if condition in explain(own, writer.history)[id_].conditions:
            assert id_ not in started(own, writer.history)
            make_true(condition, id_, writer)
    # What was to stop may have completed instead, and is undone first.
    while undone := undos_before(explain(own, writer.history), id_, writer):
        writer.end(undone[0])
    # What it required was returned by the same generator, which limits how many of them are in flight.
    for turn in explain(own, writer.history)[id_].conditions:
        if turn.cause is Cause.TURN:
            make_true(turn, id_, writer)
    later = explain(own, writer.history)
    after = later[id_]
    if is_ruled_out(after) or is_lost(after, failed_on_data(later) - failed_on_data(found)):
        assert after.status in (TaskStatus.SKIPPED, TaskStatus.FAILED)
        assert id_ not in started(own, writer.history)
        return
    # The timer of a signal's time-out may be due.
    if writer.tasks[id_].key[0] is not Kind.SIGNAL or after.status is TaskStatus.DUE:
        assert id_ in started(own, writer.history)
        return
    missing = [condition.cause for condition in after.conditions]
    assert missing == [Cause.SIGNAL] or after.status is TaskStatus.DONE


def completed(*ids: str, failed: str = "", result: Any = None) -> History:
    recorder = Recorder()
    for id_ in ids:
        recorder.complete(id_, result)
    if failed:
        recorder.fail(failed)
    return recorder.history


_ON_DATA = "sum(workflow)"
_MEMBERS = [work("m"), work("lost", ["m"], when=_ON_DATA), work("behind", ["m"])]
_MANY = Generator(name="g", version="v", id_="g", tolerated_failures="100 %")


@pytest.mark.parametrize(
    ("own", "history"),
    [
        (
            spec(work("m"), work("lost", ["m"], when=_ON_DATA, on_error="continue"), work("behind", ["m"])),
            completed(),
        ),
        (spec(work("a"), on_failure=_MEMBERS), completed(failed="a")),
        (spec(_MANY), completed("g", result=CODEC.unstructure(_MEMBERS))),
    ],
    ids=["the run continues", "a cleanup goes on", "siblings may fail"],
)
def test_failure_on_data_holds_back_no_task_that_does_not_require_it(
    own: DeciderSpec, history: History
) -> None:
    task = explain(own, history)["behind"]
    assert task.status is TaskStatus.WAITING
    check_conditions(own, history, "behind", task.conditions)


def must_return(task: Task, history: History) -> bool:
    """Return True for a generator that has not completed, and may not return nothing."""
    least = getattr(task, "min_successful", None)
    return least is not None and not fold(history).is_completed(task.key)


def undos_before(found: Explanation, id_: str, writer: Writer) -> list[Task]:
    """Return the undos of other tasks that a task waits for, directly or not."""
    undos = [getattr(each, "undo", None) for each in writer.tasks.values()]
    needed = {each.task for each in found.roots(id_)}
    return [each for each in undos if each is not None and each.id_ in needed]


def is_ruled_out(task: Explained) -> bool:
    causes = (Cause.CONDITION, Cause.JOIN, Cause.SURPLUS)
    return any(condition.cause in causes for condition in task.conditions)


def is_lost(task: Explained, lost: set[str]) -> bool:
    """Return True if a task has failed, or the run or the task goes no further without those that have."""
    held_back = (Cause.BLOCKED, Cause.FAILING)
    return task.task in lost or any(each.task in lost for each in task.conditions if each.cause in held_back)


def failed_on_data(found: Explanation) -> set[str]:
    """Return the ids of the tasks whose conditions failed on the data, or by which too few can complete."""
    failed = [task for task in found.tasks.values() if task.status is TaskStatus.FAILED]
    told = {task.task: str(task.result) for task in failed}
    return {id_ for id_, text in told.items() if text.startswith("when ") or "min_successful is" in text}


def siblings(id_: str, generator: str, writer: Writer) -> list[str]:
    """Return the other tasks that a generator returned."""
    many = writer.tasks[generator]
    assert isinstance(many, Generator)
    return [task.id_ for task in CODEC.tasks(many.input["tasks"]) if task.id_ != id_]


def make_true(condition: Condition, id_: str, writer: Writer) -> None:
    if condition.cause is Cause.RETRY:
        writer.fire(id_)
    elif condition.cause is Cause.SIGNAL:
        writer.complete(id_)
    elif condition.cause is Cause.TURN:
        for other in siblings(id_, condition.task, writer):
            writer.complete(other)
    elif condition.cause is Cause.STOPPING:
        writer.end(writer.tasks[condition.task])
    else:
        assert condition.cause in (Cause.REQUIRES, Cause.GENERATOR)
        writer.complete(condition.task)


#: Runs of which something is dropped more often than not.
_FATAL = evolve(Faults.all(), fails_for_good=0.5, cancels=0.2)


@SETTINGS
@given(runs(specs(), faults=_FATAL), st.data())
def test_skipped_tasks_are_never_started(run: Simulation, data: st.DataObject) -> None:
    """A blocked task, or one whose run closes, stays so when all that it requires completes."""
    own, history, found = moment(run, data)
    dropped = [task for task in found.tasks.values() if task.status is TaskStatus.SKIPPED]
    assume(dropped and fold(history).closed is None)
    task = data.draw(st.sampled_from(dropped))
    writer = Writer(history, own)
    for each in found.tasks.values():
        if each.status in (TaskStatus.RUNNING, TaskStatus.QUEUED, TaskStatus.WAITING, TaskStatus.DUE):
            writer.complete(each.task)
    assert task.task not in started(own, writer.history)


@SETTINGS
@given(runs(specs()), st.data())
def test_root_causes_of_a_wait_do_not_wait_themselves(run: Simulation, data: st.DataObject) -> None:
    """Waiting leads down to tasks that are under way, due or failed; the text names the first of them."""
    _, _, found = moment(run, data)
    for task in found.tasks.values():
        roots = found.roots(task.task)
        assert bool(roots) is any(each.cause in (Cause.REQUIRES, Cause.GENERATOR) for each in task.conditions)
        text = found.why(task.task)
        assert text.startswith(f"{task.task}: ")
        assert all(str(root) in text for root in roots[:1])
        assert str(task) in str(found)
