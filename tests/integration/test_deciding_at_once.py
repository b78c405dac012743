"""Deciding in the commit that claims a decision task: what it does, and what is left to the decider."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import pytest
from attrs import define, evolve, field, frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import floto
from floto.adapters.sqlite import SqliteService
from floto.adapters.sqlite.group_commit import Job
from floto.adapters.sqlite.wait_queue import Poll
from floto.core.engine.changed_keys import ChangedKeys
from floto.core.engine.commands import StartWorkflowExecution
from floto.core.engine.embedded import Decided
from floto.core.engine.stores.records import TaskQueue
from floto.core.engine.tokens import TaskKind
from floto.core.spec.nested_specs import nested_tasks
from floto.core.state.fold import fold
from floto.core.state.state import State
from floto.core.swf.decisions import (
    CancelTimer,
    CompleteWorkflowExecution,
    Decision,
    RecordMarker,
    ScheduleActivityTask,
)
from floto.core.swf.pollers import PollKind
from floto.core.swf.service import PolledActivityTask, PolledDecisionTask, StartRequest
from floto.core.swf.shapes import ActivityType, TaskList
from floto.core.swf.wire import event_to_swf
from floto.testing.strategies import specs
from tests.integration.contract.clock import Clock
from tests.integration.test_sqlite_helpers import (
    ACTIVITY,
    SOON,
    WORKFLOW,
    activity,
    decision,
    names,
    pending_polls,
    start,
    store_of,
    until,
)


@define
class Rule:
    """Decides at once what ``rule`` returns."""

    rule: Callable[[PolledDecisionTask], Sequence[Decision]]
    is_stopped: bool = False
    kept: list[str] = field(factory=list)
    reported: list[str] = field(factory=list)

    def decide(self, task: PolledDecisionTask, *_known: Any) -> Decided:
        workflow_id = task.execution.workflow_id
        keep, report = partial(self.kept.append, workflow_id), partial(self.reported.append, workflow_id)
        return Decided(self.rule(task), keep, report)


def complete(_task: PolledDecisionTask) -> Sequence[Decision]:
    return [CompleteWorkflowExecution()]


def pending(service: SqliteService, rule: Rule, task_list: str = "floto", wait: float = SOON) -> Any:
    """Poll in another thread, which does not keep the test alive, and wait until the poll is pending."""
    found: SimpleQueue[PolledDecisionTask | None] = SimpleQueue()
    polling = partial(service.poll_and_decide, task_list, "", wait, rule)
    threading.Thread(target=lambda: found.put(polling()), daemon=True).start()
    queue, task_queue = service._host._wait_queue, TaskQueue("floto", TaskKind.DECISION, task_list)  # noqa: SLF001
    until(lambda: task_queue in queue.all_task_queues())
    return found


def test_poll_gets_the_task_whose_response_at_once_fails_after_it_has_written_rows(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        # The types are registered, and then the response is refused.
        new, refused = ActivityType("new", "1"), ScheduleActivityTask(activity_type=ACTIVITY, activity_id="")
        wrong = [ScheduleActivityTask(activity_type=new, activity_id="a"), refused]
        found = pending(service, Rule(lambda _task: wrong))
        run = start(service)
        task = found.get(timeout=SOON / 2)
        assert task.execution == run
        service.respond_decision_task_completed(task.token, [CompleteWorkflowExecution()])
        assert names(service, run)[-1] == "WorkflowExecutionCompleted"


def test_poll_whose_time_is_over_reports_what_was_decided_meanwhile(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        ended = threading.Event()

        def late(_task: PolledDecisionTask) -> Sequence[Decision]:
            ended.wait(2)
            return [CompleteWorkflowExecution()]

        service.prepare([WORKFLOW], [])
        first = Rule(complete)
        found = pending(service, first, "first", wait=0.5)
        pending(service, Rule(late), "late")

        def start_both(now: datetime) -> None:
            for id in ("first", "late"):
                command = StartWorkflowExecution(
                    workflow_id=id, workflow_type=WORKFLOW, task_list=TaskList(id)
                )
                service._host.engine.start("floto", command, id, now)  # noqa: SLF001 - in one transaction

        with ThreadPoolExecutor() as threads:
            starting = threads.submit(service._host.write, start_both)  # noqa: SLF001 - as above
            found.get(timeout=SOON)
            ended.set()
            starting.result()
        assert first.reported == first.kept == ["first"]


def test_each_of_two_deciders_that_took_turns_within_a_commit_waits_no_longer_than_it_may(
    tmp_path: Path,
) -> None:
    """The task that a refused decision causes goes to the other decider, in the same step."""

    def decide(task: PolledDecisionTask) -> Sequence[Decision]:
        is_first = task.previous_started_event_id == 0
        return [CancelTimer(timer_id="none")] if is_first else [RecordMarker(marker_name="m")]

    with SqliteService(tmp_path / "db") as service:
        rules = [Rule(decide), Rule(decide)]
        polls = [pending(service, rule, wait=1) for rule in rules]
        until(lambda: pending_polls(service) == len(polls))
        start(service)
        assert [poll.get(timeout=SOON) for poll in polls] == [None, None]
        assert [len(rule.kept) for rule in rules] == [1, 1]


def test_stopped_decider_decides_no_more_and_its_poll_ends(tmp_path: Path) -> None:
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(complete)
        found = pending(service, rule)
        start(service, "one")
        until(lambda: rule.reported)
        rule.is_stopped = True
        run = start(service, "two")
        assert found.get(timeout=SOON / 2) is None
        assert names(service, run) == ["WorkflowExecutionStarted", "DecisionTaskScheduled"]
        # Another decider of the task list decides.
        assert decision(service).execution == run


def test_stopped_decider_leaves_a_decision_task_to_the_next_one(tmp_path: Path) -> None:
    spec = floto.DeciderSpec(activity_tasks=(floto.Timer(id_="t", delay_in_seconds=0),))
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(spec, service=service, poll_seconds=SOON)
        thread = threading.Thread(target=decider.run, daemon=True)
        thread.start()
        until(service._host._wait_queue.all_task_queues)  # noqa: SLF001 - its poll is pending
        decider.stop()
        run = start(service)
        thread.join(SOON / 2)
        assert not thread.is_alive()
        assert names(service, run) == ["WorkflowExecutionStarted", "DecisionTaskScheduled"]


def test_responses_that_were_rolled_back_are_not_remembered(tmp_path: Path) -> None:
    spec = floto.DeciderSpec(activity_tasks=(floto.Timer(id_="t", delay_in_seconds=999),))
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(spec, service=service, poll_seconds=SOON)
        deciding = decider._at_once  # noqa: SLF001 - the memory of runs shows nowhere else
        for number in range(3):
            start(service, str(number))
            task = decision(service)
            assert deciding.decide(task, fold(task.events), ChangedKeys()) is not None
        assert not deciding._cache._runs  # noqa: SLF001 - as above


@frozen
class Own:
    """A retry strategy of a user, which records the threads that execute it."""

    threads: ClassVar[list[threading.Thread]] = []

    def delay(self, _retry: floto.Retry) -> float:
        self.threads.append(threading.current_thread())
        return 0


def going_on(_task: PolledDecisionTask) -> Sequence[Decision]:
    return [ScheduleActivityTask(activity_type=ACTIVITY, activity_id="a")]


def test_decider_is_notified_of_scheduled_activities_without_a_wake_up_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[Job] = []
    wake = Job.wake

    def noted(job: Job) -> None:
        woken.append(job)
        wake(job)

    monkeypatch.setattr(Job, "wake", noted)
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(going_on)
        pending(service, rule)
        for number in range(9):
            start(service, str(number))
        assert len(rule.kept) == 9
        until(lambda: len(rule.reported) == 9)
        assert not any(isinstance(job, Poll) for job in woken)


@pytest.mark.parametrize(("decide", "runs"), [(complete, 1), (going_on, 32)], ids=["the close", "many"])
def test_decider_is_woken_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decide: Any, runs: int
) -> None:
    monkeypatch.setattr("floto.adapters.sqlite.sqlite_engine._DELIVER_SECONDS", 2 * SOON)
    with SqliteService(tmp_path / "db") as service:
        rule = Rule(decide)
        pending(service, rule, wait=2 * SOON)
        for number in range(runs):
            start(service, str(number))
        until(lambda: len(rule.reported) == runs)


def test_strategy_of_a_user_is_executed_by_the_thread_of_the_decider_only(tmp_path: Path) -> None:
    task = floto.ActivityTask(id_="a", name="act", version="1", retry_strategy=Own())
    codec = floto.CODEC.with_type("own", Own)
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(floto.DeciderSpec(activity_tasks=(task,)), service=service, codec=codec)
        thread = threading.Thread(target=decider.run, daemon=True)
        thread.start()
        start(service)
        service.respond_activity_task_failed(activity(service).token, "r", "d")
        activity(service)
        decider.stop()
        thread.join(SOON)
        assert set(Own.threads) == {thread}


@pytest.mark.parametrize(("others", "is_left"), [(0, False), (4, False), (5, True), (300, True)])
def test_run_with_several_open_activities_is_left_to_the_thread_of_the_decider(
    tmp_path: Path, *, others: int, is_left: bool
) -> None:
    with SqliteService(tmp_path / "db") as service:
        spec = floto.DeciderSpec(activity_tasks=side_by_side(1 + others))
        at_once = floto.Decider(spec, service=service)._at_once  # noqa: SLF001 - without the threads of its loop
        start(service)
        assert service.poll_and_decide("floto", "d", 0, at_once) is None
        service.respond_activity_task_completed(activity(service).token, None)
        left = service.poll_and_decide("floto", "d", 0, at_once)
        assert (left is not None) is is_left


def test_run_that_fails_is_closed_at_once_however_many_activities_are_open(tmp_path: Path) -> None:
    """SWF refuses to close a run if an event has come since the decider was asked."""
    with SqliteService(tmp_path / "db") as service:
        spec = floto.DeciderSpec(activity_tasks=side_by_side(300))
        decider = floto.Decider(spec, service=service)
        thread = threading.Thread(target=decider.run, daemon=True)
        thread.start()
        run = start(service)
        for _ in range(20):
            service.respond_activity_task_completed(activity(service).token, None)
        failed, others = activity(service), [activity(service) for _ in range(20)]
        service.respond_activity_task_failed(failed.token, "r", "d")
        for other in others:
            with suppress(floto.ServiceFault):
                service.respond_activity_task_completed(other.token, None)
        until(lambda: names(service, run)[-1] == "WorkflowExecutionFailed")
        decider.stop()
        thread.join(SOON)
        assert "FailWorkflowExecutionFailed" not in names(service, run)


def test_run_of_many_tasks_one_after_the_other_is_decided_at_once(tmp_path: Path) -> None:
    tasks = side_by_side(5_000)
    tasks = [evolve(task, requires=tasks[number - 1 : number]) for number, task in enumerate(tasks)]
    with SqliteService(tmp_path / "db") as service:
        decider = floto.Decider(floto.DeciderSpec(activity_tasks=tasks), service=service)
        start(service)
        for _ in range(3):
            assert service.poll_and_decide("floto", "d", 0, decider._at_once) is None  # noqa: SLF001 - as above
            service.respond_activity_task_completed(activity(service).token, None)


def test_deciders_by_turns_examine_a_run_as_a_whole_once_each(tmp_path: Path) -> None:
    tasks = side_by_side(20)
    tasks = [evolve(task, requires=tasks[number - 1 : number]) for number, task in enumerate(tasks)]
    begun: list[State] = []

    class Counting(floto.Decider):
        def _begin(self, spec: floto.DeciderSpec, state: State) -> floto.Progress:
            begun.append(state)
            return super()._begin(spec, state)

    with SqliteService(tmp_path / "db") as service:
        deciders = [Counting(floto.DeciderSpec(activity_tasks=tasks), service=service) for _ in range(3)]
        start(service)
        for decider in deciders * 5:
            assert service.poll_and_decide("floto", "d", 0, decider._at_once) is None  # noqa: SLF001 - as above
            service.respond_activity_task_completed(activity(service).token, None)
    assert len(begun) == len(deciders)


def side_by_side(count: int) -> list[floto.ActivityTask]:
    return [floto.ActivityTask(id_=str(n), name="act", version="1") for n in range(count)]


class Elsewhere:
    """A service that is not in this process, as far as a decider can see."""

    def __init__(self, service: SqliteService) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)


@define
class Playing:
    """A run of a spec with a clock, run ids and outcomes that do not depend on who decides."""

    service: SqliteService
    decider: floto.Decider
    clock: Clock
    is_at_once: bool
    signals: Sequence[str]

    def play(self, script: Sequence[int]) -> list[Any]:
        """Start the run, let happen what the script says, and return all histories."""
        self.service.start_workflow_execution(StartRequest(workflow_id="w", workflow_type=WORKFLOW))
        self._decide_all()
        for number in script:
            (self._complete, self._complete, self._fail, self._wait, self._signal)[number % 5](number)
            self._decide_all()
        store = store_of(self.service)
        with closing(store._db.execute("SELECT run_id FROM runs ORDER BY number")) as rows:  # noqa: SLF001 - all
            run_ids = [run_id for (run_id,) in rows]
        return [[event_to_swf(event) for event in store.history(run_id)] for run_id in run_ids]

    def _lists(self, kind: PollKind) -> list[str]:
        return [each.task_list for each in self.service.live().backlogs if each.kind is kind and each.waiting]

    def _decide_all(self) -> None:
        while lists := self._lists(PollKind.DECISIONS):
            for task_list in lists:
                while (task := self._decision(task_list)) is not None:
                    self.decider._handle(task)  # noqa: SLF001 - without the threads of its loop

    def _decision(self, task_list: str) -> PolledDecisionTask | None:
        if self.is_at_once:
            at_once = self.decider._at_once  # noqa: SLF001 - as above
            return self.service.poll_and_decide(task_list, "d", 0, at_once)
        return self.service.poll_for_decision_task(task_list, "d", 0)

    def _activity(self) -> PolledActivityTask | None:
        lists = self._lists(PollKind.ACTIVITIES)
        return self.service.poll_for_activity_task(lists[0], "w", 0) if lists else None

    def _complete(self, number: int) -> None:
        task = self._activity()
        if task is not None:
            self.service.respond_activity_task_completed(task.token, json.dumps({"n": number}))

    def _fail(self, number: int) -> None:
        task = self._activity()
        if task is not None:
            self.service.respond_activity_task_failed(task.token, "Final" if number % 2 else "r", None)

    def _wait(self, _number: int) -> None:
        due = store_of(self.service).next_deadline()
        self.clock.now = self.clock.now if due is None else max(self.clock.now, due.at)

    def _signal(self, number: int) -> None:
        if self.signals:
            with suppress(floto.ServiceFault):
                self.service.signal_workflow_execution("w", self.signals[number % len(self.signals)], "1")


def note(told: list[Any], decisions: Sequence[Decision], error: Exception | None) -> None:
    """Note what a listener gets."""
    told.append((list(decisions), repr(error)))


@given(specs(), st.lists(st.integers(0, 99), max_size=30))
@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=60)
def test_history_that_is_decided_at_once_is_that_of_separate_calls(
    spec: floto.DeciderSpec, script: list[int]
) -> None:
    names = [task.signal_name for task in nested_tasks(spec) if isinstance(task, floto.Signal)]
    found = []
    for is_at_once in (True, False):
        clock: Clock = Clock()
        told: list[Any] = []
        with (
            SqliteService(":memory:", clock=clock) as service,
            pytest.MonkeyPatch.context() as patched,
        ):
            patched.setattr("floto.adapters.sqlite.service.secrets.token_bytes", bytes)
            decider = floto.Decider(
                spec,
                service=service if is_at_once else Elsewhere(service),
                listener=partial(note, told),
            )
            assert (decider._embedded is service) is is_at_once  # noqa: SLF001 - else this tests nothing
            found.append((Playing(service, decider, clock, is_at_once, names).play(script), told))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "error", [OSError(28, "no space left on device"), UnicodeEncodeError("ascii", "ä", 0, 1, "")]
)
def test_error_of_a_listener_is_no_error_of_the_service(tmp_path: Path, error: Exception) -> None:
    def broken(*_arguments: Any) -> None:
        raise error

    spec = floto.DeciderSpec(activity_tasks=(floto.Timer(id_="t", delay_in_seconds=9),))
    with SqliteService(tmp_path / "db") as service:
        start(service)
        decider = floto.Decider(spec, service=service, listener=broken)
        with pytest.raises(type(error)) as raised:
            decider.run()
        assert raised.value is error
