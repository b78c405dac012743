"""Faults of users' own strategies, joins and kinds: their task fails, and the run cleans up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen

from floto import ActivityTask, ChildWorkflow, DeciderSpec, Given, Retry, decide
from floto.core.state.state import Item, Key, Kind
from floto.core.swf.decisions import FailWorkflowExecution, ScheduleActivityTask, StartTimer
from floto.core.swf.events import ActivityTaskScheduled, WorkflowExecutionFailed
from floto.core.swf.shapes import ActivityType
from floto.extend import Tally, TaskCodec
from floto.testing import Simulation, check, fails, simulate


@frozen
class Says:
    """A strategy and a join with a given answer."""

    answer: Any

    def delay(self, _retry: Retry) -> Any:
        return self.answer

    def verdict(self, tally: Tally) -> Any:
        return None if tally.open else self.answer


@frozen
class Own:
    """A kind of task with a given decision."""

    decision: Any
    id_: str = "bad"
    requires: tuple[str, ...] = ("charge",)
    retry_strategy: None = None

    @property
    def key(self) -> Key:
        return (Kind.ACTIVITY, self.id_)

    def start(self, _given: Given) -> Any:
        return self.decision

    def result(self, _item: Item) -> Any:
        return None


def work(id_: str, *requires: str, **more: Any) -> ActivityTask:
    return ActivityTask(id_=id_, name="work", version="1", requires=[*requires], **more)


def schedules(activity_id: str, name: str = "work") -> ScheduleActivityTask:
    return ScheduleActivityTask(activity_type=ActivityType(name, "1"), activity_id=activity_id)


def run(bad: Any) -> Simulation:
    """Run a task with a fault after one that has an undo."""
    tasks = [work("charge", undo=work("refund")), bad]
    spec = DeciderSpec(activity_tasks=tasks, on_failure=[work("tell")])
    return simulate(spec, {"bad": fails()} if isinstance(bad, ActivityTask) else {})


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "delay": (lambda: work("bad", "charge", retry_strategy=Says(-1)), "its retry strategy returned -1; "),
    "verdict": (lambda: work("bad", "charge", join=Says("START")), "must return a JoinVerdict, a number or"),
    "no decision": (
        lambda: Own(3),
        "start of Own must return a decision that starts the task, or None, not ",
    ),
    "nothing": (
        lambda: Own(None),
        "start of Own returned None, so activity 'bad' would never begin; return the decision that starts it",
    ),
    "other id": (
        lambda: Own(schedules("job")),
        "returns a ScheduleActivityTask of activity 'job', but the key of the task is activity 'bad'",
    ),
    "other kind": (
        lambda: Own(StartTimer(timer_id="bad", start_to_fire_timeout="1")),
        "returns a StartTimer of timer 'bad', but the key of the task is activity 'bad'",
    ),
    "refused": (
        lambda: Own(schedules("bad", "n" * 257)),
        "start of Own returns what SWF would refuse: Value 'nnn",
    ),
    "no type": (
        lambda: Own(ScheduleActivityTask(activity_type="work", activity_id="bad")),  # type: ignore[arg-type]
        "SWF would refuse: Value 'work' at 'activityType' failed to satisfy constraint: Member must be of ",
    ),
    "own id": (
        lambda: ChildWorkflow(
            id_="bad",
            workflow_type_name="flow",
            workflow_type_version="1",
            workflow_id="simulated",
            requires=["charge"],
        ),
        "its workflow id 'simulated' is that of its own run",
    ),
}


@pytest.mark.parametrize(("bad", "said"), FAULTS.values(), ids=FAULTS)
def test_run_whose_task_has_a_fault_of_its_own_code_cleans_up(bad: Callable[[], Any], said: str) -> None:
    history = run(bad()).main
    *_, last = history.events
    assert isinstance(last.data, WorkflowExecutionFailed)
    assert last.data.reason == "failed: bad"
    assert said in str(last.data.details)
    scheduled = [each.data for each in history.events if isinstance(each.data, ActivityTaskScheduled)]
    started = [each.activity_id for each in scheduled if each.activity_id != "bad"]
    assert started == ["charge", "refund", "tell"]


class Returns(Own):
    """A kind that returns something else than tasks."""

    def generated(self, _item: Item, _codec: TaskCodec) -> Any:
        return self.returned

    returned: Any = None


@pytest.mark.parametrize("wrong", [None, "x", ["x"], [{"type": "x"}], [Own], 3])
def test_run_whose_own_generator_returns_something_else_than_tasks_fails(wrong: Any) -> None:
    kind = type("Returns", (Returns,), {"returned": wrong})
    history = run(kind(schedules("bad"))).main
    last = history.events[-1].data
    assert isinstance(last, WorkflowExecutionFailed)
    assert "task 'bad': generated of Returns must return tasks, not " in str(last.details)


def test_check_reports_what_an_own_generator_raises() -> None:
    class Raises(Own):
        def generated(self, _item: Item, _codec: TaskCodec) -> Any:
            raise ZeroDivisionError

    spec = DeciderSpec(activity_tasks=[work("charge"), Raises(schedules("bad"))])
    with pytest.raises(AssertionError, match="deciding raised ZeroDivisionError"):
        check(spec, max_examples=3)


def test_own_kind_that_starts_its_own_item_is_started_once() -> None:
    simulation = run(Own(schedules("bad")))
    assert simulation.status == "COMPLETED"
    assert simulation.attempts == {"charge": 1, "bad": 1}


def test_join_that_never_has_a_verdict_fails_its_task_at_once() -> None:
    @frozen
    class Odd:
        def verdict(self, _tally: Tally) -> Any:
            return 1.5

    spec = DeciderSpec(activity_tasks=[work("a"), work("b", "a", join=Odd())])
    [failed] = decide(spec, simulate(spec).main.events[:3])
    assert isinstance(failed, FailWorkflowExecution)
    assert failed.reason == "failed: b"
